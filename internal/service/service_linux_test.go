package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asService, where it is set, makes the test binary a service that ends as it says.
const asService = "MUSTER_SERVICE_TEST"

func TestMain(m *testing.M) {
	if how := os.Getenv(asService); how != "" {
		err := Run(context.Background(), "test", func(ctx context.Context, ready func()) error {
			if how == "fail" {
				return errors.New("no luck")
			}
			ready()
			ready()
			fmt.Println("serving")
			<-ctx.Done()
			return nil
		})
		if err != nil {
			fmt.Println(err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func start(t *testing.T, how string, env ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(append(os.Environ(), asService+"="+how), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, bufio.NewReader(out)
}

func TestRunTellsSystemd(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	cmd, out := start(t, "serve", "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=20000")
	buf := make([]byte, 100)
	next := func() string {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := next(); got != want {
			t.Errorf("told systemd %s, want %s", got, want)
		}
	}
	if line, err := out.ReadString('\n'); err != nil || line != "serving\n" {
		t.Errorf("%q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for got := next(); got != "STOPPING=1"; got = next() {
		if got != "WATCHDOG=1" {
			t.Errorf("told systemd %s", got)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestRunInATerminal(t *testing.T) {
	cmd, out := start(t, "serve")
	if line, err := out.ReadString('\n'); err != nil || line != "serving\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	cmd, out = start(t, "fail")
	line, _ := out.ReadString('\n')
	if err := cmd.Wait(); err == nil || !strings.Contains(line, "no luck") {
		t.Errorf("%q, %v", line, err)
	}
}
