package main

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/agent/uplink"
	"github.com/passmuster/muster/agent/uplink/uplinktest"
	"github.com/passmuster/muster/internal/cli"
	"github.com/passmuster/muster/internal/wire"
)

// TestMain turns the test binary into muster-uplink where a test starts it so.
func TestMain(m *testing.M) {
	if os.Getenv("MUSTER_UPLINK_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// lab is a host with a real state folder, and a collector on loopback.
type lab struct {
	t         *testing.T
	collector *uplinktest.Collector
	folder    *state.Folder
	outbox    *outbox.Outbox
	key       *ecdsa.PrivateKey
	host      muster.HostID
	site      string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, site: filepath.Join(t.TempDir(), "site.json")}
	var err error
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l.collector, err = uplinktest.New()
	must(err)
	server := httptest.NewServer(l.collector)
	t.Cleanup(server.Close)
	l.folder, err = state.Open(filepath.Join(t.TempDir(), "state"), state.Options{})
	must(err)
	l.key, err = l.folder.HostKey()
	must(err)
	l.host, err = wire.HostIDOf(l.key.Public())
	must(err)
	l.outbox, err = outbox.Open(l.folder.OutboxDir(), outbox.Options{})
	must(err)
	enrollment, err := wire.SignEnrollment(muster.Enrollment{Hostname: "PC", County: "17031"}, l.key)
	must(err)
	must(os.WriteFile(l.folder.EnrollmentFile(), enrollment, 0o600))
	l.collector.Token = "a token"
	l.writeSite(server.URL, "", "a token")
	return l
}

func (l *lab) writeSite(collector, control, token string) {
	l.t.Helper()
	der, err := wire.MarshalPublicKey(l.collector.Key.Public())
	if err != nil {
		l.t.Fatal(err)
	}
	site, err := json.Marshal(muster.Site{
		Schema: muster.SiteSchema, Name: "State of Example", State: "17", County: "17031", Collector: collector, ControlURL: control,
		PolicyKeys: [][]byte{der}, ReceiptKeys: [][]byte{der}, Token: token,
	})
	if err = errors.Join(err, os.WriteFile(l.site, site, 0o600)); err != nil {
		l.t.Fatal(err)
	}
}

// audit adds a report, as muster would.
func (l *lab) audit() {
	l.t.Helper()
	_, err := l.outbox.Append(func(seq uint64, prev muster.Digest, gap []muster.SeqRange) ([]byte, muster.Digest, error) {
		r := &muster.Report{Header: muster.Header{Schema: 1, Host: l.host, Seq: seq, Prev: prev, Gap: gap, CollectedAt: time.Now()}}
		content, err := wire.EncodeReport(r)
		if err != nil {
			return nil, muster.Digest{}, err
		}
		envelope, err := wire.Sign(wire.KindReport, content, l.key, string(l.host))
		return envelope, muster.Digest{byte(seq)}, err
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) applyReceipts() int {
	l.t.Helper()
	n, err := l.outbox.ApplyReceipts(l.folder.ReceiptsDir(), l.host, []*ecdsa.PublicKey{&l.collector.Key.PublicKey})
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

func (l *lab) waiting() int {
	l.t.Helper()
	d, err := l.outbox.Depth()
	if err != nil {
		l.t.Fatal(err)
	}
	return d.Reports
}

// command is the real program as a process of its own.
func (l *lab) command(args ...string) (*exec.Cmd, *bytes.Buffer) {
	l.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{"--state", l.folder.Dir(), "--site", l.site}, args...)...)
	cmd.Env = append(os.Environ(), "MUSTER_UPLINK_TEST_MAIN=1")
	var log bytes.Buffer
	cmd.Stderr = &log
	return cmd, &log
}

func TestOnce(t *testing.T) {
	l := newLab(t)
	for range 3 {
		l.audit()
	}
	cmd, log := l.command("--once", "--log-format", "json")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	for line := range strings.Lines(log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if n := l.applyReceipts(); n != 3 || l.waiting() != 0 {
		t.Errorf("%d receipts, %d wait", n, l.waiting())
	}
	var s uplink.Status
	if found, err := l.folder.ReadStatus("uplink", &s); !found || err != nil || s.Receipted != 3 || s.Host != l.host {
		t.Errorf("%v, %v, %+v", found, err, s)
	}
}

func TestStopsOnSignal(t *testing.T) {
	l := newLab(t)
	l.audit()
	cmd, log := l.command("run")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for {
		if stored, _ := l.collector.Stored(); len(stored) == 1 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		cmd.Process.Kill() // an operating system without signals
	}
	if err := cmd.Wait(); err != nil && !errors.Is(err, os.ErrProcessDone) && cmd.ProcessState.ExitCode() != -1 {
		t.Errorf("%v\n%s", err, log)
	}
}

// The uplink is killed at a random moment, again and again, while audits go on.
// Every report arrives, and none is stored as two.
func TestKill(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	l := newLab(t)
	arrived := make(chan struct{}, 1)
	l.collector.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v1/reports" {
			select {
			case arrived <- struct{}{}:
			default:
			}
		}
		return false
	}
	for round := range rounds {
		l.audit()
		l.audit()
		select {
		case <-arrived: // of the round before
		default:
		}
		cmd, log := l.command()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// One half anywhere, one half around the moment when a batch is stored and
		// its receipts are written, on a slow machine later than on a fast one: what
		// no round receipts is carried again by every round.
		started := time.Now()
		if round%2 == 0 {
			time.Sleep(time.Duration(rand.IntN(60_000)) * time.Microsecond)
		} else {
			<-arrived
			time.Sleep(rand.N(time.Since(started)))
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		cmd.Wait() // killed, as it should be
		l.applyReceipts()
	}
	cmd, log := l.command("--once")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	l.applyReceipts()
	stored, again := l.collector.Stored()
	if len(stored) != 2*rounds || l.waiting() != 0 {
		t.Errorf("%d of %d stored, %d wait", len(stored), 2*rounds, l.waiting())
	}
	if problems := l.collector.Problems(); len(problems) != 0 {
		t.Errorf("the collector says: %v", problems)
	}
	t.Logf("%d reports; %d came a second time and were receipted again", len(stored), again)
}

func TestWrongUse(t *testing.T) {
	l := newLab(t)
	noCounty := filepath.Join(t.TempDir(), "site.json")
	if err := os.WriteFile(noCounty, []byte(`{"muster_site":1,"name":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--nonsense"}, "unknown flag"},
		{[]string{"fly"}, `unknown argument "fly"`},
		{[]string{"run", "fast"}, `unknown argument "fast"`},
		{[]string{"--site", "/nowhere/site.json"}, "site file"},
		{[]string{"--site", noCounty}, "field county"},
		{[]string{"--state", t.TempDir()}, "run muster audit first"},
		{[]string{"--log-format", "xml"}, "use text or json"},
		{[]string{"--interval", "-1s"}, "--interval"},
		{[]string{"--max-rate", "fast"}, "--max-rate"},
	} {
		args := append([]string{"--state", l.folder.Dir(), "--site", l.site, "--once"}, c.args...)
		var stdout, stderr bytes.Buffer
		code := run(args, &stdout, &stderr)
		if code != cli.Usage || !strings.Contains(stderr.String(), c.says) ||
			!strings.HasPrefix(stderr.String(), "muster-uplink: error: ") || !strings.Contains(stderr.String(), "\nmuster-uplink: hint: ") {
			t.Errorf("%v: exit code %d\n%s", c.args, code, stderr.String())
		}
	}
}

func TestUnreachedCollector(t *testing.T) {
	l := newLab(t)
	l.audit()
	l.writeSite("http://127.0.0.1:1", "", "a token")
	var stdout, stderr bytes.Buffer
	code := run([]string{"--state", l.folder.Dir(), "--site", l.site, "--once"}, &stdout, &stderr)
	if code != cli.Failed || !strings.Contains(stderr.String(), "nothing is lost") || l.waiting() != 1 {
		t.Errorf("exit code %d, %d wait\n%s", code, l.waiting(), stderr.String())
	}
}

func TestHelpAndVersion(t *testing.T) {
	for arg, want := range map[string]string{"--help": "Exit codes:", "--version": fmt.Sprintf("muster-uplink %s\n", muster.Version)} {
		var stdout, stderr bytes.Buffer
		if code := run([]string{arg}, &stdout, &stderr); code != cli.OK || !strings.Contains(stdout.String(), want) {
			t.Errorf("%s: exit code %d\n%s%s", arg, code, stdout.String(), stderr.String())
		}
	}
}
