package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/cmd/muster/internal/output"
)

// auditFlags are the command line of muster audit.
type auditFlags struct {
	place
	output, profile, recording, lists, now, bundle, osquery, out string
	only                                                         []string
	portable                                                     portableFlags
	unsigned, explain, verbose, quiet, open                      bool
	// gentle audits take their time; the services set it.
	gentle bool
}

func newAuditCommand() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Inspect this computer and say what to fix first",
		Long: `Inspect this computer against the baseline and say what to fix first.

With a site file the audit also keeps a signed report in the state folder, where it
stays until the state has receipted it. Without one, or with --recording, --only or
--unsigned, nothing is kept. The policy is, in this order: the one given by --bundle;
the last good one that your state signed; the one that ships with muster.

With --courier the audit is portable: it leaves nothing on this computer. The host key,
the reports, the policy and the site file (MUSTER/site.json) lie on the stick, a folder
for each computer, and the reports are sealed for the state there. The key is encrypted
under a passphrase: asked on the terminal, or taken from --passphrase-file or the file
that the variable ` + courierPassphrase + ` names. --bind derives one from
the stick and this computer instead: nothing to remember, and no protection from
somebody who has both.

Without administrator rights many answers are not to be had: what could not be checked
is shown as unknown, never as passed.`,
		Example: `  sudo muster audit
  sudo muster audit --output html --out audit.html
  muster audit --recording host.json --lists county.json --explain
  muster audit --only MVS-ENC-01,MVS-NET-02
  muster audit --profile ems --courier E:\`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.open {
				return f.runAndShow(cmd)
			}
			return f.run(cmd)
		},
	}
	exitStatus(cmd, `
  0  meets the baseline: nothing fails and nothing is unknown
  1  a control fails, whatever its severity (also where others are unknown)
  2  usage or configuration: a flag, site file, policy, list or recording is not usable
  3  something is unknown and nothing fails
  4  could not audit, or could not write the answer
  130  stopped by a signal before it was done
Waived controls count as neither failed nor unknown. With --only, the
codes speak of the controls that were asked. A report that could not be kept is a
warning and changes no code. Treat any other code as 4.`)
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.output, "output", "text", "form of the answer: text, json, csv, html, junit or sarif")
	flags.StringVarP(&f.out, "out", "o", "", "write the answer to this `FILE` instead of standard output")
	flags.BoolVar(&f.open, "open", false, "show the answer in the browser; on Windows only, where it asks for administrator rights")
	flags.StringVar(&f.profile, "profile", "", "what kind of host this is: workstation or ems (default: what the recording or the site file says, else workstation)")
	flags.StringSliceVar(&f.only, "only", nil, "ask only these controls, by `ID`; separate with commas or repeat")
	flags.BoolVar(&f.explain, "explain", false, "add why each control matters, how it is checked, and which standards ask for it (text, html)")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "list what passed and what does not apply, too, and all evidence")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print only errors; the exit code answers")
	flags.StringVar(&f.recording, "recording", "", "audit the host recorded in this `FILE` instead of this computer")
	flags.StringVar(&f.lists, "lists", "", "lay the county and host lists in this `FILE` over those of the policy")
	flags.StringVar(&f.now, "now", "", "judge as of this `TIME` (RFC 3339) instead of now")
	flags.StringVar(&f.bundle, "bundle", "", "judge by the policy in this file or folder, `PATH`")
	flags.BoolVar(&f.unsigned, "unsigned", false, "accept an unsigned policy from --bundle; no report is kept")
	flags.StringVar(&f.osquery, "osquery", "auto", "ask osquery, too: auto (one that runs), start (one for this audit), off, or the path of a `SOCKET`")
	f.portable.register(flags)
	f.place.register(flags)
	complete(cmd, "output", output.Formats()...)
	_ = cmd.RegisterFlagCompletionFunc("only", controlIDs) // fails only for a flag that is not there
	complete(cmd, "profile", string(muster.Workstation), string(muster.EMS))
	return cmd
}

func (f *auditFlags) run(cmd *cobra.Command) error {
	opts, err := f.options()
	if err == nil {
		err = f.portable.check(cmd, f)
	}
	if err != nil {
		return usage(cmd, err)
	}
	site, err := f.portable.open(cmd, &f.place, opts)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	opts.Site, opts.StateDir = site, f.place.stateDir(site)
	opts.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	bar := newProgress(os.Stderr)
	if !f.quiet {
		opts.Progress = bar.step
	}
	res, err := agent.Audit(cmd.Context(), *opts)
	bar.clear()
	if err != nil {
		code := exitNoAudit
		if errors.As(err, new(*agent.InputError)) {
			code = exitUsage
		}
		return &exitError{code, err}
	}
	if err := f.print(cmd, res); err != nil {
		return &exitError{exitNoAudit, err}
	}
	return verdict(res.Audit)
}

// options checks everything that can be checked before any work is done.
func (f *auditFlags) options() (*agent.Options, error) {
	opts := &agent.Options{
		Recording: f.recording, Lists: f.lists, Bundle: f.bundle, Unsigned: f.unsigned,
		Only: f.only, Osquery: f.osquery,
	}
	if f.gentle {
		opts.CPUShare = gentleShare
	}
	if err := output.Check(f.output); err != nil {
		return nil, fmt.Errorf("--output: %w", err)
	}
	if f.profile != "" {
		p, err := muster.ParseProfile(f.profile)
		if err != nil {
			return nil, fmt.Errorf("--profile: %w", err)
		}
		opts.Profile = p
	}
	if f.now != "" {
		t, err := time.Parse(time.RFC3339, f.now)
		if err != nil {
			return nil, fmt.Errorf("--now: %q is not a time like 2026-11-03T08:00:00Z", f.now)
		}
		opts.Now = t
	}
	if f.out != "" {
		if err := checkOut(f.out); err != nil {
			return nil, fmt.Errorf("--out: %w", err)
		}
	}
	if f.only != nil && len(f.only) == 0 {
		return nil, errors.New("--only names no control: give it ids like MVS-ENC-01, or leave it out")
	}
	if f.unsigned && f.bundle == "" {
		return nil, errors.New("--unsigned needs --bundle: every other policy is trusted already")
	}
	return opts, nil
}

func (f *auditFlags) print(cmd *cobra.Command, res *agent.Result) error {
	v := output.View{
		Audit: &res.Audit, Controls: res.Controls, Facts: res.Facts, Results: res.Results,
		Denied: denied(f.recording != ""), Policy: res.PolicyNote, Outcome: res.Outcome, Warnings: res.Warnings,
		Partial: len(f.only) > 0, Explain: f.explain, Verbose: f.verbose,
	}
	if res.Policy == agent.PolicyUnsigned {
		v.Notice = "UNSIGNED POLICY: nobody vouches for it, so this answer counts for nothing but a test."
	}
	if f.quiet || f.out != "" || f.output != "text" && f.output != "html" {
		aside(cmd.ErrOrStderr(), v, f.quiet)
	}
	if f.out == "" {
		if f.quiet {
			return nil
		}
		w := cmd.OutOrStdout()
		v.Width, v.Color = terminal(w)
		return output.Write(w, f.output, v)
	}
	if err := writeOut(f.out, 0o644, func(w io.Writer) error { return output.Write(w, f.output, v) }); err != nil {
		return fmt.Errorf("the answer could not be kept: %w", err)
	}
	return nil
}

// aside tells a person what a machine's form of the answer has no place for.
func aside(w io.Writer, v output.View, quiet bool) {
	if v.Notice != "" {
		fmt.Fprintln(w, "muster: warning:", v.Notice)
	}
	for _, warning := range v.Warnings {
		fmt.Fprintln(w, "muster: warning:", warning)
	}
	if v.Outcome != "" && !quiet {
		fmt.Fprintln(w, "muster:", v.Outcome)
	}
}

// verdict turns the findings into the exit code.
func verdict(a muster.Audit) error {
	switch {
	case a.Summary.Fail > 0:
		return &exitError{code: exitFail}
	case a.Summary.Unknown > 0:
		return &exitError{code: exitUnknown}
	}
	return nil
}

// denied is the next step where rights are missing.
func denied(recording bool) string {
	switch {
	case recording:
		return "Record the host again as administrator."
	case elevated():
		return "The computer refused this even to the administrator. Check it by hand."
	case runtime.GOOS == "windows":
		return "Run muster audit again in a terminal that was opened with “Run as administrator”."
	}
	return "Run again as administrator: sudo muster audit"
}
