// Package fips names the counties and states of the United States by their
// FIPS codes.
//
// fips.tsv holds the codes and names of the United States Census Bureau's 2017
// cartographic boundary files (public domain), taken from the npm package
// us-atlas 3.0.1. Counties that came later are shown by their code.
package fips

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/passmuster/muster"
)

//go:embed fips.tsv
var table string

var names = sync.OnceValue(func() map[string]string {
	m := make(map[string]string, 3300)
	for line := range strings.Lines(table) {
		code, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		m[code] = name
	}
	return m
})

// State gives the name of a state by its two-digit code, or the code itself
// where it is not known.
func State(code string) string {
	if n, ok := names()[code]; ok && len(code) == 2 {
		return n
	}
	return code
}

// County gives the full name of a county ("Laramie County", "Orleans Parish")
// and of its state. An unknown code is its own name.
func County(c muster.County) (name, state string) {
	n, ok := names()[string(c)]
	if !ok || len(c) != 5 {
		return string(c), State(c.State())
	}
	return n + suffix(string(c)), State(c.State())
}

// Counties lists the codes of all counties of a state, in order.
func Counties(state string) []muster.County {
	var list []muster.County
	for line := range strings.Lines(table) {
		if code, _, _ := strings.Cut(line, "\t"); len(code) == 5 && code[:2] == state {
			list = append(list, muster.County(code))
		}
	}
	return list
}

func suffix(code string) string {
	switch {
	case code[:2] == "22":
		return " Parish"
	case code[:2] == "02" || code[:2] == "11" || code[:2] > "56":
		return "" // boroughs, the District and the territories carry their own names
	case code[2:] >= "510": // independent cities
		return " city"
	}
	return " County"
}
