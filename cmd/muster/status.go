package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/cmd/muster/internal/services"
)

func newStatusCommand() *cobra.Command {
	var p place
	var output string
	var asJSON bool
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell what happened to the reports, and what is wrong",
		Long: `Tell when this computer was last audited, whether the state has received the
reports, which policy judges, what is wrong, and what to do about it.`,
		Example: `  muster status
  muster status --wait 2m
  muster status --output json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return usage(cmd, fmt.Errorf("--output: %q is neither text nor json", output))
			}
			s, err := p.await(cmd, patience)
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			if asJSON || output == "json" {
				e := json.NewEncoder(w)
				e.SetIndent("", "  ")
				err = e.Encode(s)
			} else {
				err = writeStatus(w, s)
			}
			if err != nil {
				return err
			}
			if len(s.Problems) > 0 {
				return &exitError{code: exitFail}
			}
			return nil
		},
	}
	exitStatus(cmd, `
  0  all is well
  1  something is wrong; the answer says what to do
  2  usage or configuration: a flag, the site file or the state folder is not usable`)
	p.register(cmd.Flags())
	cmd.Flags().StringVar(&output, "output", "text", "form of the answer: text or json")
	cmd.Flags().DurationVar(&patience, "wait", 0, "wait at most this long until all is well and the state has the last report: a `TIME` such as 2m")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the same as --output json")
	complete(cmd, "output", "text", "json")
	return cmd
}

// lookAgain is how often status looks while it waits.
const lookAgain = 500 * time.Millisecond

// await tells the status, at once where there is no patience; else as soon as all is well
// and the state has the last report, and meanwhile on standard error what it waits for.
func (p *place) await(cmd *cobra.Command, patience time.Duration) (*agent.Status, error) {
	told := ""
	for end := time.Now().Add(patience); ; {
		s, err := p.status(cmd.Context())
		if err == nil && patience > 0 && len(s.Problems) == 0 && !s.Delivered() {
			s.Problems = append(s.Problems, agent.Problem{What: "The state does not have the last report yet.", Do: "Wait longer: nothing else is wrong, and the report is not lost."})
		}
		why := ""
		switch {
		case err != nil:
			why = err.Error()
		case len(s.Problems) > 0:
			why = s.Problems[0].What
		}
		if why == "" || !time.Now().Before(end) {
			if err != nil {
				return nil, &exitError{exitUsage, err}
			}
			return s, nil
		}
		if why != told {
			fmt.Fprintln(cmd.ErrOrStderr(), "waiting:", why)
			told = why
		}
		if err := sleep(cmd.Context(), lookAgain); err != nil {
			return nil, err
		}
	}
}

func (p *place) status(ctx context.Context) (*agent.Status, error) {
	site, err := p.open()
	if err != nil {
		return nil, err
	}
	dir := cmp.Or(p.state, state.DefaultDir())
	// Not the folder itself, which systemd makes before the first audit.
	if _, err := os.Stat(filepath.Join(dir, "VERSION")); p.state == "" && site == nil && errors.Is(err, fs.ErrNotExist) {
		return nil, agent.NewInputError(errors.New("this computer reports to no state yet"),
			"run muster service install --site site.json --auth-key authkey as administrator, with the two files that your state has sent you")
	}
	s, err := agent.ReadStatus(dir, site, time.Now())
	if err == nil && p.state == "" {
		// Of another folder than the computer's own no service is in charge.
		if list, err := services.States(ctx); err == nil {
			s.JudgeServices(list)
		}
	}
	return s, err
}

func writeStatus(w io.Writer, s *agent.Status) error {
	var errs []error
	line := func(label, format string, args ...any) {
		_, err := fmt.Fprintf(w, "%-12s "+format+"\n", append([]any{label}, args...)...)
		errs = append(errs, err)
	}
	if s.Collector != "" {
		line("State", "%s, county %s", s.Collector, s.County)
	}
	if a := s.Audit; a != nil && !a.AuditedAt.IsZero() {
		line("Host", "%s (%s)", a.Host, a.HostID)
		line("Last audit", "%s: %d pass, %d fail, %d unknown, %d not applicable, %d waived; %s", day(a.AuditedAt),
			a.Summary.Pass, a.Summary.Fail, a.Summary.Unknown, a.Summary.NotApplicable, a.Summary.Waived, meets(a.Summary.MeetsBaseline))
		received, receipt := "", "none yet"
		if s.Delivered() {
			received, receipt = ", which the state has", "the next audit takes it"
		}
		if a.ReceiptAt != nil {
			receipt = day(*a.ReceiptAt)
		}
		line("Last report", "%d%s", a.Report, received)
		line("Last receipt", "%s", receipt)
	}
	if d := s.Outbox; d != nil {
		asOf := ""
		if !s.OutboxAsOf.IsZero() {
			asOf = " (as of " + day(s.OutboxAsOf) + ")"
		}
		size := ""
		if d.Bytes > 0 {
			size = fmt.Sprintf(", %d bytes", d.Bytes)
		}
		line("Waiting", "%s%s%s", reports(d.Reports), size, asOf)
	}
	if u := s.Uplink; u != nil && !u.LastContact.IsZero() {
		line("Uplink", "last contact %s; this computer is %s", day(u.LastContact), u.State)
		line("Clock", "%s", skew(u.ClockSkewSeconds))
	}
	if u := s.Uplink; u != nil && u.Tailnet != nil {
		line("Tailnet", "%s", tailnet(u.Tailnet))
	}
	for _, one := range s.Services {
		line("Service", "%s %s: %s", one.Name, one.Standing(), one.What)
	}
	policy := plain(s.Policy.Revision) + ", " + s.Policy.Source
	if !s.Policy.Expires.IsZero() && !s.Policy.Stale {
		policy += ", good until " + day(s.Policy.Expires)
	}
	line("Policy", "%s", policy)
	if len(s.Problems) == 0 {
		line("", "All is well with the reports and the policy.")
	}
	for _, p := range s.Problems {
		line("Wrong", "%s", p.What)
		line("  Do", "%s", p.Do)
	}
	return errors.Join(errs...)
}

func skew(seconds int) string {
	switch d := time.Duration(seconds) * time.Second; {
	case seconds > 1:
		return agent.Span(d) + " ahead of the state's"
	case seconds < -1:
		return agent.Span(d) + " behind the state's"
	}
	return "as the state's"
}

func tailnet(t *muster.TailnetStatus) string {
	s := strings.ReplaceAll(t.State, "_", " ")
	if t.Name != "" {
		s += " as " + t.Name
	}
	if len(t.Addresses) > 0 {
		s += " (" + strings.Join(t.Addresses, ", ") + ")"
	}
	if !t.KeyExpires.IsZero() {
		s += ", until " + day(t.KeyExpires)
	}
	return s
}

func reports(n int) string {
	if n == 1 {
		return "1 report"
	}
	return fmt.Sprintf("%d reports", n)
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006 15:04 UTC") }

func meets(yes bool) string {
	if yes {
		return "meets the baseline"
	}
	return "does not meet the baseline"
}
