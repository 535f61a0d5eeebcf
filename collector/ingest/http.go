package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/problem"
	"github.com/passmuster/muster/internal/wire"
)

const (
	maxStatement = 16 << 10 // bytes of an enrollment or a check-in
	// maxReports of one request are decided; the host keeps what follows.
	maxReports = 1024
	// A chunk is closed by either of these; one larger report is a chunk of its own.
	maxChunk      = 32      // reports
	maxChunkBytes = 1 << 20 // of envelopes or of bodies, whichever are larger
)

// errStranger: Identify does not tell who the sender is.
var errStranger = errors.New("the collector does not know this sender")

// ErrToken says that a sender names a token that is none of this collector's.
var ErrToken = errors.New("the token is not valid here")

// LoopbackToken knows who is on this computer and has the token as bearer. A
// request without any token is a stranger's; a wrong one is refused.
func LoopbackToken(token string) func(*http.Request) (muster.Peer, error) {
	want := sha256.Sum256([]byte(token))
	return func(r *http.Request) (muster.Peer, error) {
		header := r.Header.Get("Authorization")
		if header == "" {
			return muster.Peer{}, nil
		}
		got, isBearer := strings.CutPrefix(header, "Bearer ")
		sum := sha256.Sum256([]byte(got))
		from, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil || token == "" || !isBearer || !muster.IsLoopback(from) || subtle.ConstantTimeCompare(sum[:], want[:]) != 1 {
			return muster.Peer{}, ErrToken
		}
		return muster.Peer{Local: true}, nil
	}
}

// turnAway asks the sender to come again.
func (g *Ingest) turnAway(w http.ResponseWriter, code, detail string) {
	g.Stats.Refused.Add(code, 1)
	problem.Write(w, http.StatusServiceUnavailable, code, detail)
}

// fail answers an error that is not a report's fault.
func (g *Ingest) fail(w http.ResponseWriter, r *http.Request, err error) {
	var tooLong *http.MaxBytesError
	var no *refusedError
	var fast tooFast
	switch {
	case errors.As(err, &fast):
		g.slowDown(w, r, fast)
	case errors.As(err, &tooLong), errors.Is(err, wire.ErrTooLarge):
		// What is not read is not wanted.
		w.Header().Set("Connection", "close")
		problem.Write(w, http.StatusRequestEntityTooLarge, string(wire.CodeTooLarge), "send less at once")
	case errors.Is(err, os.ErrDeadlineExceeded): // of reading; the store's are the context's
		w.Header().Set("Connection", "close")
		problem.Write(w, http.StatusRequestTimeout, "timeout", "the request came too slowly")
	case errors.Is(err, wire.ErrFutureSchema):
		problem.Write(w, http.StatusBadRequest, string(wire.CodeFutureSchema), err.Error())
	case errors.Is(err, wire.ErrBadSignature):
		problem.Write(w, http.StatusForbidden, string(wire.CodeBadSignature), err.Error())
	case errors.Is(err, wire.ErrMalformed):
		problem.Write(w, http.StatusBadRequest, string(wire.CodeMalformed), err.Error())
	case errors.Is(err, fs.ErrExist):
		problem.Write(w, http.StatusConflict, "old_enrollment",
			"this host has made a newer statement, of another county or profile: is its clock right?")
	case errors.Is(err, muster.ErrPending):
		g.turnAway(w, "too_many_pending", err.Error())
	case errors.Is(err, errBusy):
		hangUp(w, r)
		g.turnAway(w, "busy", err.Error())
	case errors.Is(err, ErrToken):
		problem.Write(w, http.StatusUnauthorized, "bad_token", err.Error())
	case errors.Is(err, errStranger):
		// It came through the tailnet, which will know it: it may have joined just now.
		g.complain(r, slog.LevelWarn, "nobody is known at the address of a sender", err)
		g.turnAway(w, "unknown_sender", errStranger.Error())
	case errors.As(err, &no):
		problem.Write(w, http.StatusForbidden, string(no.code), no.err.Error())
	case r.Context().Err() != nil: // nobody would see an answer
	default:
		g.complain(r, slog.LevelError, "request failed", err)
		g.turnAway(w, "unavailable", "keep your reports and try again later")
	}
}

// complain logs why a request was not answered, and not for every one of the many that
// come while the database is away.
func (g *Ingest) complain(r *http.Request, level slog.Level, what string, err error) {
	if g.complaints.Allow() {
		g.Logger.Log(r.Context(), level, what, "path", r.URL.Path, "from", r.RemoteAddr, "error", err)
	}
}

func answer(w http.ResponseWriter, v any) {
	b, err := wire.Marshal(v)
	if err != nil {
		problem.Write(w, http.StatusInternalServerError, "unavailable", "")
		return
	}
	w.Header().Set("Content-Type", wire.TypeCBOR)
	w.Header()["Date"] = nil // bytes; the check-in's answer has the time
	_, _ = w.Write(b)
}

// enroll takes a host's signed statement about itself.
func (g *Ingest) enroll(w http.ResponseWriter, r *http.Request, peer muster.Peer) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxStatement))
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	var state muster.HostState
	if err == nil {
		err = pay(g.sender(r, peer).enroll, 1)
	}
	if err == nil {
		state, err = g.admit(ctx, b, peer)
	}
	if err != nil {
		g.fail(w, r, err)
		return
	}
	answer(w, wire.EnrollAnswer{State: state})
}

// admit enrolls a host by its signed statement, which the peer brought.
func (g *Ingest) admit(ctx context.Context, statement []byte, peer muster.Peer) (muster.HostState, error) {
	e, id, err := wire.VerifyEnrollment(statement)
	if err != nil {
		return "", err
	}
	host, err := enrolled(e, id)
	if err != nil {
		return "", err
	}
	if e.County.State() != g.State {
		return "", refuse(wire.CodeWrongCounty, "county %s is not in state %s: check the site file", e.County, g.State)
	}
	if err := mayFor(peer, e.County); err != nil {
		return "", err
	}
	host.Demo, host.Node = host.Demo || g.Demo, peer.Node
	state, err := g.Store.Enroll(ctx, host, peer.SpeaksFor(e.County), e.MadeAt)
	if err != nil {
		return "", err
	}
	g.keys.remove(id)
	g.Logger.Info("host enrolled", "host", id, "county", e.County, "state", state, "node", peer.Name)
	return state, nil
}

// mayFor refuses a node that is tagged for other counties. One without any such
// tag may bring what a person then approves.
func mayFor(peer muster.Peer, county muster.County) error {
	if len(peer.Counties) > 0 && !peer.SpeaksFor(county) {
		return refuse(wire.CodeWrongCounty, "the node %s has no tag for county %s: have it tagged tag:county-%s", peer.Name, county, county)
	}
	return nil
}

// enrolled checks what a host says of itself, beyond its signature.
func enrolled(e muster.Enrollment, id muster.HostID) (muster.Enrolled, error) {
	malformed := func(err error) (muster.Enrolled, error) {
		return muster.Enrolled{}, fmt.Errorf("enrollment: %w: %w", wire.ErrMalformed, err)
	}
	if _, err := muster.ParseCounty(string(e.County)); err != nil {
		return malformed(err)
	}
	if _, err := muster.ParseProfile(string(e.Profile)); err != nil {
		return malformed(err)
	}
	if max(len(e.Agent), len(e.Machine)) > maxText || !sane(e.MadeAt) {
		return malformed(errors.New("the agent's version or the machine's name is too long, or the time is not one of a clock"))
	}
	if e.Platform != muster.Windows && e.Platform != muster.Linux {
		return malformed(fmt.Errorf("platform %q is not known", e.Platform))
	}
	key, err := wire.ParsePublicKey(e.PublicKey)
	if err != nil {
		return malformed(err)
	}
	der, err := wire.MarshalPublicKey(key)
	if err != nil {
		return malformed(err)
	}
	return muster.Enrolled{
		Host: muster.Host{ID: id, Hostname: e.Hostname, County: e.County, Profile: e.Profile, Platform: e.Platform, Demo: e.Demo},
		// Our own encoding, of which the id is taken.
		PublicKey: der,
		Agent:     e.Agent,
		Machine:   e.Machine,
	}, nil
}

// checkin answers a host's hint.
func (g *Ingest) checkin(w http.ResponseWriter, r *http.Request, peer muster.Peer) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxStatement))
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	var in wire.Checkin
	if err == nil {
		err = pay(g.sender(r, peer).checks, 1)
	}
	if err == nil {
		err = wire.Unmarshal(b, &in)
	}
	now := g.Now().UTC()
	out := wire.CheckinAnswer{NextSeconds: int(NextCheckin.Seconds()), Now: now}
	if err == nil {
		out.AuditNow, err = g.wantsAudit(ctx, &in, peer, now)
	}
	if err == nil {
		out.PolicyETag, err = g.offers(ctx, in.Host, in.PolicyDigest())
	}
	if err != nil {
		g.fail(w, r, err)
		return
	}
	answer(w, out)
}

// wantsAudit reports whether someone asked for an audit and no report of later
// came: one that was collected later by the host's clock, where that is known. A
// host that is not enrolled may ask for a policy all the same.
func (g *Ingest) wantsAudit(ctx context.Context, in *wire.Checkin, peer muster.Peer, now time.Time) (bool, error) {
	k, err := g.host(ctx, in.Host)
	var no *refusedError
	if errors.As(err, &no) {
		return false, nil
	}
	if err == nil {
		k, err = g.hears(ctx, k, in.Host, peer)
	}
	if err != nil {
		return false, err
	}
	if !in.Now.IsZero() {
		ahead := in.Now.Sub(now)
		k.ahead.Store(&ahead)
	}
	h, err := g.Store.Host(ctx, muster.View{}, in.Host)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	switch ahead := k.ahead.Load(); {
	case err != nil || h.AuditWanted.IsZero():
		return false, err
	case ahead == nil:
		return !h.LastSeen.After(h.AuditWanted), nil
	default: // and its clock may have been put right since
		return h.LastSeen.Before(h.AuditWanted) || !h.CollectedAt.After(h.AuditWanted.Add(*ahead)), nil
	}
}

// reports takes a batch and answers one outcome each, in the batch's order.
// Where the batch breaks off, has more than maxReports or the store fails
// midway, what was decided is answered and the rest is left out: the host keeps it.
func (g *Ingest) reports(w http.ResponseWriter, r *http.Request, peer muster.Peer) {
	if r.ContentLength > wire.MaxBatch {
		g.fail(w, r, wire.ErrTooLarge)
		return
	}
	in, err := wire.NewSeqReader(r.Body, wire.MaxFrame, wire.MaxBatch)
	if err != nil {
		g.fail(w, r, err)
		return
	}
	var out bytes.Buffer
	seq := wire.NewSeqWriter(&out)
	hold := g.hold(g.sender(r, peer))
	defer hold.letGo()
	for n := 0; err == nil && n < maxReports; hold.letGo() {
		var frames []wire.Frame
		var decided []wire.Outcome
		frames, err = readChunk(func(f *wire.Frame) error {
			err := in.Read(f)
			if err == nil {
				err = hold.take(f)
			}
			return err
		})
		if len(frames) > 0 {
			var failed error
			if decided, failed = g.decide(r, frames, peer, muster.WayUplink, out.Len() == 0); failed != nil {
				err = failed
			}
		}
		for i := range decided {
			if e := seq.Write(decided[i]); e != nil {
				err = e
			}
		}
		n += len(decided)
	}
	switch {
	case err == io.EOF || out.Len() > 0:
		if err == nil { // or a host that is still sending would not hear the answer
			_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, wire.MaxBatch))
		}
		w.Header().Set("Content-Type", wire.TypeSeq)
		w.Header()["Date"] = nil
		_, _ = w.Write(out.Bytes())
	default:
		g.fail(w, r, err)
	}
}

// readChunk reads frames until a chunk is full. It returns those that it read
// also with an error, io.EOF after the last.
func readChunk(read func(*wire.Frame) error) (frames []wire.Frame, err error) {
	for size := 0; len(frames) < maxChunk && size < maxChunkBytes; {
		var f wire.Frame
		if err := read(&f); err != nil {
			return frames, err
		}
		frames, size = append(frames, f), size+max(len(f.Body), int(min(f.Size, wire.MaxEnvelope)))
	}
	return frames, nil
}

var errBusy = errors.New("too many reports at once: try again later")

// decide verifies, stores and receipts the frames, which came that way. The first
// chunk of a request is turned away where there is no place for it within Patience; a
// later one waits.
func (g *Ingest) decide(r *http.Request, frames []wire.Frame, peer muster.Peer, way string, first bool) ([]wire.Outcome, error) {
	select {
	case g.busy <- struct{}{}:
	default:
		var late <-chan time.Time
		if first {
			late = time.After(g.Patience)
		}
		select {
		case g.busy <- struct{}{}:
		case <-late:
			return nil, errBusy
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	defer func() { <-g.busy }()

	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	accepted := make([]muster.Accepted, len(frames))
	chains := make([][]muster.StoredEnvelope, len(frames))
	outcomes := make([]wire.Outcome, len(frames))
	errs := make([]error, len(frames))
	each(len(frames), func(i int) {
		accepted[i], chains[i], errs[i] = g.verify(ctx, &frames[i], peer)
		accepted[i].Way = way
	})

	c := &chunk{reports: make([]muster.Accepted, 0, len(frames))}
	var at []int // where the chunk's reports stand in the batch
	defer func() {
		for i := range outcomes {
			if outcomes[i].Code != "" {
				g.Stats.Reports.Add(string(outcomes[i].Code), 1)
			}
		}
	}()
	for i, err := range errs {
		outcomes[i] = wire.Outcome{Host: named(frames[i].Host), Seq: frames[i].Seq}
		var no *refusedError
		switch {
		case errors.As(err, &no):
			outcomes[i].Code, outcomes[i].Reason = no.code, no.err.Error()
			g.note(r, &outcomes[i])
		case err != nil:
			return nil, err
		default:
			c.reports, at = append(c.reports, accepted[i]), append(at, i)
		}
	}
	if len(c.reports) == 0 {
		return outcomes, nil
	}
	if err := g.store(r.Context(), c); err != nil {
		return nil, err
	}
	failed := make([]error, len(at))
	each(len(at), func(n int) {
		i := at[n]
		failed[n] = g.receipt(&outcomes[i], &accepted[i], c.results[n])
		if c.results[n].Outcome == muster.OutcomeStored {
			g.remember(accepted[i].Header.Host, chains[i])
		}
		if outcomes[i].Code == wire.CodeConflict {
			g.note(r, &outcomes[i])
		}
	})
	return outcomes, errors.Join(failed...)
}

// named gives back an id, and nothing of what only stands in its place.
func named(id muster.HostID) muster.HostID {
	if _, err := muster.ParseHostID(string(id)); err != nil {
		return ""
	}
	return id
}

// receipt writes what became of a report.
func (g *Ingest) receipt(o *wire.Outcome, a *muster.Accepted, c muster.Committed) (err error) {
	switch c.Outcome {
	case muster.OutcomeStored:
		o.Code = wire.CodeStored
	case muster.OutcomeDuplicate:
		o.Code = wire.CodeDuplicate
	default:
		o.Code, o.Reason = wire.CodeConflict, "another report has this number: is this host a copy of another?"
		return nil
	}
	o.Receipt, err = wire.SignReceipt(muster.Receipt{
		Host: o.Host, Seq: o.Seq, Digest: a.Envelope.Digest, ReceivedAt: c.ReceivedAt, // to the second
	}, g.Key)
	return err
}

// refusal is what is logged once.
type refusal struct {
	host muster.HostID
	code wire.Code
}

// note logs a refusal the first time that this host earns it. Ids that nobody
// enrolled count as one host, because anyone can invent them.
func (g *Ingest) note(r *http.Request, o *wire.Outcome) {
	key := refusal{o.Host, o.Code}
	if o.Code == wire.CodeUnknownHost {
		key.host = ""
	}
	if _, seen := g.refused.get(key); seen || o.Code == wire.CodeNeedBase {
		return
	}
	g.refused.put(key, struct{}{}, 1)
	g.Logger.Warn("report refused", "host", o.Host, "seq", o.Seq, "code", o.Code, "reason", o.Reason, "from", r.RemoteAddr)
}

// each calls do for 0 to n-1, on every processor.
func each(n int, do func(int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}
