package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/storetest"
	"github.com/passmuster/muster/collector/store/tables"
)

func open(t *testing.T, path string, o store.Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, o store.Options) store.Store {
		return open(t, filepath.Join(t.TempDir(), "a b?#%.db"), o)
	})
}

// Another process approves a host and stores a report; this one must not
// believe what it remembers.
func TestTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "muster.db")
	a, b := open(t, path, store.Options{}), open(t, path, store.Options{})
	defer a.Close()
	defer b.Close()
	id, ctx := storetest.HostID(1), context.Background()
	if _, err := a.Enroll(ctx, muster.Enrolled{Host: muster.Host{ID: id, County: "17031"}, PublicKey: []byte("k")}, false, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := b.Approve(ctx, id, muster.LogEntry{Actor: "console", Action: "approve", Object: string(id)}); err != nil {
		t.Fatal(err)
	}
	for i, s := range []*Store{a, b, a, a, b} {
		r := muster.Accepted{Header: muster.Header{Host: id, Seq: uint64(i + 1)},
			Verdicts: []muster.Verdict{{Control: "C1", Status: muster.Status(1 + i%2)}},
			Envelope: muster.StoredEnvelope{Seq: uint64(i + 1), Digest: muster.Digest{byte(i + 1)}, Body: []byte{1}}}
		if i > 0 {
			r.Header.Prev = muster.Digest{byte(i)}
		}
		got, err := s.Commit(ctx, []muster.Accepted{r})
		if err != nil || got[0].Outcome != muster.OutcomeStored {
			t.Fatalf("report %d: %v %v", i+1, got, err)
		}
	}
	if h, err := a.Host(ctx, muster.View{}, id); err != nil || h.Seq != 5 || h.Conflict {
		t.Errorf("host: %+v %v", h, err)
	}
	if tr, err := a.HostTransitions(ctx, muster.View{}, id, 99); err != nil || len(tr) != 5 {
		t.Errorf("%d transitions, want 5: %v", len(tr), err)
	}
}

// Several processes start on a new folder at once.
func TestOpenTogether(t *testing.T) {
	for range 5 {
		path := filepath.Join(t.TempDir(), "muster.db")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				s, err := Open(t.Context(), path, store.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// Clients hang up at any moment of an enrollment: it is there or it is not, as
// its error says, and the next write works.
func TestClientsHangUp(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "muster.db"), store.Options{})
	defer s.Close()
	ended := map[bool]int{}
	for i := range 500 {
		id := storetest.HostID(i)
		ctx, cancel := context.WithCancel(t.Context())
		timer := time.AfterFunc(time.Duration(i)*time.Microsecond, cancel)
		_, err := s.Enroll(ctx, muster.Enrolled{Host: muster.Host{ID: id}, PublicKey: []byte("k")}, true, time.Now())
		timer.Stop()
		cancel()
		if _, there := s.Enrolled(t.Context(), id); (err == nil) != (there == nil) {
			t.Fatalf("enrollment %d: %v, but read: %v", i, err, there)
		}
		ended[err == nil]++
		if err := s.Log(t.Context(), muster.LogEntry{Action: "login"}); err != nil {
			t.Fatalf("after enrollment %d: %v", i, err)
		}
	}
	if ended[false] == 0 {
		t.Error("nobody hung up in time")
	}
}

func TestAuditLogIsAppendOnly(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "muster.db"), store.Options{})
	defer s.Close()
	if err := s.Log(t.Context(), muster.LogEntry{Action: "login"}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{`DELETE FROM audit_log`, `UPDATE audit_log SET actor = 'x'`} {
		err := s.write(t.Context(), "test", func(tx tables.Querier) error {
			_, err := tx.ExecContext(t.Context(), q)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", q, err)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "muster.db")
	s := open(t, path, store.Options{})
	if _, err := s.conn.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, store.Options{}); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("a file of a newer release opens: %v", err)
	}
}

// max_page_count stands for a full disk: SQLite gives the same error.
func TestFull(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "muster.db"), store.Options{})
	defer s.Close()
	ctx, id := t.Context(), storetest.HostID(1)
	if _, err := s.Enroll(ctx, muster.Enrolled{Host: muster.Host{ID: id}, PublicKey: []byte("k")}, true, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.ExecContext(ctx, `PRAGMA max_page_count = 64`); err != nil {
		t.Fatal(err)
	}
	stored := uint64(0)
	for seq := uint64(1); ; seq++ {
		_, err := s.Commit(ctx, []muster.Accepted{{Header: muster.Header{Host: id, Seq: seq},
			Envelope: muster.StoredEnvelope{Seq: seq, Body: make([]byte, 10_000)}}})
		if errors.Is(err, muster.ErrFull) {
			break
		}
		if err != nil || seq > 1000 {
			t.Fatalf("report %d: %v", seq, err)
		}
		stored = seq
	}
	if h, err := s.Host(ctx, muster.View{}, id); err != nil || h.Seq != stored || stored == 0 {
		t.Errorf("host shows %d, stored are %d: %v", h.Seq, stored, err)
	}
	// Room again: the same connection goes on.
	if _, err := s.conn.ExecContext(ctx, `PRAGMA max_page_count = 1000000`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, []muster.Accepted{{Header: muster.Header{Host: id, Seq: stored + 1},
		Envelope: muster.StoredEnvelope{Seq: stored + 1, Body: make([]byte, 10_000)}}}); err != nil {
		t.Error(err)
	}
}

// A file whose schema was never released is refused with the next step.
func TestTrialSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "muster.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		`CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY, version_id INTEGER, is_applied INTEGER, tstamp TIMESTAMP)`,
		`INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1), (5, 1)`,
	} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, store.Options{}); err == nil || !strings.Contains(err.Error(), "start with a new one") {
		t.Errorf("a trial file opens: %v", err)
	}
}
