package outbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// faultyDisk fails one call, before or after it had its effect; from then on,
// where dead is set, every call fails: the process has lost its disk.
type faultyDisk struct {
	calls, failAt int
	after, dead   bool
	cause         error
}

func (d *faultyDisk) do(f func() error) error {
	d.calls++
	if d.failAt > 0 && (d.calls == d.failAt || d.dead && d.calls > d.failAt) {
		if d.after && d.calls == d.failAt {
			if err := f(); err != nil {
				return err
			}
		}
		return d.cause
	}
	return f()
}

// No fsync: no power is lost here.

func (d *faultyDisk) WriteFile(path string, data []byte, perm os.FileMode) error {
	return d.do(func() error { return os.WriteFile(path, data, perm) })
}
func (d *faultyDisk) Rename(from, to string) error {
	return d.do(func() error { return os.Rename(from, to) })
}
func (d *faultyDisk) Remove(paths ...string) error {
	for _, path := range paths {
		err := d.do(func() error { return os.Remove(path) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Whichever write fails, before or after its effect, once or for good: every
// number is waiting, receipted or declared as dropped afterwards, never two of
// these, and none is given twice.
func TestEveryFault(t *testing.T) {
	for _, d := range []faultyDisk{
		{cause: syscall.ENOSPC}, {cause: syscall.ENOSPC, dead: true},
		{cause: syscall.EIO, after: true}, {cause: syscall.EIO, after: true, dead: true},
	} {
		for d.failAt = 1; ; d.failAt++ {
			d := d
			if life(t, &d); d.calls < d.failAt {
				break // there is no such call
			}
		}
	}
}

// life is that of a small outbox: it fills, thins, loses a file and gets receipts.
func life(t *testing.T, d *faultyDisk) {
	t.Helper()
	dir, h := t.TempDir(), mustHost(t)
	committed := map[uint64]muster.Digest{}
	receipted := map[uint64]bool{}
	appendTo := func(o *Outbox) {
		var digest muster.Digest
		seq, err := o.Append(func(seq uint64, prev muster.Digest, gap []muster.SeqRange) ([]byte, muster.Digest, error) {
			if _, taken := committed[seq]; taken {
				t.Errorf("fault %+v: number %d is given twice", *d, seq)
			}
			envelope, change, err := h.build(muster.Status(seq/6%2))(seq, prev, gap)
			digest = wire.EnvelopeDigest(envelope)
			return envelope, change, err
		})
		if err == nil {
			committed[seq] = digest
		} else if !errors.Is(err, d.cause) {
			t.Errorf("fault %+v: %v", *d, err)
		}
	}
	acknowledge := func(o *Outbox, seq uint64) {
		envelope, err := o.Read(seq)
		if err != nil {
			return
		}
		// The collector has it from here on, whatever the disk says.
		receipted[seq] = true
		if err := o.Acknowledge(h.receipt(envelope, seq)); err != nil && !errors.Is(err, d.cause) {
			t.Errorf("fault %+v: %v", *d, err)
		}
	}
	o, err := open(dir, Options{MaxBytes: 9 << 10}, d)
	if err != nil {
		t.Fatal(err)
	}
	for range 14 {
		appendTo(o)
	}
	if list, err := o.List(); err == nil && len(list) > 3 {
		damage(t, dir, list[2])
		if _, err := o.Verify(); err != nil && !errors.Is(err, d.cause) {
			t.Errorf("fault %+v: %v", *d, err)
		}
	}
	appendTo(o)
	if list, err := o.List(); err == nil && len(list) > 0 {
		acknowledge(o, list[0])
		acknowledge(o, list[len(list)-1])
	}

	o = mustOpen(t, dir) // the next audit, on a disk that works again
	o.maxBytes = 9 << 10
	if _, err := o.Verify(); err != nil {
		t.Fatal(err)
	}
	appendTo(o)
	waiting := map[uint64]bool{}
	for _, seq := range mustList(t, o) {
		waiting[seq] = true
		envelope := mustRead(t, o, seq)
		if digest, ok := committed[seq]; ok && digest != wire.EnvelopeDigest(envelope) {
			t.Errorf("fault %+v: report %d is another one", *d, seq)
		}
	}
	// What a receipted report has declared, the collector knows.
	var told ranges
	if e, _, err := o.open(baseName); err == nil {
		told = e.Gap
	}
	for seq := range committed {
		dropped := o.chain.Dropped.has(seq)
		if !waiting[seq] && !receipted[seq] && !dropped && !told.has(seq) {
			t.Errorf("fault %+v: report %d is lost silently (dropped: %v, waiting: %v)", *d, seq, o.chain.Dropped, mustList(t, o))
		}
		if waiting[seq] && dropped {
			t.Errorf("fault %+v: report %d waits and is declared as dropped", *d, seq)
		}
	}
}

func TestFullDiskIsToldAndLeavesNothing(t *testing.T) {
	dir, h := t.TempDir(), mustHost(t)
	full := "the model of one"
	if err := mountTiny(t, dir); err == nil {
		full = "a real one"
	}
	o, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var kept []uint64
	if full == "a real one" {
		for {
			seq, err := o.Append(h.build(muster.StatusPass))
			if err != nil {
				if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "keep report") {
					t.Errorf("%s says: %v", full, err)
				}
				break
			}
			kept = append(kept, seq)
		}
	} else {
		o.disk = &faultyDisk{failAt: 4, dead: true, cause: syscall.ENOSPC}
		for {
			seq, err := o.Append(h.build(muster.StatusPass))
			if err != nil {
				break
			}
			kept = append(kept, seq)
		}
	}
	if len(kept) < 3 {
		t.Fatalf("only %v were kept before it was full", kept)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(kept) {
		t.Errorf("%s: %d files for %d reports, %v", full, len(entries), len(kept), err)
	}
	// Every receipt makes room again, even on a full disk.
	o = mustOpen(t, dir)
	for _, seq := range kept[:2] {
		if err := o.Acknowledge(h.receipt(mustRead(t, o, seq), seq)); err != nil {
			t.Fatalf("%s: %v", full, err)
		}
	}
	if seq := mustAppend(t, o, h.build(muster.StatusPass)); seq != kept[len(kept)-1]+1 {
		t.Errorf("%s: went on with %d after %d", full, seq, kept[len(kept)-1])
	}
}

// The child of TestKill: appends and takes receipts until it is killed.
func TestMain(m *testing.M) {
	dir := os.Getenv("OUTBOX_TEST_CHILD")
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := child(dir); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

func child(dir string) error {
	b, err := os.ReadFile(dir + "/../key.pem")
	if err != nil {
		return err
	}
	key, err := wire.ParseKey(b)
	if err != nil {
		return err
	}
	id, err := wire.HostIDOf(key.Public())
	if err != nil {
		return err
	}
	h := host{id, key}
	o, err := Open(dir, Options{MaxBytes: 24 << 10})
	if err != nil {
		return err
	}
	for {
		seq, err := o.Append(h.build(muster.StatusPass))
		if err != nil {
			return err
		}
		e, envelope, err := o.open(reportName(seq))
		if err != nil {
			return err
		}
		fmt.Printf("kept %d %s %d\n", seq, wire.EnvelopeDigest(envelope), o.Dropped())
		if seq%5 == 0 {
			gap, err := json.Marshal(e.Gap)
			if err != nil {
				return err
			}
			fmt.Printf("receipt %d %s\n", seq, gap)
			if err := o.Acknowledge(h.receipt(envelope, seq)); err != nil {
				return err
			}
		}
	}
}

// A process that appends is killed at a random moment, again and again. What
// it said it had kept is there, unless it was receipted or its loss is declared.
func TestKill(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	dir := root + "/outbox"
	h := mustHost(t)
	pem, err := wire.MarshalKey(h.key)
	if err := errors.Join(err, os.Mkdir(dir, 0o700), os.WriteFile(root+"/key.pem", pem, 0o600)); err != nil {
		t.Fatal(err)
	}
	kept, receipted := map[uint64]string{}, map[uint64]bool{}
	var declared ranges
	for round := range rounds {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "OUTBOX_TEST_CHILD="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed some time after its first report, so that every round gets to work.
		var kill *time.Timer
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var seq, dropped uint64
			var digest string
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "kept "):
				if _, err := fmt.Sscanf(line, "kept %d %s %d", &seq, &digest, &dropped); err != nil {
					continue // cut off by the kill
				}
				if kept[seq] != "" {
					t.Fatalf("round %d: number %d is given twice", round, seq)
				}
				kept[seq] = digest
				if kill == nil {
					kill = time.AfterFunc(time.Duration(rand.IntN(20_000))*time.Microsecond, func() { cmd.Process.Kill() })
				}
			case strings.HasPrefix(line, "receipt "):
				var gap string
				var runs ranges
				if _, err := fmt.Sscanf(line, "receipt %d %s", &seq, &gap); err != nil || json.Unmarshal([]byte(gap), &runs) != nil {
					continue
				}
				receipted[seq] = true
				for _, run := range runs {
					for seq := run.From; seq <= run.To; seq++ {
						declared = declared.with(seq)
					}
				}
			default:
				t.Errorf("round %d: %s", round, line)
			}
		}
		cmd.Wait() // killed, as it should be
		if kill == nil {
			t.Fatalf("round %d: the child kept nothing", round)
		}
		kill.Stop()
		o := mustOpen(t, dir)
		for seq, digest := range kept {
			envelope, err := o.Read(seq)
			switch {
			case err == nil && wire.EnvelopeDigest(envelope).String() != digest:
				t.Fatalf("round %d: report %d is another one", round, seq)
			case err == nil:
				continue
			case !errors.Is(err, fs.ErrNotExist):
				t.Fatalf("round %d: %v", round, err)
			}
			if !receipted[seq] && !o.chain.Dropped.has(seq) && !declared.has(seq) {
				t.Fatalf("round %d: report %d is lost silently", round, seq)
			}
			// Its absence is explained for good; what only the chain says may change.
			if receipted[seq] || declared.has(seq) {
				delete(kept, seq)
			}
		}
	}
}
