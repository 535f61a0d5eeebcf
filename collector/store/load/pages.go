package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/internal/figure"
)

// question is what a page asks, about a random county, host and control.
type question struct {
	name string
	ask  func(context.Context, store.Store, muster.View, *picks) error
}

type picks struct {
	county  muster.County
	host    muster.HostID
	control string
}

// The heaviest questions of pages, for as many as these show.
var questions = []question{
	{"overview: counties", func(ctx context.Context, s store.Store, v muster.View, _ *picks) error {
		list, err := s.Counties(ctx, v)
		return some(len(list), err)
	}},
	{"overview: controls", func(ctx context.Context, s store.Store, v muster.View, _ *picks) error {
		list, err := s.Controls(ctx, v, "")
		return some(len(list), err)
	}},
	{"overview: newest changes", func(ctx context.Context, s store.Store, v muster.View, _ *picks) error {
		_, err := s.Changes(ctx, v, "", 100)
		return err
	}},
	{"gone quiet: 200 hosts", func(ctx context.Context, s store.Store, v muster.View, _ *picks) error {
		_, err := s.Quiet(ctx, v, "", 200)
		return err
	}},
	{"gone quiet: 200 hosts of a county", func(ctx context.Context, s store.Store, v muster.View, p *picks) error {
		_, err := s.Quiet(ctx, v, p.county, 200)
		return err
	}},
	{"overview: 90 days", func(ctx context.Context, s store.Store, v muster.View, _ *picks) error {
		at := v.At
		if v.Now() {
			at = time.Now()
		}
		_, err := s.Days(ctx, "", at.AddDate(0, 0, -90), at)
		return err
	}},
	{"county: 50 hosts", func(ctx context.Context, s store.Store, v muster.View, p *picks) error {
		page, err := s.Hosts(ctx, v, muster.HostQuery{County: p.county, Limit: 50})
		return some(len(page.Hosts), err)
	}},
	{"county: 50 hosts and the findings of each", func(ctx context.Context, s store.Store, v muster.View, p *picks) error {
		page, err := s.Hosts(ctx, v, muster.HostQuery{County: p.county, Limit: 50})
		for _, h := range page.Hosts {
			if err == nil {
				_, err = s.HostFindings(ctx, v, h.ID)
			}
		}
		return some(len(page.Hosts), err)
	}},
	{"county: 12 hosts with a control", func(ctx context.Context, s store.Store, v muster.View, p *picks) error {
		_, err := s.Hosts(ctx, v, muster.HostQuery{County: p.county, Control: p.control, Limit: 12}) // none, in a small state
		return err
	}},
	{"county: controls", func(ctx context.Context, s store.Store, v muster.View, p *picks) error {
		list, err := s.Controls(ctx, v, p.county)
		return some(len(list), err)
	}},
	{"control: by county", func(ctx context.Context, s store.Store, v muster.View, p *picks) error {
		list, err := s.ControlCounties(ctx, v, p.control)
		return some(len(list), err)
	}},
	{"control: first 100 hosts", func(ctx context.Context, s store.Store, v muster.View, p *picks) error {
		page, err := s.Hosts(ctx, v, muster.HostQuery{Control: p.control, Limit: 100})
		return some(len(page.Hosts), err)
	}},
	{"host: standing, findings, transitions, reports", func(ctx context.Context, s store.Store, v muster.View, p *picks) error {
		if _, err := s.Host(ctx, v, p.host); err != nil {
			return err
		}
		if _, err := s.HostFindings(ctx, v, p.host); err != nil {
			return err
		}
		if _, err := s.HostTransitions(ctx, v, p.host, 100); err != nil {
			return err
		}
		list, err := s.HostReports(ctx, p.host, 0, 100)
		return some(len(list), err)
	}},
	{"search: a text that no name has", func(ctx context.Context, s store.Store, _ muster.View, _ *picks) error {
		_, err := s.Find(ctx, "", "nowhere", 20)
		return err
	}},
}

// askFor bounds how long one question is asked again and again.
const askFor = 20 * time.Second

// some refuses an empty answer, which would be fast for nothing.
func some(n int, err error) error {
	if err == nil && n == 0 {
		err = errors.New("the answer is empty")
	}
	return err
}

// minDays leaves instants to look back at that have a month before them.
const minDays = 40

// pages fills a store with a state's history, asks it what pages ask, and then a
// collector for the pages.
func pages(ctx context.Context, o options, d database, dir string) (err error) {
	if o.days < minDays {
		return fmt.Errorf("%d days are too few: ask for %d or more", o.days, minDays)
	}
	h, err := newHistory(o.hosts, o.days)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "\n== pages, %s: %d hosts, %d controls, %d days of a report a host\n", d.name, h.hosts, controls, h.days)
	dsn := o.kept
	if dsn == "" {
		if dsn, err = d.fresh(); err != nil {
			return err
		}
	}
	if !o.http && !o.serve {
		if err := ask(ctx, o, d, dsn, h); err != nil {
			return err
		}
	}
	return dashboard(ctx, o, d, dsn, dir, h)
}

func ask(ctx context.Context, o options, d database, dsn string, h *history) (err error) {
	s, err := d.open(ctx, dsn, store.Options{Now: h.now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	there, err := s.Counties(ctx, muster.View{})
	if err == nil && len(there) == 0 {
		err = fill(ctx, o, d, s, h)
	}
	if err != nil {
		return err
	}
	about, err := s.About(ctx)
	if err != nil {
		return err
	}
	o.figure(d.name+", on disk without envelopes, GB", float64(about.Bytes)/1e9, figure.Target{})
	random := rand.New(rand.NewPCG(1, 2))
	for _, view := range []struct {
		name  string
		known muster.Knowledge
		bound float64
	}{{"now", "", 50}, {"as of", muster.KnownThen, 200}, {"as of, in hindsight", muster.KnownNow, 200}} {
		for _, q := range questions {
			times, again := make([]time.Duration, 0, o.asks), make([]time.Duration, 0, o.asks)
			for i, first := 0, time.Now(); i < o.asks+5 && (i < 15 || time.Since(first) < askFor); i++ {
				var v muster.View
				if view.name != "now" {
					v = muster.View{At: h.instant(random), Known: view.known}
				}
				n := random.IntN(h.hosts)
				p := &picks{county(n), h.ids[n], control(random.IntN(controls))}
				for _, list := range []*[]time.Duration{&times, &again} {
					began := time.Now()
					if err := q.ask(ctx, s, v, p); err != nil {
						return fmt.Errorf("%s, %s at %s: %w", q.name, view.name, v.At, err)
					}
					if i >= 5 { // the first are for what is not in memory yet
						*list = append(*list, time.Since(began))
					}
				}
			}
			fmt.Fprintf(o.out, "%-60s %10.2f\n", d.name+", "+view.name+", "+q.name+", median ms", share(times, 0.5))
			o.figure("  p99, ms", share(times, 0.99), figure.AtMost(view.bound))
			fmt.Fprintf(o.out, "%-60s %10.2f %10.2f\n", "  the same at once again: median, p99, ms", share(again, 0.5), share(again, 0.99))
		}
	}
	return nil
}

// share is the time in milliseconds that so much of all took at most.
func share(times []time.Duration, part float64) float64 {
	slices.Sort(times)
	return float64(times[min(len(times)-1, int(part*float64(len(times))))].Microseconds()) / 1000
}

// fill loads a history.
func fill(ctx context.Context, o options, d database, s store.Store, h *history) error {
	start, rows := time.Now(), 0
	next, stop := pull(h, &rows)
	defer stop()
	if err := s.Load(ctx, next); err != nil {
		return err
	}
	o.figure(d.name+", rows loaded, million", float64(rows)/1e6, figure.Target{})
	o.figure("  in, s", time.Since(start).Seconds(), figure.Target{})
	start = time.Now()
	if err := s.Rollup(ctx, h.now().Add(-2*time.Minute)); err != nil {
		return err
	}
	o.figure(d.name+", the newest roll-up, s", time.Since(start).Seconds(), figure.Target{})
	return nil
}

// pull turns the rows of a history into what Load asks for. They are made ahead of it.
func pull(h *history, rows *int) (next func() (store.Row, error), stop func()) {
	const together = 1000
	made, stopped := make(chan []store.Row, 4), make(chan struct{})
	go func() {
		defer close(made)
		var some []store.Row
		give := func() bool {
			select {
			case made <- some:
				some = make([]store.Row, 0, together)
				return true
			case <-stopped:
				return false
			}
		}
		for r := range h.rows() {
			if some = append(some, r); len(some) == together && !give() {
				return
			}
		}
		give()
	}()
	var some []store.Row
	return func() (r store.Row, err error) {
		if len(some) == 0 {
			if some = <-made; len(some) == 0 {
				return r, io.EOF
			}
		}
		r, some = some[0], some[1:]
		*rows++
		return r, nil
	}, func() { close(stopped) }
}
