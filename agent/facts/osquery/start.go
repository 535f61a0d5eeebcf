package osquery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	pollInterval = 50 * time.Millisecond
	// stopGrace is how long a daemon may take to end by itself before it is killed.
	stopGrace = 2 * time.Second
)

// daemon is an osqueryd that lives as long as the audit.
type daemon struct {
	process *os.Process
	ended   chan struct{} // closed when the process is gone
	said    *tail
}

// Start runs a private osqueryd with its files in dir, a folder that exists
// and belongs to this process alone, and connects to it. The daemon has no
// database, logs or events, and dies with this process, even when this process is
// killed. Close ends it and waits for it.
func Start(ctx context.Context, binary, dir string) (*Engine, error) {
	if err := trustBinary(binary); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	socket := filepath.Join(dir, "osquery.em")
	if runtime.GOOS == "windows" {
		socket = fmt.Sprintf(`\\.\pipe\muster-%d-%d.em`, os.Getpid(), time.Now().UnixNano())
	}
	d := &daemon{ended: make(chan struct{}), said: &tail{}}
	if err := d.start(binary, flags(dir, socket)); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	e, err := d.connect(ctx, socket)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, errors.Join(err, d.stop()))
	}
	return e, nil
}

func flags(dir, socket string) []string {
	in := func(name string) string { return filepath.Join(dir, name) }
	return []string{
		"--flagfile=" + os.DevNull,
		"--config_plugin=filesystem", "--config_path=" + in("osquery.conf"),
		"--logger_plugin=filesystem", "--logger_path=" + dir,
		"--pidfile=" + in("osqueryd.pid"), "--database_path=" + in("osquery.db"),
		"--extensions_socket=" + socket, "--extensions_autoload=" + os.DevNull,
		"--disable_distributed", "--disable_carver", "--disable_events", "--disable_audit",
		"--ephemeral", "--disable_database",
		// One process, so that none is left behind.
		"--disable_watchdog",
	}
}

func (d *daemon) start(binary string, args []string) error {
	cmd := exec.Command(binary, args...)
	cmd.Env = []string{"SystemRoot=" + os.Getenv("SystemRoot")} // Windows starts nothing without it
	cmd.Stdout, cmd.Stderr = d.said, d.said
	cmd.WaitDelay = stopGrace
	dieTogether(cmd)
	started := make(chan error)
	go func() {
		// Linux kills the child when the thread that made it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		d.process = cmd.Process
		if err == nil {
			release, tieErr := tie(cmd.Process)
			if err = tieErr; err != nil {
				cmd.Process.Kill() //nolint:errcheck // Wait tells
				cmd.Wait()         //nolint:errcheck // err says why
			}
			defer release()
		}
		started <- err
		if err == nil {
			cmd.Wait() //nolint:errcheck // how it ended is in what it said
			close(d.ended)
		}
	}()
	return <-started
}

// connect waits until the daemon says hello.
func (d *daemon) connect(ctx context.Context, socket string) (*Engine, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	err := errors.New("it did not open its socket")
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no hello in time: %w", err)
		case <-d.ended:
			return nil, fmt.Errorf("it ended: %s", d.said)
		case <-tick.C:
		}
		var e *Engine
		if e, err = Dial(ctx, socket); err == nil {
			e.daemon = d
			return e, nil
		}
		if errors.Is(err, errNotTrusted) {
			return nil, err
		}
	}
}

func (d *daemon) stop() error {
	interrupt(d.process)
	select {
	case <-d.ended:
		return nil
	case <-time.After(stopGrace):
	}
	if err := d.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end osqueryd: %w", err)
	}
	<-d.ended
	return nil
}

// tail keeps the last words of a process.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 1 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := strings.TrimSpace(string(t.text)); text != "" {
		return text
	}
	return "without a word"
}
