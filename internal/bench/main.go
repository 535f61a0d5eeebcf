// Command bench measures what `make bench` reports: the audit's wall time, CPU
// and peak memory as whole processes, the report's bytes on the wire, and
// ingest beside a raw insert of the same rows. It prints each figure beside
// its target and never fails for a slow machine.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	bin := flag.String("bin", "bin", "folder with the built programs")
	runs := flag.Int("n", 11, "runs of the audit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *bin, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, bin string, runs int) error {
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	site, err := makeSite(ctx, bin, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%-44s %12s %12s %12s   %s\n", "what", "min", "median", "max", "target")
	if err := audits(ctx, w, bin, dir, site, runs); err != nil {
		return err
	}
	if err := sizes(ctx, w); err != nil {
		return err
	}
	return goBenches(ctx, w)
}

func makeSite(ctx context.Context, bin, dir string) (string, error) {
	key := filepath.Join(dir, "policy-key.pem")
	if out, err := exec.CommandContext(ctx, filepath.Join(bin, "muster"), "policy", "keygen", "--no-passphrase", "-o", key).CombinedOutput(); err != nil {
		return "", fmt.Errorf("make a policy key: %w\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "muster-collector"), "site",
		"--data", filepath.Join(dir, "collector"), "--county", "56021", "--policy-key", key+".pub").Output()
	if err != nil {
		return "", fmt.Errorf("make a site file: %w", err)
	}
	site := filepath.Join(dir, "site.json")
	return site, os.WriteFile(site, out, 0o600)
}

// audits times whole processes from start to exit, report committed.
func audits(ctx context.Context, w io.Writer, bin, dir, site string, n int) error {
	var wall, cpu, peak []float64
	for range n {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "muster"), "audit", "--site", site, "--state", filepath.Join(dir, "host"), "--output", "json")
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
}

var benchLine = regexp.MustCompile(`^Benchmark\S+\s`)

func goBenches(ctx context.Context, w io.Writer) error {
	for _, b := range benches {
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", b.pattern, "-benchmem", b.pkg)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("benchmarks of %s: %w\n%s", b.pkg, err, out)
		}
		fmt.Fprintf(w, "\n%s\n", b.pkg)
		for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
			if benchLine.MatchString(lines.Text()) {
				fmt.Fprintln(w, "  "+strings.TrimPrefix(lines.Text(), "Benchmark"))
			}
		}
	}
	return nil
}
