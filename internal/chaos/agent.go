package main

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/uplink"
	"github.com/passmuster/muster/internal/wire"
)

const (
	// A host makes up to so many reports, and then has a contact and waits up to so long.
	mostReports = 6
	restMost    = 2 * time.Second
	perContact  = 20 * time.Second
	afterFailed = 300 * time.Millisecond
)

// host is one computer: an outbox in memory, the real uplink, and a list of what it
// made and what has a receipt. It is an uplink.Outbox.
type host struct {
	*chaos
	dir    string
	id     muster.HostID
	key    *ecdsa.PrivateKey
	keys   []*ecdsa.PublicKey
	rng    *rand.Rand
	uplink *uplink.Uplink
	to     int // replica

	report    *muster.Report
	made      []muster.Digest // by number, from 1
	waiting   map[uint64][]byte
	newest    []byte // of those that have a receipt
	newestSeq uint64
	receipted map[uint64]bool

	contacts, failed int
}

func (c *chaos) newHost(i int) (*host, error) {
	key, err := wire.NewKey()
	if err != nil {
		return nil, err
	}
	public, err := wire.MarshalPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	h := &host{
		chaos: c, dir: filepath.Join(c.dir, fmt.Sprintf("host-%03d", i+1)), id: muster.NewHostID(public), key: key,
		rng: rand.New(rand.NewPCG(c.seed, uint64(i)+100)), to: i % len(c.replicas),
		waiting: map[uint64][]byte{}, receipted: map[uint64]bool{},
	}
	if h.keys, err = wire.ParsePublicKeys(c.site.ReceiptKeys); err != nil {
		return nil, err
	}
	for _, name := range []string{"receipts", "inbox"} {
		if err := os.MkdirAll(filepath.Join(h.dir, name), 0o700); err != nil {
			return nil, err
		}
	}
	audit := c.recorded.Audit
	audit.HostID, audit.Host = h.id, filepath.Base(h.dir)
	h.report = agent.NewReport(&audit, county, "boot", c.recorded.Results)
	h.report.Header.CollectedAt = time.Now().Add(-90 * 24 * time.Hour).Truncate(time.Second)
	statement, err := wire.SignEnrollment(muster.Enrollment{Hostname: audit.Host, County: county, Profile: audit.Profile,
		Platform: audit.Platform, Agent: muster.Version, MadeAt: time.Now()}, key)
	if err != nil {
		return nil, err
	}
	enrollment := filepath.Join(h.dir, "enrollment")
	if err := os.WriteFile(enrollment, statement, 0o600); err != nil {
		return nil, err
	}
	h.uplink, err = uplink.New(uplink.Options{
		Site: c.site, Outbox: h, EnrollmentFile: enrollment,
		ReceiptsDir: filepath.Join(h.dir, "receipts"), InboxDir: filepath.Join(h.dir, "inbox"),
		Client: &http.Client{Transport: h, Timeout: perContact},
		Logger: slog.New(c.log.Handler().WithAttrs([]slog.Attr{slog.String("host", audit.Host)})),
	})
	return h, err
}

// List, Read and Base are the outbox. One goroutine uses a host.
func (h *host) List() ([]uint64, error) { return slices.Sorted(maps.Keys(h.waiting)), nil }

func (h *host) Read(seq uint64) ([]byte, error) {
	if e, ok := h.waiting[seq]; ok {
		return e, nil
	}
	return nil, fs.ErrNotExist
}

func (h *host) Base() []byte { return h.newest }

// RoundTrip leads to the collector that the host uses now.
func (h *host) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Host = h.replicas[h.to].address
	return http.DefaultTransport.RoundTrip(r)
}

// live makes reports and brings them until ctx ends. The contact that is under way
// then is cut off.
func (h *host) live(ctx context.Context) error {
	for {
		for range 1 + h.rng.IntN(mostReports) {
			if err := h.audit(); err != nil {
				return err
			}
		}
		wait := time.Duration(h.rng.Int64N(int64(restMost)))
		if ok, err := h.contact(ctx); err != nil {
			return err
		} else if !ok {
			wait = afterFailed
		}
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// finish brings what waits.
func (h *host) finish(ctx context.Context) error {
	for len(h.waiting) > 0 {
		if _, err := h.contact(ctx); err != nil {
			return err
		}
		if len(h.waiting) > 0 && !sleep(ctx, afterFailed) {
			return fmt.Errorf("%s still has %d reports", filepath.Base(h.dir), len(h.waiting))
		}
	}
	return nil
}

// audit makes the next report; some verdicts of it differ from the one before.
func (h *host) audit() error {
	head := &h.report.Header
	head.Seq, head.CollectedAt = head.Seq+1, head.CollectedAt.Add(time.Minute)
	if h.rng.IntN(4) == 0 {
		h.report.Verdicts[h.rng.IntN(len(h.report.Verdicts))].Status = muster.Status(h.rng.IntN(4))
	}
	content, err := wire.EncodeReport(h.report)
	if err != nil {
		return err
	}
	envelope, err := wire.Sign(wire.KindReport, content, h.key, string(h.id))
	if err != nil {
		return err
	}
	head.Prev = wire.EnvelopeDigest(envelope)
	h.made, h.waiting[head.Seq] = append(h.made, head.Prev), envelope
	return nil
}

// contact carries what waits to a collector, the next one after a failure, and then
// takes the receipts, as muster does.
func (h *host) contact(ctx context.Context) (ok bool, err error) {
	err = h.uplink.Once(ctx)
	h.contacts++
	if err != nil {
		h.failed++
		h.log.Info("no contact", "host", filepath.Base(h.dir), "error", err)
		h.to = (h.to + 1) % len(h.replicas)
	}
	return err == nil, h.takeReceipts()
}

// takeReceipts lets go of the reports that have one.
func (h *host) takeReceipts() error {
	files, err := filepath.Glob(filepath.Join(h.dir, "receipts", "*.receipt"))
	if err != nil {
		return err
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		r, err := wire.VerifyReceipt(b, h.keys)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		envelope, ok := h.waiting[r.Seq]
		if !ok || r.Host != h.id || r.Digest != wire.EnvelopeDigest(envelope) {
			return fmt.Errorf("%s is for no report that waits", name)
		}
		delete(h.waiting, r.Seq)
		h.receipted[r.Seq] = true
		if r.Seq > h.newestSeq {
			h.newest, h.newestSeq = envelope, r.Seq
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}
