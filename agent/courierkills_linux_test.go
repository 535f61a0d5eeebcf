package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/crash"
)

// crashCourier is muster courier sync, with a stick beside the state folder.
func crashCourier(ctx context.Context, dir string) error {
	site, err := crashSite(dir)
	if err != nil {
		return err
	}
	profile := muster.Workstation
	if filepath.Base(dir) == "air" {
		profile = muster.EMS
	}
	_, err = agent.Sync(ctx, crashStick(dir), agent.CourierOptions{Site: site, StateDir: crashState(dir), Profile: profile, Wait: time.Second})
	return err
}

// crashStick is the one stick of all computers in a folder.
func crashStick(dir string) string { return filepath.Join(filepath.Dir(dir), "stick") }

// A stick travels between two computers, and muster courier sync is killed at
// random calls on both. Nothing is lost, and a journey without a kill heals all.
func TestRandomKillsOfTheCourier(t *testing.T) {
	needStrace(t)
	random := newRandom(t)
	dir, ems, office := journey(t)
	last := ems.audit(1)
	ems.id = last.Audit.HostID
	killed, runs, most := map[string]int{}, 0, max(1, *kills/2)
	for n := 0; n < most; runs++ {
		if runs > 50*most {
			t.Fatalf("%d kills in %d runs: strace does not strike", n, runs)
		}
		place := []string{"air", "desk"}[random.IntN(2)]
		if _, err := os.Stat(filepath.Join(dir, "stick", "MUSTER")); err != nil {
			place = "air" // a desk begins no stick
		}
		f := randomKill(random)
		if strikeCourier(t, filepath.Join(dir, place), office, f) {
			n++
			killed[place+" at "+f.Calls]++
		}
		if random.IntN(4) == 0 {
			last = ems.audit(1)
		}
		if random.IntN(8) == 0 || n == most {
			heal(ems, office, filepath.Join(dir, "stick"), last.Report)
		}
		if t.Failed() {
			t.Fatalf("after kill %d, the last being on the %s: %s", n, place, f)
		}
	}
	t.Logf("%d kills in %d runs: %v", most, runs, killed)
}

// journey is an air-gapped computer, a connected one, and a stick, in one folder.
func journey(t *testing.T) (dir string, ems *air, office *desk) {
	t.Helper()
	c := newCapital(t, "17031")
	c.publish(7)
	dir = c.folder()
	site, err := json.Marshal(c.site)
	c.must(errors.Join(err, os.Mkdir(filepath.Join(dir, "stick"), 0o755)))
	for _, place := range []string{"air", "desk"} {
		c.must(os.MkdirAll(filepath.Join(dir, place, "disk"), 0o755))
		c.must(os.WriteFile(filepath.Join(dir, place, "site.json"), site, 0o644))
	}
	office = &desk{capital: c, dir: crashState(filepath.Join(dir, "desk"))}
	_, err = state.Open(office.dir, state.Options{})
	c.must(err)
	return dir, &air{capital: c, dir: crashState(filepath.Join(dir, "air"))}, office
}

// The power fails, or the stick is pulled out, at any call of muster courier sync
// on the computer whose reports it carries, and what was not synced is lost or
// torn, on the stick too.
func TestPowerLossOfTheCourier(t *testing.T) {
	needStrace(t)
	dir, ems, office := journey(t)
	last := ems.audit(3)
	ems.id = last.Audit.HostID
	states, tried := 0, map[[32]byte]bool{}
	for _, way := range []string{"out", "back"} {
		disk, err := crash.ReadDisk(dir)
		ems.must(err)
		cmd := courierCommand(t, filepath.Join(dir, "air"))
		events, err := crash.Trace(t.Context(), cmd, dir, nil)
		ems.must(err)
		for i, e := range events {
			ems.must(disk.Apply(e))
			for files := range disk.AfterPowerLoss {
				if tried[files.Digest()] {
					continue
				}
				tried[files.Digest()] = true
				states++
				if !t.Run("", func(t *testing.T) { ems.survives(t, office, files, way == "out") }) {
					t.Fatalf("on the way %s, after call %d, %s; the disks:\n%s", way, i, e, list(files))
				}
			}
		}
		office.mustSync(filepath.Join(dir, "stick"))
	}
	t.Logf("%d different disks", states)
}

// survives goes on with what the power loss has left. As long as the collector
// has no report, the outbox must have them all.
func (a air) survives(t *testing.T, d *desk, files crash.Files, all bool) {
	c := *a.capital
	c.t = t
	dir := c.folder()
	c.must(files.WriteTo(dir))
	a.capital, a.dir = &c, crashState(filepath.Join(dir, "air"))
	if waiting := a.waiting(); all && !slices.Equal(waiting, []uint64{1, 2, 3}) {
		t.Errorf("the outbox has %v", waiting)
	}
	heal(&a, &desk{&c, crashState(filepath.Join(dir, "desk"))}, filepath.Join(dir, "stick"), 3)
}

func courierCommand(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env, cmd.Stderr = append(os.Environ(), crashEnv+"=courier "+dir, "GOMAXPROCS=2"), t.Output()
	return cmd
}

func randomKill(random *rand.Rand) crash.Fault {
	calls := crash.Writes[random.IntN(len(crash.Writes))]
	most := 12
	if calls == "openat" { // most of which only read
		most = 80
	}
	return crash.Fault{Calls: calls, When: 1 + random.IntN(most)}
}

func strikeCourier(t *testing.T, dir string, office *desk, f crash.Fault) (struck bool) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // the uplink of the connected computer
		defer close(ended)
		for ctx.Err() == nil {
			if err := office.post(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond)
		}
	}()
	defer func() { stop(); <-ended }()
	struck, err := f.Run(ctx, courierCommand(t, dir))
	if err != nil && !struck {
		t.Fatalf("%s: %v", f, err)
	}
	return struck
}

// heal goes on until nothing waits, and checks that the collector has it all.
func heal(a *air, d *desk, stick string, last uint64) {
	a.t.Helper()
	for range 3 {
		a.mustSync(stick)
		d.mustSync(stick)
	}
	a.mustSync(stick)
	if left := a.waiting(); len(left) > 0 {
		a.t.Errorf("after three journeys wait %v", left)
	}
	if got := a.has(a.id); got != last {
		a.t.Errorf("the collector has %d of %d", got, last)
	}
	chain, err := os.ReadFile(filepath.Join(a.dir, "outbox", "chain.json"))
	if a.must(err); bytes.Contains(chain, []byte("dropped")) {
		a.t.Errorf("reports were lost: %s", chain)
	}
}

// What an answer brought is put down also where the stick then takes nothing.
func TestCourierWriteProtectedAfterTheAnswer(t *testing.T) {
	c := newCapital(t, "17031")
	ems, stick := c.newAir(1), t.TempDir()
	ems.mustSync(stick)
	c.newDesk().mustSync(stick)
	if err := syscall.Mount(stick, stick, "", syscall.MS_BIND, ""); err != nil {
		t.Skip("only root makes a stick write-protected: ", err)
	}
	defer func() { c.must(syscall.Unmount(stick, 0)) }()
	c.must(syscall.Mount("", stick, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	if _, err := ems.sync(stick); err == nil || !strings.Contains(err.Error(), "write-protected") {
		t.Error(err)
	}
	s, err := agent.ReadStatus(ems.dir, ems.site, time.Now())
	c.must(err)
	if len(ems.waiting()) != 0 || s.Audit == nil || s.Audit.ReceiptAt == nil {
		t.Errorf("%v wait, status %+v", ems.waiting(), s.Audit)
	}
}
