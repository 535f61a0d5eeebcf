package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/passmuster/muster/internal/figure"
	"github.com/passmuster/muster/internal/program"
	"github.com/passmuster/muster/internal/tailnet/tailnettest"
)

const (
	joinTimeout = 2 * time.Minute
	quiet       = 10 * time.Second // from the first receipt until it is idle
)

// idle measures muster-uplink once it has joined a tailnet on loopback and carried
// its first report, while nothing happens but check-ins.
func idle(ctx context.Context, w io.Writer, o options, dir string) (err error) {
	net, err := tailnettest.Start(tailnettest.Options{})
	if err != nil {
		return err
	}
	defer net.Close()
	policyKey, err := program.PolicyKey(o.bin, dir)
	if err != nil {
		return err
	}
	c, err := program.StartCollector(o.bin, filepath.Join(dir, "collector"), "",
		"--tailnet-hostname", "collector", "--control-url", net.ControlURL("collector"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	site := filepath.Join(dir, "site.json")
	out, err := exec.CommandContext(ctx, filepath.Join(o.bin, "muster-collector"), "site", "--data", c.Data, "--county", "56021",
		"--collector", "http://collector", "--control-url", net.ControlURL("uplink"), "--policy-key", policyKey).Output()
	if err == nil {
		err = os.WriteFile(site, out, 0o600)
	}
	if err != nil {
		return fmt.Errorf("make a site file: %w", err)
	}
	host := filepath.Join(dir, "host")
	audit := exec.CommandContext(ctx, filepath.Join(o.bin, "muster"), "audit", "--site", site, "--state", host)
	if out, err := audit.CombinedOutput(); err != nil && audit.ProcessState.ExitCode() != 1 && audit.ProcessState.ExitCode() != 3 {
		return fmt.Errorf("muster audit: %w\n%s", err, out)
	}
	log := filepath.Join(dir, "uplink.log")
	p, err := program.Start(log, filepath.Join(o.bin, "muster-uplink"), "--site", site, "--state", host,
		"--interval", "5m", "--auth-key-file", filepath.Join(dir, "no-key"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if err := await(ctx, filepath.Join(host, "receipts", "00000001.receipt"), log); err != nil {
		return err
	}
	if err := sleep(ctx, quiet); err != nil {
		return err
	}
	before, err := p.CPUSoFar()
	if err != nil {
		return err
	}
	if err := sleep(ctx, o.idle); err != nil {
		return err
	}
	after, err := p.CPUSoFar()
	if err != nil {
		return err
	}
	resident, err := p.MiB("VmRSS")
	if err != nil {
		return err
	}
	figure.Print(w, fmt.Sprintf("muster-uplink joined, idle for %s: resident, MB", o.idle), resident*1.048576, figure.AtMost(30))
	figure.Print(w, "its CPU meanwhile, % of one core", 100*float64(after-before)/float64(o.idle), figure.AtMost(0.1))
	return nil
}

// await waits until the file is there.
func await(ctx context.Context, file, log string) error {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	for {
		if _, err := os.Lstat(file); err == nil {
			return nil
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			words, _ := os.ReadFile(log) // it may not have come so far
			return fmt.Errorf("no receipt came: %w\n%s", err, words)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
