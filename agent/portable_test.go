package agent_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/media"
	"github.com/passmuster/muster/agent/state"
)

func (c *capital) newStick(root string) (stick *media.Stick, machine string) {
	c.t.Helper()
	stick, err := media.Make(root)
	c.must(err)
	machine, err = state.MachineID()
	c.must(err)
	return stick, machine
}

func (c *capital) portable(stick *media.Stick, machine string) *agent.Result {
	c.t.Helper()
	return mustAudit(c.t, agent.Options{Site: c.site, Profile: muster.EMS, Portable: &agent.Portable{Stick: stick, Machine: machine},
		Answer: func(context.Context, []muster.Fact) []muster.FactResult { return nil }})
}

// A portable audit takes the answers from the stick before it judges, and seals its
// report onto it.
func TestCourierOfAPortableAudit(t *testing.T) {
	c := newCapital(t, "17031")
	c.publish(7)
	desk, root := c.newDesk(), t.TempDir()
	stick, machine := c.newStick(root)
	audit := func() *agent.Result {
		t.Helper()
		res := c.portable(stick, machine)
		if res.Report == 0 || len(res.Warnings) > 0 {
			t.Fatalf("%s %q", res.Outcome, res.Warnings)
		}
		return res
	}
	if res := audit(); !strings.Contains(res.Outcome, "1 report sealed") || len(sealedFiles(t, root)) != 1 || res.Policy != agent.PolicyBuiltIn {
		t.Fatalf("%s, %v", res.Outcome, sealedFiles(t, root))
	}
	desk.mustSync(root)
	if res := audit(); res.Report != 2 || res.Policy != agent.PolicyState || len(sealedFiles(t, root)) != 1 {
		t.Fatalf("%s, judged by %v, %v", res.Outcome, res.Policy, sealedFiles(t, root))
	}
	report, err := agent.ReadReport(stick.HostDir(machine), "latest")
	if err == nil && len(report.Detail.Custody) < 4 {
		t.Errorf("custody %+v", report.Detail.Custody)
	}
	desk.mustSync(root)
	if got := c.has(agent.KnownHost(stick.HostDir(machine))); got != 2 {
		t.Errorf("the collector has %d", got)
	}
}

// A stick does not lead a portable audit, which has all rights, onto the computer.
func TestPortableAuditFollowsNoLink(t *testing.T) {
	c := newCapital(t, "17031")
	stick, machine := c.newStick(t.TempDir())
	for _, name := range []string{stick.Path("hosts"), stick.HostDir(machine), filepath.Join(stick.HostDir(machine), "key")} {
		elsewhere := t.TempDir()
		c.must(os.RemoveAll(stick.Path("hosts")))
		c.must(os.MkdirAll(filepath.Dir(name), 0o755))
		if err := os.Symlink(elsewhere, name); err != nil {
			t.Skipf("no links here: %v", err)
		}
		res := c.portable(stick, machine)
		if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 || res.Report != 0 || !mentions(res.Warnings, "link") {
			t.Errorf("%s: left %v, %v: %s %q", name, left, err, res.Outcome, res.Warnings)
		}
	}
}
