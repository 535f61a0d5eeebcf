// Package ingest is the collector's side of the host API: it verifies every
// report, commits many of them in one transaction, and gives a receipt only
// for what is committed.
//
// Memory and time are bounded whatever comes: bodies, frames and envelopes
// have limits, so does what all that wait for a place may hold, and a request
// that finds none in time is answered 503 before its body is read further. A
// report that is refused costs the others of its batch nothing.
package ingest

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// Defaults of Options.
const (
	// DefaultMaxBusy is how many chunks of reports are in memory at once.
	DefaultMaxBusy = 32
	// DefaultMaxHeld is the room for what came and waits for a place: all that a
	// state's hosts kept for a day, when they come back at once.
	DefaultMaxHeld = 64 << 20
	// DefaultCacheBytes is the room for newest reports, the bases of the next.
	DefaultCacheBytes = 8 << 20
)

// MaxDepth bounds how many stored envelopes must be opened, one against the
// other, to read a stored one. A report whose base has this depth is stored
// against the sample instead.
const MaxDepth = 32

// NextCheckin is how long a host is asked to wait until it checks in again,
// before jitter.
const NextCheckin = 5 * time.Minute

const (
	// askTimeout bounds what is read of the store for one request.
	askTimeout = 20 * time.Second
	// commitTimeout bounds a transaction; what becomes of it then is found out by
	// another.
	commitTimeout = time.Minute
	// commitAgain is the pause before a failed transaction is tried again.
	commitAgain = 200 * time.Millisecond
)

// Store is what ingest needs of a store. collector/store says what the methods
// promise.
type Store interface {
	Enroll(ctx context.Context, e muster.Enrolled, approved bool, madeAt time.Time) (muster.HostState, error)
	Enrolled(ctx context.Context, id muster.HostID) (muster.Enrolled, error)
	Host(ctx context.Context, v muster.View, id muster.HostID) (muster.HostStanding, error)
	Commit(ctx context.Context, reports []muster.Accepted) ([]muster.Committed, error)
	Base(ctx context.Context, host muster.HostID, digest muster.Digest) ([]muster.StoredEnvelope, error)
	Releases(ctx context.Context) ([]muster.Release, error)
	RingMembers(ctx context.Context) ([]muster.RingMember, error)
	Bundle(ctx context.Context, version int64) ([]byte, error)
	KeepCustody(ctx context.Context, steps []muster.CustodyEvent) error
	Custody(ctx context.Context, id muster.HostID) ([]muster.CustodyEvent, error)
}

// Options of New. Store, Key and State are required.
type Options struct {
	Store Store
	// Key signs receipts; P-256.
	Key crypto.Signer
	// State is the two-digit FIPS code; hosts of other states are refused.
	State string
	// Demo marks every host that enrolls as invented.
	Demo bool
	// Identify tells who sent a request. Its error that is ErrToken refuses the
	// request; any other asks the sender to come again. Nil knows nobody: every new
	// host is pending. See LoopbackToken.
	Identify func(r *http.Request) (muster.Peer, error)
	// Unseal opens courier files; none means that every file is another collector's.
	Unseal seal.Keys
	// Name of the collector, for people.
	Name string
	// Severity of a control; nil means that every control is critical.
	Severity func(control string) muster.Severity
	// MaxBusy is how many chunks of reports are in memory at once, each of at
	// most 1 MiB of envelopes or one larger report; 0 means DefaultMaxBusy.
	MaxBusy int
	// Patience is how long a request waits for a place before it is answered 503;
	// 0 means not at all. Whoever serves bounds how many wait.
	Patience time.Duration
	// MaxHeld bounds the bytes of all reports that have come and wait for a place,
	// as they come; the next are answered 503 at once. 0 means DefaultMaxHeld.
	MaxHeld int
	// CacheBytes is the room for newest reports as they are stored, and a sixth of it more
	// for such as they were signed; 0 means DefaultCacheBytes.
	CacheBytes int
	// Limits of senders and hosts; the zero value means DefaultLimits.
	Limits Limits
	// Stats are counted there; nil means that nobody looks.
	Stats *Stats
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger; nil discards.
	Logger *slog.Logger
}

// Ingest serves the host API. Its reports are committed by Run.
type Ingest struct {
	Options
	mux   *http.ServeMux
	busy  chan struct{} // one place for each chunk in memory
	queue chan *chunk
	crowd *Crowd
	held  *Crowd        // bytes of reports in memory, as they came, by sender
	done  chan struct{} // closed when Run has ended

	senders *cache[string, *sender]
	keys    *cache[muster.HostID, *known]
	chains  *cache[muster.HostID, []muster.StoredEnvelope] // each as OpenStored wants it
	opened  *cache[muster.Digest, []byte]                  // the envelopes of some of them
	refused *cache[refusal, struct{}]
	rooms   sync.Pool // of *rooms

	complaints *rate.Limiter // lines in the log

	couriers chan struct{} // one place for each sealed file that is read
	ofCounty *Crowd        // of them
	rollout  rollout
}

// New makes the handler of the host API. Reports wait until Run runs.
func New(o Options) (*Ingest, error) {
	if o.Store == nil || o.Key == nil || len(o.State) != 2 {
		return nil, errors.New("ingest: options: store, key and a two-digit state are required")
	}
	if o.Identify == nil {
		o.Identify = func(*http.Request) (muster.Peer, error) { return muster.Peer{}, nil }
	}
	if o.Severity == nil {
		o.Severity = func(string) muster.Severity { return muster.SeverityCritical }
	}
	if o.MaxBusy <= 0 {
		o.MaxBusy = DefaultMaxBusy
	}
	if o.MaxHeld <= 0 {
		o.MaxHeld = DefaultMaxHeld
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	o.Limits = o.Limits.withDefaults()
	if o.Stats == nil {
		o.Stats = &Stats{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Ingest{
		Options: o,
		mux:     http.NewServeMux(),
		busy:    make(chan struct{}, o.MaxBusy),
		queue:   make(chan *chunk, o.MaxBusy),
		crowd:   NewCrowd(maxPerNode),
		held:    NewCrowd(max(o.MaxHeld/maxHeldShare, wire.MaxFrame)),
		done:    make(chan struct{}),
		senders: newCache[string, *sender](maxSenders),
		keys:    newCache[muster.HostID, *known](maxHosts),
		chains:  newCache[muster.HostID, []muster.StoredEnvelope](o.CacheBytes),
		opened:  newCache[muster.Digest, []byte](o.CacheBytes / 6),
		refused: newCache[refusal, struct{}](10_000),
		rooms:   sync.Pool{New: func() any { return new(rooms) }},

		complaints: rate.NewLimiter(1, 10),

		couriers: make(chan struct{}, maxCouriers),
		ofCounty: NewCrowd(maxOfCounty),
	}
	g.mux.Handle("POST /v1/enroll", g.from(g.enroll))
	g.mux.Handle("POST /v1/checkin", g.from(g.checkin))
	g.mux.Handle("POST /v1/reports", g.from(g.reports))
	g.mux.Handle("POST /v1/courier", g.from(g.courier))
	g.mux.Handle("GET /v1/policy", g.from(g.policy))
	return g, nil
}

// from hands the request on with who sent it, as far as the sender's limits let it.
func (g *Ingest) from(do func(http.ResponseWriter, *http.Request, muster.Peer)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := g.Identify(r)
		if err != nil {
			g.fail(w, r, fmt.Errorf("%w: %w", errStranger, err))
			return
		}
		s := g.sender(r, peer)
		if !g.crowd.Enter(s.name) {
			hangUp(w, r)
			g.turnAway(w, "busy", "this node asks for too much at once")
			return
		}
		defer g.crowd.Leave(s.name)
		if err := pay(s.work, 1); err != nil {
			g.fail(w, r, err)
			return
		}
		do(w, r, peer)
	})
}

// ServeHTTP answers the host API.
func (g *Ingest) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

// chunk is some reports of one request on their way through a commit.
type chunk struct {
	reports []muster.Accepted
	results []muster.Committed
	err     error
	done    chan struct{}
}

// maxCommit bounds the reports of one transaction.
const maxCommit = 256

var errStopped = errors.New("the collector is stopping")

// Run commits what arrives until ctx ends and what was queued is committed and
// answered. Stop the HTTP server first. Run is called once.
func (g *Ingest) Run(ctx context.Context) error {
	defer close(g.done)
	for {
		select {
		case c := <-g.queue:
			g.commit(g.gather(c))
			continue
		case <-ctx.Done():
		}
		select {
		case c := <-g.queue:
			g.commit(g.gather(c))
		default:
			return nil
		}
	}
}

// gather takes what else waits, up to maxCommit reports. It never waits: the
// next group forms while this one is committed.
func (g *Ingest) gather(first *chunk) []*chunk {
	group, n := []*chunk{first}, len(first.reports)
	for n < maxCommit {
		select {
		case c := <-g.queue:
			group, n = append(group, c), n+len(c.reports)
		default:
			return group
		}
	}
	return group
}

// commit stores the group in one transaction. One that fails for another reason
// than a full disk is tried again: where the connection was lost it may be stored all
// the same, and the reports are then found as duplicates. Then each chunk is tried
// alone, so that no host's report can keep another's out.
func (g *Ingest) commit(group []*chunk) {
	n := 0
	for _, c := range group {
		n += len(c.reports)
	}
	all := make([]muster.Accepted, 0, n)
	for _, c := range group {
		all = append(all, c.reports...)
	}
	results, err := g.transact(all)
	if err != nil && !errors.Is(err, muster.ErrFull) {
		g.Logger.Warn("commit failed, trying again", "reports", len(all), "error", err)
		time.Sleep(commitAgain)
		results, err = g.transact(all)
	}
	if err == nil || len(group) == 1 || errors.Is(err, muster.ErrFull) || errors.Is(err, context.DeadlineExceeded) {
		g.settle(group, results, err)
		return
	}
	for i := range group {
		results, err := g.transact(group[i].reports)
		g.settle(group[i:i+1], results, err)
	}
}

// transact is one transaction. What was taken is finished, also while the collector
// stops.
func (g *Ingest) transact(reports []muster.Accepted) ([]muster.Committed, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	start := time.Now()
	results, err := g.Store.Commit(ctx, reports)
	if g.Stats.Committed != nil {
		g.Stats.Committed(len(reports), time.Since(start), err)
	}
	return results, err
}

// settle tells those who wait what became of their reports.
func (g *Ingest) settle(group []*chunk, results []muster.Committed, err error) {
	for _, c := range group {
		if c.err = err; err == nil {
			c.results, results = results[:len(c.reports)], results[len(c.reports):]
		} else {
			g.Logger.Error("reports not stored", "reports", len(c.reports), "error", err)
		}
		close(c.done)
	}
}

// store hands the chunk to Run and waits until it is committed.
func (g *Ingest) store(ctx context.Context, c *chunk) error {
	c.done = make(chan struct{})
	select {
	case g.queue <- c: // has room for every chunk that is busy
	case <-g.done:
		return errStopped
	case <-ctx.Done():
		return fmt.Errorf("wait for a place in the queue: %w", ctx.Err())
	}
	g.Stats.Waiting.Add(1)
	defer g.Stats.Waiting.Add(-1)
	select {
	case <-c.done:
		return c.err
	case <-g.done:
	}
	select {
	case <-c.done: // Run's last act
		return c.err
	default:
		return errStopped
	}
}
