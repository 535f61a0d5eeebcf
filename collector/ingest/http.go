package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

const (
	maxStatement = 16 << 10 // bytes of an enrollment or a check-in
	// maxReports of one request are decided; the host keeps what follows.
	maxReports = 1024
	// A chunk is closed by either of these; one larger report is a chunk of its own.
	maxChunk      = 32      // reports
	maxChunkBytes = 1 << 20 // of envelopes or of bodies, whichever are larger
	// A host is told to wait for so long where there is no room: at random, so that
	// those that came together do not come back together.
	retryLeast, retryMost = 5, 15 // seconds
)

// errStranger: Identify refuses the sender.
var errStranger = errors.New("the collector does not let this sender in")

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
			return muster.Peer{}, errors.New("the token is not valid here")
		}
		return muster.Peer{Local: true}, nil
	}
}

// Problem answers with problem+json (RFC 9457). code is stable, detail is for
// people.
func Problem(w http.ResponseWriter, status int, code, detail string) {
	b, err := json.Marshal(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail,omitempty"`
	}{http.StatusText(status), status, code, detail})
	if err != nil {
		status = http.StatusInternalServerError
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(retryLeast+rand.IntN(retryMost-retryLeast+1)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that has gone needs no answer
}

// fail answers an error that is not a report's fault.
func (g *Ingest) fail(w http.ResponseWriter, r *http.Request, err error) {
	var tooLong *http.MaxBytesError
	var network net.Error
	var no *refusedError
	switch {
	case errors.As(err, &tooLong), errors.Is(err, wire.ErrTooLarge):
		// What is not read is not wanted.
		w.Header().Set("Connection", "close")
		Problem(w, http.StatusRequestEntityTooLarge, string(wire.CodeTooLarge), "send less at once")
	case errors.As(err, &network) && network.Timeout():
		w.Header().Set("Connection", "close")
		Problem(w, http.StatusRequestTimeout, "timeout", "the request came too slowly")
	case errors.Is(err, wire.ErrFutureSchema):
		Problem(w, http.StatusBadRequest, string(wire.CodeFutureSchema), err.Error())
	case errors.Is(err, wire.ErrBadSignature):
		Problem(w, http.StatusForbidden, string(wire.CodeBadSignature), err.Error())
	case errors.Is(err, wire.ErrMalformed):
		Problem(w, http.StatusBadRequest, string(wire.CodeMalformed), err.Error())
	case errors.Is(err, fs.ErrExist):
		Problem(w, http.StatusConflict, "old_enrollment",
			"this host has made a newer statement, of another county or profile: is its clock right?")
	case errors.Is(err, muster.ErrPending):
		Problem(w, http.StatusServiceUnavailable, "too_many_pending", err.Error())
	case errors.Is(err, errStranger):
		Problem(w, http.StatusUnauthorized, "bad_token", err.Error())
	case errors.As(err, &no):
		Problem(w, http.StatusForbidden, string(no.code), no.err.Error())
	case r.Context().Err() != nil: // nobody would see an answer
	default:
		g.Logger.Error("request failed", "path", r.URL.Path, "error", err)
		Problem(w, http.StatusServiceUnavailable, "unavailable", "keep your reports and try again later")
	}
}

func answer(w http.ResponseWriter, v any) {
	b, err := wire.Marshal(v)
	if err != nil {
		Problem(w, http.StatusInternalServerError, "unavailable", "")
		return
	}
	w.Header().Set("Content-Type", wire.TypeCBOR)
	w.Header()["Date"] = nil // bytes; the check-in's answer has the time
	_, _ = w.Write(b)
}

// enroll takes a host's signed statement about itself.
func (g *Ingest) enroll(w http.ResponseWriter, r *http.Request, peer muster.Peer) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxStatement))
	var state muster.HostState
	if err == nil {
		state, err = g.admit(r.Context(), b, peer)
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
	state, err := g.Store.Enroll(ctx, host, peer.SpeaksFor(e.County), e.MadeAt, g.Now())
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
	var in wire.Checkin
	if err == nil {
		err = wire.Unmarshal(b, &in)
	}
	now := g.Now().UTC()
	out := wire.CheckinAnswer{NextSeconds: int(NextCheckin.Seconds()), Now: now}
	if err == nil {
		out.AuditNow, err = g.wantsAudit(r.Context(), &in, peer, now)
	}
	if err == nil {
		out.PolicyETag, err = g.offers(r.Context(), in.Host, in.PolicyDigest())
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
		err = g.hears(ctx, k, in.Host, peer)
	}
	if err != nil {
		return false, err
	}
	if !in.Now.IsZero() {
		ahead := in.Now.Sub(now)
		k.ahead.Store(&ahead)
	}
	h, err := g.Store.Host(ctx, in.Host)
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
	held := 0
	letGo := func() { g.held.Add(int64(-held)); held = 0 }
	defer letGo()
	for n := 0; err == nil && n < maxReports; letGo() {
		var frames []wire.Frame
		var decided []wire.Outcome
		frames, err = readChunk(func(f *wire.Frame) error {
			err := in.Read(f)
			held += len(f.Body)
			if g.held.Add(int64(len(f.Body))) > int64(g.MaxHeld) && err == nil {
				err = errBusy
			}
			return err
		})
		if len(frames) > 0 {
			var failed error
			if decided, failed = g.decide(r, frames, peer, out.Len() == 0); failed != nil {
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
	case errors.Is(err, errBusy):
		Problem(w, http.StatusServiceUnavailable, "busy", err.Error())
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

// decide verifies, stores and receipts the frames. The first chunk of a request
// is turned away where there is no place for it within Patience; a later one waits.
func (g *Ingest) decide(r *http.Request, frames []wire.Frame, peer muster.Peer, first bool) ([]wire.Outcome, error) {
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

	now := g.Now().UTC().Truncate(time.Second)
	accepted := make([]muster.Accepted, len(frames))
	envelopes := make([][]byte, len(frames))
	outcomes := make([]wire.Outcome, len(frames))
	errs := make([]error, len(frames))
	each(len(frames), func(i int) {
		accepted[i], envelopes[i], errs[i] = g.verify(r.Context(), &frames[i], peer)
		accepted[i].ReceivedAt = now
	})

	c := &chunk{reports: make([]muster.Accepted, 0, len(frames))}
	var at []int // where the chunk's reports stand in the batch
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
			g.remember(&accepted[i], envelopes[i])
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
		Host: o.Host, Seq: o.Seq, Digest: a.Envelope.Digest, ReceivedAt: c.ReceivedAt,
	}, g.Key)
	return err
}

// remember keeps a stored envelope as the likely base of the host's next.
func (g *Ingest) remember(a *muster.Accepted, envelope []byte) {
	if b, ok := g.bases.get(a.Header.Host); ok && b.seq > a.Header.Seq {
		return
	}
	g.bases.put(a.Header.Host, &base{
		digest: a.Envelope.Digest, seq: a.Header.Seq, depth: a.Envelope.Depth, envelope: envelope,
	}, cap(envelope))
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
