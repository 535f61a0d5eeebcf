package web

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// How much the page of silent hosts shows. Of the whole state it asks only so many
// counties for what they miss, those that miss the most.
const (
	quietPage    = 60
	quietMost    = 3000 // beyond, it is asked for by county, or as a file
	missingPage  = 40
	missingPages = 100 // of a county
	missingAsks  = 25
)

type quietView struct {
	filter
	tally                  // of the county, or the state
	CountedAt       string // as of whose end; "" for the view's instant
	Silent          []silentRow
	Before          int    // silent hosts on the pages before
	More            string // the address of the page after this one
	Rest            int    // silent hosts that no page shows
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
	before, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("after"), "0"))
	if err != nil || before < 0 || before > quietMost {
		return nil, fmt.Errorf("silent hosts after %q: %w", r.URL.Query().Get("after"), fs.ErrNotExist)
	}
	silent, err := s.Reader.Quiet(ctx, s.view, county, before+quietPage)
	if err != nil {
		return nil, err
	}
	silent = silent[min(before, len(silent)):]
	p := &quietView{filter: s.filter("/quiet", county, counties), Before: before, CountedAt: s.countedAt()}
	v := &view{Title: "Not heard from", Trail: s.trail(county), Here: "Not heard from", Page: p}
	var all muster.CountyStanding
	counties = slices.DeleteFunc(slices.Clone(counties), func(c muster.CountyStanding) bool { return county != "" && c.County != county })
	for _, c := range counties {
		all.Add(c)
		v.Demo.county(c)
	}
	p.tally = tallyOf(all)
	if next := before + len(silent); next < p.Stale && len(silent) == quietPage {
		if next > quietMost {
			p.Rest = p.Stale - next
		} else {
			p.More = p.Path + "?" + url.Values{"after": {strconv.Itoa(next)}, "county": {p.Chosen}}.Encode() + strings.Replace(suffix(s.view), "?", "&", 1)
		}
	}
	for _, h := range silent {
		row := silentRow{h, moment{s.lastHeard(h), s.Now()}, moment{Now: s.Now()}}
		if !h.LastSeen.IsZero() {
			row.Due.At = row.Seen.At.Add(s.StaleAfter.Of(h.Profile))
		}
		p.Silent = append(p.Silent, row)
	}
	if before > 0 {
		return v, nil
	}
	return v, s.absent(ctx, p, counties)
}

// absent gathers the expected hosts that are missing, of the counties that miss the
// most first.
func (s *server) absent(ctx context.Context, p *quietView, counties []muster.CountyStanding) error {
	slices.SortFunc(counties, func(a, b muster.CountyStanding) int {
		return cmp.Or(cmp.Compare(b.Missing, a.Missing), cmp.Compare(countyName(a.County), countyName(b.County)))
	})
	most := missingPage
	if p.Chosen != "" {
		most = missingPages
	}
	for i, c := range counties {
		if c.Missing == 0 {
			break
		}
		p.MissingCounties++
		if i >= missingAsks || len(p.Absent) >= most {
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
	p.Absent = p.Absent[:min(len(p.Absent), most)]
	return nil
}

// Late is how long ago the host was to be heard from at the latest.
func (r silentRow) Late() string {
	if d := r.Due.Now.Sub(r.Due.At); !r.Due.At.IsZero() && d >= time.Minute {
		return span(d)
	}
	return ""
}
