package services

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/durable"
)

const (
	firewallRule = "Muster: the audit has no network"
	restartAfter = 30 * time.Second
	stopTimeout  = 30 * time.Second
)

// Install makes both services and starts them. What is there already is put right.
func Install(ctx context.Context, o Options) error {
	steps := prepare(o)
	for _, p := range programs(o.Programs) {
		if _, err := os.Stat(p.exe); err != nil {
			return fmt.Errorf("look for the program of %s: %w", p.name, err)
		}
		steps = append(steps,
			step{"make the service " + p.name, func(context.Context) error { return p.install() }},
			step{"start the service " + p.name, func(context.Context) error { return p.start() }})
	}
	return take(ctx, o, steps)
}

// Prepare does what Install does but for the services, which the MSI makes.
func Prepare(ctx context.Context, o Options) error {
	err := take(ctx, o, prepare(o))
	if err != nil && o.AuthKey != nil {
		err = errors.Join(err, forgetKey()) // nobody comes to use it
	}
	return err
}

func forgetKey() error {
	f, err := state.OpenReader(state.DefaultDir())
	if err != nil {
		return nil // nor is there a key
	}
	return durable.Remove(f.AuthKeyFile())
}

func prepare(o Options) []step {
	if o.AuthKey != nil && o.Site == nil {
		o.Site, _ = os.ReadFile(o.SiteFile) // written anew, it has the uplink start anew, which takes the key
	}
	exe := programs(o.Programs)[0].exe
	return append([]step{ // the firewall first: it may refuse, and then nothing was changed
		{"have the firewall block all connections of " + exe, blockOutbound(exe)},
		makeState(o),
	}, installSite(o)...)
}

// Uninstall stops and removes both services. The reports stay unless o.Purge is set.
func Uninstall(ctx context.Context, o Options) error {
	var steps []step
	for _, p := range programs(o.Programs) {
		steps = append(steps, step{"stop and remove the service " + p.name, p.remove})
	}
	return take(ctx, o, append(steps, undo(o)...))
}

// Undo undoes Prepare. The reports stay unless o.Purge is set.
func Undo(ctx context.Context, o Options) error { return take(ctx, o, undo(o)) }

func undo(o Options) []step {
	steps := []step{{"remove the rule of the firewall, the sources of the event log, and an auth key that was not used", func(ctx context.Context) error {
		_ = netsh("delete", "rule", "name="+firewallRule)(ctx) // there may be none
		for _, p := range programs(o.Programs) {
			_ = eventlog.Remove(p.name) // it may never have been there
		}
		return forgetKey()
	}}}
	if o.Purge {
		steps = append(steps, step{"delete " + state.DefaultDir() + " with the host key, all reports and the site file", func(context.Context) error {
			return errors.Join(durable.Remove(o.SiteFile), removeAll(state.DefaultDir()))
		}})
	}
	return steps
}

// removeAll deletes a folder, and follows no link in it. Where Windows cannot delete
// by handle, as under wine, it deletes by name, from the leaves.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, windows.ERROR_INVALID_FUNCTION) {
		return err
	}
	var paths []string
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	for _, path := range slices.Backward(paths) {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

func (p program) install() error {
	m, err := mgr.Connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	c := mgr.Config{StartType: mgr.StartAutomatic, DisplayName: p.display, Description: p.description, ServiceStartName: p.account}
	s, err := m.OpenService(p.name)
	if err != nil {
		s, err = m.CreateService(p.name, p.exe, c, p.args...)
	} else {
		c.ServiceType, c.ErrorControl = windows.SERVICE_WIN32_OWN_PROCESS, mgr.ErrorNormal
		c.BinaryPathName = syscall.EscapeArg(p.exe) + " " + strings.Join(p.args, " ")
		err = s.UpdateConfig(c)
	}
	if err != nil {
		return err
	}
	return s.Close()
}

// with opens the service for what is to be done with it.
func (p program) with(do func(*mgr.Service) error) error {
	m, err := mgr.Connect()
	if err != nil {
		return err
	}
	defer m.Disconnect()
	s, err := m.OpenService(p.name)
	if err != nil {
		return err
	}
	defer s.Close()
	return do(s)
}

// tend has Windows start the service again after a failure, and know it in the event
// log. Both are comfort: a service without them works until it first fails.
func (p program) tend() {
	_ = eventlog.InstallAsEventCreate(p.name, eventlog.Error|eventlog.Warning|eventlog.Info) // it fails where it is there
	_ = p.with(func(s *mgr.Service) error {
		again := mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: restartAfter}
		return errors.Join(s.SetRecoveryActions([]mgr.RecoveryAction{again, again, again}, uint32((24*time.Hour).Seconds())),
			s.SetRecoveryActionsOnNonCrashFailures(true))
	})
}

func (p program) start() error {
	return p.with(func(s *mgr.Service) error {
		if err := s.Start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
			return err
		}
		return nil
	})
}

func (p program) remove(ctx context.Context) error {
	err := p.with(func(s *mgr.Service) error {
		if err := stop(ctx, s); err != nil {
			return err
		}
		return s.Delete()
	})
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return nil
	}
	return err
}

// stop stops a service and waits until it has ended.
func stop(ctx context.Context, s *mgr.Service) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	for {
		now, err := s.Query()
		if err != nil || now.State == svc.Stopped {
			return err
		}
		_, _ = s.Control(svc.Stop) // one that is still starting takes it only later
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not stop: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// blockOutbound stands for the socket restriction that systemd has. A rule of the
// name is replaced.
func blockOutbound(exe string) func(context.Context) error {
	return func(ctx context.Context) error {
		_ = netsh("delete", "rule", "name="+firewallRule)(ctx) // there may be none
		return netsh("add", "rule", "name="+firewallRule, "dir=out", "action=block", "program="+exe, "enable=yes", "profile=any")(ctx)
	}
}

// netsh is asked by its full path: the folder that we are in may be anyone's.
func netsh(args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		system, err := windows.GetSystemDirectory()
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, filepath.Join(system, "netsh.exe"), append([]string{"advfirewall", "firewall"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("netsh: %w: %s", err, strings.TrimSpace(string(out)))
		}
		return nil
	}
}

// LogSetup keeps what an installation did, and why it failed: nobody sees its console.
func LogSetup(said string, failed error) {
	if failed != nil {
		said += "error: " + failed.Error() + "\n"
		tell(fmt.Errorf("the installation failed: %w", failed))
	}
	dir, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		return
	}
	said = strings.ReplaceAll(time.Now().Format(time.RFC3339)+"\n"+said, "\n", "\r\n")
	path := filepath.Join(dir, "Logs", "muster-setup.log") // only administrators write there
	if durable.MkdirAll(filepath.Dir(path), 0o755) == nil {
		_ = durable.WriteFile(path, []byte(said), 0o644)
	}
}

// States asks the service manager how the services stand; everyone may.
func States(context.Context) ([]agent.Service, error) {
	m, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return nil, fmt.Errorf("ask the service manager: %w", err)
	}
	defer windows.CloseServiceHandle(m)
	var list []agent.Service
	for _, p := range programs("") {
		s := agent.Service{Name: p.name, What: p.what}
		if err := query(m, &s); err != nil {
			return nil, fmt.Errorf("ask for the service %s: %w", p.name, err)
		}
		list = append(list, s)
	}
	return list, nil
}

func query(m windows.Handle, s *agent.Service) error {
	name, err := windows.UTF16PtrFromString(s.Name)
	if err != nil {
		return err
	}
	h, err := windows.OpenService(m, name, windows.SERVICE_QUERY_STATUS|windows.SERVICE_QUERY_CONFIG)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return nil
	}
	if err != nil {
		return err
	}
	one := &mgr.Service{Name: s.Name, Handle: h}
	defer one.Close()
	now, err := one.Query()
	if err != nil {
		return err
	}
	s.Installed, s.Running = true, now.State == svc.Running || now.State == svc.StartPending
	return nil
}
