package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
)

func newCourierCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "courier",
		Short: "Carry reports to the state on removable media, and the answers back",
		Long: `Carry reports to the state on removable media, for computers without a network.

On an air-gapped computer its reports are sealed onto the stick, so that only the state
can read them. On a connected computer they are handed to its uplink, and what the state
answers is put onto the stick. Back on the first computer the receipts empty its outbox
and a new policy is taken. "muster courier sync" does at each place what is to be done
there; run it wherever the stick comes.

The stick may be pulled out at any moment: a report stays on its computer until the
state's receipt for it is there.`,
		Example: `  sudo muster courier sync /media/stick     on every computer that the stick comes to
  muster courier show E:                    what is on this stick`,
	}
	cmd.AddCommand(newCourierSyncCommand(), newCourierExportCommand(), newCourierImportCommand(), newCourierShowCommand())
	return cmd
}

// courierFlags are those of every command that carries.
type courierFlags struct {
	place
	profile, output string
	wait            time.Duration
}

func (f *courierFlags) registerOutput(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.output, "output", "text", "text or json")
	complete(cmd, "output", "text", "json")
}

func (f *courierFlags) options(cmd *cobra.Command) (o agent.CourierOptions, done func(), err error) {
	done = func() {}
	if f.output != "text" && f.output != "json" {
		return o, done, usage(cmd, fmt.Errorf("--output %q: want text or json", f.output))
	}
	if f.profile != "" {
		if o.Profile, err = muster.ParseProfile(f.profile); err != nil {
			return o, done, usage(cmd, fmt.Errorf("--profile: %w", err))
		}
	}
	if f.wait < 0 {
		return o, done, usage(cmd, errors.New("--wait is negative"))
	}
	if o.Site, err = f.open(); err != nil {
		return o, done, err
	}
	o.StateDir, o.Wait = f.stateDir(o.Site), f.wait
	bar, now := newProgress(os.Stderr), ""
	o.Progress = func(done, total int, what string) {
		if what != now { // another bar for another kind of work
			bar.clear()
			bar, now = newProgress(os.Stderr), what
		}
		bar.step(done, total, what)
	}
	return o, func() { bar.clear() }, nil
}

func newCourierSyncCommand() *cobra.Command {
	var f courierFlags
	cmd := &cobra.Command{
		Use:   "sync PATH",
		Short: "Do with a stick what this place calls for",
		Long: `Do with a stick what this place calls for.

On a computer of profile ems: take the receipts and the policy that the stick brings, and
seal the reports that wait here onto it.

On any other computer: hand the sealed files on the stick to this computer's uplink, wait
for the state's answers and put them onto the stick. What is not answered in time stays
with the uplink; the next sync fetches it.

At the end it says what to do next. A computer that is audited from a stick needs no sync:
muster audit --courier does it.`,
		Example: `  sudo muster courier sync /media/stick
  muster courier sync E:`,
		Args: oneArg("the drive or folder of the stick"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, done, err := f.options(cmd)
			if err != nil {
				return err
			}
			r, err := agent.Sync(cmd.Context(), args[0], o)
			done()
			return f.tell(cmd, r, err)
		},
	}
	exitStatus(cmd, `
  0    all that could be done here is done
  1    something was wrong, or waits for the network: the answer says what
  2    a flag, the site file, the state folder or the stick's place is not usable
  130  stopped; what was begun is safe and goes on with the next sync`)
	f.place.register(cmd.Flags())
	f.registerOutput(cmd)
	cmd.Flags().StringVar(&f.profile, "profile", "", "how this computer is used: workstation or ems (default: what the site file says)")
	cmd.Flags().DurationVar(&f.wait, "wait", agent.DefaultCourierWait, "how long the uplink may take to bring the answers")
	complete(cmd, "profile", "workstation", "ems")
	return cmd
}

// tell prints the result, also of a sync that failed half-way, and chooses the exit
// code.
func (f *courierFlags) tell(cmd *cobra.Command, r *agent.CourierResult, err error) error {
	if r != nil {
		if printErr := f.print(cmd.OutOrStdout(), r, func(w io.Writer) error { return writeCourier(w, r) }); printErr != nil {
			return errors.Join(err, printErr)
		}
	}
	switch {
	case err != nil:
		return err
	case cmd.Context().Err() != nil:
		return context.Cause(cmd.Context())
	case len(r.Warnings) > 0 || len(r.Relaying) > 0:
		return &exitError{code: exitFail}
	}
	return nil
}

func (f *courierFlags) print(w io.Writer, v any, text func(io.Writer) error) error {
	if f.output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(v)
	}
	return text(w)
}

func writeCourier(w io.Writer, r *agent.CourierResult) error {
	var errs []error
	line := func(format string, args ...any) {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		errs = append(errs, err)
	}
	if r.Receipted > 0 {
		line("%s received by the state.", reports(r.Receipted))
	}
	if r.PolicyTaken {
		line("A new policy was taken; the next audit judges by it.")
	}
	if r.Place == "host" && len(r.Sealed) > 0 {
		line("%s sealed onto the stick.", reports(r.SealedReports))
	}
	for _, a := range r.Answered {
		line("Answered: reports %d to %d of host %s.", a.From, a.To, a.Host)
	}
	for _, p := range r.Warnings {
		line("Warning: %s", plain(p))
	}
	if r.Next != "" {
		line("%s", plain(r.Next))
	}
	return errors.Join(errs...)
}
