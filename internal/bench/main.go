// Command bench measures what `make bench` reports: the audit's wall time, CPU
// and peak memory as whole processes, the report's and a day's bytes on the
// wire, a reconnect burst, the programs' sizes, the idle uplink, and ingest and
// outbox beside the least that would do. It prints each figure beside its target
// and never fails for a slow machine.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster/internal/figure"
	"github.com/passmuster/muster/internal/program"
)

type options struct {
	bin            string
	runs           int // of the audit
	agents, queued int // of the burst
	idle           time.Duration
	benchtime      string // of each of Go's benchmarks
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "folder with the built programs")
	flag.IntVar(&o.runs, "n", 11, "runs of the audit")
	flag.IntVar(&o.agents, "agents", 2000, "agents of the burst")
	flag.IntVar(&o.queued, "queued", 24, "reports that each of them has in its outbox")
	flag.DurationVar(&o.idle, "idle", time.Minute, "how long the idle uplink is watched")
	flag.StringVar(&o.benchtime, "benchtime", "1s", "how long, or with an x how often, each Go benchmark runs")
	only := flag.String("only", "", "one part: "+strings.Join(slices.Collect(names(parts)), ", "))
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, o, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

// part of the report. dir is a folder for it alone.
type part struct {
	name string
	do   func(ctx context.Context, w io.Writer, o options, dir string) error
}

var parts = []part{
	{"audit", audits},
	{"report", sizes},
	{"day", day},
	{"burst", func(ctx context.Context, w io.Writer, o options, dir string) error {
		r, err := burst(ctx, ".", o.bin, dir, o.agents, o.queued)
		if err == nil {
			r.print(w)
		}
		return err
	}},
	{"programs", programSizes},
	{"idle", idle},
	{"go", goBenches},
}

func names(parts []part) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, p := range parts {
			if !yield(p.name) {
				return
			}
		}
	}
}

func run(ctx context.Context, w io.Writer, o options, only string) error {
	for _, p := range parts {
		if only != "" && p.name != only {
			continue
		}
		dir, err := os.MkdirTemp("", "muster-bench-")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\n== %s\n", p.name)
		if err := errors.Join(p.do(ctx, w, o, dir), os.RemoveAll(dir)); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func makeSite(ctx context.Context, bin, dir string) (string, error) {
	key, err := program.PolicyKey(bin, dir)
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "muster-collector"), "site",
		"--data", filepath.Join(dir, "collector"), "--county", "56021", "--policy-key", key).Output()
	if err != nil {
		return "", fmt.Errorf("make a site file: %w", err)
	}
	site := filepath.Join(dir, "site.json")
	return site, os.WriteFile(site, out, 0o600)
}

// audits times whole processes from start to exit, report committed.
func audits(ctx context.Context, w io.Writer, o options, dir string) error {
	site, err := makeSite(ctx, o.bin, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%-44s %12s %12s %12s   %s\n", "what", "min", "median", "max", "target")
	var wall, cpu, peak []float64
	for range o.runs {
		cmd := exec.CommandContext(ctx, filepath.Join(o.bin, "muster"), "audit", "--site", site, "--state", filepath.Join(dir, "host"), "--output", "json")
		start := time.Now()
		if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() == 2 || cmd.ProcessState.ExitCode() == 4 {
			return fmt.Errorf("muster audit: %w", err)
		}
		wall = append(wall, time.Since(start).Seconds())
		cpu = append(cpu, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
		peak = append(peak, peakMiB(cmd.ProcessState))
	}
	row(w, "audit, report committed: wall, s", wall, "at most 0.5")
	row(w, "audit, report committed: CPU, s", cpu, "at most 0.5")
	row(w, "audit: peak memory, MiB", peak, "at most 64")
	return nil
}

func row[T cmp.Ordered](w io.Writer, what string, v []T, target string) {
	slices.Sort(v)
	fmt.Fprintf(w, "%-44s %12.4v %12.4v %12.4v   %s\n", what, v[0], v[len(v)/2], v[len(v)-1], target)
}

// benches are the Go benchmarks whose lines belong in the report.
var benches = []struct{ pkg, pattern string }{
	{"./internal/wire", "."},
	{"./agent", "."},
	{"./agent/eval", "."},
	{"./collector/ingest", "."},
	{"./agent/outbox", "Commit"},
}

var benchLine = regexp.MustCompile(`^Benchmark\S+\s`)

func goBenches(ctx context.Context, w io.Writer, o options, _ string) error {
	for _, b := range benches {
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", b.pattern, "-benchtime", o.benchtime, "-benchmem", b.pkg)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("benchmarks of %s: %w\n%s", b.pkg, err, out)
		}
		fmt.Fprintf(w, "\n%s\n", b.pkg)
		for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
			if benchLine.MatchString(lines.Text()) {
				fmt.Fprintln(w, "  "+strings.TrimPrefix(lines.Text(), "Benchmark"))
				commit(w, lines.Text())
			}
		}
	}
	return nil
}

// commit prints what the outbox's benchmark says, beside its target.
func commit(w io.Writer, line string) {
	before, _, ok := strings.Cut(line, " commit/bare")
	fields := strings.Fields(before)
	if !ok || len(fields) == 0 {
		return
	}
	if v, err := strconv.ParseFloat(fields[len(fields)-1], 64); err == nil {
		figure.Print(w, "outbox commit, beside write, fsync, rename, fsync", v, figure.AtMost(1.5))
	}
}
