package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

// How much the page of silent hosts shows. Of the whole state it asks only so many
// counties for what they miss, those that miss the most.
const (
	quietPage   = 200
	missingPage = 200
	missingAsks = 25
)

type quietView struct {
	filter
	tally           // of the county, or the state
	Silent          []silentRow
	Absent          []muster.ExpectedHost
	MissingCounties int // that miss any
}

// silentRow is a host that has been silent for too long.
type silentRow struct {
	muster.HostStanding
	Seen, Due moment // its last report, and when it was to be heard from at the latest
}

func (s *server) quiet(ctx context.Context, r *http.Request) (*view, error) {
	county, err := s.chosen(r)
	if err != nil {
		return nil, err
	}
	counties, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	silent, err := s.Reader.Quiet(ctx, s.view, county, quietPage)
	if err != nil {
		return nil, err
	}
	p := &quietView{filter: s.filter("/quiet", county, counties)}
	v := &view{Title: "Not heard from", Trail: s.trail(county), Here: "Not heard from", Page: p}
	var all muster.CountyStanding
	counties = slices.DeleteFunc(slices.Clone(counties), func(c muster.CountyStanding) bool { return county != "" && c.County != county })
	for _, c := range counties {
		all.Add(c)
		v.Demo.county(c)
	}
	p.tally = tallyOf(all)
	for _, h := range silent {
		row := silentRow{h, moment{h.LastSeen, s.Now()}, moment{Now: s.Now()}}
		if !h.LastSeen.IsZero() {
			row.Due.At = h.LastSeen.Add(s.StaleAfter.Of(h.Profile))
		}
		p.Silent = append(p.Silent, row)
	}
	return v, s.absent(ctx, p, counties)
}

// absent gathers the expected hosts that are missing, of the counties that miss the
// most first.
func (s *server) absent(ctx context.Context, p *quietView, counties []muster.CountyStanding) error {
	slices.SortFunc(counties, func(a, b muster.CountyStanding) int {
		return cmp.Or(cmp.Compare(b.Missing, a.Missing), cmp.Compare(countyName(a.County), countyName(b.County)))
	})
	for i, c := range counties {
		if c.Missing == 0 {
			break
		}
		p.MissingCounties++
		if i >= missingAsks || len(p.Absent) >= missingPage {
			continue
		}
		expected, err := s.Reader.Expected(ctx, s.view, c.County)
		if err != nil {
			return err
		}
		for _, e := range expected {
			if e.Host == "" {
				p.Absent = append(p.Absent, e)
			}
		}
	}
	p.Absent = p.Absent[:min(len(p.Absent), missingPage)]
	return nil
}

// Late is how long ago the host was to be heard from at the latest.
func (r silentRow) Late() string {
	if d := r.Due.Now.Sub(r.Due.At); !r.Due.At.IsZero() && d >= time.Minute {
		return span(d)
	}
	return ""
}
