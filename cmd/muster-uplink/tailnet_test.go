package main

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/passmuster/muster/agent/uplink"
	"github.com/passmuster/muster/internal/tailnet"
	"github.com/passmuster/muster/internal/tailnet/tailnettest"
)

// TestTailnet is the real program on a real tailnet: it joins with an auth key
// that it then forgets, carries mail, gets over an expired key, and finds
// its place again when it is started anew.
func TestTailnet(t *testing.T) {
	l := newLab(t)
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	name := nodeName(hostname)
	net := tailnettest.New(t, tailnettest.Options{})
	l.collector.Token = ""
	keyFile := filepath.Join(t.TempDir(), "authkey")
	writeKey := func(key string) {
		t.Helper()
		if err := os.WriteFile(keyFile, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Node(t, tailnet.Options{Hostname: "collector"}).Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: l.collector, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener) //nolint:errcheck // it ends with the test
	t.Cleanup(func() { server.Close() })
	l.writeSite("http://collector", net.ControlURL(name), "")

	gone := func() bool { _, err := os.Lstat(keyFile); return errors.Is(err, fs.ErrNotExist) }
	status := func() (s uplink.Status) {
		t.Helper()
		if _, err := l.folder.ReadStatus("uplink", &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("status: %+v, tailnet: %+v", status(), status().Tailnet)
		}
	})
	stored := func(n int) func() bool {
		return func() bool { have, _ := l.collector.Stored(); return len(have) == n }
	}
	net.RequireKey("a key of the state")
	writeKey("a key of the state\n")
	l.audit()
	cmd, log := l.command("--auth-key-file", keyFile, "--max-rate", "2mbit", "run")
	until := startProgram(t, cmd, log)
	until("the report is carried", stored(1))
	until("the key is forgotten", gone)
	until("the status says so", func() bool {
		s := status()
		return s.Tailnet != nil && s.Tailnet.State == "running" && strings.HasPrefix(s.Tailnet.Name, name) && s.Error == ""
	})

	net.ExpireKey(name)
	until("the status says that the key has expired", func() bool { return status().Tailnet.State == "expired" })
	l.audit()
	writeKey("a key of the state\n")
	until("the second report is carried", stored(2))
	until("the second key is forgotten", gone)
	stopProgram(t, cmd, log)

	before := status().Tailnet
	net.RequireKey("") // the control server of the tests asks known nodes, too
	l.audit()
	cmd, log = l.command("--auth-key-file", keyFile, "--once")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if now := status().Tailnet; !stored(3)() || now.State != "running" || !slices.Equal(now.Addresses, before.Addresses) {
		t.Errorf("before %+v, then %+v", before, now)
	}
	if strings.Contains(log.String(), "a key of the state") {
		t.Errorf("the log has the key:\n%s", log)
	}
	if problems := l.collector.Problems(); len(problems) > 0 {
		t.Errorf("%v", problems)
	}
}

// startProgram gives a way to wait for something that the program does.
func startProgram(t *testing.T, cmd *exec.Cmd, log *bytes.Buffer) (until func(what string, true func() bool)) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fail := func(what string) {
		cmd.Process.Kill() //nolint:errcheck // it may have ended
		cmd.Wait()         //nolint:errcheck // killed
		t.Fatalf("never: %s\n%s", what, log)
	}
	return func(what string, true func() bool) {
		t.Helper()
		for range 12_000 {
			if true() {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		fail(what)
	}
}

func stopProgram(t *testing.T, cmd *exec.Cmd, log *bytes.Buffer) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		cmd.Process.Kill() //nolint:errcheck // an operating system without signals
	}
	if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() != -1 {
		t.Errorf("%v\n%s", err, log)
	}
}
