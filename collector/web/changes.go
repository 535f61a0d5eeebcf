package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

// How many transitions are read to tell of, on the overview and on their own page, and
// how many changes that page shows.
const (
	changesRead  = 100
	changesAll   = 500
	changesShown = 36
)

// A change is one control going the same way on hosts of one county on one day, as one
// line: a new policy moves many hosts at once.
type change struct {
	Control muster.Control
	County  muster.County
	To      mark
	Hosts   crowd
	At      moment // the newest of them
}

// Worse tells those that someone should look at.
func (c change) Worse() bool { return c.To.Mark != "pass" }

// tell joins transitions, newest first, to changes.
func (s *server) tell(ctx context.Context, transitions []muster.Transition, counties []muster.CountyStanding) (list []change, err error) {
	type story struct {
		control string
		county  muster.County
		to      muster.Status
		day     time.Time
	}
	at := map[story]int{}
	demo := s.demo(ctx, counties)
	for _, t := range transitions {
		if t.To == muster.StatusNotApplicable || t.From == muster.StatusNotApplicable {
			continue // a change of what is asked, not of how well it is met
		}
		when := s.told(t)
		key := story{t.Control, t.County, t.To, when.UTC().Truncate(24 * time.Hour)}
		i, ok := at[key]
		if !ok {
			i = len(list)
			at[key] = i
			list = append(list, change{Control: s.lookup(t.Control), County: t.County, To: markOf(t.To, ""), At: moment{when, s.Now()}})
		}
		c := &list[i]
		if slices.ContainsFunc(c.Hosts, func(h muster.HostStanding) bool { return h.ID == t.Host }) {
			continue
		}
		h := muster.HostStanding{Host: muster.Host{ID: t.Host, Hostname: t.Hostname, County: t.County}}
		if h.Demo, err = demo(t); err != nil {
			return nil, err
		}
		c.Hosts = append(c.Hosts, h)
	}
	return list, nil
}

// told is when a change was shown, or in hindsight when it was made.
func (s *server) told(t muster.Transition) time.Time {
	if s.view.Known == muster.KnownNow && t.CollectedAt.Before(t.ReceivedAt) {
		return t.CollectedAt
	}
	return t.ReceivedAt
}

// demo tells of a transition's host whether it is invented: its county says that, or
// where some of its hosts are, the host itself.
func (s *server) demo(ctx context.Context, counties []muster.CountyStanding) func(muster.Transition) (bool, error) {
	of := make(map[muster.County]muster.CountyStanding, len(counties))
	for _, c := range counties {
		of[c.County] = c
	}
	hosts := map[muster.HostID]bool{}
	return func(t muster.Transition) (bool, error) {
		if c := of[t.County]; c.Invented == 0 || c.Invented == c.Hosts+c.Pending {
			return c.Invented > 0, nil
		}
		if demo, ok := hosts[t.Host]; ok {
			return demo, nil
		}
		h, err := s.Reader.Host(ctx, s.view, t.Host)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		hosts[t.Host] = h.Demo
		return h.Demo, nil
	}
}

// chosen is the county that a page is asked for, "" for all that the reader may read.
func (s *server) chosen(r *http.Request) (muster.County, error) {
	name := r.URL.Query().Get("county")
	if name == "" && s.person.Role != "" {
		return "", nil
	}
	county, err := muster.ParseCounty(cmp.Or(name, string(s.person.County())))
	if err != nil || !s.person.reads(county) {
		return "", fmt.Errorf("county %q: %w", name, fs.ErrNotExist)
	}
	return county, nil
}

// choices are the counties that a page can be asked for, by name.
func (s *server) choices(counties []muster.CountyStanding) []link {
	var list []link
	for _, c := range s.person.Counties {
		list = append(list, link{string(c), countyName(c)})
	}
	for _, c := range counties {
		if s.person.Role != "" {
			list = append(list, link{string(c.County), countyName(c.County)})
		}
	}
	slices.SortFunc(list, func(a, b link) int { return cmp.Or(cmp.Compare(a.Text, b.Text), cmp.Compare(a.Href, b.Href)) })
	return list
}

// filter of a list: a form that asks for the page of a county.
type filter struct {
	Path      string
	Chosen    string // the county, "" for all
	Choices   []link // counties: Href is the code
	All       bool   // the county may be left open
	Way       string
	Ways      []link // what else can be chosen
	Control   string // "" for all
	Catalogue []link // controls to choose from: Href is the id
	Unchanged []link // parameters that stay: Href is the name
}

// Several counties are there to choose from.
func (f filter) Several() bool {
	return len(f.Choices) > 1 || f.All && (len(f.Choices) == 1 || f.Chosen != "")
}

func (s *server) filter(path string, county muster.County, counties []muster.CountyStanding) filter {
	f := filter{Path: path, Chosen: string(county), Choices: s.choices(counties), All: s.person.Role != ""}
	f.Unchanged = instantOf(s.from)
	return f
}

// ways of changes to ask for.
const (
	wayWorse  = "worse"
	wayBetter = "better"
)

type changesOfDay struct {
	Day     time.Time
	Changes []change
}

type changesView struct {
	filter
	Days  []changesOfDay
	Read  int    // changes of single hosts that these are of
	Older string // the page that goes on, as of the oldest of these; "" at the end
}

func (s *server) changes(ctx context.Context, r *http.Request) (*view, error) {
	county, err := s.chosen(r)
	if err != nil {
		return nil, err
	}
	counties, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	transitions, err := s.Reader.Changes(ctx, s.view, county, changesAll)
	if err != nil {
		return nil, err
	}
	list, err := s.tell(ctx, transitions, counties)
	if err != nil {
		return nil, err
	}
	p := &changesView{filter: s.filter("/changes", county, counties), Read: len(transitions)}
	p.Way, p.Ways = r.URL.Query().Get("way"), []link{{"", "Everything"}, {wayWorse, "What got worse"}, {wayBetter, "What got better"}}
	v := &view{Title: "What changed", Trail: s.trail(county), Here: "What changed", Page: p}
	v.Demo.counties(counties, county)
	var next time.Time // that is not shown
	if n := len(transitions); n == changesAll {
		next = s.told(transitions[n-1])
	}
	shown := 0
	for _, c := range list {
		if p.Way == wayWorse && !c.Worse() || p.Way == wayBetter && c.Worse() {
			continue
		}
		if shown++; shown > changesShown && c.At.At.Before(s.told(transitions[0])) {
			next = c.At.At
			break
		}
		day := c.At.At.UTC().Truncate(24 * time.Hour)
		if n := len(p.Days); n == 0 || day.Before(p.Days[n-1].Day) {
			p.Days = append(p.Days, changesOfDay{Day: day})
		}
		last := &p.Days[len(p.Days)-1]
		last.Changes = append(last.Changes, c)
	}
	if !next.IsZero() {
		if !next.Before(s.told(transitions[0])) {
			next = next.Add(-time.Microsecond)
		}
		q := url.Values{"as_of": {next.Format(time.RFC3339Nano)}, "county": {p.Chosen}, "way": {p.Way}}
		if s.view.Known != muster.KnownThen {
			q.Set("known", string(s.view.Known))
		}
		p.Older = p.Path + "?" + q.Encode()
	}
	return v, nil
}
