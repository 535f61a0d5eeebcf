package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/policies/bundle"
)

func newPolicyTestCommand() *cobra.Command {
	var verbose, coverage, mutants bool
	cmd := &cobra.Command{
		Use:   "test DIR",
		Short: "Run the tests of a policy",
		Long: `Run every test rule in the *_test.rego files of a folder, then every host test in
hosts/*.yaml: a recorded host is audited, as "muster audit --recording" does, and its
verdicts are held against those that the file expects.

A host test names a recording and the verdicts of some controls, or a file that holds
now, lists and the verdicts of all (paths are relative to the test):

  recording: ../recordings/clerk.json
  now: 2026-11-03T08:00:00Z
  lists: {dated: "2026-10-15", ports_allowed: []}
  expect: {MVS-NET-02: fail, MVS-ENC-01: pass}`,
		Example: `  muster policy test policies --verbose
  muster policy test policies --coverage
  muster policy test policies --mutants`,
		Args: oneArg("the folder with the sources of the policy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := folder(args[0])
			if err != nil {
				return err
			}
			w := bufio.NewWriter(cmd.OutOrStdout()) // the first error sticks
			rules, err := testRules(cmd.Context(), w, dir, verbose, coverage)
			if err != nil {
				return err
			}
			hosts, err := testHosts(cmd.Context(), w, args[0], dir, verbose)
			var unnoticed tally
			if err == nil && mutants && rules.failed == 0 {
				unnoticed, err = testMutants(cmd.Context(), w, dir, verbose)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			switch {
			case err != nil:
				return err
			case rules.all+hosts.all == 0:
				return fmt.Errorf("no tests in %s: name them test_… in files that end in _test.rego", args[0])
			case rules.failed+hosts.failed+unnoticed.failed > 0:
				return &exitError{code: exitFail}
			}
			return nil
		},
	}
	exitStatus(cmd, `
  0  every test passes
  1  a test does not pass, or there is none
  2  usage, or there is no such folder or recording`)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show the tests that pass as well")
	cmd.Flags().BoolVar(&coverage, "coverage", false, "show by file how many percent of the lines the tests went through, and which they missed")
	cmd.Flags().BoolVar(&mutants, "mutants", false, "turn round every condition of every control and take away every fact, one at a time, and show what no test notices")
	return cmd
}

type tally struct{ all, failed int }

// word counts one test and gives the word for it.
func (t *tally) word(passed bool) string {
	t.all++
	if passed {
		return "pass"
	}
	t.failed++
	return "FAIL"
}

func testRules(ctx context.Context, w io.Writer, dir fs.FS, verbose, coverage bool) (n tally, err error) {
	var results []bundle.TestResult
	var covered []bundle.Coverage
	if coverage {
		results, covered, err = bundle.Cover(ctx, dir)
	} else {
		results, err = bundle.Test(ctx, dir)
	}
	if err != nil {
		return n, err
	}
	for _, r := range results {
		word := n.word(r.Passed)
		if r.Passed && !verbose {
			continue
		}
		fmt.Fprintf(w, "%s  %s  %s\n", word, r.File, r.Name)
		if r.Err != nil {
			fmt.Fprintf(w, "      %v\n", r.Err)
		}
		if r.Output != "" {
			fmt.Fprintf(w, "      %s\n", strings.TrimSpace(r.Output))
		}
	}
	for _, c := range covered {
		fmt.Fprintf(w, "%5.1f%%  %s", c.Percent, c.File)
		if c.Missed != nil {
			fmt.Fprintf(w, "  not covered: %s", ranges(c.Missed))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%d tests, %d failed\n", n.all, n.failed)
	return n, nil
}

// ranges writes line numbers in order: "3, 7-9".
func ranges(lines []int) string {
	var parts []string
	for i := 0; i < len(lines); {
		j := i
		for j+1 < len(lines) && lines[j+1] == lines[j]+1 {
			j++
		}
		part := strconv.Itoa(lines[i])
		if j > i {
			part += "-" + strconv.Itoa(lines[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

func testMutants(ctx context.Context, w io.Writer, dir fs.FS, verbose bool) (n tally, err error) {
	p := newProgress(os.Stderr)
	defer p.clear()
	mutants, err := bundle.Mutate(ctx, dir, func(done, all int) { p.step(done, all, "mutants") })
	if err != nil {
		return n, err
	}
	for _, m := range mutants {
		if word := n.word(m.Noticed); !m.Noticed || verbose {
			fmt.Fprintf(w, "%s  %s:%d  %s\n", word, m.File, m.Line, m.Change)
		}
	}
	fmt.Fprintf(w, "%d mutants, %d unnoticed\n", n.all, n.failed)
	return n, nil
}

func testHosts(ctx context.Context, w io.Writer, name string, dir fs.FS, verbose bool) (n tally, err error) {
	tests, err := bundle.HostTests(dir)
	if err != nil || tests == nil {
		return n, err
	}
	for _, t := range tests {
		verdicts, err := testHost(ctx, name, t)
		if err != nil {
			return n, err
		}
		for _, v := range verdicts {
			word := n.word(v.ok())
			switch {
			case !v.ok() && v.reason != "":
				fmt.Fprintf(w, "%s  %s  %s: want %s, got %s (%s)\n", word, v.file, v.control, v.want, v.got, v.reason)
			case !v.ok():
				fmt.Fprintf(w, "%s  %s  %s: want %s, got %s\n", word, v.file, v.control, v.want, v.got)
			case verbose:
				fmt.Fprintf(w, "%s  %s  %s: %s\n", word, v.file, v.control, v.got)
			}
		}
	}
	fmt.Fprintf(w, "%d hosts, %d verdicts, %d differ\n", len(tests), n.all, n.failed)
	return n, nil
}
