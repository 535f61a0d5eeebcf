package agent_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/agent/uplink"
	"github.com/passmuster/muster/agent/uplink/uplinktest"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies/bundle"
)

// The two programs of a host, to be broken: this test binary as an audit by a
// small policy, and as one round of the uplink. They write state as the real
// ones do, from the thread that strace counts.
const crashEnv = "MUSTER_CRASH_TEST"

func TestMain(m *testing.M) {
	program, dir, ok := strings.Cut(os.Getenv(crashEnv), " ")
	if !ok {
		os.Exit(m.Run())
	}
	runtime.LockOSThread()
	run := map[string]func(context.Context, string) error{"audit": crashAudit, "uplink": crashUplink, "courier": crashCourier}[program]
	if err := run(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// crashDir has site.json and policy.tar.gz, which no crash touches, and in disk/
// what the host writes: its state folder.
func crashState(dir string) string { return filepath.Join(dir, "disk", "state") }

func crashSite(dir string) (*muster.Site, error) {
	b, err := os.ReadFile(filepath.Join(dir, "site.json"))
	if err != nil {
		return nil, err
	}
	return muster.ParseSite(b)
}

func auditOnce(ctx context.Context, dir string) (*agent.Result, error) {
	site, err := crashSite(dir)
	if err != nil {
		return nil, err
	}
	return agent.Audit(ctx, agent.Options{
		Site: site, StateDir: crashState(dir), Bundle: filepath.Join(dir, "policy.tar.gz"), MaxOutbox: crashOutbox,
		Answer: func(context.Context, []muster.Fact) []muster.FactResult {
			return []muster.FactResult{{Name: "system", Status: muster.FactOK}}
		},
	})
}

// crashOutbox is small, so that it is thinned.
const crashOutbox = 7 << 10

func crashAudit(ctx context.Context, dir string) error {
	res, err := auditOnce(ctx, dir)
	if err != nil {
		return err
	}
	if res.Report == 0 {
		return fmt.Errorf("no report was kept: %q", res.Warnings)
	}
	fmt.Printf("kept %d\n", res.Report)
	return nil
}

func crashUplink(ctx context.Context, dir string) error {
	return uplinkOnce(ctx, dir, &http.Client{Transport: telling{}})
}

// telling says when reports are about to leave the computer.
type telling struct{}

func (telling) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/v1/reports" {
		fmt.Println("ship")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// uplinkOnce is what muster-uplink --once does.
func uplinkOnce(ctx context.Context, dir string, client *http.Client) error {
	site, err := crashSite(dir)
	if err != nil {
		return err
	}
	folder, err := state.OpenReader(crashState(dir))
	if err != nil {
		return err
	}
	box, err := outbox.OpenReader(folder.OutboxDir())
	if err != nil {
		return err
	}
	u, err := uplink.New(uplink.Options{
		Site: site, Outbox: box, Client: client, EnrollmentFile: folder.EnrollmentFile(),
		ReceiptsDir: folder.ReceiptsDir(), InboxDir: folder.InboxDir(), StatusFile: folder.StatusFile("uplink"),
		PolicyRefused: func() bool { return false },
	})
	if err != nil {
		return err
	}
	return u.Once(ctx)
}

// county is a host that is broken, and the collector that it reports to.
type county struct {
	t         *testing.T
	dir       string
	collector *uplinktest.Collector
	// kept are the reports that an audit said it had kept; damaged are those whose
	// file was broken since.
	kept    map[uint64]muster.Digest
	damaged []uint64

	key    *ecdsa.PrivateKey // of the state
	server *atomic.Pointer[uplinktest.Collector]
}

func newCounty(t *testing.T) *county {
	t.Helper()
	c := &county{t: t, dir: quickDir(t), kept: map[uint64]muster.Digest{}, server: new(atomic.Pointer[uplinktest.Collector])}
	a := newAuthority(t, "17031")
	c.key = a.key
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.server.Load().ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	var err error
	if c.collector, err = uplinktest.New(); err != nil {
		t.Fatal(err)
	}
	c.collector.Key, c.collector.Token, c.collector.AuditNow = a.key, "secret", true
	c.collector.Policy = c.policy(3)
	a.site.Collector, a.site.Token = server.URL, "secret"
	site, err := json.Marshal(a.site)
	if err := errors.Join(err, os.Mkdir(filepath.Join(c.dir, "disk"), 0o755),
		os.WriteFile(filepath.Join(c.dir, "site.json"), site, 0o644),
		os.WriteFile(filepath.Join(c.dir, "policy.tar.gz"), c.policy(1000), 0o644)); err != nil {
		t.Fatal(err)
	}
	return c
}

// quickDir is in memory where there is such a place: what is synced here is
// what the model says.
func quickDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "muster-crash-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func (c *county) policy(version int64) []byte {
	c.t.Helper()
	b, err := bundle.Build(os.DirFS(layeredPolicy(c.t, nil)), bundle.BuildOptions{Version: version})
	if err == nil {
		b, err = bundle.Sign(b, c.key)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// copy is the same county once more, in a folder of its own.
func (c *county) copy(t *testing.T) *county {
	t.Helper()
	twin := c.copyWithout(t)
	// With owners and modes, which os.CopyFS changes.
	if out, err := exec.Command("cp", "-a", filepath.Join(c.dir, "disk"), twin.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return twin
}

// copyWithout leaves the disk empty.
func (c *county) copyWithout(t *testing.T) *county {
	t.Helper()
	twin := *c
	twin.t, twin.dir, twin.collector = t, quickDir(t), c.collector.Clone()
	twin.kept, twin.damaged = maps.Clone(c.kept), slices.Clone(c.damaged)
	err := os.Mkdir(filepath.Join(twin.dir, "disk"), 0o755)
	for _, name := range []string{"site.json", "policy.tar.gz"} {
		err = errors.Join(err, os.Link(filepath.Join(c.dir, name), filepath.Join(twin.dir, name)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return &twin
}

// command is one of the two programs.
func (c *county) command(program string) *exec.Cmd {
	c.server.Store(c.collector)
	if *bin != "" {
		site, dir := filepath.Join(c.dir, "site.json"), crashState(c.dir)
		if program == "uplink" {
			return exec.Command(filepath.Join(*bin, "muster-uplink"), "--once", "--site", site, "--state", dir)
		}
		return exec.Command(filepath.Join(*bin, "muster"), "audit", "--site", site, "--state", dir,
			"--bundle", filepath.Join(c.dir, "policy.tar.gz"), "--osquery", "off")
	}
	exe, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), crashEnv+"="+program+" "+c.dir, "GOMAXPROCS=2")
	cmd.Stderr = c.t.Output()
	return cmd
}

// keptLine is what this test's audit says, and the real one.
var keptLine = regexp.MustCompile(`(?m)^(?:kept|Report) ([0-9]+)\b`)

// note takes down which report the audit has said to have kept.
func (c *county) note(stdout []byte) {
	c.t.Helper()
	if m := keptLine.FindSubmatch(stdout); m != nil {
		seq, err := strconv.ParseUint(string(m[1]), 10, 64)
		if err != nil {
			c.t.Fatal(err)
		}
		c.keep(seq)
	}
}

func (c *county) keep(seq uint64) {
	c.t.Helper()
	envelope, err := c.reader().Read(seq)
	if err != nil {
		c.t.Errorf("report %d was kept, they say, and cannot be read: %v", seq, err)
		return
	}
	if _, taken := c.kept[seq]; taken {
		c.t.Errorf("number %d was given twice", seq)
	}
	c.kept[seq] = wire.EnvelopeDigest(envelope)
}

func (c *county) reader() *outbox.Reader {
	c.t.Helper()
	r, err := outbox.OpenReader(filepath.Join(crashState(c.dir), "outbox"))
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// audit and carry run a whole program, which must go well.
func (c *county) audit() {
	c.t.Helper()
	res, err := auditOnce(c.t.Context(), c.dir)
	if err != nil {
		c.t.Fatalf("an audit does not come back: %v", err)
	}
	if res.Report == 0 {
		c.t.Fatalf("an audit keeps no report: %q", res.Warnings)
	}
	c.keep(res.Report)
}

func (c *county) carry() {
	c.t.Helper()
	c.server.Store(c.collector)
	if err := uplinkOnce(c.t.Context(), c.dir, nil); err != nil {
		c.t.Fatalf("the uplink does not come back: %v", err)
	}
}

// damage breaks the file of a report that waits.
func (c *county) damage(seq uint64) (path string) {
	c.t.Helper()
	path = filepath.Join(crashState(c.dir), "outbox", fmt.Sprintf("%08d.report", seq))
	b, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o640); err != nil {
		c.t.Fatal(err)
	}
	c.damaged = append(c.damaged, seq)
	return path
}

// settle starts both programs again, and checks that every report is where it
// must be: at the collector, in the outbox, or declared as a gap.
func (c *county) settle() {
	c.t.Helper()
	c.whole()
	c.audit()
	c.carry()
	c.audit()
	if _, err := os.Stat(filepath.Join(crashState(c.dir), "key", "host.id")); err != nil {
		c.t.Errorf("nothing says that there was a key: %v", err)
	}
	for _, err := range c.collector.Problems() {
		c.t.Errorf("the collector: %v", err)
	}
	stored, _ := c.collector.Stored()
	gone, told := map[uint64]bool{}, ""
	read := func(envelope []byte) {
		r := c.report(envelope)
		for _, g := range r.Header.Gap {
			for seq := g.From; seq <= g.To; seq++ {
				gone[seq] = true
			}
		}
		told += strings.Join(r.Detail.Notices, "\n") + "\n"
	}
	for seq := range stored {
		read(c.collector.Envelope(seq))
	}
	box := c.reader()
	seqs, err := box.List()
	if err != nil {
		c.t.Fatal(err)
	}
	there := map[uint64]muster.Digest{}
	for _, seq := range seqs {
		envelope, err := box.Read(seq)
		if err != nil {
			c.t.Fatal(err)
		}
		read(envelope)
		there[seq] = wire.EnvelopeDigest(envelope)
	}
	c.swept()
	for seq, digest := range c.kept {
		if stored[seq] != digest && there[seq] != digest && !gone[seq] {
			c.t.Errorf("report %d is lost silently", seq)
		}
	}
	for _, seq := range c.damaged {
		if _, ok := stored[seq]; ok || strings.Contains(told, fmt.Sprintf("report %d was damaged", seq)) {
			continue
		}
		// A file that could not be read was thinned like any other.
		if aside, err := filepath.Glob(filepath.Join(crashState(c.dir), "outbox", "*.corrupt")); err != nil || len(aside) > 0 || !gone[seq] {
			c.t.Errorf("no report says that report %d was damaged: %v, %v", seq, aside, err)
		}
	}
}

// swept checks that what killed audits have left half written is gone. The mail's
// folders are swept by an uplink that stays.
func (c *county) swept() {
	c.t.Helper()
	for _, folder := range []string{"", "key", "policy", "outbox", "status"} {
		left, err := filepath.Glob(filepath.Join(crashState(c.dir), folder, ".*"))
		if err != nil {
			c.t.Fatal(err)
		}
		for _, path := range left {
			if durable.IsTemp(filepath.Base(path)) && !strings.HasPrefix(filepath.Base(path), ".uplink") {
				c.t.Errorf("%s is left", path)
			}
		}
	}
}

func (c *county) report(envelope []byte) *muster.Report {
	c.t.Helper()
	key, err := os.ReadFile(filepath.Join(crashState(c.dir), "key", "host.pem"))
	if err != nil {
		c.t.Fatal(err)
	}
	host, err := wire.ParseKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	content, err := wire.Verify(wire.KindReport, envelope, &host.PublicKey)
	if err != nil {
		c.t.Fatal(err)
	}
	o, err := wire.DecodeReport(content)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := o.Report()
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// whole checks that no file is half written under its own name.
func (c *county) whole() {
	c.t.Helper()
	dir := crashState(c.dir)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == dir {
			return nil // the first audit did not come to it
		}
		if err != nil || entry.IsDir() || durable.IsTemp(entry.Name()) || entry.Name() == "lock" || filepath.Ext(path) == ".corrupt" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := c.parse(path, b); err != nil {
			c.t.Errorf("%s is half written: %v", path, err)
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *county) parse(path string, b []byte) error {
	keys := []*ecdsa.PublicKey{&c.key.PublicKey}
	var err error
	switch name, ext := filepath.Base(path), filepath.Ext(path); {
	case ext == ".report":
		var seq uint64
		if n, _ := fmt.Sscanf(name, "%d.report", &seq); n == 0 {
			if c.reader().Base() == nil {
				err = outbox.ErrCorrupt
			}
		} else if _, err = c.reader().Read(seq); err != nil {
			if slices.Contains(c.damaged, seq) {
				return nil
			}
		}
	case ext == ".json":
		var v map[string]any
		err = json.Unmarshal(b, &v)
	case ext == ".receipt":
		_, err = wire.VerifyReceipt(b, keys)
	case ext == ".cose":
		_, _, err = wire.VerifyEnrollment(b)
	case ext == ".pem":
		_, err = wire.ParseKey(b)
	case ext == ".gz":
		_, err = bundle.Open(b, bundle.OpenOptions{Keys: [][]byte{c.public()}})
	case name == "VERSION", name == "floor", name == "policy-floor", name == "audit-request":
		if !bytes.HasSuffix(b, []byte("\n")) {
			err = errors.New("its end is missing")
		}
	case name == "host.id":
		_, err = muster.ParseHostID(string(b))
	default:
		err = errors.New("the test does not know such a file")
	}
	return err
}

func (c *county) public() []byte {
	c.t.Helper()
	der, err := wire.MarshalPublicKey(c.key.Public())
	if err != nil {
		c.t.Fatal(err)
	}
	return der
}
