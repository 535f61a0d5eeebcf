package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/postgres/pgtest"
	"github.com/passmuster/muster/collector/store/sqlite"
	"github.com/passmuster/muster/collector/store/storetest"
)

func TestStore(t *testing.T) {
	server := pgtest.Start(t)
	open := func(t *testing.T, o store.Options) store.Store { return mustOpen(t, server.NewDatabase(t), o) }
	storetest.Run(t, open)
	storetest.RunBoth(t, open, func(t *testing.T, o store.Options) store.Store {
		s, err := sqlite.Open(t.Context(), t.TempDir()+"/muster.db", o)
		must(t, err)
		return s
	})
}

// mustOpen leaves closing to the caller.
func mustOpen(t testing.TB, dsn string, o store.Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), dsn, o)
	must(t, err)
	return s
}

// two collectors before one database.
func two(t testing.TB, dsn string) (a, b *Store) {
	t.Helper()
	a, b = mustOpen(t, dsn, store.Options{}), mustOpen(t, dsn, store.Options{})
	t.Cleanup(func() { must(t, errors.Join(a.Close(), b.Close())) })
	return a, b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func enroll(t testing.TB, s *Store, n int) muster.HostID {
	t.Helper()
	id := storetest.HostID(n)
	_, err := s.Enroll(t.Context(), muster.Enrolled{PublicKey: []byte("key"), Host: muster.Host{
		ID: id, County: "17031", Profile: muster.Workstation, Platform: muster.Linux, Hostname: fmt.Sprint("pc", n)}}, true, time.Now())
	must(t, err)
	return id
}

func digest(id muster.HostID, seq uint64) muster.Digest {
	return sha256.Sum256(fmt.Append(nil, id, seq))
}

func report(id muster.HostID, seq uint64) muster.Accepted {
	a := muster.Accepted{
		Header:   muster.Header{Schema: 1, Host: id, Seq: seq, Hostname: "pc", CollectedAt: time.Now()},
		Envelope: muster.StoredEnvelope{Seq: seq, Size: 4, Body: []byte("body"), Digest: digest(id, seq)},
		Verdicts: []muster.Verdict{{Control: "C1", Status: muster.Status(seq % 4)}},
	}
	if seq > 1 {
		a.Header.Prev = digest(id, seq-1)
	}
	return a
}

// TestManyStart: collectors that start at once on an empty database all come up.
func TestManyStart(t *testing.T) {
	dsn := pgtest.Start(t).NewDatabase(t)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			s, err := Open(t.Context(), dsn, store.Options{})
			if err == nil {
				err = s.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestSameHosts: two collectors that commit the same reports at once store each once.
func TestSameHosts(t *testing.T) {
	a, b := two(t, pgtest.Start(t).NewDatabase(t))
	const hosts, rounds = 20, 30
	var ids []muster.HostID
	for n := range hosts {
		ids = append(ids, enroll(t, a, n))
	}
	var stored, duplicates atomic.Int64
	var all sync.WaitGroup
	for side, s := range []*Store{a, b, a, b} {
		all.Go(func() {
			for seq := uint64(1); seq <= rounds; seq++ {
				var batch []muster.Accepted
				for i := range ids { // each in another order
					batch = append(batch, report(ids[(i*(2*side+1)+side)%hosts], seq))
				}
				results, err := s.Commit(t.Context(), batch)
				if err != nil {
					t.Error(err)
				}
				for _, r := range results {
					switch r.Outcome {
					case muster.OutcomeStored:
						stored.Add(1)
					case muster.OutcomeDuplicate:
						duplicates.Add(1)
					}
				}
			}
		})
	}
	all.Wait()
	if stored.Load() != hosts*rounds || duplicates.Load() != 3*hosts*rounds {
		t.Errorf("%d stored and %d duplicates, want %d and %d", stored.Load(), duplicates.Load(), hosts*rounds, 3*hosts*rounds)
	}
	for _, id := range ids {
		h, err := b.Host(t.Context(), muster.View{}, id)
		must(t, err)
		if h.Seq != rounds || h.Missing != 0 || h.ConflictReason != "" {
			t.Errorf("%+v", h)
		}
		list, err := b.HostReports(t.Context(), id, 0, 2*rounds)
		must(t, err)
		if len(list) != rounds {
			t.Errorf("host %s has %d reports, want %d", id, len(list), rounds)
		}
	}
}

// TestCrash: what was acknowledged is there after the server was killed under commits.
func TestCrash(t *testing.T) {
	server := pgtest.Start(t)
	a, b := two(t, server.NewDatabase(t))
	const hosts, crashes = 4, 3
	stop := make(chan struct{})
	var all sync.WaitGroup
	acknowledged := make([]uint64, hosts)
	for n := range hosts {
		id := enroll(t, a, n)
		all.Go(func() {
			for seq := uint64(1); ; {
				select {
				case <-stop:
					return
				default:
				}
				s := []*Store{a, b}[(uint64(n)+seq)%2]
				results, err := s.Commit(t.Context(), []muster.Accepted{report(id, seq)})
				if err != nil {
					time.Sleep(10 * time.Millisecond) // as agents do, for longer
					continue
				}
				if results[0].Outcome == muster.OutcomeConflict {
					t.Errorf("host %s report %d: a conflict", id, seq)
				}
				acknowledged[n] = seq
				seq++
			}
		})
	}
	for range crashes {
		time.Sleep(200 * time.Millisecond)
		must(t, server.Kill())
		must(t, server.Restart())
	}
	time.Sleep(200 * time.Millisecond)
	close(stop)
	all.Wait()
	for n, last := range acknowledged {
		if last == 0 {
			t.Errorf("host %d: nothing was acknowledged", n)
		}
		list, err := a.HostReports(t.Context(), storetest.HostID(n), 0, 1<<20)
		must(t, err)
		if uint64(len(list)) < last {
			t.Errorf("host %d: %d reports of %d acknowledged ones", n, len(list), last)
		}
		for i, r := range list {
			if seq := uint64(len(list) - i); r.Seq != seq || r.Digest != digest(r.Host, seq) {
				t.Errorf("host %d: report %d is %+v", n, seq, r)
			}
		}
	}
}

// TestNotReplicated: a report that the standby may not have is not acknowledged, also
// where it is there when it comes again.
func TestNotReplicated(t *testing.T) {
	server := pgtest.Start(t)
	a, b := two(t, server.NewDatabase(t))
	id := enroll(t, a, 1)
	standby := func(name string) {
		t.Helper()
		_, err := b.pool.Exec(t.Context(), `ALTER SYSTEM SET synchronous_standby_names = '`+name+`'`)
		must(t, err)
		_, err = b.pool.Exec(t.Context(), `SELECT pg_reload_conf()`)
		must(t, err)
	}
	standby("gone")
	for waits := false; !waits; { // the server takes the setting up in its own time
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := b.pool.Exec(ctx, `SELECT pg_logical_emit_message(true, 'probe', '')`)
		waits = errors.Is(err, context.DeadlineExceeded)
		cancel()
	}
	done := make(chan error)
	go func() {
		_, err := a.Commit(t.Context(), []muster.Accepted{report(id, 1)})
		done <- err
	}()
	cancelled, err := 0, error(nil)
	for end := false; !end; {
		select {
		case err = <-done:
			end = true
		case <-time.After(10 * time.Millisecond):
			var n int
			must(t, b.pool.QueryRow(t.Context(), `SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`).Scan(&n))
			cancelled += n
		}
	}
	if !errors.Is(err, errNotCertain) || cancelled < tries {
		t.Errorf("cancelled %d times: %v", cancelled, err)
	}
	standby("")
	results, err := a.Commit(t.Context(), []muster.Accepted{report(id, 1)})
	must(t, err)
	if results[0].Outcome != muster.OutcomeDuplicate {
		t.Errorf("outcome %d", results[0].Outcome)
	}
}

// TestWatchAcross: a collector learns what another changed, and after an outage that
// anything may have.
func TestWatchAcross(t *testing.T) {
	server := pgtest.Start(t)
	a, b := two(t, server.NewDatabase(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changes := a.Watch(ctx)
	told := func(what string, want func([]muster.County) bool) {
		t.Helper()
		for c := range changes {
			if want(c) {
				return
			}
		}
		t.Fatal("not told of ", what)
	}
	anything := func(c []muster.County) bool { return len(c) == 0 }
	there := func(c []muster.County) bool { return slices.Contains(c, "17031") }
	told("what was before", anything)
	id := enroll(t, b, 1)
	told("an enrollment", there)
	_, err := b.Commit(ctx, []muster.Accepted{report(id, 1)})
	must(t, err)
	told("a report", there)
	must(t, b.SetRing(ctx, muster.RingMember{County: "17031", Ring: muster.RingCanary}, muster.LogEntry{Actor: "x", Action: "set_ring"}))
	told("a ring", anything)
	must(t, server.Restart())
	told("the outage", anything)
	must(t, b.untilUp(ctx))
	enroll(t, b, 2)
	told("an enrollment", there)
}

// untilUp waits for the server.
func (s *Store) untilUp(ctx context.Context) error {
	for {
		if err := s.Ping(ctx); err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// TestOnce: a job is had by one collector, until that is done or loses its connection.
func TestOnce(t *testing.T) {
	server := pgtest.Start(t)
	a, b := two(t, server.NewDatabase(t))
	ran, err := a.Once(t.Context(), "job", func(ctx context.Context) error {
		ran, err := b.Once(ctx, "job", func(context.Context) error { return errors.New("at the same time") })
		if ran {
			t.Error("it ran twice")
		}
		return err
	})
	if !ran || err != nil {
		t.Error(ran, err)
	}
	ran, err = b.Once(t.Context(), "job", func(ctx context.Context) error {
		must(t, server.Kill())
		<-ctx.Done()
		must(t, server.Restart())
		ran, err := a.Once(t.Context(), "job", func(context.Context) error { return nil })
		if !ran {
			t.Error("the lock outlived its connection")
		}
		return err
	})
	if !ran || err == nil {
		t.Errorf("%v: nobody was told that the lock was lost", ran)
	}
}

// TestPartitions: months have partitions ahead and at need, and go as a whole.
func TestPartitions(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	s := mustOpen(t, pgtest.Start(t).NewDatabase(t), store.Options{Now: func() time.Time { return now }})
	defer s.Close()
	want := func(want ...int) {
		t.Helper()
		have, err := partitions(t.Context(), s.db)
		must(t, err)
		if !slices.Equal(have, want) {
			t.Errorf("partitions %d, want %d", have, want)
		}
	}
	want(202611, 202612)
	id := enroll(t, s, 1)
	for seq, at := range []time.Time{now, now.AddDate(0, 0, 40), now.AddDate(0, 0, 41)} {
		now = at
		_, err := s.Commit(t.Context(), []muster.Accepted{report(id, uint64(seq+1))})
		must(t, err)
	}
	want(202611, 202612, 202701, 202702)
	n, err := s.Retain(t.Context(), now)
	must(t, err)
	if want(202701, 202702); n != 1 {
		t.Errorf("%d envelopes went, want 1", n)
	}
}

// TestText: text that PostgreSQL does not take fails no batch.
func TestText(t *testing.T) {
	s := mustOpen(t, pgtest.Start(t).NewDatabase(t), store.Options{})
	defer s.Close()
	id := enroll(t, s, 1)
	r := report(id, 1)
	r.Header.Hostname, r.Header.Agent, r.Verdicts[0].Control = "a\x00b", "\xff", "C\x00"
	_, err := s.Commit(t.Context(), []muster.Accepted{r})
	must(t, err)
	h, err := s.Host(t.Context(), muster.View{}, id)
	must(t, err)
	if h.Hostname != "a\uFFFDb" {
		t.Errorf("its name is %q", h.Hostname)
	}
}

// TestAuditLogStays, whoever tries.
func TestAuditLogStays(t *testing.T) {
	dsn := pgtest.Start(t).NewDatabase(t)
	s := mustOpen(t, dsn, store.Options{})
	defer s.Close()
	must(t, s.Log(t.Context(), muster.LogEntry{Actor: "x", Action: "start"}))
	c, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer c.Close(context.WithoutCancel(t.Context()))
	for _, q := range []string{`UPDATE audit_log SET actor = 'y'`, `DELETE FROM audit_log`, `TRUNCATE audit_log`} {
		if _, err := c.Exec(t.Context(), q); err == nil {
			t.Errorf("%s was done", q)
		}
	}
}

// TestNewerSchema is refused.
func TestNewerSchema(t *testing.T) {
	dsn := pgtest.Start(t).NewDatabase(t)
	s := mustOpen(t, dsn, store.Options{})
	_, err := s.pool.Exec(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
	must(t, errors.Join(err, s.Close()))
	if _, err := Open(t.Context(), dsn, store.Options{}); err == nil {
		t.Error("a database of a newer release was opened")
	}
}
