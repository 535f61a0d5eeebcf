package services

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/packaging/systemd"
)

func TestParseStates(t *testing.T) {
	got := parseStates(`Id=muster-audit.timer
LoadState=loaded
ActiveState=active
UnitFileState=enabled

Id=muster-audit.path
LoadState=not-found
ActiveState=inactive
UnitFileState=

Id=muster-uplink.service
LoadState=loaded
ActiveState=failed
UnitFileState=enabled

Id=other.service
`)
	want := []agent.Service{
		{Name: "muster-audit.timer", What: "audits every hour", Installed: true, Running: true},
		{Name: "muster-audit.path", What: "audits on request"},
		{Name: "muster-uplink.service", What: "carries the reports", Installed: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	for _, unit := range systemd.Enabled() {
		if what[unit] == "" {
			t.Errorf("nothing says what %s does", unit)
		}
	}
}

func TestUnitFilesNameThePrograms(t *testing.T) {
	files, err := unitFiles("/opt/muster")
	if err != nil {
		t.Fatal(err)
	}
	starts := 0
	for _, f := range files {
		for line := range strings.Lines(string(f.Content)) {
			if strings.HasPrefix(line, "ExecStart=") {
				starts++
				if !strings.HasPrefix(line, "ExecStart=/opt/muster/muster") {
					t.Errorf("%s: %s", f.Path, line)
				}
			}
		}
	}
	if starts != 2 {
		t.Errorf("%d programs are started", starts)
	}
}

func TestProgramThatOthersChangeIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "muster") // below /tmp, where everybody writes
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := onlyRootChanges(path); err == nil || !strings.Contains(err.Error(), "move the programs to /usr/local/bin") {
		t.Errorf("said %v", err)
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := onlyRootChanges("/bin/sh"); err != nil {
		t.Error(err)
	}
}
