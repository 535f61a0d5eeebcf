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
	DefaultPoll     = time.Second
)

const (
	minInterval = 5 * time.Second
	maxInterval = 24 * time.Hour
	backoffBase = 2 * time.Second
	backoffMax  = 15 * time.Minute
	// A final refusal is tried again after this long: people put counties and
	// approvals right.
	refusedFor = 24 * time.Hour
	// A host that waits for approval, or cannot read a file, tries again sooner.
	soonAgain = time.Hour
	// The collector is told of a clock that was off by so many seconds more or less.
	sameSkew = 2

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
	// OutboxDir is watched for changes; "" means that Outbox is read at every Poll.
	OutboxDir string
	// RelayOutDir has sealed courier files of other hosts, RelayInDir gets what the
	// collector returns for them; "" means that nothing is relayed.
	RelayOutDir string
	RelayInDir  string
	// StatusFile gets a Status as JSON; "" means none.
	StatusFile string
	// Client speaks to the collector; nil means one of NewClient. Its CheckRedirect
	// is not used: redirects are never followed.
	Client *http.Client
	// Tailnet tells where this node stands; nil means that there is no tailnet.
	Tailnet func() muster.TailnetStatus
	// Ready is called once the outbox was looked at, and Alive by the main loop at
	// every Poll; nil means that nobody asks.
	Ready func()
	Alive func()
	// PolicyDigest tells which bundle the host uses; nil means unknown.
	PolicyDigest func() string
	// PolicyRefused reports whether muster has refused the policy that came last; nil
	// means that nobody knows, and no policy comes twice.
	PolicyRefused func() bool
	// Interval between check-ins where the collector names none, before jitter;
	// 0 means DefaultInterval.
	Interval time.Duration
	// Poll is how often new mail is looked for in between; 0 means DefaultPoll.
	Poll time.Duration
	// Logger; nil means none.
	Logger *slog.Logger
	// Now; nil means time.Now.
	Now func() time.Time
}

// Uplink is the postman of one host. Run or Once, one at a time.
type Uplink struct {
	Options
	client     *client
	keys       []*ecdsa.PublicKey
	status     Status
	enrolled   muster.Digest // of the enrollment that the collector has
	enrolledAt time.Time
	introduced bool // it knows this program's version, and a clock that was off by toldSkew
	toldSkew   int
	base       []byte // newest envelope receipted in this process
	room       int    // reports of the next batch: fewer after a cut
	refused    map[uint64]refusal
	relayed    map[string]*sealedFile // by name
	download   download
	seen       folderTimes // before the last contact
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
	if o.Ready == nil {
		o.Ready = func() {}
	}
	if o.Alive == nil {
		o.Alive = func() {}
	}
	if o.PolicyDigest == nil {
		o.PolicyDigest = func() string { return "" }
	}
	u := &Uplink{
		Options: o,
		client:  newClient(o.Client, base, o.Site.Token),
		keys:    keys,
		room:    batchReports,
		refused: map[uint64]refusal{},
		relayed: map[string]*sealedFile{},
	}
	u.readStatus()
	return u, nil
}

// Run checks in and carries mail until ctx is done. No failure of the network
// or the collector ends it. It returns nil after ctx is done.
func (u *Uplink) Run(ctx context.Context) error {
	for _, dir := range []string{u.ReceiptsDir, u.InboxDir, u.RelayInDir} {
		if dir == "" {
			continue
		}
		if err := durable.Sweep(dir); err != nil {
			return err
		}
	}
	if u.StatusFile != "" {
		if err := durable.Sweep(filepath.Dir(u.StatusFile), filepath.Base(u.StatusFile)); err != nil {
			return err
		}
	}
	if _, err := u.waiting(); err != nil {
		return err
	}
	u.Ready()
	failures := 0
	for {
		u.Alive()
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
		u.wait(ctx, next, err)
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
	after := time.Duration(0)
	if busy := (*busyError)(nil); errors.As(err, &busy) {
		after = busy.after
	}
	if errors.Is(err, errReceiptKey) {
		after = backoffMax // only people put that right
	}
	wait = max(wait, after+time.Duration(rand.Int64N(int64(after)/4+1)))
	return max(wait, 100*time.Millisecond)
}

// cycle is one contact and what it leaves in the status file.
func (u *Uplink) cycle(ctx context.Context) (next time.Duration, err error) {
	next, err = u.contact(ctx)
	if ctx.Err() == nil {
		u.status.Error = ""
		if err != nil {
			u.status.Error = err.Error()
		}
		u.writeStatus()
	}
	return next, err
}

// contact: enroll where needed, check in, ship, fetch, relay.
func (u *Uplink) contact(ctx context.Context) (time.Duration, error) {
	u.seen = u.changed() // what comes from here on is new
	if u.Tailnet != nil {
		if t := u.tailnet(); t.State != running {
			return 0, errNoTailnet(t)
		}
	}
	host, err := u.enroll(ctx)
	if err != nil {
		return 0, err
	}
	waiting, err := u.waiting()
	if err != nil {
		return 0, err
	}
	answer, err := u.checkin(ctx, host, len(waiting))
	if err != nil {
		return 0, fmt.Errorf("check in: %w", err)
	}
	// One report that always fails must keep neither a policy nor another host's mail.
	for _, part := range []func() error{
		func() error { return u.requestAudit(answer.AuditNow) },
		func() error { return u.ship(ctx, host, waiting) },
		func() error { return u.takePolicy(ctx, host, answer.PolicyETag) },
		func() error { return u.relay(ctx) },
	} {
		failed := part()
		if busy := (*busyError)(nil); errors.As(failed, &busy) || ctx.Err() != nil {
			return 0, failed // it wants a rest, and not the next question
		}
		err = cmp.Or(err, failed)
	}
	if err != nil {
		return 0, err
	}
	next := u.Interval
	if answer.NextSeconds > 0 {
		next = time.Duration(min(answer.NextSeconds, int(maxInterval.Seconds()))) * time.Second
	}
	return max(next, minInterval), nil
}

func (u *Uplink) requestAudit(now bool) error {
	if !now {
		return nil
	}
	return durable.WriteFile(filepath.Join(u.InboxDir, "audit-request"), []byte("now\n"), 0o640)
}

func (u *Uplink) takePolicy(ctx context.Context, host muster.HostID, etag string) error {
	if etag == "" || etag == u.status.PolicyETag && !u.policyLost() {
		return nil
	}
	return u.fetchPolicy(ctx, host)
}

// errNoTailnet says what a person can do, where it is a person's turn.
func errNoTailnet(t muster.TailnetStatus) error {
	switch {
	case t.LoginURL != "":
		return fmt.Errorf("this computer is not in the tailnet: open %s to let it in, or give it a new auth key", printable(t.LoginURL))
	case len(t.Problems) > 0:
		return fmt.Errorf("this computer is not in the tailnet: %s", printable(t.Problems[0]))
	}
	return errors.New("this computer is not in the tailnet yet")
}

// checkin leaves out what this collector was told before.
func (u *Uplink) checkin(ctx context.Context, host muster.HostID, waiting int) (answer wire.CheckinAnswer, err error) {
	checkin := wire.Checkin{Host: host, OutboxDepth: waiting}
	if err := checkin.Policy.UnmarshalText([]byte(u.PolicyDigest())); err != nil {
		checkin.Policy = muster.Digest{} // none that a collector has published
	}
	if !u.introduced || max(u.status.ClockSkewSeconds-u.toldSkew, u.toldSkew-u.status.ClockSkewSeconds) > sameSkew {
		checkin.Uplink, checkin.Now = muster.Version, u.Now().UTC().Truncate(time.Second)
	}
	sent := u.Now()
	if err := u.client.checkin(ctx, checkin, &answer); err != nil {
		if errors.Is(err, errUnknownHost) {
			u.enrolled = muster.Digest{}
		}
		return answer, err
	}
	u.introduced = true
	now := u.Now()
	u.status.LastContact = now.UTC()
	if !answer.Now.IsZero() {
		// It answered in the middle of the round trip, in the middle of its second.
		skew := sent.Add(now.Sub(sent) / 2).Sub(answer.Now.Add(time.Second / 2))
		u.status.ClockSkewSeconds = int(skew.Round(time.Second).Seconds())
	}
	if !checkin.Now.IsZero() {
		u.toldSkew = u.status.ClockSkewSeconds
	}
	return answer, nil
}

var errNotEnrolled = errors.New("this host has no enrollment yet: run muster audit once")

// enroll tells the collector who this is: once a process, when muster has
// written a new statement, when the collector has forgotten, and now and then
// while it waits for approval.
func (u *Uplink) enroll(ctx context.Context) (muster.HostID, error) {
	envelope, err := durable.ReadForeign(u.EnrollmentFile, maxEnrollment)
	if errors.Is(err, os.ErrNotExist) {
		return "", errNotEnrolled
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
	again := u.status.State == muster.HostPending && u.Now().Sub(u.enrolledAt) >= soonAgain
	if u.enrolled == digest && !again {
		return host, nil
	}
	var answer wire.EnrollAnswer
	if err := u.client.enroll(ctx, envelope, &answer); err != nil {
		return "", fmt.Errorf("enroll: %w", err)
	}
	u.enrolled, u.enrolledAt, u.status.State, u.introduced = digest, u.Now(), answer.State, false
	u.Logger.Info("enrolled", "host", host, "state", answer.State)
	return host, nil
}
