package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/internal/seal"
)

// trip ends a journey: it goes on until nothing waits.
func (a *air) trip(d *desk, stick string) {
	a.t.Helper()
	for range 3 {
		d.mustSync(stick)
		a.mustSync(stick)
		if len(a.waiting()) == 0 {
			break
		}
	}
	if left := a.waiting(); len(left) > 0 || len(sealedFiles(a.t, stick)) > 0 {
		a.t.Fatalf("after three journeys wait %v, on the stick %v", left, sealedFiles(a.t, stick))
	}
	if got := a.has(a.id); got != 2 {
		a.t.Fatalf("the collector has %d", got)
	}
}

// A stick that is cut off anywhere loses nothing: whoever comes next says so, and
// the journeys after that end as if nothing had been.
func TestCourierTruncatedEverywhere(t *testing.T) {
	c := newCapital(t, "17031")
	c.publish(7)
	ems, desk, stick := c.newAir(2), c.newDesk(), c.folder()
	ems.mustSync(stick)
	sealed := keep(t, ems.dir, stick)
	desk.mustSync(stick)
	answered := keep(t, ems.dir, stick)
	cuts := 0
	for _, at := range []struct {
		where *kept
		file  string
		say   string
	}{
		{sealed, "outgoing/*.courier", "damaged"},
		{sealed, "custody.jsonl", ""},
		{answered, "outgoing/*.courier", "damaged"},
		{answered, "incoming/*.return", "damaged"},
		{answered, "custody.jsonl", ""},
	} {
		at.where.restore(t)
		path := one(t, filepath.Join(stick, "MUSTER", filepath.FromSlash(at.file)))
		info, err := os.Stat(path)
		c.must(err)
		for size := int64(0); size < info.Size(); size += 512 {
			for _, first := range []string{"ems", "desk"} {
				cuts++
				at.where.restore(t)
				c.must(os.Truncate(path, size))
				var r *agent.CourierResult
				if first == "ems" {
					r = ems.mustSync(stick)
				} else {
					r = desk.mustSync(stick)
				}
				if isAnswer := at.where == answered && first == "desk"; at.say != "" && !isAnswer && !mentions(r.Warnings, at.say) {
					t.Fatalf("%s cut at %d, %s says %q", at.file, size, first, r.Warnings)
				}
				ems.trip(desk, stick)
			}
		}
	}
	t.Logf("%d cuts", cuts)
}

// A sealed file that cannot be read is in no other's way.
func TestCourierUnreadableFile(t *testing.T) {
	c := newCapital(t, "17031")
	ems, other, desk, stick := c.newAir(1), c.newAir(1), c.newDesk(), t.TempDir()
	ems.mustSync(stick)
	c.must(os.Truncate(sealedFiles(t, stick)[0], seal.MaxFile+1))
	other.mustSync(stick)
	if r := desk.mustSync(stick); len(r.Answered) != 1 || !mentions(r.Warnings, "cannot be read") {
		t.Errorf("%+v", r)
	}
	if r := other.mustSync(stick); r.Waiting != 0 {
		t.Errorf("%+v", r)
	}
	ems.mustSync(stick)
	desk.mustSync(stick)
	if r := ems.mustSync(stick); r.Waiting != 0 || len(sealedFiles(t, stick)) != 0 {
		t.Errorf("%+v", r)
	}
}

// What happens to a sealed file after it was answered does not touch the answer.
func TestCourierDamagedAfterTheAnswer(t *testing.T) {
	c := newCapital(t, "17031")
	ems, stick := c.newAir(2), t.TempDir()
	ems.mustSync(stick)
	c.newDesk().mustSync(stick)
	c.must(os.Truncate(sealedFiles(t, stick)[0], 100))
	site := *ems.site
	site.ReceiptKeys = [][]byte{[]byte("junk")}
	r, err := agent.Sync(t.Context(), stick, agent.CourierOptions{Site: &site, StateDir: ems.dir, Profile: muster.EMS})
	if err != nil || !mentions(r.Warnings, "receipt_keys") || r.Receipted != 0 {
		t.Errorf("keys that are none: %+v, %v", r, err)
	}
	c.must(os.WriteFile(filepath.Join(stick, "MUSTER", "custody.jsonl"), []byte("junk\n"), 0o644))
	if r := ems.mustSync(stick); r.Receipted != 2 || r.Waiting != 0 || !mentions(r.Warnings, "custody log") {
		t.Errorf("%+v", r)
	}
}

// A computer that was set back to an older state has another report of a number that
// is on the stick: that one leaves too, and the collector sees the two.
func TestCourierOfAComputerSetBack(t *testing.T) {
	c := newCapital(t, "17031")
	ems, desk, stick := c.newAir(1), c.newDesk(), t.TempDir()
	ems.mustSync(stick)
	before := keep(t, ems.dir)
	desk.mustSync(stick)
	before.restore(t)
	c.must(os.Remove(filepath.Join(ems.dir, "outbox", "00000001.report")))
	ems.audit(1)
	if r := ems.mustSync(stick); r.Receipted != 0 || len(r.Sealed) != 1 || !mentions(r.Warnings, "another report") {
		t.Fatalf("%+v", r)
	}
	desk.mustSync(stick)
	if r := ems.mustSync(stick); !mentions(r.Warnings, "a copy of another") {
		t.Errorf("%+v", r)
	}
}

func TestCourierJunkOnTheStick(t *testing.T) {
	c := newCapital(t, "17031")
	ems, desk, stick := c.newAir(1), c.newDesk(), t.TempDir()
	ems.mustSync(stick)
	out, in := filepath.Join(stick, "MUSTER", "outgoing"), filepath.Join(stick, "MUSTER", "incoming")
	id := string(ems.id)
	for name, content := range map[string]string{
		"photo.jpg": "x", "AUTORUN.INF": "x", id + "-1-1-zzzzzzzz.courier": "x", id + "-0-1-00000000.courier": "x", id + "-2-2-00000000.courier": "not sealed",
	} {
		c.must(os.WriteFile(filepath.Join(out, name), []byte(content), 0o644))
	}
	c.must(os.WriteFile(filepath.Join(in, id+"-9-9-00000000.return"), bytes.Repeat([]byte{0xff}, 1000), 0o644))
	c.must(os.WriteFile(filepath.Join(stick, "MUSTER", "custody.jsonl"), []byte("junk\n{}\n\x00\x00"), 0o644))
	c.must(os.Mkdir(filepath.Join(out, "folder"), 0o755))
	if r := desk.mustSync(stick); len(r.Answered) != 2 || !mentions(r.Warnings, "left alone") || !mentions(r.Warnings, "damaged") {
		t.Errorf("%+v", r)
	}
	r := ems.mustSync(stick)
	if r.Receipted != 1 || r.Waiting != 0 {
		t.Errorf("%+v", r)
	}
	if files := sealedFiles(t, stick); len(files) != 5 { // what is not muster's stays
		t.Errorf("%v", files)
	}
}

func TestCourierWithoutNetwork(t *testing.T) {
	c := newCapital(t, "17031")
	ems, desk, stick := c.newAir(1), c.newDesk(), t.TempDir()
	ems.mustSync(stick)
	o := agent.CourierOptions{Site: c.site, StateDir: desk.dir, Wait: time.Millisecond}
	r, err := agent.Sync(t.Context(), stick, o)
	if err != nil || len(r.Relaying) != 1 || !strings.Contains(r.Next, "stays with the uplink") {
		t.Fatalf("%+v, %v", r, err)
	}
	// Ctrl-C ends the wait and loses nothing either.
	ctx, stop := context.WithCancel(t.Context())
	stop()
	o.Wait = time.Hour
	if r, err = agent.Sync(ctx, stick, o); err != nil || len(r.Relaying) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	// The network comes back while the stick is away.
	c.must(desk.post(t.Context()))
	if r = desk.mustSync(stick); len(r.Answered) != 1 || len(r.Warnings) > 0 {
		t.Fatalf("%+v", r)
	}
	// What the collector will not even look at is told in the uplink's words.
	ems.mustSync(stick)
	ems.audit(1)
	ems.mustSync(stick)
	file, err := os.ReadFile(one(t, filepath.Join(stick, "MUSTER", "outgoing", "*.courier")))
	c.must(err)
	sum := sha256.Sum256(file)
	c.must(os.WriteFile(filepath.Join(desk.dir, "status", "uplink.json"),
		fmt.Appendf(nil, `{"relay_refused":[{"file":%q,"code":"too_large","reason":"send \u001b[2Jless"}]}`, hex.EncodeToString(sum[:])), 0o644))
	if r, err = agent.Sync(t.Context(), stick, o); err != nil || !mentions(r.Warnings, "send [2Jless") {
		t.Fatalf("%+v, %v", r, err)
	}
}
