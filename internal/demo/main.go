// Command demo shows the whole of Muster on one computer: it starts a collector
// on loopback, audits this computer for real, ships the report, seeds an
// invented state beside it, and prints the dashboard's link. Run it from the
// module's root, as `make demo` does.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/passmuster/muster"
)

const (
	state  = "56"
	county = "56021"
)

type options struct {
	bin, dir, shots string
	once            bool
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "folder with the built programs")
	flag.StringVar(&o.dir, "dir", ".demo", "folder for the demo's state, made anew")
	flag.StringVar(&o.shots, "shots", "", "folder for screenshots of every page")
	flag.BoolVar(&o.once, "once", false, "check that the report arrived, and exit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "demo: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	d := &demo{options: o, out: os.Stdout, client: &http.Client{Timeout: 30 * time.Second}, now: time.Now().UTC()}
	if err := os.RemoveAll(o.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(d.path("host"), 0o700); err != nil {
		return err
	}
	defer d.stop()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"make and sign the state's policy", d.policy},
		{"start the collector on loopback", d.collector},
		{"audit this computer", d.audit},
		{"carry the report to the collector and the policy back", d.uplink},
		{"audit again, by the state's policy", d.audit},
		{"carry the second report", d.uplink},
		{"check through the API that it arrived", d.check},
		{"invent a state beside it", d.seed},
	} {
		start := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Fprintf(d.out, "demo: %s (%.1f s)\n", step.name, time.Since(start).Seconds())
	}
	if o.shots != "" {
		if err := d.screenshots(ctx); err != nil {
			return err
		}
	}
	if o.once {
		fmt.Fprintln(d.out, "demo: success")
		return nil
	}
	fmt.Fprintf(d.out, "\nThe dashboard (counties and hosts beside this computer are invented):\n\n  %s\n\nCtrl-C ends the demo.\n", d.link)
	<-ctx.Done()
	return nil
}

type demo struct {
	options
	out    io.Writer
	client *http.Client
	now    time.Time
	site   *muster.Site
	addr   string
	link   string
	host   muster.HostID
	server *exec.Cmd
}

func (d *demo) path(elem ...string) string {
	return filepath.Join(append([]string{d.dir}, elem...)...)
}

// tool runs one of the programs and returns what it printed; a verdict about
// the host (exit codes 1 and 3) is no failure.
func (d *demo) tool(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, name), args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && !slices.Contains([]int{1, 3}, cmd.ProcessState.ExitCode()) {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}

func (d *demo) policy(ctx context.Context) error {
	if err := stateSources(d.path("policies"), d.now); err != nil {
		return err
	}
	if _, err := d.tool(ctx, "muster", "policy", "keygen", "--no-passphrase", "-o", d.path("ciso.pem")); err != nil {
		return err
	}
	_, err := d.tool(ctx, "muster", "policy", "build", d.path("policies"), "-o", d.path("bundle.tar.gz"), "--version", "1", "--revision", "demo-1", "--key", d.path("ciso.pem"))
	return err
}

// collector starts the server and waits until it prints the dashboard's link.
func (d *demo) collector(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.addr = l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	d.server = exec.Command(filepath.Join(d.bin, "muster-collector"), "serve",
		"--data", d.path("collector"), "--listen", d.addr, "--state", state, "--name", "Demo state", "--policy", d.path("bundle.tar.gz"))
	log, err := os.Create(d.path("collector.log"))
	if err != nil {
		return err
	}
	d.server.Stderr = log
	stdout, err := d.server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := d.server.Start(); err != nil {
		return err
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if i := strings.Index(lines.Text(), "http://"); i >= 0 {
			d.link = strings.TrimSpace(lines.Text()[i:])
			break
		}
	}
	if d.link == "" {
		return fmt.Errorf("it did not start: see %s", d.path("collector.log"))
	}
	site, err := d.tool(ctx, "muster-collector", "site", "--data", d.path("collector"), "--county", county,
		"--collector", "http://"+d.addr, "--policy-key", d.path("ciso.pem.pub"))
	if err != nil {
		return err
	}
	if d.site, err = muster.ParseSite(site); err != nil {
		return err
	}
	return os.WriteFile(d.path("site.json"), site, 0o600)
}

func (d *demo) audit(ctx context.Context) error {
	out, err := d.tool(ctx, "muster", "audit", "--site", d.path("site.json"), "--state", d.path("host"), "--output", "json")
	if err != nil {
		return err
	}
	var a muster.Audit
	if err := json.Unmarshal(out, &a); err != nil {
		return err
	}
	d.host = a.HostID
	fmt.Fprintf(d.out, "demo: %s, policy %s: %d pass, %d fail, %d unknown, %d not applicable\n",
		a.Host, a.Policy.Revision, a.Summary.Pass, a.Summary.Fail, a.Summary.Unknown, a.Summary.NotApplicable)
	return nil
}

func (d *demo) uplink(ctx context.Context) error {
	_, err := d.tool(ctx, "muster-uplink", "--once", "--site", d.path("site.json"), "--state", d.path("host"))
	return err
}

// check asks the API for this computer.
func (d *demo) check(ctx context.Context) error {
	token, err := os.ReadFile(d.path("collector", "keys", "api-token"))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.addr+"/api/v1/hosts/"+string(d.host), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var h muster.HostStanding
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&h); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %w", resp.Status, errors.Join(err))
	}
	if h.ID != d.host || h.Seq < 2 {
		return fmt.Errorf("the collector has report %d of host %q, want 2 of %q", h.Seq, h.ID, d.host)
	}
	fmt.Fprintf(d.out, "demo: the collector has report %d of %s (%s)\n", h.Seq, h.Hostname, h.ID)
	return nil
}

func (d *demo) seed(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "muster-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &seeder{dir: dir, site: d.site, bundle: d.path("bundle.tar.gz"), now: d.now, client: d.client}
	hosts := fleet(state)
	reports, err := s.seed(ctx, hosts)
	fmt.Fprintf(d.out, "demo: %d invented hosts, %d reports\n", len(hosts), reports)
	return err
}

func (d *demo) screenshots(ctx context.Context) error {
	place := "/counties/" + county
	pages := strings.Join([]string{"/", "/changes", "/quiet", "/pending", "/policies", "/policies/1", "/exceptions", "/exceptions/ask?county=" + county, "/courier",
		"/exports", "/people", "/log", "/search?q=clerk", place, place + "/scorecard", place + "/edit", "/hosts/" + string(d.host), "/controls/MVS-ENC-01", "/nothing"}, ",")
	cmd := exec.CommandContext(ctx, "go", "run", "./collector/web/internal/shots", "-out", d.shots, "-pages", pages, "-widths", "375,1440", d.link)
	cmd.Stdout, cmd.Stderr = d.out, os.Stderr
	return cmd.Run()
}

// stop ends the collector and waits for it.
func (d *demo) stop() {
	if d.server == nil || d.server.Process == nil {
		return
	}
	_ = d.server.Process.Signal(syscall.SIGTERM) // it may be gone already
	done := make(chan error, 1)
	go func() { done <- d.server.Wait() }()
	select {
	case <-done:
	case <-time.After(15 * time.Second):
		_ = d.server.Process.Kill()
		<-done
	}
}
