package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/internal/figure"
)

// Bytes of a stored envelope, as `make bench` shows them for real hosts: against the
// sample, against the report before with and without changes.
const (
	wholeBytes, changedBytes, sameBytes = 7500, 700, 230
	maxDepth                            = 32 // as ingest has it
	diskHosts                           = 20
	keepEvidence                        = 90 * dayLong
)

// disk commits a year of hourly reports, and gives what a host costs on disk with
// evidence kept for 90 days.
func disk(ctx context.Context, o options, d database, _ string) error {
	fmt.Fprintf(o.out, "\n== disk, %s: %d hosts, %d days of a report an hour, evidence kept 90 days\n", d.name, diskHosts, o.diskDays)
	dsn, err := d.fresh()
	if err != nil {
		return err
	}
	empty, err := bytesOf(ctx, d, dsn)
	if err == nil {
		err = year(ctx, o, d, dsn)
	}
	if err != nil {
		return err
	}
	full, err := bytesOf(ctx, d, dsn)
	if err != nil {
		return err
	}
	o.figure(d.name+", a host and year, MB", float64(full-empty)/1e6/diskHosts*365/float64(o.diskDays), figure.AtMost(5))
	return nil
}

// bytesOf is what a database has on disk once it was closed: SQLite's log beside the
// file is as large as for any number of hosts.
func bytesOf(ctx context.Context, d database, dsn string) (int64, error) {
	s, err := d.open(ctx, dsn, store.Options{})
	if err != nil {
		return 0, err
	}
	about, err := s.About(ctx)
	return about.Bytes, errors.Join(err, s.Close())
}

// year commits by a clock that runs through it.
func year(ctx context.Context, o options, d database, dsn string) (err error) {
	now := time.Date(2025, 10, 1, 0, 0, 0, 0, time.UTC)
	s, err := d.open(ctx, dsn, store.Options{Now: func() time.Time { return now }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	fleet := make([]*writer, diskHosts)
	for n := range fleet {
		fleet[n] = &writer{n: n, id: muster.NewHostID(fmt.Append(nil, "disk ", n)), random: mathrand.New(mathrand.NewPCG(uint64(n), 3))}
		if _, err := s.Enroll(ctx, muster.Enrolled{Host: muster.Host{ID: fleet[n].id, Hostname: hostname(n), County: county(n % 2),
			Profile: muster.Workstation, Platform: muster.Windows}, PublicKey: make([]byte, 91), Agent: "1"}, true, now); err != nil {
			return err
		}
	}
	for hour := range o.diskDays * 24 {
		now = now.Add(time.Hour)
		reports := make([]muster.Accepted, len(fleet))
		for i, w := range fleet {
			if reports[i], err = w.next(now); err != nil {
				return err
			}
		}
		if _, err := s.Commit(ctx, reports); err != nil {
			return err
		}
		if hour%(24*7) == 1 {
			if err := s.Rollup(ctx, now.Add(-2*time.Minute)); err != nil {
				return err
			}
			if _, err := s.Retain(ctx, now.Add(-keepEvidence)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writer makes verified reports of a host, without keys.
type writer struct {
	n        int
	id       muster.HostID
	seq      uint64
	depth    int
	month    int
	prev     muster.Digest
	random   *mathrand.Rand
	statuses [controls]muster.Status
}

func (w *writer) next(now time.Time) (muster.Accepted, error) {
	w.seq++
	changed := w.seq == 1 || w.random.IntN(changeEvery*24) == 0
	for i := range w.statuses {
		if w.seq == 1 || changed && w.random.IntN(30) == 0 {
			w.statuses[i] = status(w.n, i, w.random.IntN(8))
		}
	}
	month := now.Year()*100 + int(now.Month())
	e := muster.StoredEnvelope{Seq: w.seq, Month: month, Size: 20_000, Depth: w.depth + 1, Base: w.prev, BaseSeq: w.seq - 1}
	size := sameBytes
	if changed {
		size = changedBytes
	}
	if w.seq == 1 || w.month != month || w.depth >= maxDepth {
		e.Base, e.BaseSeq, e.Depth, size = muster.Digest{}, 0, 0, wholeBytes
	}
	e.Body = make([]byte, size)
	if _, err := rand.Read(e.Body); err != nil { // compressed bytes are as good as random
		return muster.Accepted{}, err
	}
	e.Digest = sha256.Sum256(fmt.Append(nil, w.id, w.seq))
	a := muster.Accepted{Envelope: e, Way: muster.WayUplink, Header: muster.Header{Schema: 1, Host: w.id, Seq: w.seq, Prev: w.prev,
		Profile: muster.Workstation, Platform: muster.Windows, County: county(w.n % 2), Hostname: hostname(w.n), PolicyRevision: "2026-11",
		PolicyDigest: "load", CollectedAt: now.Add(-2 * time.Second).Truncate(time.Second), Agent: "1"}}
	var findings []muster.Finding
	for i, s := range w.statuses {
		a.Verdicts = append(a.Verdicts, muster.Verdict{Control: control(i), Status: s, Evidence: make([]byte, 8)})
		findings = append(findings, muster.Finding{Control: control(i), Status: s, Severity: muster.SeverityHigh})
	}
	a.Summary = muster.Summarize(findings)
	a.GateFails = a.Summary.Fail > 0
	w.depth, w.month, w.prev = e.Depth, month, e.Digest
	return a, nil
}
