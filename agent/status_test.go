package agent_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/outbox"
)

// What the status files tell becomes a sentence about what is wrong, and one about
// what to do.
func TestStatusTellsWhatToDo(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	mustAudit(t, agent.Options{Site: a.site, StateDir: dir})
	now := time.Now()
	var audit agent.AuditStatus
	auditFile := filepath.Join(dir, "status", "audit.json")
	b, err := os.ReadFile(auditFile)
	if err == nil {
		err = json.Unmarshal(b, &audit)
	}
	if err != nil {
		t.Fatal(err)
	}
	if audit.Outbox == nil || *audit.Outbox != (outbox.Depth{Reports: 1, Bytes: audit.Outbox.Bytes, Oldest: 1, Newest: 1}) || audit.CPUSeconds <= 0 || audit.TookSeconds <= 0 {
		t.Errorf("the audit left %+v", audit)
	}
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	tailnet := func(s muster.TailnetStatus) agent.UplinkStatus {
		return agent.UplinkStatus{UpdatedAt: now, LastContact: now, Tailnet: &s}
	}
	for _, c := range []struct {
		name     string
		uplink   agent.UplinkStatus
		change   func(*agent.AuditStatus)
		services []agent.Service
		says, do string
	}{
		{name: "well", uplink: agent.UplinkStatus{State: muster.HostActive, UpdatedAt: now, LastContact: now, ClockSkewSeconds: 100}},
		{name: "clock ahead", uplink: agent.UplinkStatus{UpdatedAt: now, ClockSkewSeconds: 7200}, says: "is 2 hours ahead of the state's", do: "Set the clock"},
		{name: "clock behind", uplink: agent.UplinkStatus{UpdatedAt: now, ClockSkewSeconds: -600}, says: "is 10 minutes behind the state's", do: "Set the clock"},
		{name: "clock absurd", uplink: agent.UplinkStatus{UpdatedAt: now, ClockSkewSeconds: 1 << 60}, says: "ahead of", do: "Set the clock"},
		{name: "no word", uplink: agent.UplinkStatus{UpdatedAt: ago(48 * time.Hour)}, says: "no word for 48 hours", do: "Start it again"},
		{name: "no contact", uplink: agent.UplinkStatus{UpdatedAt: now, LastContact: ago(10 * 24 * time.Hour)}, says: "not reached for 10 days", do: "courier stick"},
		{name: "to sign in", uplink: tailnet(muster.TailnetStatus{State: "needs_login", LoginURL: "https://login.example/a"}), says: "not in the tailnet", do: "opens https://login.example/a"},
		{name: "key gone", uplink: tailnet(muster.TailnetStatus{State: "needs_login"}), says: "not in the tailnet", do: "a new auth key"},
		{name: "key wrong", uplink: tailnet(muster.TailnetStatus{State: "needs_login", Problems: []string{muster.TailnetSignedOut + ": …", "You are logged out. The last login error was: invalid authkey"}}),
			says: "not in the tailnet: invalid authkey.", do: "--auth-key"},
		{name: "no network", uplink: tailnet(muster.TailnetStatus{State: "needs_login", Problems: []string{"You are logged out. The last login error was: fetch control key: Get \"https://login.example/key\": EOF"}}),
			says: "not in the tailnet: fetch control key", do: "Check the network"},
		{name: "to be approved", uplink: tailnet(muster.TailnetStatus{State: "needs_login", Problems: []string{muster.TailnetUnapproved}}), says: "waits for approval there", do: "approves this computer"},
		{name: "not yet in", uplink: tailnet(muster.TailnetStatus{State: "starting", Problems: []string{"Tailscale is starting. Please wait."}}), says: "not in the tailnet yet", do: "Wait a minute"},
		{name: "expired", uplink: tailnet(muster.TailnetStatus{State: "expired"}), says: "has expired", do: "none is lost"},
		{name: "ends soon", uplink: tailnet(muster.TailnetStatus{State: "running", KeyExpires: now.Add(49 * time.Hour)}), says: "ends in 2 days", do: "renews it"},
		{name: "running", uplink: tailnet(muster.TailnetStatus{State: "running", KeyExpires: now.Add(90 * 24 * time.Hour)})},
		{name: "not running", uplink: agent.UplinkStatus{UpdatedAt: now, Error: "no way out", Tailnet: &muster.TailnetStatus{State: "stopped"}}, says: "The tailnet is stopped: no way out", do: "Start muster-uplink"},
		{name: "warned", uplink: tailnet(muster.TailnetStatus{State: "running", Problems: []string{"no relay"}}), says: "The tailnet says: no relay", do: "Tell"},
		{name: "refused without a reason", uplink: agent.UplinkStatus{UpdatedAt: now, Refused: []agent.Refusal{{Seq: 9, Code: "conflict"}}}, says: "the newest being 9: conflict", do: "Ask your state"},
		{name: "stick refused", uplink: agent.UplinkStatus{UpdatedAt: now, RelayRefused: []agent.Refusal{{Reason: "of another state"}}}, says: "1 files from courier sticks: of another state", do: "on their own computers"},
		{name: "gap", uplink: agent.UplinkStatus{UpdatedAt: now}, change: func(a *agent.AuditStatus) { a.Dropped = 3 }, says: "3 reports are lost", do: "tells the state"},
		{name: "not kept", uplink: agent.UplinkStatus{UpdatedAt: now}, change: func(a *agent.AuditStatus) { a.Unkept = []string{"the disk is full"} }, says: "A report is missing: the disk is full", do: "run muster audit"},
		{name: "not installed", services: []agent.Service{{Name: "x.timer"}, {Name: "y.service", Installed: true, Running: true}}, says: "Not installed: x.timer.", do: "muster service install"},
		{name: "stopped", services: []agent.Service{{Name: "y.service", Installed: true}}, says: "Does not run: y.service.", do: "muster service install"},
	} {
		t.Run(c.name, func(t *testing.T) {
			left := audit
			if c.change != nil {
				c.change(&left)
			}
			for file, v := range map[string]any{auditFile: left, filepath.Join(dir, "status", "uplink.json"): c.uplink} {
				b, err := json.Marshal(v)
				if err == nil {
					err = os.WriteFile(file, b, 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			s, err := agent.ReadStatus(dir, a.site, now)
			if err != nil {
				t.Fatal(err)
			}
			s.JudgeServices(c.services)
			switch {
			case c.says == "" && len(s.Problems) > 0:
				t.Errorf("said %+v", s.Problems)
			case c.says != "" && (len(s.Problems) != 1 || !strings.Contains(s.Problems[0].What, c.says) || !strings.Contains(s.Problems[0].Do, c.do)):
				t.Errorf("said %+v, want %q and %q", s.Problems, c.says, c.do)
			}
		})
	}
}

// The uplink's word that nothing waits counts from when the last report was kept.
func TestDelivered(t *testing.T) {
	kept := time.Now()
	for name, c := range map[string]struct {
		uplink agent.UplinkStatus
		want   bool
	}{
		"delivered":         {agent.UplinkStatus{UpdatedAt: kept.Add(1)}, true},
		"waits":             {agent.UplinkStatus{UpdatedAt: kept.Add(1), Waiting: 1}, false},
		"not looked since":  {agent.UplinkStatus{UpdatedAt: kept}, false},
		"in trouble":        {agent.UplinkStatus{UpdatedAt: kept.Add(1), Error: "no way"}, false},
		"refused":           {agent.UplinkStatus{UpdatedAt: kept.Add(1), Refused: []agent.Refusal{{Seq: 2}}}, false},
		"an older, refused": {agent.UplinkStatus{UpdatedAt: kept.Add(1), Refused: []agent.Refusal{{Seq: 1}}}, true},
	} {
		s := agent.Status{Audit: &agent.AuditStatus{Report: 2, KeptAt: kept}, Uplink: &c.uplink}
		if got := s.Delivered(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if (&agent.Status{Audit: &agent.AuditStatus{Report: 2}, Uplink: &agent.UplinkStatus{UpdatedAt: kept}}).Delivered() {
		t.Error("nobody knows whether the uplink has looked since an audit of an earlier version")
	}
	if (&agent.Status{}).Delivered() {
		t.Error("nothing is delivered before the first audit")
	}
}
