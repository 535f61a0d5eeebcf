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
	"sync/atomic"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/seal"
)

// Defaults of Options.
const (
	// DefaultMaxBusy is how many chunks of reports are in memory at once.
	DefaultMaxBusy = 32
	// DefaultMaxHeld is the room for what came and waits for a place: all that a
	// state's hosts kept for a day, when they come back at once.
	DefaultMaxHeld = 64 << 20
	// DefaultCacheBytes is the room for newest envelopes, the bases of the next.
	DefaultCacheBytes = 48 << 20
)

// maxPerNode bounds the requests of one node of the tailnet at once: an uplink
// sends one at a time. It is fewer than maxCouriers.
const maxPerNode = 4

// MaxDepth bounds how many stored envelopes must be opened, one against the
// other, to read a stored one. A report whose base has this depth is stored
// against the sample instead.
const MaxDepth = 32

// NextCheckin is how long a host is asked to wait until it checks in again,
// before jitter.
const NextCheckin = 5 * time.Minute

// Store is what ingest needs of a store. collector/store says what the methods
// promise.
type Store interface {
	Enroll(ctx context.Context, e muster.Enrolled, approved bool, madeAt, at time.Time) (muster.HostState, error)
	Enrolled(ctx context.Context, id muster.HostID) (muster.Enrolled, error)
	Host(ctx context.Context, id muster.HostID) (muster.HostStanding, error)
	Commit(ctx context.Context, reports []muster.Accepted) ([]muster.Committed, error)
	Base(ctx context.Context, host muster.HostID, digest muster.Digest) ([]muster.StoredEnvelope, error)
	Releases(ctx context.Context) ([]muster.Release, error)
	RingMembers(ctx context.Context) ([]muster.RingMember, error)
	Bundle(ctx context.Context, version int64) ([]byte, error)
	KeepCustody(ctx context.Context, steps []muster.CustodyEvent) error
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
	// Identify tells who sent a request. Its error refuses the request. Nil knows
	// nobody: every new host is pending. See LoopbackToken.
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
	// CacheBytes is the room for newest envelopes; 0 means DefaultCacheBytes.
	CacheBytes int
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
	held  atomic.Int64  // bytes of reports in memory, as they came
	done  chan struct{} // closed when Run has ended

	keys    *lru[muster.HostID, *known]
	bases   *lru[muster.HostID, *base]
	refused *lru[refusal, struct{}]

	couriers chan struct{} // one place for each sealed file that is read
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
		done:    make(chan struct{}),
		keys:    newLRU[muster.HostID, *known](100_000),
		bases:   newLRU[muster.HostID, *base](o.CacheBytes),
		refused: newLRU[refusal, struct{}](10_000),

		couriers: make(chan struct{}, maxCouriers),
	}
	g.mux.Handle("POST /v1/enroll", g.from(g.enroll))
	g.mux.Handle("POST /v1/checkin", g.from(g.checkin))
	g.mux.Handle("POST /v1/reports", g.from(g.reports))
	g.mux.Handle("POST /v1/courier", g.from(g.courier))
	g.mux.HandleFunc("GET /v1/policy", g.policy)
	return g, nil
}

// from hands the request on with who sent it.
func (g *Ingest) from(do func(http.ResponseWriter, *http.Request, muster.Peer)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := g.Identify(r)
		if err != nil {
			g.fail(w, r, fmt.Errorf("%w: %w", errStranger, err))
			return
		}
		if !g.crowd.Enter(peer.Node) {
			w.Header().Set("Connection", "close")
			Problem(w, http.StatusServiceUnavailable, "busy", "this node asks for too much at once")
			return
		}
		defer g.crowd.Leave(peer.Node)
		do(w, r, peer)
	})
}

// Crowd counts what each sender has at once, so that one costs the others nothing.
// Safe for concurrent use.
type Crowd struct {
	most int
	mu   sync.Mutex
	of   map[string]int
}

// NewCrowd lets every sender have so many.
func NewCrowd(most int) *Crowd { return &Crowd{most: most, of: map[string]int{}} }

// Enter reports whether there is a place for another; Leave gives it back. Who has
// no name has no bound of its own.
func (c *Crowd) Enter(who string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if who != "" && c.of[who] >= c.most {
		return false
	}
	c.of[who]++
	return true
}

// Leave follows an Enter that reported true.
func (c *Crowd) Leave(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[who]--; c.of[who] <= 0 {
		delete(c.of, who)
	}
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

// commit stores the group in one transaction. Where that fails for another
// reason than a full disk it tries each chunk alone, so that no host's report
// can keep another's out.
func (g *Ingest) commit(group []*chunk) {
	all := group[0].reports
	if len(group) > 1 {
		all = make([]muster.Accepted, 0, maxCommit*2)
		for _, c := range group {
			all = append(all, c.reports...)
		}
	}
	// What was taken is finished, also while the collector stops.
	results, err := g.Store.Commit(context.Background(), all)
	if err != nil && len(group) > 1 && !errors.Is(err, muster.ErrFull) {
		g.Logger.Warn("group commit failed, trying one by one", "error", err)
		for _, c := range group {
			g.commit([]*chunk{c})
		}
		return
	}
	if err != nil {
		g.Logger.Error("reports not stored", "reports", len(all), "error", err)
	}
	for _, c := range group {
		if c.err = err; err == nil {
			c.results, results = results[:len(c.reports)], results[len(c.reports):]
		}
		close(c.done)
	}
}

// store hands the chunk to Run and waits until it is committed.
func (g *Ingest) store(ctx context.Context, c *chunk) error {
	c.done = make(chan struct{})
	select {
	case g.queue <- c:
	case <-g.done:
		return errStopped
	case <-ctx.Done():
		return fmt.Errorf("wait for a place in the queue: %w", ctx.Err())
	}
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
