package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/agent/uplink"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/tailnet"
	"github.com/passmuster/muster/internal/wire"
)

// smallOutbox is the room of an agent with a small disk, in bytes.
const smallOutbox = 32 << 10

// host is one computer: real state folder, outbox, uplink and tailnet node, and an
// audit that is recorded.
type host struct {
	*soak
	name    string
	index   int // in the plan; -1 where nothing is planned for it
	dir     string
	machine string
	rng     *rand.Rand

	id       muster.HostID
	acked    []acked
	clock    time.Time // of the simulation
	skew     time.Duration
	node     *tailnet.Node
	uplink   *uplink.Uplink
	portable bool
	approved bool // where it is portable
	renewed  bool // it was re-imaged
	// twin: another computer has its key.
	twin         bool
	runs, rounds int // of the courier, and after the last outage
}

// acked is a report that Append has promised to keep.
type acked struct {
	host   muster.HostID
	seq    uint64
	digest muster.Digest
	gap    []muster.SeqRange // that it declares
}

func (s *soak) newHost(name string, index int) *host {
	sum := sha256.Sum256([]byte(name))
	return &host{
		soak: s, name: name, index: index, dir: filepath.Join(s.dir, name), machine: hex.EncodeToString(sum[:]),
		rng: rand.New(rand.NewPCG(s.seed, uint64(index)+100)), clock: s.start,
		portable: index >= s.agents-s.portables(),
	}
}

func (h *host) now() time.Time { return h.clock.Add(h.skew) }

func (h *host) path(elem ...string) string {
	return filepath.Join(append([]string{h.dir}, elem...)...)
}

// open opens the state folder as each run of muster does. Call done.
func (h *host) open() (f *state.Folder, box *outbox.Outbox, key *ecdsa.PrivateKey, done func() error, err error) {
	fail := func(err error) (*state.Folder, *outbox.Outbox, *ecdsa.PrivateKey, func() error, error) {
		return nil, nil, nil, nil, fmt.Errorf("%s: %w", h.name, err)
	}
	if f, err = state.Open(h.path("state"), state.Options{}); err != nil {
		return fail(err)
	}
	if done, err = f.Lock(); err != nil {
		return fail(err)
	}
	if key, err = f.HostKey(); err == nil {
		h.id, err = wire.HostIDOf(key.Public())
	}
	o := outbox.Options{}
	if smallDisk(h.index) {
		o.MaxBytes = smallOutbox
	}
	if err == nil {
		box, err = outbox.Open(f.OutboxDir(), o)
	}
	if err != nil {
		return fail(errors.Join(err, done()))
	}
	return f, box, key, done, nil
}

// audit keeps one report, as muster audit does, and first takes the receipts.
func (h *host) audit() (err error) {
	f, box, key, done, err := h.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := h.receipts(f, box); err != nil {
		return err
	}
	audit := h.recorded.Audit
	audit.Host, audit.HostID, audit.AuditedAt = h.name, h.id, h.now()
	r := agent.NewReport(&audit, h.site.County, "boot", h.recorded.Results)
	if h.rng.IntN(8) == 0 { // some three verdicts a day
		v := &r.Verdicts[h.rng.IntN(len(r.Verdicts))]
		v.Status = muster.Status(h.rng.IntN(3))
	}
	var a acked
	a.seq, err = box.Append(func(seq uint64, prev muster.Digest, gap []muster.SeqRange) (envelope []byte, change muster.Digest, err error) {
		r.Header.Seq, r.Header.Prev, r.Header.Gap = seq, prev, gap
		if change, err = wire.ChangeDigest(r); err != nil {
			return nil, change, err
		}
		content, err := wire.EncodeReport(r)
		if err != nil {
			return nil, change, err
		}
		envelope, err = wire.Sign(wire.KindReport, content, key, string(h.id))
		a.host, a.digest, a.gap = h.id, wire.EnvelopeDigest(envelope), gap
		return envelope, change, err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	h.acked = append(h.acked, a)
	return h.enroll(f, key)
}

// receipts looks through the outbox and takes what the uplink has brought. What is
// no good receipt is no failure of the agent: the tally shows what it does.
func (h *host) receipts(f *state.Folder, box *outbox.Outbox) error {
	if _, err := box.Verify(); err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	if _, err := box.ApplyReceipts(f.ReceiptsDir(), h.id, h.keys); err != nil {
		h.log.Warn("receipts not taken", "host", h.name, "error", err)
	}
	return nil
}

// left takes the receipts and tells what still waits, and what was dropped and is
// not told yet.
func (h *host) left() (waiting []uint64, dropped uint64, err error) {
	f, box, _, done, err := h.open()
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := h.receipts(f, box); err != nil {
		return nil, 0, err
	}
	waiting, err = box.List()
	return waiting, box.Dropped(), err
}

func (h *host) enroll(f *state.Folder, key *ecdsa.PrivateKey) error {
	if _, err := os.Lstat(f.EnrollmentFile()); err == nil {
		return nil
	}
	public, err := wire.MarshalPublicKey(key.Public())
	if err != nil {
		return err
	}
	statement, err := wire.SignEnrollment(muster.Enrollment{
		Schema: wire.EnrollmentSchema, PublicKey: public, Hostname: h.name, County: h.site.County, Profile: h.recorded.Audit.Profile,
		Platform: h.recorded.Audit.Platform, Agent: muster.Version, MadeAt: h.now().Truncate(time.Second), Machine: h.machine,
	}, key)
	if err != nil {
		return err
	}
	return durable.WriteFile(f.EnrollmentFile(), statement, 0o640)
}

// join starts the host's node of the tailnet; a new one where it has none.
func (h *host) join() (err error) {
	if err := h.signIn(); err != nil {
		return err
	}
	h.node, err = h.tailnet.Open(tailnet.Options{
		Dir: h.path("tailnet"), Hostname: h.name, AuthKeyFile: h.path("auth.key"), ShieldsUp: true,
	})
	return err
}

// signIn gives the node a key to come in with.
func (h *host) signIn() error {
	return os.WriteFile(h.path("auth.key"), []byte(authKey), 0o600)
}

// boot starts the uplink.
func (h *host) boot() error {
	f, err := state.OpenReader(h.path("state"))
	if err != nil {
		return err
	}
	mail, err := outbox.OpenReader(f.OutboxDir())
	if err != nil {
		return err
	}
	h.uplink, err = uplink.New(uplink.Options{
		Site: h.site, Outbox: mail, EnrollmentFile: f.EnrollmentFile(),
		ReceiptsDir: f.ReceiptsDir(), InboxDir: f.InboxDir(), StatusFile: f.StatusFile("uplink"),
		Client:  &http.Client{Transport: h},
		Tailnet: func() muster.TailnetStatus { return h.node.Status(context.Background()) },
		Logger:  slog.New(h.log.Handler().WithAttrs([]slog.Attr{slog.String("host", h.name)})), Now: h.now,
	})
	return err
}

// RoundTrip leads to the collector over the tailnet, or to who answers in its place.
func (h *host) RoundTrip(r *http.Request) (*http.Response, error) {
	for k, stranger := range h.strangers {
		if on(h.plan, h.step, h.index, k) {
			r.URL.Host = stranger.Listener.Addr().String()
			return http.DefaultTransport.RoundTrip(r)
		}
	}
	return h.node.Client().Transport.RoundTrip(r)
}

// contact lets the uplink carry what waits. Where nothing is in the way it has some
// time for it: a node needs seconds, not hours, to find its tailnet again.
func (h *host) contact(ctx context.Context) {
	hopeless := on(h.plan, h.step, h.index, partition, keyExpired, relayDown, collectorDown, busy, portal, impostor) ||
		on(h.plan, h.step, h.index, controlDown) && h.node.Status(ctx).State != "running"
	patience, tries := reachable, maxTries
	switch {
	case hopeless:
		patience, tries = unreachable, 1
	case h.twin: // some reports are refused for ever
		tries = 3
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for try := 1; ; try++ {
		// A connection to what is not there any more must not take all the time.
		once, done := context.WithTimeout(ctx, perTry)
		err := h.uplink.Once(once)
		done()
		if err == nil {
			h.contacts.Add(1)
			return
		}
		h.log.Info("no contact", "host", h.name, "error", err)
		h.failed.Add(1)
		if try == tries {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// die is a power cut during a write: what was in memory is gone, and half a file
// is there.
func (h *host) die() error {
	for _, torn := range []string{".00000099.report.tmp", ".chain.json.tmp"} {
		if err := os.WriteFile(h.path("state", "outbox", torn), []byte("muster-report 1 half of it"), 0o600); err != nil {
			return err
		}
	}
	return h.boot()
}

// decay turns a bit of the oldest waiting report, if there is one.
func (h *host) decay() error {
	files, err := filepath.Glob(h.path("state", "outbox", "0*.report"))
	if err != nil || len(files) == 0 {
		return err
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	b[h.rng.IntN(len(b))] ^= 1
	h.decayed.Add(1)
	return os.WriteFile(files[0], b, 0o640)
}

// reimage gives the machine an empty disk, with a new name in the tailnet's eyes.
// It waits until nothing would be lost by it.
func (h *host) reimage() (ok bool, err error) {
	waiting, dropped, err := h.left()
	if err != nil || len(waiting) > 0 || dropped > 0 {
		return false, err
	}
	if err := errors.Join(h.node.Close(), os.RemoveAll(h.dir), os.MkdirAll(h.dir, 0o700)); err != nil {
		return false, err
	}
	return true, errors.Join(h.audit(), h.join(), h.boot())
}

// clone puts a copy of the disk into another machine.
func (h *host) clone() (*host, error) {
	c := h.newHost(h.name+"-copy", -1)
	c.portable, c.twin, h.twin = false, true, true
	c.clock = h.clock
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.CopyFS(c.path("state"), os.DirFS(h.path("state"))); err != nil {
		return nil, err
	}
	if err := os.Chmod(c.path("state", "key", "host.pem"), 0o600); err != nil {
		return nil, err
	}
	c.tailnet.Tag(c.name, "tag:county-"+string(h.site.County))
	return c, errors.Join(c.join(), c.boot())
}
