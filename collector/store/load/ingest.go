package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster/internal/figure"
	"github.com/passmuster/muster/internal/program"
	"github.com/passmuster/muster/internal/wire"
)

// batch is how many reports a connected computer brings of others, or a host after a
// day offline.
const batch = 25

// ingest measures a real collector over HTTP, with this program on the same
// processors, beside the same database written raw in the same run. Every report is
// signed by a key of its own, and verified.
func ingest(ctx context.Context, o options, d database, dir string) (err error) {
	fmt.Fprintf(o.out, "\n== ingest, %s: %d hosts, one report a request unless said, %d connections\n", d.name, o.ingestHosts, connections)
	before, err := raw(ctx, d)
	if err != nil {
		return fmt.Errorf("raw: %w", err)
	}
	dsn, err := d.fresh()
	if err != nil {
		return err
	}
	var more []string
	if d.name == postgresName {
		more = []string{"--database", dsn}
	}
	c, err := program.StartCollector(o.bin, filepath.Join(dir, "collector"), "", more...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	token, err := os.ReadFile(filepath.Join(c.Data, "keys", "host-token"))
	if err != nil {
		return err
	}
	api := newClient(c.URL, strings.TrimSpace(string(token)))
	defer api.CloseIdleConnections()

	fleet := make([]*host, o.ingestHosts)
	if err := each(len(fleet), func(i int) (err error) {
		if fleet[i], err = newHost(i); err != nil {
			return err
		}
		statement, err := fleet[i].enrollment()
		if err == nil {
			_, err = api.post(ctx, "/v1/enroll", wire.TypeCOSE, statement)
		}
		return err
	}); err != nil {
		return err
	}
	// A round is made before its time is taken.
	round := func(change func(*host), together int) (float64, error) {
		frames := make([][]byte, len(fleet))
		if err := each(len(fleet), func(i int) (err error) {
			change(fleet[i])
			frames[i], err = fleet[i].next()
			return err
		}); err != nil {
			return 0, err
		}
		return api.ship(ctx, frames, together)
	}
	same := func(*host) {}
	first, err := round(same, 1)
	if err != nil {
		return err
	}
	differ, err := round((*host).differ, 1)
	if err != nil {
		return err
	}
	unchanged, err := round(same, 1)
	if err != nil {
		return err
	}
	batches, err := round(same, batch)
	if err != nil {
		return err
	}
	peak, err := c.MiB("VmHWM")
	if err != nil {
		return err
	}
	after, err := raw(ctx, d)
	if err != nil {
		return fmt.Errorf("raw: %w", err)
	}
	ceiling := before.mean(after)
	o.figure(d.name+", raw: 60 findings upserted a report, reports/s", ceiling.upserts, figure.Target{})
	o.figure(d.name+", raw: one host row touched, rows/s", ceiling.touches, figure.Target{})
	o.figure(d.name+", full reports, the first of each host, reports/s", first, figure.Target{})
	o.figure("  of the raw upserts, %", 100*first/ceiling.upserts, figure.AtLeast(40))
	o.figure(d.name+", full reports, every status differs, reports/s", differ, figure.Target{})
	o.figure("  of the raw upserts, %", 100*differ/ceiling.upserts, figure.AtLeast(40))
	o.figure(d.name+", unchanged reports, reports/s", unchanged, figure.Target{})
	o.figure("  of the raw touches, %", 100*unchanged/ceiling.touches, figure.AtLeast(40))
	o.figure(fmt.Sprintf("%s, unchanged reports, %d a request, reports/s", d.name, batch), batches, figure.Target{})
	o.figure("  of the raw touches, %", 100*batches/ceiling.touches, figure.AtLeast(40))
	o.figure(d.name+", collector's peak memory meanwhile, MB", peak*1.048576, figure.AtMost(150))
	return nil
}
