package agent_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

func TestCourierRoundTrip(t *testing.T) {
	c := newCapital(t, "17031")
	c.publish(7)
	ems, desk, stick := c.newAir(3), c.newDesk(), t.TempDir()

	r := ems.mustSync(stick)
	if r.Place != "host" || len(r.Sealed) != 1 || r.SealedReports != 3 || r.Waiting != 3 || len(r.Warnings) > 0 || !strings.Contains(r.Next, "connected computer") {
		t.Fatalf("sealed: %+v", r)
	}
	if again := ems.mustSync(stick); len(again.Sealed) != 0 || !strings.Contains(again.Next, "already") || len(sealedFiles(t, stick)) != 1 {
		t.Fatalf("sealed twice: %+v", again)
	}
	ems.audit(1) // while the stick is away

	r = desk.mustSync(stick)
	if r.Place != "relay" || len(r.Answered) != 1 || len(r.Warnings) > 0 || !strings.Contains(r.Next, "back to the computers") {
		t.Fatalf("relayed: %+v", r)
	}
	if left, _ := filepath.Glob(filepath.Join(desk.dir, "relay", "*", "*")); len(left) > 0 {
		t.Errorf("left with the uplink: %v", left)
	}
	if again := desk.mustSync(stick); len(again.Answered) != 0 || len(again.Warnings) > 0 {
		t.Fatalf("relayed twice: %+v", again)
	}

	r = ems.mustSync(stick)
	if r.Receipted != 3 || !r.PolicyTaken || len(r.Sealed) != 1 || r.SealedReports != 1 || r.Waiting != 1 || len(r.Warnings) > 0 {
		t.Fatalf("applied: %+v", r)
	}
	if files := sealedFiles(t, stick); len(files) != 1 || !strings.Contains(files[0], "-4-4-") || !slices.Equal(ems.waiting(), []uint64{4}) {
		t.Fatalf("on the stick %v, in the outbox %v", files, ems.waiting())
	}
	desk.mustSync(stick)
	if r = ems.mustSync(stick); r.Waiting != 0 || len(sealedFiles(t, stick)) != 0 || !strings.Contains(r.Next, "Nothing has to be carried") {
		t.Fatalf("at the end: %+v", r)
	}
	if ems.has(ems.id) != 4 {
		t.Errorf("the collector has %d", ems.has(ems.id))
	}

	// Custody is in the next report, on the stick and at the collector.
	if res := ems.audit(1); res.Audit.Policy.Revision == "" || res.Policy != agent.PolicyState {
		t.Errorf("judged by %v", res.Policy)
	}
	report, err := agent.ReadReport(ems.dir, "latest")
	c.must(err)
	acts := map[string]int{}
	for _, e := range report.Detail.Custody {
		acts[e.Act]++
	}
	if acts["wrote"] != 2 || acts["relayed"] != 2 || acts["received"] != 2 || acts["returned"] != 2 {
		t.Errorf("custody in the report: %+v", report.Detail.Custody)
	}
	ems.audit(1)
	if report, err = agent.ReadReport(ems.dir, "latest"); err != nil || len(report.Detail.Custody) != 0 {
		t.Errorf("custody is told twice: %v, %v", report, err)
	}
	ems.mustSync(stick)
	desk.mustSync(stick)
	steps, err := c.store.Custody(t.Context(), ems.id)
	c.must(err)
	if !slices.ContainsFunc(steps, func(e muster.CustodyEvent) bool { return e.Act == "returned" && e.By == string(ems.id) }) ||
		!slices.ContainsFunc(steps, func(e muster.CustodyEvent) bool { return e.Act == "relayed" }) {
		t.Errorf("custody at the collector: %+v", steps)
	}
}

func TestCourierTwoHostsOneStick(t *testing.T) {
	c := newCapital(t, "17031")
	one, two, desk, stick := c.newAir(1), c.newAir(2), c.newDesk(), t.TempDir()
	one.mustSync(stick)
	two.mustSync(stick)
	if r := desk.mustSync(stick); len(r.Answered) != 2 {
		t.Fatalf("%+v", r)
	}
	if r := one.mustSync(stick); r.Receipted != 1 || r.Waiting != 0 || len(r.Warnings) > 0 {
		t.Errorf("%+v", r)
	}
	if files := sealedFiles(t, stick); len(files) != 1 {
		t.Errorf("the other host's file is gone: %v", files)
	}
	if r := two.mustSync(stick); r.Receipted != 2 || r.Waiting != 0 || len(r.Warnings) > 0 {
		t.Errorf("%+v", r)
	}
}

// The same reports on two sticks are received once and receipted twice.
func TestCourierTwoSticks(t *testing.T) {
	c := newCapital(t, "17031")
	ems, desk, one, two := c.newAir(2), c.newDesk(), t.TempDir(), t.TempDir()
	for _, stick := range []string{one, two} {
		if r := ems.mustSync(stick); r.SealedReports != 2 {
			t.Fatalf("%+v", r)
		}
	}
	for _, stick := range []string{two, one} {
		desk.mustSync(stick)
	}
	for _, stick := range []string{one, two} {
		if r := ems.mustSync(stick); r.Receipted != 2 || r.Waiting != 0 || len(r.Warnings) > 0 || len(sealedFiles(t, stick)) > 0 {
			t.Errorf("%+v", r)
		}
	}
}

// A stick that visits another state is told so there, and still arrives at home.
func TestCourierOfTwoStates(t *testing.T) {
	home, far := newCapital(t, "17031"), newCapital(t, "18001")
	ems, stick := home.newAir(2), t.TempDir()
	ems.mustSync(stick)
	r := far.newDesk().mustSync(stick)
	if !mentions(r.Warnings, "sealed to another collector") {
		t.Errorf("%+v", r)
	}
	if r := home.newDesk().mustSync(stick); len(r.Answered) != 1 || len(r.Warnings) > 0 {
		t.Errorf("%+v", r)
	}
	if r := ems.mustSync(stick); r.Receipted != 2 || len(r.Warnings) > 0 {
		t.Errorf("%+v", r)
	}
	// The answer of a stranger, with receipts of the stranger's own.
	ems.audit(1)
	ems.mustSync(stick)
	receipt, err := wire.SignReceipt(muster.Receipt{Host: ems.id, Seq: 3, Digest: muster.Digest{1}}, far.key)
	home.must(err)
	ems.answer(stick, wire.Outcome{Host: ems.id, Seq: 3, Code: wire.CodeStored, Receipt: receipt})
	if r := ems.mustSync(stick); r.Receipted != 0 || r.Waiting != 1 || !mentions(r.Warnings, "another state") || len(sealedFiles(t, stick)) != 1 {
		t.Errorf("%+v", r)
	}
	home.newDesk().mustSync(stick)
	if r := ems.mustSync(stick); r.Receipted != 1 || r.Waiting != 0 || len(r.Warnings) > 0 {
		t.Errorf("%+v", r)
	}
}

// A new key of the collector reaches the host with a new site file; what was
// sealed to the old one is sealed again once the collector says that it cannot
// open it.
func TestCourierKeyReplaced(t *testing.T) {
	c := newCapital(t, "17031")
	ems, desk, stick := c.newAir(1), c.newDesk(), t.TempDir()
	other := newCapital(t, "17031")
	c.site.AgeRecipient = other.site.AgeRecipient
	ems.mustSync(stick)
	desk.mustSync(stick)
	c.site.AgeRecipient = c.seal.Recipient()
	if r := ems.mustSync(stick); !mentions(r.Warnings, "another collector") || len(r.Sealed) != 1 || len(sealedFiles(t, stick)) != 1 {
		t.Fatalf("%+v", r)
	}
	desk.mustSync(stick)
	if r := ems.mustSync(stick); r.Waiting != 0 || len(r.Warnings) > 0 {
		t.Errorf("%+v", r)
	}
}

// A collector that lacks this program's sample gets the reports in plain frames.
func TestCourierWithoutTheSample(t *testing.T) {
	c := newCapital(t, "17031")
	ems, stick := c.newAir(1), t.TempDir()
	plain := func() bool {
		t.Helper()
		b, err := os.ReadFile(one(t, filepath.Join(stick, "MUSTER", "outgoing", "*.courier")))
		c.must(err)
		r, err := seal.Open(bytes.NewReader(b), c.seal)
		c.must(err)
		var f wire.Frame
		c.must(r.Read(&f))
		return f.Base.IsZero()
	}
	ems.mustSync(stick)
	if plain() {
		t.Fatal("the first file is plain already")
	}
	ems.answer(stick, wire.Outcome{Host: ems.id, Seq: 1, Code: wire.CodeNeedBase})
	if r := ems.mustSync(stick); len(r.Warnings) > 0 || len(r.Sealed) != 1 {
		t.Fatalf("%+v", r)
	}
	if !plain() {
		t.Error("the second file needs the sample too")
	}
	c.newDesk().mustSync(stick)
	if r := ems.mustSync(stick); r.Waiting != 0 || len(r.Warnings) > 0 {
		t.Errorf("%+v", r)
	}
}

func TestExportAndImport(t *testing.T) {
	c := newCapital(t, "17031")
	c.publish(3)
	ems, desk := c.newAir(2), c.newDesk()
	o := agent.CourierOptions{Site: c.site, StateDir: ems.dir}
	r, content, err := agent.Export(o)
	if err != nil || r.SealedReports != 2 || content == nil {
		t.Fatalf("%+v, %v", r, err)
	}
	out := filepath.Join(desk.dir, "relay", "out", "x.courier")
	c.must(os.WriteFile(out, content, 0o644))
	c.must(desk.post(t.Context()))
	var in *agent.InputError
	if _, err := agent.Import(out, o); !errors.As(err, &in) || !strings.Contains(in.Hint(), "on its way to the state") {
		t.Errorf("the sealed file imported: %v", err)
	}
	answer := one(t, filepath.Join(desk.dir, "relay", "in", "*.return"))
	if _, err := agent.Import(answer, agent.CourierOptions{Site: c.site, StateDir: c.newAir(1).dir}); !errors.As(err, &in) {
		t.Errorf("imported on another computer: %v", err)
	}
	for range 2 {
		if r, err = agent.Import(answer, o); err != nil || r.Waiting != 0 || len(r.Warnings) > 0 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if _, content, err = agent.Export(o); err != nil || content != nil {
		t.Errorf("nothing waits: %d bytes, %v", len(content), err)
	}
}

func TestCourierNeedsItsPlace(t *testing.T) {
	c := newCapital(t, "17031")
	ems, stick := c.newAir(1), t.TempDir()
	for name, o := range map[string]agent.CourierOptions{
		"no site file":        {StateDir: ems.dir},
		"no reports":          {Site: c.site, StateDir: stateDir(t), Profile: muster.EMS},
		"no uplink":           {Site: c.site, StateDir: stateDir(t)},
		"a stick without us":  {Site: c.site, StateDir: ems.dir},
		"site of no courier":  {Site: newAuthority(t, "17031").site, StateDir: ems.dir, Profile: muster.EMS},
		"site of other state": {Site: newCapital(t, "18001").site, StateDir: ems.dir, Profile: muster.EMS},
	} {
		var in *agent.InputError
		if _, err := agent.Sync(t.Context(), stick, o); !errors.As(err, &in) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadDir(stick); err != nil || len(left) > 0 {
			t.Errorf("%s: left on the stick: %v, %v", name, left, err)
		}
	}
	var in *agent.InputError
	if _, err := ems.sync(filepath.Join(stick, "nowhere")); !errors.As(err, &in) {
		t.Errorf("no stick: %v", err)
	}
}
