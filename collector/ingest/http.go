package ingest

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	// retryAfter is what a host is told to wait where there is no room, before jitter.
	retryAfter = 10 * time.Second
)

// errToken: the request came with a token that is not ours, or from elsewhere.
var errToken = errors.New("the token is not valid here")

// LoopbackToken approves what comes from this computer with the token as
// bearer. A request without any token is served and approved nothing; a wrong
// one is refused.
func LoopbackToken(token string) func(*http.Request, muster.County) (bool, error) {
	want := sha256.Sum256([]byte(token))
	return func(r *http.Request, _ muster.County) (bool, error) {
		header := r.Header.Get("Authorization")
		if header == "" {
			return false, nil
		}
		got, isBearer := strings.CutPrefix(header, "Bearer ")
		sum := sha256.Sum256([]byte(got))
		from, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil || token == "" || !isBearer || !muster.IsLoopback(from) || subtle.ConstantTimeCompare(sum[:], want[:]) != 1 {
			return false, errToken
		}
		return true, nil
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
		h.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that has gone needs no answer
}

// fail answers an error that is not a report's fault.
func (g *Ingest) fail(w http.ResponseWriter, r *http.Request, err error) {
	var tooLong *http.MaxBytesError
	var network net.Error
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
	case errors.Is(err, errToken):
		Problem(w, http.StatusUnauthorized, "bad_token", err.Error())
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
	_, _ = w.Write(b)
}

// enroll takes a host's signed statement about itself.
func (g *Ingest) enroll(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxStatement))
	if err != nil {
		g.fail(w, r, err)
		return
	}
	e, id, err := wire.VerifyEnrollment(b)
	if err != nil {
		g.fail(w, r, err)
		return
	}
	host, err := enrolled(e, id)
	if err != nil {
		g.fail(w, r, err)
		return
	}
	if e.County.State() != g.State {
		Problem(w, http.StatusForbidden, string(wire.CodeWrongCounty),
			fmt.Sprintf("county %s is not in state %s: check the site file", e.County, g.State))
		return
	}
	host.Demo = host.Demo || g.Demo
	approved, err := g.Approve(r, e.County)
	if err != nil {
		g.fail(w, r, err)
		return
	}
	state, err := g.Store.Enroll(r.Context(), host, approved, e.MadeAt, g.Now())
	if err != nil {
		g.fail(w, r, err)
		return
	}
	g.keys.remove(id)
	g.Logger.Info("host enrolled", "host", id, "county", e.County, "state", state)
	answer(w, wire.EnrollAnswer{State: state})
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
	if len(e.Agent) > maxText || !sane(e.MadeAt) {
		return malformed(errors.New("the agent's version is too long, or the time is not one of a clock"))
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
	}, nil
}

// checkin answers a host's hint.
func (g *Ingest) checkin(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxStatement))
	var in wire.Checkin
	if err == nil {
		err = wire.Unmarshal(b, &in)
	}
	var etag string
	if err == nil {
		etag, err = g.offers(r.Context(), in.Host, in.PolicyDigest)
	}
	if err != nil {
		g.fail(w, r, err)
		return
	}
	answer(w, wire.CheckinAnswer{PolicyETag: etag, NextSeconds: int(NextCheckin.Seconds()), Now: g.Now().UTC()})
}

// reports takes a batch and answers one outcome each, in the batch's order.
// Where the batch breaks off, has more than maxReports or the store fails
// midway, what was decided is answered and the rest is left out: the host keeps it.
func (g *Ingest) reports(w http.ResponseWriter, r *http.Request) {
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
	for n := 0; err == nil && n < maxReports; {
		var frames []wire.Frame
		var decided []wire.Outcome
		frames, err = readChunk(in)
		if len(frames) > 0 {
			var failed error
			if decided, failed = g.decide(r, frames, out.Len() == 0); failed != nil {
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
		_, _ = w.Write(out.Bytes())
	case errors.Is(err, errBusy):
		Problem(w, http.StatusServiceUnavailable, "busy", err.Error())
	default:
		g.fail(w, r, err)
	}
}

// readChunk reads frames until a chunk is full. It returns those that it read
// also with an error, io.EOF after the last.
func readChunk(in *wire.SeqReader) (frames []wire.Frame, err error) {
	for size := 0; len(frames) < maxChunk && size < maxChunkBytes; {
		var f wire.Frame
		if err := in.Read(&f); err != nil {
			return frames, err
		}
		frames, size = append(frames, f), size+max(len(f.Body), int(min(f.Size, wire.MaxEnvelope)))
	}
	return frames, nil
}

var errBusy = errors.New("too many reports at once: try again later")

// decide verifies, stores and receipts the frames. The first chunk of a request
// is turned away where there is no place for it; a later one waits.
func (g *Ingest) decide(r *http.Request, frames []wire.Frame, first bool) ([]wire.Outcome, error) {
	select {
	case g.busy <- struct{}{}:
	default:
		if first {
			return nil, errBusy
		}
		select {
		case g.busy <- struct{}{}:
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
		accepted[i], envelopes[i], errs[i] = g.verify(r.Context(), &frames[i])
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
