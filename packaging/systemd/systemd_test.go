package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster/agent/schedule"
	"github.com/passmuster/muster/agent/state"
)

// setting gives the values of a key in a unit.
func setting(t *testing.T, unit, key string) []string {
	t.Helper()
	b, err := files.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			values = append(values, value)
		}
	}
	return values
}

// The numbers are those of agent/schedule.
func TestUnitsKeepTheSchedule(t *testing.T) {
	for _, c := range []struct {
		unit, key string
		want      time.Duration
	}{
		{"muster-audit.timer", "RandomizedDelaySec", schedule.Splay},
		{"muster-audit-boot.timer", "OnBootSec", schedule.AfterStart},
		{"muster-audit-boot.timer", "RandomizedDelaySec", schedule.StartSplay},
		{"muster-audit.service", "TimeoutStartSec", schedule.Limit + 2*schedule.Gap},
	} {
		want := fmt.Sprintf("%dmin", int(c.want.Minutes()))
		if got := setting(t, c.unit, c.key); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %s=%v, want %s", c.unit, c.key, got, want)
		}
	}
	if got := setting(t, "muster-audit.timer", "OnCalendar"); len(got) != 1 || got[0] != "hourly" || schedule.Every != time.Hour {
		t.Errorf("every %v, OnCalendar=%v", schedule.Every, got)
	}
}

// The two programs get no more than design section 6 says.
func TestUnitsKeepTheSidesApart(t *testing.T) {
	for _, c := range []struct{ unit, key, want string }{
		{"muster-audit.service", "RestrictAddressFamilies", "AF_UNIX AF_NETLINK"},
		{"muster-audit.service", "IPAddressDeny", "any"},
		{"muster-audit.service", "ProtectSystem", "strict"},
		{"muster-audit.service", "Wants", "muster-uplink.service"},
		{"muster-audit.service", "StateDirectory", filepath.Base(state.DefaultDir())},
		{"muster-uplink.service", "User", state.UplinkGroup},
		{"muster-uplink.service", "Group", state.UplinkGroup},
		{"muster-uplink.service", "CapabilityBoundingSet", ""},
		{"muster-uplink.service", "ProtectSystem", "strict"},
		{"muster-uplink.service", "EnvironmentFile", "-/etc/default/muster-uplink"},
		{"muster-uplink.service", "ConditionPathExists", "/etc/muster/site.json"},
	} {
		if got := setting(t, c.unit, c.key); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %s=%q, want %q", c.unit, c.key, got, c.want)
		}
	}
	if got := setting(t, "muster-audit.service", "ReadWritePaths"); got != nil {
		t.Errorf("the audit may also write to %v", got)
	}
	for _, path := range strings.Fields(setting(t, "muster-uplink.service", "ReadWritePaths")[0]) {
		sub, ok := strings.CutPrefix(path, state.DefaultDir()+"/")
		if !ok || strings.Contains("key outbox policy", sub) {
			t.Errorf("the uplink may write to %s", path)
		}
	}
}

// systemd itself reads the units; it complains on stderr only.
func TestSystemdTakesTheUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: it comes with systemd")
	}
	dir := t.TempDir()
	list, err := Files(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	var units []string
	for _, f := range list {
		// The programs are not installed here; any that is stands for them.
		text := strings.NewReplacer("/usr/bin/muster-uplink", "/bin/true", "/usr/bin/muster", "/bin/true").Replace(string(f.Content))
		text = strings.ReplaceAll(text, "User="+state.UplinkGroup, "User=root")
		if err := os.WriteFile(f.Path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(f.Path) != ".conf" {
			units = append(units, f.Path)
		}
	}
	if len(units) != 5 || len(list) != 6 {
		t.Fatalf("units %v", units)
	}
	const collector = "../linux/muster-collector/muster-collector.service" // installed by its package only
	text, err := os.ReadFile(collector)
	if err != nil {
		t.Fatal(err)
	}
	units = append(units, filepath.Join(dir, filepath.Base(collector)))
	replaced := strings.NewReplacer("/usr/bin/muster-collector", "/bin/true", "=muster-collector\nGroup=muster-collector", "=root\nGroup=root").Replace(string(text))
	if err := os.WriteFile(units[5], []byte(replaced), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(analyze, append([]string{"verify", "--man=no"}, units...)...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// Exposure in tenths; the audit must read everything, and cannot score like the others.
	for unit, threshold := range map[string]string{"muster-uplink.service": "19", collector: "19", "muster-audit.service": "39"} {
		out, err := exec.Command(analyze, "security", "--offline=yes", "--no-pager", "--threshold="+threshold, "./"+unit).CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if t.Log(lines[len(lines)-1]); err != nil {
			t.Errorf("systemd-analyze security %s: %v\n%s", unit, err, out)
		}
	}
}
