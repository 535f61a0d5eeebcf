package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/passmuster/muster/collector"
	"github.com/passmuster/muster/internal/figure"
)

// A page is to be answered within so many milliseconds, and to weigh so many kB as it
// travels, with a map or without.
const (
	pageBound        = 100
	mapKB, plainKB   = 150, 60
	startingPatience = 5 * time.Minute
)

// dashboard asks a real collector before a filled database for whole pages, as a browser
// does: signed in, one after the other, compressed.
func dashboard(ctx context.Context, o options, d database, dsn, dir string, h *history) (err error) {
	opts := collector.Options{Data: filepath.Dir(dsn), State: "56", Name: "State of Wyoming", Listen: "127.0.0.1:0", Now: h.now,
		Logger: slog.New(slog.NewTextHandler(o.out, &slog.HandlerOptions{Level: slog.LevelError}))}
	if d.name == postgresName {
		opts.Data, opts.Database = dir, dsn
	}
	c, err := collector.Open(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	run, stop := context.WithCancel(ctx)
	link, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- c.Run(run, func(l string) { link <- l }) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	b := &browser{client: &http.Client{Jar: jar}}
	select {
	case l := <-link:
		if o.serve {
			fmt.Fprintln(o.out, l)
			<-ctx.Done()
			return nil
		}
		to, err := url.Parse(l)
		if err != nil {
			return err
		}
		b.base = "http://" + to.Host
		if _, _, err := b.get(ctx, l); err != nil {
			return fmt.Errorf("open the dashboard: %w", err)
		}
	case err := <-ended:
		ended <- nil
		return err
	case <-time.After(startingPatience):
		return errors.New("the collector does not start")
	}
	random := rand.New(rand.NewPCG(3, 4))
	for _, page := range []struct {
		name string
		kB   float64
		path func(*picks) string
		now  bool // it has no past
	}{
		{"overview", mapKB, func(*picks) string { return "/" }, false},
		{"county", plainKB, func(p *picks) string { return "/counties/" + string(p.county) }, false},
		{"host", plainKB, func(p *picks) string { return "/hosts/" + string(p.host) }, false},
		{"control", mapKB, func(p *picks) string { return "/controls/" + p.control }, false},
		{"changes", plainKB, func(*picks) string { return "/changes" }, false},
		{"not heard from", plainKB, func(*picks) string { return "/quiet" }, false},
		{"policies", plainKB, func(*picks) string { return "/policies" }, true},
		{"release", plainKB, func(*picks) string { return "/policies/2" }, true},
	} {
		for _, past := range []bool{false, true} {
			if past && page.now {
				continue
			}
			name, bound := page.name+" page", figure.AtMost(pageBound)
			if past {
				name, bound = name+" as of", figure.Target{}
			}
			var times []time.Duration
			var most, unpacked int
			for i, first := 0, time.Now(); i < o.asks+5 && (i < 15 || time.Since(first) < askFor); i++ {
				n := random.IntN(h.hosts)
				address := b.base + page.path(&picks{county(n), h.ids[n], control(random.IntN(controls))})
				if past {
					address += "?as_of=" + h.instant(random).Format(time.RFC3339)
				}
				began := time.Now()
				sent, whole, err := b.get(ctx, address)
				if err != nil {
					return fmt.Errorf("%s: %w", address, err)
				}
				if i >= 5 {
					times = append(times, time.Since(began))
				}
				most, unpacked = max(most, sent), max(unpacked, whole)
			}
			fmt.Fprintf(o.out, "%-60s %10.2f\n", d.name+", "+name+", median ms", share(times, 0.5))
			o.figure("  p99, ms", share(times, 0.99), bound)
			o.figure("  the heaviest as it travels, kB", float64(most)/1000, figure.AtMost(page.kB))
			o.figure("  the same unpacked, kB", float64(unpacked)/1000, figure.Target{})
		}
	}
	return nil
}

// instant of the history that has a month before it.
func (h *history) instant(random *rand.Rand) time.Time {
	return h.now().Add(-time.Duration(random.Int64N(int64(time.Duration(h.days-31) * dayLong)))).Truncate(time.Second)
}

type browser struct {
	client *http.Client
	base   string
}

// get reads a page, and counts its bytes as they were sent and unpacked.
func (b *browser) get(ctx context.Context, address string) (sent, whole int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Accept-Encoding", "gzip") // by hand, so that the client leaves it as it is
	resp, err := b.client.Do(req)
	if err != nil {
		return 0, 0, err
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return 0, 0, err
	}
	page := string(body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(strings.NewReader(page))
		if err != nil {
			return 0, 0, err
		}
		unpacked, err := io.ReadAll(z)
		if err != nil {
			return 0, 0, err
		}
		page = string(unpacked)
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(page, "</html>") {
		return 0, 0, fmt.Errorf("%s: %.200s", resp.Status, page)
	}
	return len(body), len(page), nil
}
