// Package uplink carries the outbox to the collector over HTTP and brings
// receipts, policies and requests back, as files that muster verifies.
//
// It is trusted by neither side: it holds no signing key, deletes no report, and
// takes a receipt for true only when a key of the site file signed it. Whoever
// takes it over can delay mail and nothing else.
package uplink

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/wire"
)

// Defaults of Options.
const (
	DefaultInterval = 15 * time.Minute
	DefaultPoll     = 15 * time.Second
)

const (
	minInterval = 5 * time.Second
	maxInterval = 24 * time.Hour
	backoffBase = 2 * time.Second
	backoffMax  = 15 * time.Minute
	// A final refusal is tried again after this long: people put counties and
	// approvals right.
	refusedFor = 24 * time.Hour
	// A host that waits for approval asks again sooner.
	pendingFor = time.Hour

	maxEnrollment = 64 << 10 // bytes
)

// Outbox is what waits. See agent/outbox.Reader, which it is made after: a
// report that was listed may be gone when it is read.
type Outbox interface {
	List() ([]uint64, error)
	Read(seq uint64) (envelope []byte, err error)
	Base() []byte
}

// Options for New. Site, Outbox and the paths are required.
type Options struct {
	Site   *muster.Site
	Outbox Outbox
	// EnrollmentFile is the host's signed statement, made by muster.
	EnrollmentFile string
	// ReceiptsDir and InboxDir are where mail for muster goes.
	ReceiptsDir string
	InboxDir    string
	// StatusFile gets a Status as JSON; "" means none.
	StatusFile string
	// Client speaks to the collector; nil means a plain one. Its CheckRedirect
	// is not used: redirects are never followed.
	Client *http.Client
	// PolicyDigest tells which bundle the host uses; nil means unknown.
	PolicyDigest func() string
	// PolicyRefused reports whether muster has refused the policy that came last; nil
	// means that nobody knows, and no policy comes twice.
	PolicyRefused func() bool
	// Interval between check-ins where the collector names none, before jitter;
	// 0 means DefaultInterval.
	Interval time.Duration
	// Poll is how often the outbox is looked at in between; 0 means DefaultPoll.
	Poll time.Duration
	// Logger; nil means none.
	Logger *slog.Logger
	// Now; nil means time.Now.
	Now func() time.Time
}

// Uplink is the postman of one host. Run or Once, one at a time.
type Uplink struct {
	Options
	client   *client
	keys     []*ecdsa.PublicKey
	status   Status
	enrolled muster.Digest // of the enrollment that the collector has
	base     []byte        // newest envelope receipted in this process
	refused  map[uint64]refusal
}

type refusal struct {
	code   wire.Code
	reason string
	until  time.Time
}

// New checks the options and reads what the last run has left in the status file.
func New(o Options) (*Uplink, error) {
	if o.Site == nil || o.Outbox == nil || o.EnrollmentFile == "" || o.ReceiptsDir == "" || o.InboxDir == "" {
		return nil, errors.New("uplink: site, outbox, enrollment, receipts and inbox are required")
	}
	keys, err := wire.ParsePublicKeys(o.Site.ReceiptKeys)
	if err != nil {
		return nil, fmt.Errorf("site file: field receipt_keys: %w", err)
	}
	base, err := url.Parse(o.Site.Collector)
	if err != nil {
		return nil, fmt.Errorf("site file: field collector: %w", err)
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Poll == 0 {
		o.Poll = DefaultPoll
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.PolicyDigest == nil {
		o.PolicyDigest = func() string { return "" }
	}
	u := &Uplink{
		Options: o,
		client:  newClient(o.Client, base, o.Site.Token),
		keys:    keys,
		refused: map[uint64]refusal{},
	}
	u.readStatus()
	return u, nil
}

// Run checks in and carries mail until ctx is done. No failure of the network
// or the collector ends it. It returns nil after ctx is done.
func (u *Uplink) Run(ctx context.Context) error {
	for _, dir := range []string{u.ReceiptsDir, u.InboxDir} {
		if err := durable.Sweep(dir); err != nil {
			return err
		}
	}
	failures := 0
	for {
		next, err := u.cycle(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			failures = 0
			next = time.Duration(float64(next) * (0.75 + rand.Float64()/2))
		} else {
			failures++
			next = backoff(failures, err)
			u.Logger.Warn("the collector was not reached", "error", err, "failures", failures, "retry_seconds", int(next.Seconds()))
		}
		u.sleep(ctx, next, err == nil)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// Once checks in and carries all mail, once. Its error says also that the
// collector has refused some of it.
func (u *Uplink) Once(ctx context.Context) error {
	if _, err := u.cycle(ctx); err != nil {
		return err
	}
	if n := len(u.refused); n > 0 {
		newest := u.status.Refused[0]
		return fmt.Errorf("%d reports are refused, the newest being %d: %s", n, newest.Seq, cmp.Or(newest.Reason, string(newest.Code)))
	}
	return nil
}

// backoff is exponential with full jitter, and never before the collector's Retry-After.
func backoff(failures int, err error) time.Duration {
	ceiling := min(backoffBase<<min(failures-1, 16), backoffMax)
	wait := time.Duration(rand.Int64N(int64(ceiling)))
	if busy := (*busyError)(nil); errors.As(err, &busy) {
		wait = max(wait, busy.after+time.Duration(rand.Int64N(int64(busy.after)/4+1)))
	}
	return max(wait, 100*time.Millisecond)
}

// sleep waits for d, or, where wake is set, until something new is in the outbox;
// after a failure what waits there is not new.
func (u *Uplink) sleep(ctx context.Context, d time.Duration, wake bool) {
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	poll := time.NewTicker(u.Poll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-deadline.C:
			return
		case <-poll.C:
			if !wake {
				continue
			}
			if waiting, err := u.waiting(); err == nil && len(waiting) > 0 {
				return
			}
		}
	}
}

// cycle is one contact: enroll where needed, check in, ship, fetch.
func (u *Uplink) cycle(ctx context.Context) (next time.Duration, err error) {
	next, err = u.contact(ctx)
	if ctx.Err() == nil {
		u.writeStatus(err)
	}
	return next, err
}

func (u *Uplink) contact(ctx context.Context) (time.Duration, error) {
	host, err := u.enroll(ctx)
	if err != nil {
		return 0, err
	}
	waiting, err := u.waiting()
	if err != nil {
		return 0, err
	}
	var answer wire.CheckinAnswer
	checkin := wire.Checkin{
		Host: host, OutboxDepth: len(waiting), PolicyDigest: u.PolicyDigest(),
		Uplink: muster.Version, Now: u.Now().UTC().Truncate(time.Second),
	}
	if err := u.client.checkin(ctx, checkin, &answer); err != nil {
		if errors.Is(err, errUnknownHost) {
			u.enrolled = muster.Digest{}
		}
		return 0, fmt.Errorf("check in: %w", err)
	}
	u.status.LastContact = u.Now().UTC()
	if err := u.ship(ctx, host, waiting); err != nil {
		return 0, err
	}
	if answer.AuditNow {
		if err := durable.WriteFile(filepath.Join(u.InboxDir, "audit-request"), []byte("now\n"), 0o640); err != nil {
			return 0, err
		}
	}
	if answer.PolicyETag != "" && (answer.PolicyETag != u.status.PolicyETag || u.policyLost()) {
		if err := u.fetchPolicy(ctx, host); err != nil {
			return 0, fmt.Errorf("fetch the policy: %w", err)
		}
	}
	next := u.Interval
	if answer.NextSeconds > 0 {
		next = time.Duration(min(answer.NextSeconds, int(maxInterval.Seconds()))) * time.Second
	}
	return max(next, minInterval), nil
}

// enroll tells the collector who this is: once a process, when muster has
// written a new statement, and when the collector has forgotten.
func (u *Uplink) enroll(ctx context.Context) (muster.HostID, error) {
	envelope, err := durable.ReadForeign(u.EnrollmentFile, maxEnrollment)
	if errors.Is(err, os.ErrNotExist) {
		return "", errors.New("this host has no enrollment yet: run muster audit once")
	}
	if err != nil {
		return "", fmt.Errorf("read the enrollment: %w", err)
	}
	_, host, err := wire.VerifyEnrollment(envelope)
	if err != nil {
		return "", fmt.Errorf("%s is damaged: %w: run muster audit to write it again", u.EnrollmentFile, err)
	}
	digest := wire.EnvelopeDigest(envelope)
	u.status.Host = host
	if u.enrolled == digest {
		return host, nil
	}
	var answer wire.EnrollAnswer
	if err := u.client.enroll(ctx, envelope, &answer); err != nil {
		return "", fmt.Errorf("enroll: %w", err)
	}
	u.enrolled, u.status.State = digest, answer.State
	u.Logger.Info("enrolled", "host", host, "state", answer.State)
	return host, nil
}

// policyLost: the collector offers again what came before, so muster does not
// judge by it, though it neither waits nor was refused.
func (u *Uplink) policyLost() bool {
	if u.PolicyRefused == nil || u.PolicyRefused() {
		return false
	}
	_, err := os.Lstat(u.inboxPolicy())
	return errors.Is(err, fs.ErrNotExist)
}

func (u *Uplink) inboxPolicy() string { return filepath.Join(u.InboxDir, "policy.tar.gz") }

func (u *Uplink) fetchPolicy(ctx context.Context, host muster.HostID) error {
	bundle, etag, err := u.client.policy(ctx, host)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(u.inboxPolicy(), bundle, 0o640); err != nil {
		return err
	}
	u.status.PolicyETag = etag
	u.Logger.Info("a policy came", "etag", etag, "bytes", len(bundle))
	return nil
}
