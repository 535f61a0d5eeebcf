package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/facts"
	"github.com/passmuster/muster/agent/facts/builtin"
	"github.com/passmuster/muster/agent/facts/osquery"
	"github.com/passmuster/muster/agent/facts/recorded"
)

func newFactsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "facts",
		Short: "Ask this computer about itself in SQL, and record the answers",
		Long: `Ask this computer about itself in SQL, over the tables of osquery and some of
muster's own, and record the answers, so that a policy can be tried elsewhere.`,
		Example: `  muster facts query 'SELECT name, version FROM os_version'
  muster facts tables
  sudo muster facts record --out host.json`,
	}
	cmd.AddCommand(newFactsQueryCommand(), newFactsTablesCommand(), newFactsRecordCommand())
	return cmd
}

const factsStatus = `
  0  answered; no rows are an answer, too
  1  no answer: rights, time or the table is missing, or it could not be written
  2  usage: a flag, the statement, the recording or the policy is not usable`

// factsFrom is where a command finds its answers.
type factsFrom struct {
	engine, recording, socket string
	timeout                   time.Duration
}

func (f *factsFrom) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.engine, "engine", "auto", "who answers: auto, builtin, osquery or recorded")
	flags.StringVar(&f.recording, "recording", "", "answer from this recording instead of this computer (`FILE`)")
	flags.StringVar(&f.socket, "osquery-socket", "", "extension socket of osqueryd (`PATH`; default: its usual places)")
	flags.DurationVar(&f.timeout, "timeout", facts.DefaultTimeout, "longest time for one statement")
}

// factsHost is an open source of answers.
type factsHost struct {
	*facts.Gatherer
	recording *recorded.Recording // nil for this computer
	osquery   string              // why osquery is not asked; "" where it is
}

func (f *factsFrom) open(ctx context.Context) (*factsHost, error) {
	if f.recording != "" && f.engine == "auto" {
		f.engine = "recorded"
	}
	if (f.engine == "recorded") != (f.recording != "") {
		return nil, agent.NewInputError(errors.New("--engine recorded and --recording belong together"), "give --recording FILE alone")
	}
	if !slices.Contains([]string{"auto", "builtin", "osquery", "recorded"}, f.engine) {
		return nil, agent.NewInputError(fmt.Errorf("engine %q is not known", f.engine), "use auto, builtin, osquery or recorded")
	}
	tables := builtin.Tables()
	schema, err := facts.NewSchema(tables)
	if err != nil {
		return nil, err
	}
	h := &factsHost{Gatherer: &facts.Gatherer{Schema: schema, Platform: muster.Platform(runtime.GOOS), Timeout: f.timeout}}
	switch f.engine {
	case "recorded":
		err = h.replay(f.recording)
	case "osquery":
		err = h.dial(ctx, f.socket)
	default:
		err = h.local(ctx, tables, f)
	}
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *factsHost) replay(path string) error {
	r, err := recorded.Open(path)
	if err != nil {
		return agent.NewInputError(err, "`muster facts record --out FILE` makes a recording")
	}
	h.recording, h.Platform = r, r.Platform
	h.Builtin, err = r.Engine(h.Schema)
	return err
}

// local opens the builtin engine, and osquery beside it where it may be used. An
// osquery that nobody named is no condition.
func (h *factsHost) local(ctx context.Context, tables []facts.Table, f *factsFrom) error {
	own, err := facts.NewSQL("builtin", h.Platform, tables)
	if err != nil {
		return err
	}
	h.Builtin = own
	if f.engine == "builtin" {
		return nil
	}
	if err := h.dial(ctx, f.socket); f.socket != "" {
		return err
	}
	return nil
}

func (h *factsHost) dial(ctx context.Context, socket string) error {
	if socket == "" {
		var ok bool
		if socket, ok = osquery.Find(); !ok {
			h.osquery = "no osqueryd runs here"
			return agent.NewInputError(errors.New("no osqueryd runs here"), "start osqueryd, name its socket with --osquery-socket, or use --engine builtin")
		}
	}
	e, err := osquery.Dial(ctx, socket)
	if err != nil {
		h.osquery = err.Error()
		return agent.NewInputError(err, "use --engine builtin to do without osquery")
	}
	h.Osquery = e
	return nil
}

func (h *factsHost) close() error {
	err := h.Schema.Close()
	for _, e := range []facts.Engine{h.Builtin, h.Osquery} {
		if e != nil {
			err = errors.Join(err, e.Close())
		}
	}
	return err
}

func newFactsQueryCommand() *cobra.Command {
	var from factsFrom
	var output string
	cmd := &cobra.Command{
		Use:   "query STATEMENT",
		Short: "Run one SELECT and print the rows",
		Long: `Run one SELECT and print the rows. The statement passes the same check as those of
a policy: it can read the tables that "muster facts tables" lists, and nothing else.
Use - to read it from standard input.`,
		Example: `  muster facts query 'SELECT name, version FROM os_version'
  muster facts query --output json "SELECT path, mtime FROM file WHERE path = '/etc/hosts'"
  muster facts query --recording host.json 'SELECT * FROM users'`,
		Args: oneArg("the SELECT, in quotes"),
		RunE: func(cmd *cobra.Command, args []string) error {
			print, err := rowPrinter(cmd, output)
			if err != nil {
				return err
			}
			statement := args[0]
			if statement == "-" {
				text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<20))
				if err != nil {
					return fmt.Errorf("read the statement: %w", err)
				}
				statement = string(text)
			}
			h, err := from.open(cmd.Context())
			if err != nil {
				return err
			}
			defer h.close()
			columns, err := h.Schema.Columns(statement)
			if err != nil {
				return agent.NewInputError(err, "`muster facts tables` lists the tables, `muster facts tables NAME` the columns of one")
			}
			rows, _, err := h.Query(cmd.Context(), statement)
			if err != nil {
				return factsHint(err, h)
			}
			return print(cmd.OutOrStdout(), present(columns, rows), rows)
		},
	}
	exitStatus(cmd, factsStatus)
	from.register(cmd)
	cmd.Flags().StringVar(&output, "output", "table", "form of the answer: table, line, csv or json")
	return cmd
}

// hinted is an error and its next step.
type hinted struct {
	error
	hint string
}

func (h hinted) Hint() string  { return h.hint }
func (h hinted) Unwrap() error { return h.error }

func factsHint(err error, h *factsHost) error {
	switch {
	case errors.Is(err, facts.ErrDenied):
		return hinted{err, "run it as administrator (root)"}
	case errors.Is(err, context.DeadlineExceeded):
		return hinted{errors.New("no answer in time"), "narrow the statement, or give it longer with --timeout"}
	case errors.Is(err, facts.ErrUnavailable) && h.recording != nil:
		return hinted{err, "record the host again with a policy that asks for it"}
	case errors.Is(err, facts.ErrUnavailable) && h.osquery != "":
		return hinted{err, "osquery may have it, but is not asked: " + h.osquery}
	}
	return err
}
