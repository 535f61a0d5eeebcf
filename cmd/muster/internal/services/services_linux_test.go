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

func TestUnitsBeforeThePackageGiveWay(t *testing.T) {
	dir := t.TempDir()
	files, err := systemd.Files(dir, filepath.Join(dir, "sysusers.d"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(f systemd.File) {
		if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Path, f.Content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(files[0])
	if steps := giveWay(files); steps != nil {
		t.Errorf("a unit that an administrator has changed: %d steps", len(steps))
	}
	for _, f := range files {
		write(f)
	}
	for _, s := range giveWay(files)[:len(files)] { // systemd is not asked here
		if len(giveWay(files)) == 0 {
			t.Errorf("interrupted before %q, it is not taken up again", s.says)
		}
		if err := s.do(t.Context()); err != nil {
			t.Errorf("%s: %v", s.says, err)
		}
	}
	for _, f := range files {
		if _, err := os.Stat(f.Path); err == nil {
			t.Errorf("%s is left", f.Path)
		}
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
