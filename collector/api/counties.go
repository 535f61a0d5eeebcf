package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

// Counties is a list of counties.
type Counties struct {
	Counties []muster.CountyStanding `json:"counties"`
}

// CountyDetail is how one county stands.
type CountyDetail struct {
	muster.CountyStanding
	HostList []muster.HostStanding `json:"host_list"`
}

// Days of a county or the state, the oldest first.
type Days struct {
	Days []muster.DayStanding `json:"days"`
}

// Expected are computers that counties say they have.
type Expected struct {
	Expected []muster.ExpectedHost `json:"expected"`
}

const (
	defaultDays = 90
	// maxExpected bounds a list that is sent, in bytes.
	maxExpected = 8 << 20
)

func countyOperations() []operation {
	const county = "/api/v1/counties/{county}"
	days := []param{
		{name: "from", about: "The first day, such as 2026-08-01; without it 90 days before the last."},
		{name: "to", about: "The last day; without it yesterday."},
	}
	put := change(http.MethodPut, county+"/expected", "putExpected", "Makes the list that of the county's expected hosts. "+
		"As CSV its first row names the columns name, profile and note.", http.StatusOK, (*call).expect)
	put.takes = []content{{typeJSON, reflect.TypeFor[Expected]()}, {media: typeCSV}}
	put.fails = []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}
	missing := param{name: "missing", about: "true gives only those that are missing.", words: []string{"true", "false"}}
	return []operation{
		list("/api/v1/counties", "listCounties", "Counties that have any host, pending ones and expected ones included.",
			[]param{byCounty, asOf, known}, (*call).counties),
		get(county, "getCounty", "How a county stands, and its hosts.", []param{asOf, known}, (*call).oneCounty),
		list(county+"/days", "listCountyDays", "How a county stood at the end of each day, as it was shown then.", days, (*call).countyDays),
		list("/api/v1/days", "listDays", "How the state, or a county, stood at the end of each day, as it was shown then.",
			append([]param{byCounty}, days...), (*call).days),
		list(county+"/expected", "listCountyExpected", "A county's expected hosts.", []param{missing, asOf, known}, (*call).countyExpected),
		put,
		list("/api/v1/expected", "listExpected", "Expected hosts by county and name.", []param{byCounty, missing, asOf, known}, (*call).expected),
	}
}

func (c *call) counties() (Counties, error) {
	all, err := c.Store.Counties(c.Context(), c.view)
	all = slices.DeleteFunc(all, func(s muster.CountyStanding) bool { return c.county != "" && s.County != c.county })
	slices.SortFunc(all, func(a, b muster.CountyStanding) int { return cmp.Compare(a.County, b.County) })
	return Counties{notNil(all)}, err
}

// pathCounty makes the county of the path the one that is asked for.
func (c *call) pathCounty() (err error) {
	if c.county, err = muster.ParseCounty(c.PathValue("county")); err != nil {
		return errBad{err}
	}
	return nil
}

func (c *call) oneCounty() (CountyDetail, error) {
	if err := c.pathCounty(); err != nil {
		return CountyDetail{}, err
	}
	found, err := c.counties()
	if err != nil {
		return CountyDetail{}, err
	}
	if len(found.Counties) == 0 {
		return CountyDetail{}, fs.ErrNotExist
	}
	page, err := c.Store.Hosts(c.Context(), c.view, muster.HostQuery{County: c.county})
	return CountyDetail{found.Counties[0], notNil(page.Hosts)}, err
}

func (c *call) countyDays() (Days, error) {
	if err := c.pathCounty(); err != nil {
		return Days{}, err
	}
	return c.days()
}

func (c *call) days() (Days, error) {
	day := func(name string, otherwise time.Time) (time.Time, error) {
		if !c.query.Has(name) {
			return otherwise, nil
		}
		t, err := time.Parse(time.DateOnly, c.query.Get(name))
		if err != nil {
			return t, badf("%s %q is no day: write 2026-11-03", name, c.query.Get(name))
		}
		return t, nil
	}
	to, err := day("to", c.API.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1))
	if err != nil {
		return Days{}, err
	}
	from, err := day("from", to.AddDate(0, 0, 1-defaultDays))
	if err != nil {
		return Days{}, err
	}
	if to.Before(from) {
		return Days{}, badf("from comes after to")
	}
	list, err := c.Store.Days(c.Context(), c.county, from, to)
	return Days{notNil(list)}, err
}

func (c *call) countyExpected() (Expected, error) {
	if err := c.pathCounty(); err != nil {
		return Expected{}, err
	}
	return c.expected()
}

func (c *call) expected() (Expected, error) {
	all, err := c.Store.Expected(c.Context(), c.view, c.county)
	if c.query.Get("missing") == "true" {
		all = slices.DeleteFunc(all, func(e muster.ExpectedHost) bool { return e.Host != "" })
	}
	return Expected{notNil(all)}, err
}

// expect reads what listCountyExpected gives, or a plain CSV file.
func (c *call) expect(w http.ResponseWriter) (Expected, error) {
	if err := c.pathCounty(); err != nil {
		return Expected{}, err
	}
	body := http.MaxBytesReader(w, c.Body, maxExpected)
	var sent Expected
	var err error
	if media, _, bad := mime.ParseMediaType(c.Header.Get("Content-Type")); bad == nil && media == typeCSV {
		sent.Expected, err = ParseExpected(body)
	} else {
		in := json.NewDecoder(body)
		in.DisallowUnknownFields()
		if err = in.Decode(&sent); err == nil && (sent.Expected == nil || in.More()) {
			err = errors.New(`want {"expected": [{"name": …}, …]}`)
		}
		if err == nil {
			err = checkExpected(sent.Expected)
		}
	}
	if err != nil {
		return Expected{}, errBad{err}
	}
	for i := range sent.Expected {
		sent.Expected[i].County = c.county
	}
	if err := c.Act.Expect(c.Context(), c.county, sent.Expected, c.Actor(c.Request)); err != nil {
		return Expected{}, err
	}
	return c.expected()
}
