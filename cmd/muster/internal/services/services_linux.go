package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/packaging/systemd"
)

const (
	unitDir     = "/etc/systemd/system"
	sysusersDir = "/etc/sysusers.d"
	auditUnit   = "muster-audit.service"
)

// packaged are where a package puts its units; what it owns is not written beside it.
var packaged = []string{"/usr/lib/systemd/system", "/lib/systemd/system"}

// Install writes the units, makes the user of the uplink, and starts everything.
// What is there already is put right.
func Install(ctx context.Context, o Options) error {
	if err := booted(); err != nil {
		return err
	}
	files, err := unitFiles(o.Programs)
	if err != nil {
		return err
	}
	var steps []step
	if _, ours := packageUnit(); ours {
		steps = giveWay(files)
	} else {
		for _, name := range []string{"muster", "muster-uplink"} {
			if err := onlyRootChanges(filepath.Join(o.Programs, name)); err != nil {
				return err
			}
		}
		for _, f := range files {
			steps = append(steps, step{"write " + f.Path, func(context.Context) error {
				if err := durable.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
					return err
				}
				return durable.WriteFile(f.Path, f.Content, 0o644)
			}})
		}
	}
	steps = append(steps,
		step{"make the user " + state.UplinkGroup, command("systemd-sysusers")},
		makeState(o))
	steps = append(steps, installSite(o)...) // last: with it the uplink may start
	steps = append(steps, step{"have systemd read the units", command("systemctl", "daemon-reload")})
	if command("systemctl", "is-active", "muster-uplink.service")(ctx) == nil { // now, with the site file before
		steps = append(steps, step{"start muster-uplink.service anew", command("systemctl", "try-restart", "muster-uplink.service")})
	}
	steps = append(steps,
		step{"start " + strings.Join(systemd.Enabled(), ", "), command("systemctl", append([]string{"enable", "--now"}, systemd.Enabled()...)...)},
	)
	return take(ctx, o, steps)
}

// Uninstall stops and removes the units. The reports stay unless o.Purge is set.
func Uninstall(ctx context.Context, o Options) error {
	if err := booted(); err != nil {
		return err
	}
	files, err := unitFiles(o.Programs)
	if err != nil {
		return err
	}
	if unit, ours := packageUnit(); ours {
		return errors.Join(take(ctx, o, giveWay(files)),
			fmt.Errorf("%s belongs to a package: remove the package instead, for example with apt remove muster", unit))
	}
	var steps []step
	if _, err := os.Stat(filepath.Join(unitDir, auditUnit)); err == nil {
		steps = append(steps, step{"stop " + strings.Join(systemd.Enabled(), ", "),
			command("systemctl", append([]string{"disable", "--now"}, append(systemd.Enabled(), auditUnit)...)...)})
	}
	for _, f := range files {
		steps = append(steps, step{"remove " + f.Path, func(context.Context) error { return durable.Remove(f.Path) }})
	}
	steps = append(steps, step{"have systemd read the units", command("systemctl", "daemon-reload")})
	if o.Purge {
		steps = append(steps,
			step{"delete " + state.DefaultDir() + " with the host key and all reports", func(context.Context) error { return os.RemoveAll(state.DefaultDir()) }},
			step{"delete the site file " + o.SiteFile, func(context.Context) error { return durable.Remove(o.SiteFile) }})
	}
	return take(ctx, o, steps)
}

// unitFiles are the files with the programs' own place in them.
func unitFiles(programs string) ([]systemd.File, error) {
	files, err := systemd.Files(unitDir, sysusersDir)
	for i := range files {
		files[i].Content = bytes.ReplaceAll(files[i].Content, []byte("ExecStart=/usr/bin/"), []byte("ExecStart="+programs+"/"))
	}
	return files, err
}

// giveWay removes what an Install before the package has written, which hides the
// package's units. The last file, with the user of the uplink, tells that it was one: who
// changes a unit of the package has a file of its name there, too.
func giveWay(files []systemd.File) (steps []step) {
	if _, err := os.Stat(files[len(files)-1].Path); err != nil {
		return nil
	}
	for _, f := range files {
		steps = append(steps, step{"remove " + f.Path + ", which is from before the package", func(context.Context) error { return durable.Remove(f.Path) }})
	}
	return append(steps,
		step{"have systemd read the units", command("systemctl", "daemon-reload")},
		// What starts them with the system leads to the files that are gone.
		step{"enable the units of the package", command("systemctl", append([]string{"reenable"}, systemd.Enabled()...)...)})
}

func packageUnit() (path string, found bool) {
	for _, dir := range packaged {
		path := filepath.Join(dir, auditUnit)
		if _, err := os.Stat(path); err == nil {
			return path, true
		}
	}
	return "", false
}

// booted refuses a computer that another program than systemd has started.
func booted() error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return errors.New("systemd does not run here: have your own scheduler run `muster audit` every hour, and your own supervisor muster-uplink")
	}
	return nil
}

// onlyRootChanges refuses a program that root would run and others can change.
func onlyRootChanges(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("look for %s: %w", path, err)
	}
	for p := real; ; p = filepath.Dir(p) {
		info, err := os.Lstat(p)
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 || info.Mode().Perm()&0o022 != 0 {
			return fmt.Errorf("others than root can change %s: move the programs to /usr/local/bin, owned by root, and install from there", p)
		}
		if p == filepath.Dir(p) {
			return nil
		}
	}
}

// command runs a program of systemd and tells what it said if it fails.
func command(name string, args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
		}
		return nil
	}
}

var what = map[string]string{
	"muster-audit.timer":      "audits every hour",
	"muster-audit-boot.timer": "audits after a start",
	"muster-audit.path":       "audits on request",
	"muster-uplink.service":   "carries the reports",
}

// States asks systemd how the units stand; everyone may. Its error wraps
// fs.ErrNotExist where systemd does not run.
func States(ctx context.Context) ([]agent.Service, error) {
	if booted() != nil {
		return nil, fmt.Errorf("ask systemd: %w", fs.ErrNotExist)
	}
	out, err := exec.CommandContext(ctx, "systemctl", append([]string{"show", "--property=Id,LoadState,ActiveState,UnitFileState"}, systemd.Enabled()...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("ask systemd: %w", err)
	}
	return parseStates(string(out)), nil
}

// parseStates reads what systemctl show prints: lines of a unit, then a blank one.
func parseStates(out string) []agent.Service {
	var list []agent.Service
	for block := range strings.SplitSeq(strings.TrimSpace(out), "\n\n") {
		p := map[string]string{}
		for line := range strings.Lines(block) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			p[key] = value
		}
		if what[p["Id"]] == "" {
			continue
		}
		list = append(list, agent.Service{
			Name: p["Id"], What: what[p["Id"]],
			Installed: p["LoadState"] == "loaded" && strings.HasPrefix(p["UnitFileState"], "enabled"),
			Running:   p["ActiveState"] == "active" || p["ActiveState"] == "activating",
		})
	}
	return list
}
