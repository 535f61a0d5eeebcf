package postgres

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/postgres/pgtest"
)

// A full disk is named as such, whatever was acknowledged is there, and with room again
// the same connections go on.
func TestFull(t *testing.T) {
	server := pgtest.Start(t)
	s := mustOpen(t, server.NewDatabase(t), store.Options{})
	defer func() { must(t, s.Close()) }()
	room := fill(t, s)
	id := enroll(t, s, 1)
	large := func(seq uint64) []muster.Accepted {
		a := report(id, seq)
		a.Envelope.Body = make([]byte, 100_000)
		return []muster.Accepted{a}
	}
	stored := uint64(0)
	for {
		_, err := s.Commit(t.Context(), large(stored+1))
		if errors.Is(err, muster.ErrFull) {
			break
		}
		if must(t, err); stored > 1000 {
			t.Fatal("it is never full")
		}
		stored++
	}
	if h, err := s.Host(t.Context(), muster.View{}, id); err != nil || h.Seq != stored || stored == 0 {
		t.Errorf("host shows %d, stored are %d: %v", h.Seq, stored, err)
	}
	room()
	results, err := s.Commit(t.Context(), large(stored+1))
	if must(t, err); results[0].Outcome != muster.OutcomeStored {
		t.Errorf("outcome %d", results[0].Outcome)
	}
}

// fill puts evidence on a small disk, and room makes it a larger one. Who cannot mount a
// disk has the database raise its own error after some reports.
func fill(t *testing.T, s *Store) (room func()) {
	t.Helper()
	exec := func(statement string) {
		t.Helper()
		_, err := s.pool.Exec(t.Context(), statement)
		must(t, err)
	}
	table := partition(months(s.Now())[0])
	if os.Geteuid() != 0 {
		exec(`CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			RAISE EXCEPTION 'could not extend file: no space left on device' USING ERRCODE = 'disk_full'; END $$`)
		exec(`CREATE TRIGGER no_room BEFORE INSERT ON ` + table + ` FOR EACH ROW WHEN (NEW.seq > 9) EXECUTE FUNCTION no_room()`)
		return func() { exec(`DROP TRIGGER no_room ON ` + table) }
	}
	dir, err := os.MkdirTemp("", "pgtest") // others may enter its parent
	must(t, err)
	t.Cleanup(func() { must(t, os.Remove(dir)) })
	var pid int
	must(t, s.pool.QueryRow(t.Context(), `SELECT pg_backend_pid()`).Scan(&pid))
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	must(t, err)
	options := func(size string) string {
		return fmt.Sprintf("size=%s,mode=700,uid=%d", size, info.Sys().(*syscall.Stat_t).Uid)
	}
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, options("2m")))
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	exec(`CREATE TABLESPACE small LOCATION '` + dir + `'`)
	exec(`ALTER TABLE ` + table + ` SET TABLESPACE small`)
	return func() { must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, options("64m"))) }
}
