package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/schedule"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/cmd/muster/internal/services"
)

// An audit that nobody waits for is gentle.
const (
	// gentleMemory is when the garbage collector begins to work hard, in bytes; the
	// services end a program that needs twice as much.
	gentleMemory = 128 << 20
	// gentleShare is how much of one processor the audit takes before it pauses.
	gentleShare = 0.5
)

func newServiceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "service",
		Short: "Audit this computer every hour, and carry its reports",
		Long: `Install what audits this computer every hour and carries its reports to the state:
systemd units on Linux, two services on Windows. The audit has all rights and no
network; muster-uplink has the network and no rights.`,
	}
	cmd.AddCommand(newServiceInstallCommand(), newServiceUninstallCommand(), newServiceStatusCommand(), newServiceRunCommand())
	cmd.AddCommand(setupCommands()...)
	return cmd
}

func newServiceInstallCommand() *cobra.Command {
	var s settings
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install and start the services; needs administrator rights",
		Example: `  sudo muster service install --site site.json --auth-key authkey
  muster service install --dry-run`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := serviceOptions(cmd, dryRun)
			if err != nil {
				return err
			}
			if err := s.read(o); err != nil {
				return &exitError{exitUsage, err}
			}
			if _, err := os.Stat(o.SiteFile); o.Site == nil && errors.Is(err, fs.ErrNotExist) {
				return &exitError{exitUsage, fmt.Errorf("there is no site file %s: name the one of your state with --site", o.SiteFile)}
			}
			if err := services.Install(cmd.Context(), *o); err != nil {
				return err
			}
			return told(cmd, dryRun, "This computer is audited every hour from now on. muster status says how it stands.")
		},
	}
	s.register(cmd.Flags())
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "tell the steps, and change nothing")
	return cmd
}

func newServiceUninstallCommand() *cobra.Command {
	var purge, dryRun bool
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Stop and remove the services; the reports stay",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := serviceOptions(cmd, dryRun)
			if err != nil {
				return err
			}
			o.Purge = purge
			if err := services.Uninstall(cmd.Context(), *o); err != nil {
				return err
			}
			last := "The services are gone. The reports and the host key stay in " + state.DefaultDir() + "."
			if purge {
				last = "The services, the reports and the host key are gone. Tell your state that this computer reports no more."
			}
			return told(cmd, dryRun, last)
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "also delete the host key, the reports and the site file")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "tell the steps, and change nothing")
	return cmd
}

func serviceOptions(cmd *cobra.Command, dryRun bool) (*services.Options, error) {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	if !dryRun && !elevated() {
		return nil, &exitError{exitUsage, fmt.Errorf("change the services: %w", fs.ErrPermission)}
	}
	return &services.Options{Programs: filepath.Dir(exe), SiteFile: defaultSite(), DryRun: dryRun, Out: cmd.OutOrStdout()}, nil
}

func told(cmd *cobra.Command, dryRun bool, last string) error {
	if dryRun {
		last = "Nothing was changed."
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), last)
	return err
}

func newServiceStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell whether the services are installed and run",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := services.States(cmd.Context())
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			well := true
			for _, s := range list {
				well = well && s.Installed && s.Running
				fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, s.What, s.Standing())
			}
			if err := w.Flush(); err != nil {
				return err
			}
			if !well {
				return &exitError{code: exitFail}
			}
			return nil
		},
	}
	exitStatus(cmd, `
  0  all are installed and run
  1  one is not, or could not be asked`)
	return cmd
}

func newServiceRunCommand() *cobra.Command {
	var p place
	var once bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "What the services run: one gentle audit, or on Windows one every hour",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return runService(cmd, p, once) },
	}
	p.register(cmd.Flags())
	cmd.Flags().BoolVar(&once, "once", false, "one audit, also on Windows")
	return cmd
}

// gentleAudit is one audit that nobody waits for, once the gap after the last one
// is over.
func gentleAudit(cmd *cobra.Command, p place) error {
	debug.SetMemoryLimit(gentleMemory)
	site, err := p.open()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if site == nil {
		return &exitError{exitUsage, fmt.Errorf("there is no site file %s, so there is nobody to report to: ask your state for it", cmp.Or(p.site, defaultSite()))}
	}
	if wait := schedule.Wait(agent.LastAudit(p.stateDir(site)), time.Now()); wait > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "muster: the last audit was a moment ago: the next one waits %v\n", wait.Round(time.Second))
		if err := sleep(cmd.Context(), wait); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), schedule.Limit)
	defer cancel()
	cmd.SetContext(ctx)
	f := auditFlags{place: p, output: "text", osquery: "auto", quiet: true, gentle: true}
	return f.run(cmd)
}

// requested reports whether something in the inbox asks for an audit.
func requested(dir string) bool {
	return exists(filepath.Join(dir, "inbox", "audit-request")) || exists(filepath.Join(dir, "inbox", "policy.tar.gz"))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// sleep waits for d, or until ctx is done, which is its error.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
