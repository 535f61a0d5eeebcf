package web

import (
	"cmp"
	"slices"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web/atlas"
	"github.com/passmuster/muster/internal/fips"
)

// stateMap draws the counties of a state by how they stand.
type stateMap struct {
	State    string // its name
	About    string // what it shows
	Box      [4]int // view box, with a line above the state for the county that is pointed at
	Text     int    // size of that line
	Counties []shape
	Legend   []shade
	Off      []countyRow // counties that have no shape in it
}

type shape struct {
	countyRow
	Shade      *shade
	Path       string
	Href, Says string
}

// atlasWords say what a map shows: in each county Meeting of Hosts are well.
type atlasWords struct {
	About  string    // what the shades are of
	Shades [7]string // the best of the scale first, then those that are told by a pattern
	Says   func(tally) string
	Href   func(muster.County) string
}

// baseline is what the map of the overview shows.
func (s *server) baseline() atlasWords {
	meet, meets, none := "meet", tally.Meets, "no computer reports"
	if !s.view.Now() {
		meet, meets, none = "met", func(tally) string { return "met" }, "no computer had reported"
	}
	return atlasWords{"the share of computers that " + meet + " the baseline",
		[7]string{"all " + meet, "75 to 99%", "50 to 74%", "25 to 49%", "under 25%", "mostly silent or not known", "no computers"},
		func(t tally) string {
			if t.Hosts == 0 {
				return none
			}
			says := number(t.Meeting) + " of " + count(t.Hosts, "computer") + " " + meets(t) + " the baseline"
			if t.Stale > 0 {
				says += ", " + number(t.Stale) + " not heard from"
			}
			return says
		},
		func(c muster.County) string { return "/counties/" + string(c) + suffix(s.view) }}
}

// shade of the scale, and how many counties of the map are on it.
type shade struct {
	Name, Word string
	Counties   int
}

// Pattern reports whether it is told from the others by a pattern rather than by how
// dark it is.
func (s shade) Pattern() bool { return s.Name == "dim" || s.Name == "none" }

// shadeOf is the shade for a county's numbers: 1 is the weakest, 5 is that all meet the
// baseline.
func shadeOf(t tally) string {
	switch {
	case t.Hosts == 0:
		return "none"
	case 2*(t.Stale+t.Unknown) > t.Hosts:
		return "dim"
	case t.Meeting == t.Hosts:
		return "5"
	}
	return string("1234"[4*t.Meeting/t.Hosts])
}

// draw the map of the state; nil where there is none of it.
func (s *server) draw(rows []countyRow, of atlasWords) *stateMap {
	code := cmp.Or(s.State, mostOf(rows))
	drawn, ok := atlas.State(code)
	if !ok {
		return nil
	}
	text := max(drawn.Width, drawn.Height) / 38
	m := &stateMap{State: fips.State(code), About: of.About, Text: text, Box: [4]int{0, -2 * text, drawn.Width, drawn.Height + 2*text}}
	for i, name := range []string{"5", "4", "3", "2", "1", "dim", "none"} {
		m.Legend = append(m.Legend, shade{name, of.Shades[i], 0})
	}
	known := make(map[muster.County]countyRow, len(rows))
	for _, row := range rows {
		known[row.County] = row
	}
	for _, d := range drawn.Counties {
		row := known[d.County]
		delete(known, d.County)
		row.County = d.County
		name := shadeOf(row.tally)
		on := &m.Legend[slices.IndexFunc(m.Legend, func(l shade) bool { return l.Name == name })]
		on.Counties++
		m.Counties = append(m.Counties, shape{row, on, d.Path, of.Href(d.County), of.Says(row.tally)})
	}
	for _, row := range rows {
		if _, off := known[row.County]; off {
			m.Off = append(m.Off, row)
		}
	}
	return m
}

// mostOf is the state that most of the counties are in; "" where there are none.
func mostOf(rows []countyRow) string {
	counties, most := map[string]int{}, ""
	for _, row := range rows {
		state := row.County.State()
		if counties[state]++; most == "" || counties[state] > counties[most] {
			most = state
		}
	}
	return most
}
