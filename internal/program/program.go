// Package program runs the built programs as children, for the benchmarks and
// the soak: a real process that can be killed, and whose memory can be read.
package program

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/passmuster/muster"
)

// stopTimeout is how long a program may take to end after SIGTERM.
const stopTimeout = 30 * time.Second

// Process is a running program.
type Process struct {
	cmd  *exec.Cmd
	done chan error
}

// Start runs a program whose words on stderr go to the end of a log file.
func Start(log, name string, args ...string) (*Process, error) {
	p, _, err := start(log, "", name, args...)
	return p, err
}

// start also waits for a line on stdout that has the mark in it.
func start(log, mark, name string, args ...string) (*Process, string, error) {
	fail := func(err error) (*Process, string, error) {
		return nil, "", fmt.Errorf("start %s: %w", filepath.Base(name), err)
	}
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	p := &Process{cmd: exec.Command(name, args...), done: make(chan error, 1)}
	p.cmd.Stderr = f
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return fail(err)
	}
	if err := p.cmd.Start(); err != nil {
		return fail(err)
	}
	line := ""
	if mark != "" {
		for lines := bufio.NewScanner(stdout); line == "" && lines.Scan(); {
			if strings.Contains(lines.Text(), mark) {
				line = lines.Text()
			}
		}
	}
	go func() {
		p.done <- p.cmd.Wait()
		close(p.done) // a second Stop finds it ended
	}()
	if mark != "" && line == "" {
		return fail(errors.Join(fmt.Errorf("it ended: see %s", log), p.Kill()))
	}
	return p, line, nil
}

// Stop asks the program to end, and waits for it.
func (p *Process) Stop() error {
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	select {
	case err := <-p.done:
		return err
	case <-time.After(stopTimeout):
		return errors.Join(errors.New("it did not end in time"), p.Kill())
	}
}

// CPU is what the program used, user and system, once it has ended.
func (p *Process) CPU() time.Duration {
	s := p.cmd.ProcessState
	return s.UserTime() + s.SystemTime()
}

// CPUSoFar is what the running program has used.
func (p *Process) CPUSoFar() (time.Duration, error) {
	const tick = 10 * time.Millisecond // the kernel's unit there, on every Linux
	name := fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid)
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	// After the program's name, which may hold anything, user and system time are
	// the 12th and 13th.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s: only %d fields", name, len(fields))
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// Kill ends the program at once, without a word to it.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	if err == nil {
		<-p.done
	}
	return err
}

// MiB reads one of the kernel's figures of the process's memory: VmRSS is what
// it has resident now, VmHWM the most that it ever had.
func (p *Process) MiB(field string) (float64, error) {
	name := fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)
	b, err := os.ReadFile(name)
	if err != nil {
		return math.NaN(), err
	}
	_, rest, _ := strings.Cut(string(b), "\n"+field+":")
	var kB float64
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		return math.NaN(), fmt.Errorf("%s: field %s: %w", name, field, err)
	}
	return kB / 1024, nil
}

// Collector is a running muster-collector.
type Collector struct {
	*Process
	Bin, Data string
	// URL of its host API and pages.
	URL string
}

// StartCollector serves the state with the code 56 from a data folder, on an address of
// this computer; "" means any free one.
func StartCollector(bin, data, listen string, more ...string) (*Collector, error) {
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	args := append([]string{"serve", "--data", data, "--listen", listen, "--state", "56"}, more...)
	p, line, err := start(filepath.Join(data, "collector.log"), "dashboard http://", filepath.Join(bin, "muster-collector"), args...)
	if err != nil {
		return nil, err
	}
	_, url, _ := strings.Cut(line, "dashboard ")
	url, _, _ = strings.Cut(url, "/login")
	return &Collector{Process: p, Bin: bin, Data: data, URL: url}, nil
}

// Site makes the site file for a county, whose hosts find the collector at url.
func (c *Collector) Site(county muster.County, url, policyKey string) (*muster.Site, error) {
	out, err := exec.Command(filepath.Join(c.Bin, "muster-collector"), "site", "--data", c.Data,
		"--county", string(county), "--collector", url, "--policy-key", policyKey).Output()
	if err != nil {
		return nil, fmt.Errorf("make a site file: %w", err)
	}
	return muster.ParseSite(out)
}

// APIToken opens the collector's JSON API.
func (c *Collector) APIToken() (string, error) {
	b, err := os.ReadFile(filepath.Join(c.Data, "keys", "api-token"))
	return strings.TrimSpace(string(b)), err
}

// PolicyKey makes a key that signs policies, and names the file of its public half.
func PolicyKey(bin, dir string) (public string, err error) {
	key := filepath.Join(dir, "policy-key.pem")
	if out, err := exec.Command(filepath.Join(bin, "muster"), "policy", "keygen", "--no-passphrase", "-o", key).CombinedOutput(); err != nil {
		return "", fmt.Errorf("make a policy key: %w\n%s", err, out)
	}
	return key + ".pub", nil
}
