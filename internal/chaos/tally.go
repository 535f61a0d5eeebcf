package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/postgres"
	"github.com/passmuster/muster/internal/wire"
)

// page of a host's reports that is read at once.
const page = 1000

// tally is what became of every report.
type tally struct {
	made, receipted, waiting int
	stored, opened           int
	// wrong is what must not be: lost, doubled, or not what its host signed.
	wrong []string
}

// tally compares what the hosts have with what the database has.
func (c *chaos) tally(ctx context.Context) (t *tally, err error) {
	s, err := postgres.Open(ctx, c.dsn, store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	t = &tally{}
	for _, h := range c.hosts {
		if err := t.host(ctx, s, h); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *tally) host(ctx context.Context, s store.Store, h *host) error {
	t.made, t.receipted, t.waiting = t.made+len(h.made), t.receipted+len(h.receipted), t.waiting+len(h.waiting)
	times := make([]int, len(h.made)+1)
	for before := uint64(0); ; {
		list, err := s.HostReports(ctx, h.id, before, page)
		if err != nil {
			return err
		}
		for _, r := range list {
			before = r.Seq
			t.stored++
			if r.Seq > uint64(len(h.made)) || r.Digest != h.made[r.Seq-1] {
				t.fail(h, r.Seq, "is none that the host made")
				continue
			}
			times[r.Seq]++
		}
		if len(list) < page {
			break
		}
	}
	newest := uint64(0)
	for seq := uint64(1); seq <= uint64(len(h.made)); seq++ {
		_, waits := h.waiting[seq]
		switch {
		case times[seq] > 1:
			t.fail(h, seq, "is there twice")
		case times[seq] == 0 && h.receipted[seq]:
			t.fail(h, seq, "has a receipt and is lost")
		case !h.receipted[seq] && !waits:
			t.fail(h, seq, "has no receipt and its agent let it go")
		}
		if times[seq] > 0 {
			newest = seq
			if err := t.open(ctx, s, h, seq); err != nil {
				return err
			}
		}
	}
	standing, err := s.Host(ctx, muster.View{}, h.id)
	if err != nil {
		return err
	}
	if standing.Seq != newest || standing.Conflict {
		t.fail(h, standing.Seq, fmt.Sprintf("is shown as the newest, which is %d; copy of another: %q", newest, standing.ConflictReason))
	}
	return nil
}

// open looks whether the signed bytes are there. Each rests on others, so that the last
// of some show the rest.
func (t *tally) open(ctx context.Context, s store.Store, h *host, seq uint64) error {
	if seq%ingest.MaxDepth != 0 && seq != uint64(len(h.made)) {
		return nil
	}
	chain, err := s.Envelope(ctx, h.id, seq)
	if err != nil {
		return err
	}
	envelope, err := ingest.OpenStored(h.id, chain)
	if err != nil || wire.EnvelopeDigest(envelope) != h.made[seq-1] {
		t.fail(h, seq, fmt.Sprintf("does not open as it was signed: %v", err))
	}
	t.opened += len(chain)
	return nil
}

func (t *tally) fail(h *host, seq uint64, what string) {
	t.wrong = append(t.wrong, fmt.Sprintf("report %d of %s %s", seq, h.id, what))
}

func (c *chaos) print(w io.Writer, began time.Time, early, t *tally) error {
	contacts, failed := 0, 0
	for _, h := range c.hosts {
		contacts, failed = contacts+h.contacts, failed+h.failed
	}
	fmt.Fprintf(w, "chaos: %s, seed %d: %d collectors killed %d times, PostgreSQL stopped %d and crashed %d times, %d agents, %d contacts of which %d failed; "+
		"%d reports made; when the chaos ended %d had a receipt and %d were with their agents, in the end %d and %d; "+
		"stored %d, each once, %d opened as signed; wrong: %d\n",
		time.Since(began).Round(time.Second), c.seed, len(c.replicas), c.kills.Load(), c.stops.Load(), c.crashes.Load(), len(c.hosts), contacts, failed,
		t.made, early.receipted, early.waiting, t.receipted, t.waiting, t.stored, t.opened, len(t.wrong))
	for _, what := range t.wrong[:min(len(t.wrong), 20)] {
		fmt.Fprintln(w, "  "+what)
	}
	if len(t.wrong) > 0 || t.stored != t.made || t.receipted != t.made {
		return errors.New("reports were lost, doubled or changed")
	}
	return nil
}
