package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/passmuster/muster"
	// It brings the driver with which the collector's file is read here, row by row.
	_ "github.com/passmuster/muster/collector/store/sqlite"
)

// settle ends every outage and gives the mail time to arrive.
func (s *soak) settle(ctx context.Context) error {
	for _, o := range s.plan {
		if o.to == s.step {
			if err := s.end(o); err != nil {
				return err
			}
		}
	}
	open := map[*host]bool{}
	for _, h := range s.hosts {
		open[h] = true
	}
	for until := time.Now().Add(settleTimeout); len(open) > 0; {
		if time.Now().After(until) || ctx.Err() != nil {
			return fmt.Errorf("%d hosts still have mail: see %s", len(open), filepath.Join(s.dir, "soak.log"))
		}
		for _, h := range s.hosts {
			if !open[h] {
				continue
			}
			waiting, dropped, err := s.finish(ctx, h)
			if err != nil {
				return err
			}
			// What two computers with one key number alike stays with one of them.
			h.rounds++
			if waiting == 0 && dropped == 0 || h.twin && h.rounds > 3 {
				delete(open, h)
			}
		}
	}
	return nil
}

// finish lets a host tell what is not told yet, and send what waits.
func (s *soak) finish(ctx context.Context, h *host) (waiting int, dropped uint64, err error) {
	h.clock = h.clock.Add(25 * time.Hour) // a refused report is tried again after a day
	_, dropped, err = h.left()
	if err == nil && (dropped > 0 || h.rounds == 0) {
		err = h.audit()
	}
	if err != nil {
		return 0, 0, err
	}
	if h.portable {
		err = h.courierRun(ctx, s.hosts[2])
	} else {
		h.contact(ctx)
	}
	if err != nil {
		return 0, 0, err
	}
	seqs, dropped, err := h.left()
	return len(seqs), dropped, err
}

// tally is what became of every report that an agent acknowledged.
type tally struct {
	acked, stored, declared int
	// kept by one of two computers that have the same key.
	kept int
	// twice in the collector, not from any agent, and nowhere.
	twice, strange int
	lost           []acked
	wrong          []string // flags of the collector that are not as they should be
}

type number struct {
	host muster.HostID
	seq  uint64
}

func (s *soak) tally(ctx context.Context) (*tally, error) {
	t := &tally{}
	if err := s.flags(ctx, t); err != nil {
		return nil, err
	}
	s.up = false
	if err := s.collector.Stop(); err != nil {
		return nil, err
	}
	stored, err := readStored(ctx, filepath.Join(s.dir, "data", "muster.db"))
	if err != nil {
		return nil, err
	}
	has := func(a acked) bool { return slices.Contains(stored[number{a.host, a.seq}], a.digest) }
	declared, made := map[number]bool{}, map[muster.Digest]bool{}
	for _, h := range s.hosts {
		for _, a := range h.acked {
			made[a.digest] = true
			for _, gap := range a.gap {
				for seq := gap.From; has(a) && seq <= gap.To; seq++ {
					declared[number{a.host, seq}] = true
				}
			}
		}
	}
	for _, digests := range stored {
		if len(digests) > 1 {
			t.twice++
		}
		for _, d := range digests {
			if !made[d] {
				t.strange++
			}
		}
	}
	for _, h := range s.hosts {
		waiting, _, err := h.left()
		if err != nil {
			return nil, err
		}
		for _, a := range h.acked {
			t.acked++
			switch {
			case has(a):
				t.stored++
			case declared[number{a.host, a.seq}]:
				t.declared++
			case h.twin && slices.Contains(waiting, a.seq):
				t.kept++
			default:
				t.lost = append(t.lost, a)
			}
		}
	}
	return t, nil
}

// readStored gives the digests of the collector's reports by host and number.
func readStored(ctx context.Context, file string) (stored map[number][]muster.Digest, err error) {
	db, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, `SELECT host, seq, digest FROM reports`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	stored = map[number][]muster.Digest{}
	for rows.Next() {
		var n number
		var digest []byte
		if err := rows.Scan(&n.host, &n.seq, &digest); err != nil {
			return nil, err
		}
		stored[n] = append(stored[n], muster.Digest(digest))
	}
	return stored, rows.Err()
}

// flags compares what the collector says of copies and re-imaged computers.
func (s *soak) flags(ctx context.Context, t *tally) error {
	for _, h := range s.hosts {
		b, status, err := s.api(ctx, http.MethodGet, "/api/v1/hosts/"+string(h.id), nil)
		if err != nil {
			return err
		}
		var is muster.HostStanding
		if err := json.Unmarshal(b, &is); err != nil || status != http.StatusOK {
			return fmt.Errorf("ask for host %s: %d: %s", h.name, status, b)
		}
		if is.Conflict != h.twin {
			t.wrong = append(t.wrong, fmt.Sprintf("%s is flagged as a copy: %v %s; it is one: %v", h.name, is.Conflict, is.ConflictReason, h.twin))
		}
		if is.Replaces != s.replaced[h.id] {
			t.wrong = append(t.wrong, fmt.Sprintf("%s is said to replace %q; it replaces %q", h.name, is.Replaces, s.replaced[h.id]))
		}
	}
	return nil
}

func (t *tally) print(w io.Writer) error {
	fmt.Fprintf(w, "soak: %d reports acknowledged: %d in the collector, %d declared as gaps, %d kept by copies, %d lost\n",
		t.acked, t.stored, t.declared, t.kept, len(t.lost))
	for _, a := range t.lost[:min(len(t.lost), 10)] {
		fmt.Fprintf(w, "soak: lost: report %d of %s\n", a.seq, a.host)
	}
	for _, wrong := range t.wrong {
		fmt.Fprintf(w, "soak: wrong: %s\n", wrong)
	}
	if len(t.lost) > 0 || t.twice > 0 || t.strange > 0 || len(t.wrong) > 0 {
		return fmt.Errorf("%d reports lost, %d in the collector twice, %d of nobody, %d flags wrong", len(t.lost), t.twice, t.strange, len(t.wrong))
	}
	fmt.Fprintln(w, "soak: success: the copy and the re-imaged computer are flagged, and nothing is lost")
	return nil
}
