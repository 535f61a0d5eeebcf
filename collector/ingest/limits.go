package ingest

import (
	"cmp"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/problem"
	"github.com/passmuster/muster/internal/wire"
)

// Rate is a token bucket: so many at once, and then so many a second.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Limits of one collector; several before one database count each for itself. A zero
// Rate means that of DefaultLimits.
type Limits struct {
	// Work of one sender, before anything is believed: a request costs 1, and each
	// report in it 1 and another for every 64 KiB that it unpacks to.
	Work Rate
	// Enrollments and Checkins of one sender.
	Enrollments, Checkins Rate
	// Reports of one host that its key has signed.
	Reports Rate
}

// DefaultLimits let a host come back with all that it kept for a year, sent twice.
func DefaultLimits() Limits {
	return Limits{
		Work:        Rate{200, 40_000},
		Enrollments: Rate{0.1, 30},
		Checkins:    Rate{1, 120},
		Reports:     Rate{1, 20_000},
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	return Limits{
		Work: cmp.Or(l.Work, d.Work), Enrollments: cmp.Or(l.Enrollments, d.Enrollments),
		Checkins: cmp.Or(l.Checkins, d.Checkins), Reports: cmp.Or(l.Reports, d.Reports),
	}
}

func (r Rate) bucket() *rate.Limiter { return rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst) }

const (
	// maxPerNode bounds the requests of one sender at once: an uplink sends one at a
	// time. It is fewer than maxCouriers.
	maxPerNode = 4
	// maxHeldShare of MaxHeld is what one sender may have waiting.
	maxHeldShare = 8
	// workUnit is how many bytes of a report cost one more.
	workUnit = 64 << 10
	// littleBody is how many bytes are read that nobody wants.
	littleBody = 4 << 10
	// maxWait bounds Retry-After of a sender that is too fast.
	maxWait = time.Hour
	// maxSenders and maxHosts are remembered.
	maxSenders, maxHosts = 20_000, 100_000
)

// sender is who brings requests.
type sender struct {
	name                 string // "" has no limits
	work, enroll, checks *rate.Limiter
}

// nameOf a sender for its limits; "" where it has none, as who knows the token of this
// computer.
func nameOf(r *http.Request, peer muster.Peer) string {
	if peer.Local || peer.Node != "" {
		return peer.Node
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return "address " + host
}

func (g *Ingest) sender(r *http.Request, peer muster.Peer) *sender {
	name := nameOf(r, peer)
	if name == "" {
		return &sender{}
	}
	return g.senders.getOr(name, func() *sender {
		return &sender{name, g.Limits.Work.bucket(), g.Limits.Enrollments.bucket(), g.Limits.Checkins.bucket()}
	})
}

// tooFast: a bucket is empty, and has what was asked for after so long.
type tooFast time.Duration

func (tooFast) Error() string { return "this node sends too much: go on more slowly" }

// pay takes n out of a bucket; nil is never empty. What is more than a whole bucket
// waits until it is full.
func pay(l *rate.Limiter, n int) error {
	if l == nil || l.AllowN(time.Now(), n) {
		return nil
	}
	r := l.ReserveN(time.Now(), min(n, l.Burst()))
	defer r.Cancel()
	return tooFast(r.Delay())
}

// work is what a frame costs its sender.
func work(f *wire.Frame) int {
	return 1 + max(len(f.Body), int(min(f.Size, wire.MaxEnvelope)))/workUnit
}

// hold is what one request has in memory and has not decided.
type hold struct {
	g     *Ingest
	s     *sender
	bytes int
}

func (g *Ingest) hold(s *sender) *hold { return &hold{g: g, s: s} }

// take a frame that has come, where its sender may bring it and there is room.
func (h *hold) take(f *wire.Frame) error {
	n := len(f.Body)
	h.g.Stats.Bytes.Add(int64(n))
	if err := pay(h.s.work, work(f)); err != nil {
		return err
	}
	if !h.g.held.enter(h.s.name, n) {
		return errBusy
	}
	h.bytes += n
	if h.g.Stats.Held.Add(int64(n)) > int64(h.g.MaxHeld) {
		return errBusy
	}
	return nil
}

func (h *hold) letGo() {
	h.g.Stats.Held.Add(int64(-h.bytes))
	h.g.held.leave(h.s.name, h.bytes)
	h.bytes = 0
}

// hangUp ends the connection after an answer to a body that was not read: what is not
// wanted is not read, but for so little that another connection would cost more.
func hangUp(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength < 0 || r.ContentLength > littleBody {
		w.Header().Set("Connection", "close")
	}
}

func (g *Ingest) slowDown(w http.ResponseWriter, r *http.Request, e tooFast) {
	wait := min(time.Duration(e)+time.Second, maxWait)
	w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	hangUp(w, r)
	g.Stats.Refused.Add("too_fast", 1)
	problem.Write(w, http.StatusTooManyRequests, "too_fast", e.Error())
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
func (c *Crowd) Enter(who string) bool { return c.enter(who, 1) }

// Leave follows an Enter that reported true.
func (c *Crowd) Leave(who string) { c.leave(who, 1) }

func (c *Crowd) enter(who string, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if who != "" && c.of[who]+n > c.most {
		return false
	}
	c.of[who] += n
	return true
}

func (c *Crowd) leave(who string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[who] -= n; c.of[who] <= 0 {
		delete(c.of, who)
	}
}
