// Package atlas draws the counties of each state.
//
// counties.tsv holds the boundaries of the United States Census Bureau's 2017
// cartographic boundary files (public domain), taken from the npm package us-atlas
// 3.0.1, projected state by state (equal-area conic) and rounded to a thousandth of the
// state's longer side. internal/draw makes it.
package atlas

import (
	_ "embed"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
)

//go:embed counties.tsv
var table string

// Map of a state, north up, in units of its view box.
type Map struct {
	Width, Height int
	Counties      []Shape // by code
}

// Shape of a county.
type Shape struct {
	County muster.County
	Path   string // the d of an SVG path
}

// State draws a state by its two-digit FIPS code; ok is false for one that there is no
// map of.
func State(code string) (m *Map, ok bool) {
	for line := range strings.Lines(table) {
		id, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case len(code) != 2 || !strings.HasPrefix(id, code):
			if m != nil {
				return m, true
			}
		case id == code:
			width, height, _ := strings.Cut(rest, "\t")
			m = &Map{}
			m.Width, _ = strconv.Atoi(width) // the table is tested
			m.Height, _ = strconv.Atoi(height)
		default:
			m.Counties = append(m.Counties, Shape{muster.County(id), rest})
		}
	}
	return m, m != nil
}
