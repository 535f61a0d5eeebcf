package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/agent"
)

func newCourierExportCommand() *cobra.Command {
	var f courierFlags
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Seal the waiting reports into one file",
		Long: `Seal the waiting reports of this computer into one file, which only the state can read.
Send it to the state in any way, such as an upload to its dashboard, and bring the file
that it answers with back with "muster courier import". The reports stay here until then.

The newest reports may be left for a second file: one file holds 8 MB.`,
		Example: `  sudo muster courier export reports.courier`,
		Args:    oneArg("the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, done, err := f.options(cmd)
			if err != nil {
				return err
			}
			if err := checkOut(args[0]); err != nil {
				return &exitError{exitUsage, err}
			}
			r, content, err := agent.Export(o)
			done()
			if err == nil && content != nil {
				err = writeOut(args[0], 0o644, func(w io.Writer) error {
					_, err := w.Write(content)
					return err
				})
			}
			return f.tell(cmd, r, err)
		},
	}
	exitStatus(cmd, `
  0  the file is written, or nothing waits
  1  it could not be written, or something is wrong with a report
  2  a flag, the site file or the state folder is not usable`)
	f.place.register(cmd.Flags())
	f.registerOutput(cmd)
	return cmd
}

func newCourierImportCommand() *cobra.Command {
	var f courierFlags
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take the state's answer to an exported file",
		Long: `Take the file that the state answered an exported one with: its receipts empty the
outbox, and a newer policy in it is taken. Each proves itself by its signature.`,
		Example: `  sudo muster courier import reports.return`,
		Args:    oneArg("the file that the state answered with"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, done, err := f.options(cmd)
			if err != nil {
				return err
			}
			r, err := agent.Import(args[0], o)
			done()
			return f.tell(cmd, r, err)
		},
	}
	exitStatus(cmd, `
  0  the answer is taken
  1  something in it does not count: the answer says what
  2  the file, a flag, the site file or the state folder is not usable`)
	f.place.register(cmd.Flags())
	f.registerOutput(cmd)
	return cmd
}

func newCourierShowCommand() *cobra.Command {
	var f courierFlags
	cmd := &cobra.Command{
		Use:   "show PATH",
		Short: "Tell what is on a stick, without its secrets",
		Long: `Tell what is on a stick: whose reports, which numbers, from when, whether the state has
answered, and who had them in hand. What the reports say is sealed and not shown. Nothing
is written.`,
		Example: `  muster courier show /media/stick`,
		Args:    oneArg("the drive or folder of the stick"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.output != "text" && f.output != "json" {
				return usage(cmd, fmt.Errorf("--output %q: want text or json", f.output))
			}
			s, err := agent.ShowStick(args[0])
			if err != nil {
				return err
			}
			if err := f.print(cmd.OutOrStdout(), s, func(w io.Writer) error { return writeStick(w, s) }); err != nil {
				return err
			}
			if s.DamagedLines > 0 || slices.ContainsFunc(s.Files, func(f agent.StickFile) bool { return f.Damaged }) {
				return &exitError{code: exitFail}
			}
			return nil
		},
	}
	exitStatus(cmd, `
  0  the stick is in order
  1  a sealed file or the log on it is damaged; muster courier sync heals it
  2  there is no such place, or nothing of muster on it`)
	f.registerOutput(cmd)
	return cmd
}

func writeStick(w io.Writer, s *agent.StickContent) error {
	var errs []error
	line := func(format string, args ...any) {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		errs = append(errs, err)
	}
	if len(s.Files) == 0 {
		line("No sealed files are on this stick.")
	}
	for _, f := range s.Files {
		state := "waits for the state"
		switch {
		case f.Answer != nil && f.Answer.Problem != "":
			state = fmt.Sprintf("answered %s by %s, not taken whole: %s", day(f.Answer.ReceivedAt), plain(f.Answer.Collector), plain(f.Answer.Reason))
		case f.Answer != nil:
			state = fmt.Sprintf("answered %s by %s", day(f.Answer.ReceivedAt), plain(f.Answer.Collector))
		}
		if f.Damaged {
			state = "damaged; " + state
		}
		line("Host %s, reports %d to %d, %d bytes, written %s: %s", f.Host, f.From, f.To, f.Size, day(f.WrittenAt), state)
		for _, e := range f.Custody {
			line("  %s  %-8s by %s", day(e.At), e.Act, plain(e.By))
		}
	}
	if s.Strange > 0 {
		line("%d other things lie among them; muster leaves them alone.", s.Strange)
	}
	if s.DamagedLines > 0 {
		line("%d lines of the custody log are damaged.", s.DamagedLines)
	}
	return errors.Join(errs...)
}
