package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/uplink"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/sqlite"
	"github.com/passmuster/muster/internal/figure"
	"github.com/passmuster/muster/internal/program"
	"github.com/passmuster/muster/internal/wire"
)

// burstTimeout bounds a burst that does not come to its end.
const burstTimeout = 10 * time.Minute

// burstResult is what became of a reconnect burst.
type burstResult struct {
	agents, reports int
	// receipted reports have a receipt that the collector's key signed; stored
	// ones are in its store.
	receipted, stored int
	// atOnce sessions met no refusal and no broken connection.
	atOnce  int
	wall    time.Duration
	peakMiB float64       // of the collector
	cpu     time.Duration // of the collector
}

// burst lets agents come back at the same moment, each with a key of its own, the
// real uplink and so many reports in its outbox. root is the module's folder.
func burst(ctx context.Context, root, bin, dir string, agents, queued int) (res burstResult, err error) {
	policyKey, err := program.PolicyKey(bin, dir)
	if err != nil {
		return res, err
	}
	c, err := program.StartCollector(bin, filepath.Join(dir, "collector"), "")
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	site, err := c.Site("56021", c.URL, policyKey)
	if err != nil {
		return res, err
	}
	// So many agents have as many disks, so theirs is none that the collector uses.
	homes, err := os.MkdirTemp(memoryDir(), "muster-burst-")
	if err != nil {
		return res, err
	}
	defer os.RemoveAll(homes)
	fleet, err := prepareFleet(ctx, root, homes, site, agents, queued)
	if err != nil {
		return res, err
	}

	ctx, cancel := context.WithTimeout(ctx, burstTimeout)
	defer cancel()
	var all sync.WaitGroup
	failed := make([]error, agents)
	start := time.Now()
	for i, a := range fleet {
		all.Go(func() { failed[i] = a.run(ctx, site) })
	}
	all.Wait()
	for _, a := range fleet {
		a.hangUp()
	}
	res = burstResult{agents: agents, reports: agents * queued, wall: time.Since(start)}
	if err := errors.Join(failed...); err != nil {
		return res, err
	}
	keys, err := wire.ParsePublicKeys(site.ReceiptKeys)
	if err != nil {
		return res, err
	}
	for _, a := range fleet {
		res.receipted += a.receipted(keys)
		if !a.refused.Load() {
			res.atOnce++
		}
	}
	if res.peakMiB, err = c.MiB("VmHWM"); err != nil {
		return res, err
	}
	if err := c.Stop(); err != nil {
		return res, err
	}
	res.cpu = c.CPU()
	res.stored, err = storedIn(ctx, c.Data, fleet)
	return res, err
}

// memoryDir is a folder that no disk stands behind; "" where there is none.
func memoryDir() string {
	const name = "/dev/shm"
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return ""
	}
	return name
}

// returning is one agent of a burst: an outbox in memory, and a folder for its
// receipts. It is an uplink.Outbox, and counts the collector's refusals.
type returning struct {
	dir     string
	first   []byte        // the envelope of report 1
	rest    []*wire.Frame // the others, compressed against it
	digests []muster.Digest
	host    muster.HostID
	refused atomic.Bool
	done    context.CancelFunc
	hangUp  func()
}

func (a *returning) List() ([]uint64, error) {
	seqs := make([]uint64, len(a.digests))
	for i := range seqs {
		seqs[i] = uint64(i + 1)
	}
	// The uplink also lists at the end of each contact.
	if _, err := os.Lstat(a.receipt(len(seqs))); err == nil {
		a.done()
	}
	return seqs, nil
}

func (a *returning) Read(seq uint64) ([]byte, error) {
	if seq == 1 {
		return a.first, nil
	}
	return wire.OpenFrame(a.rest[seq-2], func(muster.Digest) []byte { return a.first }, 0)
}

func (a *returning) Base() []byte { return nil }

func (a *returning) path(name string) string { return filepath.Join(a.dir, name) }

func (a *returning) receipt(seq int) string {
	return filepath.Join(a.dir, "receipts", fmt.Sprintf("%08d.receipt", seq))
}

// run carries everything, as muster-uplink does, and ends when nothing waits.
func (a *returning) run(ctx context.Context, site *muster.Site) error {
	ctx, a.done = context.WithCancel(ctx)
	defer a.done()
	// It stays connected, as muster-uplink does.
	transport := &http.Transport{}
	a.hangUp = transport.CloseIdleConnections
	u, err := uplink.New(uplink.Options{
		Site: site, Outbox: a, EnrollmentFile: a.path("enrollment"),
		ReceiptsDir: a.path("receipts"), InboxDir: a.path("inbox"),
		Client: &http.Client{Transport: watched{transport, &a.refused}, Timeout: time.Minute},
	})
	if err != nil {
		return err
	}
	return u.Run(ctx)
}

// watched notes an answer that a session that goes well at once does not get.
type watched struct {
	http.RoundTripper
	refused *atomic.Bool
}

func (w watched) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.refused.Store(true)
	}
	return resp, err
}

// receipted counts the receipts that are for these very reports.
func (a *returning) receipted(keys []*ecdsa.PublicKey) (n int) {
	for i, digest := range a.digests {
		b, err := os.ReadFile(a.receipt(i + 1))
		if err != nil {
			continue
		}
		r, err := wire.VerifyReceipt(b, keys)
		if err == nil && r.Host == a.host && r.Seq == uint64(i+1) && r.Digest == digest {
			n++
		}
	}
	return n
}

// prepareFleet signs everything before the clock starts.
func prepareFleet(ctx context.Context, root, homes string, site *muster.Site, agents, queued int) ([]*returning, error) {
	audited, err := agent.Audit(ctx, agent.Options{Recording: filepath.Join(root, "testdata", "hosts", "win11-workstation.json")})
	if err != nil {
		return nil, err
	}
	fleet := make([]*returning, agents)
	failed := make([]error, agents)
	var all sync.WaitGroup
	free := make(chan struct{}, 2)
	for i := range fleet {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			fleet[i] = &returning{dir: filepath.Join(homes, fmt.Sprint(i))}
			failed[i] = fleet[i].prepare(audited, site, queued)
		})
	}
	all.Wait()
	return fleet, errors.Join(failed...)
}

func (a *returning) prepare(audited *agent.Result, site *muster.Site, queued int) error {
	for _, name := range []string{"receipts", "inbox"} {
		if err := os.MkdirAll(a.path(name), 0o700); err != nil {
			return err
		}
	}
	key, err := wire.NewKey()
	if err != nil {
		return err
	}
	public, err := wire.MarshalPublicKey(key.Public())
	if err != nil {
		return err
	}
	audit := audited.Audit
	audit.HostID = muster.NewHostID(public)
	a.host = audit.HostID
	audit.Host = "BURST-" + filepath.Base(a.dir)
	statement, err := wire.SignEnrollment(muster.Enrollment{
		Schema: 1, PublicKey: public, Hostname: audit.Host, County: site.County, Profile: audit.Profile,
		Platform: audit.Platform, Agent: muster.Version, MadeAt: time.Now().Truncate(time.Second),
	}, key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.path("enrollment"), statement, 0o600); err != nil {
		return err
	}
	r := agent.NewReport(&audit, site.County, "burst", audited.Results)
	for seq := uint64(1); seq <= uint64(queued); seq++ {
		r.Header.Seq, r.Header.CollectedAt = seq, r.Header.CollectedAt.Add(time.Hour)
		content, err := wire.EncodeReport(r)
		if err != nil {
			return err
		}
		envelope, err := wire.Sign(wire.KindReport, content, key, string(a.host))
		if err != nil {
			return err
		}
		r.Header.Prev = wire.EnvelopeDigest(envelope)
		a.digests = append(a.digests, r.Header.Prev)
		if seq == 1 {
			a.first = envelope
			continue
		}
		frame, err := wire.NewFrame(a.host, seq, envelope, a.first)
		if err != nil {
			return err
		}
		a.rest = append(a.rest, frame)
	}
	return nil
}

// storedIn counts the reports that are in the collector's store, byte for byte.
func storedIn(ctx context.Context, data string, fleet []*returning) (n int, err error) {
	s, err := sqlite.Open(ctx, filepath.Join(data, "muster.db"), store.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, a := range fleet {
		for i, digest := range a.digests {
			chain, err := s.Envelope(ctx, a.host, uint64(i+1))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return n, err
			}
			if err == nil && chain[0].Digest == digest {
				n++
			}
		}
	}
	return n, nil
}

func (r burstResult) print(w io.Writer) {
	share := func(n, of int) float64 { return 100 * float64(n) / float64(of) }
	figure.Print(w, fmt.Sprintf("burst of %d agents, %d reports: receipted, %%", r.agents, r.reports), share(r.receipted, r.reports), figure.AtLeast(100))
	figure.Print(w, "burst: stored, %", share(r.stored, r.reports), figure.AtLeast(100))
	figure.Print(w, "burst: until the last receipt, s", r.wall.Seconds(), figure.AtMost(60))
	figure.Print(w, "burst: collector, peak memory, MiB", r.peakMiB, figure.AtMost(300))
	figure.Print(w, "burst: collector, CPU, s", r.cpu.Seconds(), figure.Target{})
	figure.Print(w, "burst: sessions that met no refusal, %", share(r.atOnce, r.agents), figure.Target{})
}
