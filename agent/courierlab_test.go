package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/sqlite"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies"
	"github.com/passmuster/muster/policies/bundle"
)

// capital is a state with a collector that opens sealed files.
type capital struct {
	authority
	t     *testing.T
	url   string
	store *sqlite.Store
	seal  seal.Keys
}

func newCapital(t *testing.T, county muster.County) *capital {
	t.Helper()
	c := &capital{authority: newAuthority(t, county), t: t}
	b, err := seal.NewKey()
	c.must(err)
	c.seal, err = seal.ParseKeys(b)
	c.must(err)
	c.site.AgeRecipient = c.seal.Recipient()
	c.store, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "muster.db"), store.Options{})
	c.must(err)
	g, err := ingest.New(ingest.Options{Store: c.store, Key: c.key, State: c.site.State, Unseal: c.seal, Name: "State of " + c.site.State,
		Identify: func(*http.Request) (muster.Peer, error) { return muster.Peer{Local: true}, nil }})
	c.must(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	server := httptest.NewServer(g)
	c.url = server.URL
	t.Cleanup(func() {
		server.Close()
		stop()
		if err := errors.Join(<-ended, c.store.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *capital) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// folder is in memory where there is such a place: how often something is synced
// is not what these tests are about.
func (c *capital) folder() string {
	dir, err := os.MkdirTemp("/dev/shm", "muster-courier-")
	if err != nil {
		return c.t.TempDir()
	}
	c.t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			c.t.Error(err)
		}
	})
	return dir
}

// publish offers a policy to every host.
func (c *capital) publish(version int64) {
	c.t.Helper()
	b, err := bundle.Build(policies.FS(), bundle.BuildOptions{Version: version})
	c.must(err)
	b, err = bundle.Sign(b, c.key)
	c.must(err)
	c.must(c.store.Publish(c.t.Context(), muster.Release{Version: version, Revision: fmt.Sprint(version), Digest: fmt.Sprint("d", version),
		Policy: fmt.Sprint("p", version), Bundle: b, Ring: muster.RingAll}))
}

// has is what the collector stored of a host, by its newest number.
func (c *capital) has(id muster.HostID) uint64 {
	c.t.Helper()
	h, err := c.store.Host(c.t.Context(), muster.View{}, id)
	c.must(err)
	return h.Seq
}

// air is an air-gapped computer.
type air struct {
	*capital
	dir string
	id  muster.HostID
}

func (c *capital) newAir(reports int) *air {
	c.t.Helper()
	a := &air{capital: c, dir: filepath.Join(c.folder(), "state")}
	a.audit(reports)
	a.id = agent.KnownHost(a.dir)
	return a
}

func (a *air) audit(reports int) (last *agent.Result) {
	a.t.Helper()
	for range reports {
		last = mustAudit(a.t, agent.Options{Site: a.site, StateDir: a.dir, Profile: muster.EMS,
			Answer: func(context.Context, []muster.Fact) []muster.FactResult { return nil }})
		if last.Report == 0 {
			a.t.Fatal(last.Outcome, last.Warnings)
		}
	}
	return last
}

func (a *air) sync(stick string) (*agent.CourierResult, error) {
	a.t.Helper()
	return agent.Sync(a.t.Context(), stick, agent.CourierOptions{Site: a.site, StateDir: a.dir, Profile: muster.EMS})
}

func (a *air) mustSync(stick string) *agent.CourierResult {
	a.t.Helper()
	r, err := a.sync(stick)
	a.must(err)
	return r
}

func (a *air) waiting() []uint64 {
	a.t.Helper()
	r, err := outbox.OpenReader(filepath.Join(a.dir, "outbox"))
	a.must(err)
	list, err := r.List()
	a.must(err)
	return list
}

// desk is a connected computer, whose uplink posts at once what lies in relay/out.
type desk struct {
	*capital
	dir string
}

func (c *capital) newDesk() *desk {
	c.t.Helper()
	d := &desk{capital: c, dir: filepath.Join(c.folder(), "state")}
	_, err := state.Open(d.dir, state.Options{})
	c.must(err)
	return d
}

func (d *desk) sync(stick string, wait time.Duration) (*agent.CourierResult, error) {
	d.t.Helper()
	ctx, stop := context.WithCancel(d.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if err := d.post(ctx); err != nil && ctx.Err() == nil {
				d.t.Error(err)
			}
			time.Sleep(time.Millisecond)
		}
	}()
	defer func() { stop(); <-ended }()
	return agent.Sync(d.t.Context(), stick, agent.CourierOptions{Site: d.site, StateDir: d.dir, Wait: wait})
}

func (d *desk) mustSync(stick string) *agent.CourierResult {
	d.t.Helper()
	r, err := d.sync(stick, time.Minute)
	d.must(err)
	return r
}

func (d *desk) post(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(d.dir, "relay", "out", "*.courier"))
	if err != nil {
		return err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		in := filepath.Join(d.dir, "relay", "in", hex.EncodeToString(sum[:])+".return")
		if _, err := os.Stat(in); err == nil {
			continue
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/v1/courier", bytes.NewReader(b))
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(res.Body)
		if err = errors.Join(err, res.Body.Close()); err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", res.Status, answer)
		}
		if err := durable.WriteFile(in, answer, 0o640); err != nil {
			return err
		}
	}
	return nil
}

func sealedFiles(t *testing.T, stick string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(stick, "MUSTER", "outgoing", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// answer lays an answer to the one sealed file onto the stick, as anyone can.
func (a *air) answer(stick string, outcome wire.Outcome) {
	a.t.Helper()
	path := one(a.t, filepath.Join(stick, "MUSTER", "outgoing", "*.courier"))
	file, err := os.ReadFile(path)
	a.must(err)
	sum := sha256.Sum256(file)
	var b bytes.Buffer
	a.must(seal.WriteReturn(&b, &seal.Return{ReturnHead: seal.ReturnHead{Host: a.id, Collector: "nobody", File: hex.EncodeToString(sum[:8]), Reports: 1},
		Outcomes: []wire.Outcome{outcome}}))
	name := strings.TrimSuffix(filepath.Base(path), ".courier") + ".return"
	a.must(os.WriteFile(filepath.Join(stick, "MUSTER", "incoming", name), b.Bytes(), 0o644))
}

func one(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: %v, %v", pattern, files, err)
	}
	return files[0]
}

// kept is what some folders held.
type kept struct {
	copies map[string]string
}

func keep(t *testing.T, folders ...string) *kept {
	t.Helper()
	k := &kept{map[string]string{}}
	for _, folder := range folders {
		to, err := os.MkdirTemp(filepath.Dir(folder), "muster-copy-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.RemoveAll(to); err != nil {
				t.Error(err)
			}
		})
		if err := os.CopyFS(to, os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
		k.copies[folder] = to
	}
	return k
}

func (k *kept) restore(t *testing.T) {
	t.Helper()
	for folder, from := range k.copies {
		entries, err := os.ReadDir(folder)
		for _, e := range entries {
			err = errors.Join(err, os.RemoveAll(filepath.Join(folder, e.Name())))
		}
		if err = errors.Join(err, os.CopyFS(folder, os.DirFS(from))); err != nil {
			t.Fatal(err)
		}
		if err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			return os.Chmod(path, 0o600)
		}); err != nil {
			t.Fatal(err)
		}
	}
}
