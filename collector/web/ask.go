package web

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// hostsOffered is of how many hosts of a county one can be chosen on the form that asks
// for a waiver; of more, its own page leads there.
const hostsOffered = 100

// Days that a waiver may be asked for: to begin with, and at most.
const (
	askDays    = 90
	maxAskDays = 365
)

// askPage asks for a waiver of a county.
type askPage struct {
	filter
	About       muster.County // "" where one must be chosen first
	Hosts       []muster.HostStanding
	Host        *muster.HostStanding // chosen
	Many        bool                 // hosts that cannot be chosen here
	Controls    []muster.Control
	Control     string // chosen
	Waiting     int    // requests of the county without an answer
	Until       string // to begin with
	First, Last string
}

func (s *server) ask(ctx context.Context, r *http.Request) (*view, error) {
	q := r.URL.Query()
	county, err := s.chosen(r)
	if err != nil {
		return nil, err
	}
	p := &askPage{Control: q.Get("control"), Controls: slices.SortedFunc(slices.Values(s.Catalogue), func(a, b muster.Control) int { return strings.Compare(a.Title, b.Title) })}
	if id := muster.HostID(q.Get("host")); id != "" {
		h, err := s.Reader.Host(ctx, s.view, id)
		if err == nil && h.County != cmp.Or(county, h.County) {
			err = fmt.Errorf("host %s of another county: %w", id, fs.ErrNotExist)
		}
		if err != nil {
			return nil, err
		}
		p.Host, county = &h, h.County
	}
	counties, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	p.filter = s.filter("/exceptions/ask", county, counties)
	p.All = false
	if county == "" && len(p.Choices) == 1 {
		county = muster.County(p.Choices[0].Href)
	}
	p.About = county
	if p.Control != "" {
		p.Unchanged = append(p.Unchanged, link{"control", p.Control})
	}
	trail := append(s.trail(county), link{"/exceptions" + suffixOf(s.person.Role, county, s.view), "Exceptions"})
	v := &view{Title: "Ask for a waiver", Trail: trail, Here: "Ask for a waiver", About: county, Page: p}
	v.Demo.counties(counties, county)
	if county == "" {
		return v, nil
	}
	waiting, err := s.Reader.Asks(ctx, muster.AskQuery{County: county, Open: true, Limit: 1})
	if err != nil {
		return nil, err
	}
	p.Waiting = waiting.Total
	if p.Host == nil {
		page, err := s.Reader.Hosts(ctx, s.view, muster.HostQuery{County: county, Limit: hostsOffered + 1})
		if err != nil {
			return nil, err
		}
		if p.Many = len(page.Hosts) > hostsOffered; !p.Many {
			p.Hosts = slices.SortedFunc(slices.Values(page.Hosts), func(a, b muster.HostStanding) int { return strings.Compare(a.Hostname, b.Hostname) })
		}
	}
	day := func(n int) string { return s.Now().UTC().AddDate(0, 0, n).Format(time.DateOnly) }
	p.Until, p.First, p.Last = day(askDays), day(1), day(maxAskDays)
	return v, nil
}
