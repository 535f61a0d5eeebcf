package agent_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/uplink/uplinktest"
	"github.com/passmuster/muster/internal/crash"
)

// act is one program run of a life that is recorded, and what must be true of
// the reports whenever the power fails during it.
type act struct {
	program string
	events  []crash.Event
	// before and after are what the collector has; it has the latter from the
	// moment on at which reports leave the computer.
	before, after *uplinktest.Collector
	damaged       uint64 // 0: none
}

// record runs the programs under strace, some of them killed in the middle, and
// gives everything that they did to their files.
func record(t *testing.T, c *county) []act {
	var acts []act
	run := func(program string, killAt *crash.Fault) {
		t.Helper()
		a := act{program: program, before: c.collector.Clone()}
		var err error
		if a.events, err = crash.Trace(t.Context(), c.command(program), filepath.Join(c.dir, "disk"), killAt); err != nil {
			t.Fatal(err)
		}
		for _, e := range a.events {
			if e.Op == crash.Said {
				c.note(e.Data)
			}
		}
		a.after = c.collector.Clone()
		acts = append(acts, a)
	}
	damage := func(seq uint64) {
		path := c.damage(seq)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if path, err = filepath.Rel(filepath.Join(c.dir, "disk"), path); err != nil {
			t.Fatal(err)
		}
		known := c.collector.Clone()
		acts = append(acts, act{"", []crash.Event{
			{Op: crash.Create, Path: path, Empty: true}, {Op: crash.Write, Path: path, Data: b}, {Op: crash.Sync, Path: path},
		}, known, known, seq})
	}
	rename := func(n int) *crash.Fault { return &crash.Fault{Calls: "renameat", When: n} }
	// Killed between a mkdir and the fsync of its folder, then in the making of the key.
	fsync := func(n int) *crash.Fault { return &crash.Fault{Calls: "fsync", When: n} }
	run("audit", fsync(1))
	run("audit", fsync(4))
	run("audit", fsync(syncOf(t, c, ".pem")))
	run("audit", nil)
	run("uplink", nil)
	run("audit", rename(3))
	// The report has its name, but not for good; then the mail goes.
	run("audit", fsync(syncOf(t, c, ".report")))
	run("uplink", nil)
	for range 9 {
		run("audit", nil)
	}
	damage(8)
	for range 3 {
		run("audit", nil)
	}
	run("uplink", rename(3))
	run("uplink", nil)
	c.collector.Policy = c.policy(4)
	run("uplink", nil)
	run("audit", nil)
	return acts
}

// syncOf says which fsync of the next audit makes the name of its first file of a
// kind durable.
func syncOf(t *testing.T, c *county, ext string) (n int) {
	twin := c.copy(t)
	events, err := crash.Trace(t.Context(), twin.command("audit"), filepath.Join(twin.dir, "disk"), nil)
	if err != nil {
		t.Fatal(err)
	}
	named := false
	for _, e := range events {
		named = named || e.Op == crash.Rename && filepath.Ext(e.To) == ext
		if e.Op == crash.Sync {
			if n++; named {
				return n
			}
		}
	}
	t.Fatalf("it writes no %s: %v", ext, events)
	return 0
}

// Whenever the power fails, whatever had not been synced by then is lost or torn:
// both programs start, and no report that an audit said it had kept is missing.
func TestPowerLoss(t *testing.T) {
	needStrace(t)
	c := newCounty(t)
	acts := record(t, c)
	disk, now := crash.NewDisk(), *c
	now.kept, now.damaged = map[uint64]muster.Digest{}, nil
	tried := map[[32]byte]bool{}
	moments, states := 0, 0
	for i, a := range acts {
		now.collector = a.before
		if a.damaged > 0 {
			now.damaged = append(now.damaged, a.damaged)
		}
		for j, e := range a.events {
			if e.Op == crash.Said {
				var seq uint64
				if n, _ := fmt.Sscanf(string(e.Data), "kept %d\n", &seq); n == 1 {
					now.kept[seq] = c.kept[seq]
				}
				if strings.HasPrefix(string(e.Data), "ship") {
					now.collector = a.after
				}
			}
			if err := disk.Apply(e); err != nil {
				t.Fatal(err)
			}
			moments++
			for files := range disk.AfterPowerLoss {
				digest := files.Digest()
				key := sha256.Sum256(fmt.Appendf(digest[:], "%d %p", len(now.kept), now.collector))
				if tried[key] {
					continue
				}
				tried[key] = true
				states++
				if !now.survives(t, files) {
					t.Fatalf("run %d (%s), after its call %d, %s; the disk:\n%s", i, a.program, j, e, list(files))
				}
			}
		}
	}
	t.Logf("%d runs, %d moments, %d different disks", len(acts), moments, states)
}

// survives starts the programs on what the power loss has left.
func (c *county) survives(t *testing.T, files crash.Files) bool {
	return t.Run("", func(t *testing.T) {
		again := c.copyWithout(t)
		if err := files.WriteTo(filepath.Join(again.dir, "disk")); err != nil {
			t.Fatal(err)
		}
		again.settle()
	})
}

func list(files crash.Files) string {
	var out strings.Builder
	for path, b := range files {
		fmt.Fprintf(&out, "%s %d bytes\n", path, len(b))
	}
	return out.String()
}
