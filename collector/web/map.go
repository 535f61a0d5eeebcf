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
	Box      [4]int // view box, with a line above the state for the county that is pointed at
	Text     int    // size of that line
	Counties []shape
	Legend   []shade
	Off      []countyRow // counties that have no shape in it
}

type shape struct {
	countyRow
	Shade *shade
	Path  string
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
func (s *server) draw(rows []countyRow) *stateMap {
	code := cmp.Or(s.State, mostOf(rows))
	drawn, ok := atlas.State(code)
	if !ok {
		return nil
	}
	text := max(drawn.Width, drawn.Height) / 38
	m := &stateMap{State: fips.State(code), Text: text, Box: [4]int{0, -2 * text, drawn.Width, drawn.Height + 2*text},
		Legend: []shade{{"5", "all meet", 0}, {"4", "75 to 99%", 0}, {"3", "50 to 74%", 0}, {"2", "25 to 49%", 0}, {"1", "under 25%", 0},
			{"dim", "mostly silent or not known", 0}, {"none", "no computers", 0}}}
	known := make(map[muster.County]countyRow, len(rows))
	for _, row := range rows {
		known[row.County] = row
	}
	for _, d := range drawn.Counties {
		row := known[d.County]
		delete(known, d.County)
		row.County = d.County
		name := shadeOf(row.tally)
		of := &m.Legend[slices.IndexFunc(m.Legend, func(l shade) bool { return l.Name == name })]
		of.Counties++
		m.Counties = append(m.Counties, shape{row, of, d.Path})
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
