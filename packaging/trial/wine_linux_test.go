package trial

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// windows is a Windows of the test's own, as far as wine is one.
type windows struct {
	t *testing.T
	// c is its drive C:.
	c   string
	env []string
}

// newWindows copies the Windows that packaging/wine/prefix makes once, and keeps it
// running until the test ends: wine stops the services with the last program.
func newWindows(t *testing.T) *windows {
	t.Helper()
	for _, program := range []string{"wine", "wixl", "msibuild", "osslsigncode"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: packaging/test-packages.txt names what the tests need", program)
		}
	}
	made, err := exec.Command("../wine/prefix").Output()
	if err != nil {
		t.Fatalf("make a Windows: %v", err)
	}
	prefix := filepath.Join(t.TempDir(), "windows")
	if out, err := exec.Command("cp", "-a", "--reflink=auto", strings.TrimSpace(string(made)), prefix).CombinedOutput(); err != nil {
		t.Fatalf("copy the Windows: %v\n%s", err, out)
	}
	w := &windows{t: t, c: filepath.Join(prefix, "drive_c"), env: append(os.Environ(), "DISPLAY=", "WINEPREFIX="+prefix, "WINEARCH=win64",
		"WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree=;mshtml=;winemenubuilder.exe=")}
	power := w.command(context.Background(), "cmd.exe") // until the clean-up
	stdin, err := power.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := power.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop := exec.Command("wineserver", "-k") // what runs in this prefix, and nothing else
		stop.Env = w.env
		stop.Run()
		stdin.Close()
		power.Wait()
	})
	w.until("Windows runs", func() bool { _, code := w.run("cmd.exe", "/c", "ver"); return code == 0 })
	return w
}

// command starts a program of this Windows. Wine shows modes as access lists, and hands
// none down: so nobody else gets any rights.
func (w *windows) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", `umask 077 && exec wine "$@"`, "sh"}, args...)...)
	cmd.Env = w.env
	return cmd
}

// run runs a program of this Windows to its end, and gives what it printed and its exit
// code, of which wine leaves the last eight bits.
func (w *windows) run(args ...string) (string, int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := w.command(ctx, args...)
	// Not a pipe, which a service that it starts would hold open.
	out, err := os.CreateTemp(w.t.TempDir(), "out")
	if err != nil {
		w.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		w.t.Fatalf("%v: %v", args, err)
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		w.t.Fatal(err)
	}
	b, err := io.ReadAll(out)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(bytes.ReplaceAll(b, []byte("\r"), nil)), cmd.ProcessState.ExitCode()
}

// ok runs a program that has to succeed.
func (w *windows) ok(args ...string) string {
	w.t.Helper()
	out, code := w.run(args...)
	if code != 0 {
		w.t.Fatalf("%v: exit code %d\n%s\n%s", args, code, out, w.setupLog())
	}
	return out
}

func (w *windows) muster(args ...string) (string, int) {
	w.t.Helper()
	return w.run(append([]string{`C:\Program Files\Muster\muster.exe`}, args...)...)
}

// setupLog is what muster.exe says of the last installation.
func (w *windows) setupLog() string { return w.read("windows/logs/muster-setup.log") }

// read gives a file of drive C:, or "" where there is none.
func (w *windows) read(name string) string {
	b, err := os.ReadFile(filepath.Join(w.c, name))
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *windows) write(name, content string) {
	w.t.Helper()
	path := filepath.Join(w.c, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *windows) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(w.c, name))
	return err == nil
}

// service gives the standing of a service: RUNNING, STOPPED, or "" where there is none.
func (w *windows) service(name string) string {
	w.t.Helper()
	out, _ := w.run("sc", "query", name)
	for _, state := range []string{"RUNNING", "STOPPED", "START_PENDING", "STOP_PENDING"} {
		if strings.Contains(out, state) {
			return state
		}
	}
	return ""
}

// until waits for something that happens by itself.
func (w *windows) until(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain: %s\n%s", what, w.setupLog())
		}
	}
}
