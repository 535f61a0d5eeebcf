package ingest

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"golang.org/x/time/rate"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// keyFor is how long what is known of a host is believed without another look: what
// takes a right away elsewhere holds here after so long, what gives one at once.
const keyFor = time.Minute

// maxSeq is the largest number that every database and JSON reader keeps exactly.
const maxSeq = 1 << 53

// Bounds of what a report brings into tables and pages.
const (
	maxVerdicts = 1000
	maxText     = 255 // bytes of a name, a version or an id
)

// What a host can store before someone approves it. It keeps the rest itself.
const (
	maxWaitingSeq  = 32       // its newest number
	maxWaitingBody = 64 << 10 // bytes of a report, compressed
)

// known is what must be known of a host to verify its reports.
type known struct {
	key     *ecdsa.PublicKey
	county  muster.County
	profile muster.Profile
	state   muster.HostState
	node    string    // of the tailnet, that it enrolled from; "" for none
	until   time.Time // when the store is asked again: another collector may have changed it
	*remembered
}

// remembered is what the store does not know of a host.
type remembered struct {
	ahead   atomic.Pointer[time.Duration] // its clock before ours, as it last said; nil where it did not
	reports *rate.Limiter                 // of those that its key has signed
}

// speaks says why the peer may not bring what this host made, or nil. What comes
// on loopback without a token proves itself, for a host that has no node.
func (k *known) speaks(peer muster.Peer) error {
	if !peer.Local && peer.Node != k.node {
		return refuse(wire.CodeUnknownHost, "the host enrolled from another node of the tailnet: enroll again")
	}
	return mayFor(peer, k.county)
}

// takes says why a verified report is not taken from this host, or nil.
func (k *known) takes(head *muster.Header, body int) error {
	switch {
	case head.County != k.county:
		return refuse(wire.CodeWrongCounty, "enrolled in county %s, reports for %s", k.county, head.County)
	case head.Profile != k.profile:
		return refuse(wire.CodeMalformed, "enrolled as %s, reports as %s: enroll again", k.profile, head.Profile)
	case k.state != muster.HostActive && (head.Seq > maxWaitingSeq || body > maxWaitingBody):
		return refuse(wire.CodePending, "the host waits for approval and keeps this report until then")
	}
	return nil
}

// refusedError is a report that is not stored: what the host is told and why.
type refusedError struct {
	code wire.Code
	err  error
}

func (e *refusedError) Error() string { return string(e.code) + ": " + e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

func refuse(code wire.Code, format string, args ...any) error {
	return &refusedError{code, fmt.Errorf(format, args...)}
}

// codeOf gives the stable code of an error of internal/wire.
func codeOf(err error) wire.Code {
	switch {
	case errors.Is(err, wire.ErrNeedBase):
		return wire.CodeNeedBase
	case errors.Is(err, wire.ErrTooLarge):
		return wire.CodeTooLarge
	case errors.Is(err, wire.ErrFutureSchema):
		return wire.CodeFutureSchema
	case errors.Is(err, wire.ErrBadSignature):
		return wire.CodeBadSignature
	}
	return wire.CodeMalformed
}

// hears refuses a peer that may not speak for the host, after another look.
func (g *Ingest) hears(ctx context.Context, k *known, id muster.HostID, peer muster.Peer) (*known, error) {
	if k.speaks(peer) == nil {
		return k, nil
	}
	k, err := g.look(ctx, id)
	if err != nil {
		return nil, err
	}
	return k, k.speaks(peer)
}

// host finds the host's key.
func (g *Ingest) host(ctx context.Context, id muster.HostID) (*known, error) {
	if k, ok := g.keys.get(id); ok && g.Now().Before(k.until) {
		return k, nil
	}
	return g.look(ctx, id)
}

// look finds the host's key in the store.
func (g *Ingest) look(ctx context.Context, id muster.HostID) (*known, error) {
	if _, err := muster.ParseHostID(string(id)); err != nil {
		return nil, &refusedError{wire.CodeMalformed, err}
	}
	e, err := g.Store.Enrolled(ctx, id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, refuse(wire.CodeUnknownHost, "enroll first")
	case err != nil:
		return nil, err
	}
	key, err := wire.ParsePublicKey(e.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("stored key of host %s: %w", id, err)
	}
	k := &known{key: key, county: e.County, profile: e.Profile, state: e.State, node: e.Node, until: g.Now().Add(keyFor)}
	if before, ok := g.keys.get(id); ok {
		k.remembered = before.remembered
	} else {
		k.remembered = &remembered{reports: g.Limits.Reports.bucket()}
	}
	g.keys.put(id, k, 1)
	return k, nil
}

// verify opens a frame and believes what its host has signed. Its error is a
// *refusedError where the report is at fault. The report comes back with what it rests
// on, too, as OpenStored wants it.
func (g *Ingest) verify(ctx context.Context, f *wire.Frame, peer muster.Peer) (a muster.Accepted, chain []muster.StoredEnvelope, err error) {
	h, err := g.host(ctx, f.Host)
	if err == nil {
		h, err = g.hears(ctx, h, f.Host, peer)
	}
	if err != nil {
		return a, nil, err
	}
	var under []muster.StoredEnvelope
	var failed error
	room := g.rooms.Get().(*rooms)
	envelope, err := wire.OpenFrame(f, func(d muster.Digest) (base []byte) {
		under, base, failed = g.base(ctx, room, f.Host, d)
		return base
	}, wire.MaxEnvelope)
	g.rooms.Put(room) // the base may be in it
	if failed != nil {
		return a, nil, failed
	}
	var content []byte
	if err == nil {
		content, err = wire.Verify(wire.KindReport, envelope, h.key)
	}
	var report *wire.Opened
	if err == nil {
		report, err = wire.DecodeReport(content)
	}
	if err != nil {
		return a, nil, &refusedError{codeOf(err), err}
	}
	head := &report.Header
	switch {
	case head.Host != f.Host || head.Seq != f.Seq:
		return a, nil, refuse(wire.CodeMalformed, "the frame names another report than the one inside")
	case head.Seq > maxSeq:
		return a, nil, refuse(wire.CodeMalformed, "the number is above %d", uint64(maxSeq))
	}
	if err := plain(report); err != nil {
		return a, nil, err
	}
	if err := h.takes(head, len(f.Body)); err != nil {
		// It may have enrolled again or been approved since it was remembered.
		if h, err = g.look(ctx, f.Host); err == nil {
			err = h.takes(head, len(f.Body))
		}
		if err != nil {
			return a, nil, err
		}
	}
	if !h.reports.Allow() {
		return a, nil, refuse(wire.CodeBusy, "this host makes too many reports: keep it, and send it later")
	}
	a = muster.Accepted{Header: *head, Verdicts: report.Verdicts, Envelope: muster.StoredEnvelope{
		Seq: head.Seq, Digest: wire.EnvelopeDigest(envelope), Base: f.Base, Size: f.Size, Body: f.Body, Month: month(g.Now()),
	}}
	a.Summary, a.GateFails = g.count(report.Verdicts)
	switch {
	case len(under) > 0 && (under[0].Depth >= MaxDepth || under[0].Seq >= head.Seq || under[0].Month != a.Envelope.Month):
		// The chain of bases stays short, always leads to earlier numbers, and goes as a
		// whole when evidence is let go.
		whole, err := wire.NewFrame(f.Host, f.Seq, envelope, nil)
		if err != nil {
			return a, nil, err
		}
		a.Envelope.Base, a.Envelope.Body, under = whole.Base, whole.Body, nil
	case len(under) > 0:
		a.Envelope.BaseSeq, a.Envelope.Depth = under[0].Seq, under[0].Depth+1
	}
	// It is held there alone, not for as long as the report waits for its commit.
	g.opened.put(a.Envelope.Digest, envelope, cap(envelope))
	return a, append([]muster.StoredEnvelope{a.Envelope}, under...), nil
}

// plain refuses a report that would spoil tables and pages: its texts go into
// lists of all hosts, its time into JSON.
func plain(r *wire.Opened) error {
	head := &r.Header
	if len(r.Verdicts) > maxVerdicts {
		return refuse(wire.CodeMalformed, "more than %d verdicts", maxVerdicts)
	}
	if !sane(head.CollectedAt) {
		return refuse(wire.CodeMalformed, "the time %d is not one of a clock", head.CollectedAt.Unix())
	}
	if max(len(head.Agent), len(head.PolicyRevision)) > maxText {
		return refuse(wire.CodeMalformed, "the agent's version or the policy's revision has more than %d bytes", maxText)
	}
	for i := range r.Verdicts {
		v := &r.Verdicts[i]
		if strings.ContainsFunc(v.Control, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return refuse(wire.CodeMalformed, "control id %q is not plain ASCII", v.Control)
		}
		if len(v.Waiver) > maxText {
			return refuse(wire.CodeMalformed, "the waiver of %s has more than %d bytes", v.Control, maxText)
		}
		if strings.ContainsFunc(v.Waiver, unicode.IsControl) {
			return refuse(wire.CodeMalformed, "the waiver of %s has a control character", v.Control)
		}
	}
	return nil
}

// month of an instant, as StoredEnvelope has it.
func month(t time.Time) int { return t.UTC().Year()*100 + int(t.UTC().Month()) }

// sane: a time that JSON and every database can write.
func sane(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

// base finds what a frame was compressed against, and what that rests on; nil where it
// is not here. It may open it in r.
func (g *Ingest) base(ctx context.Context, r *rooms, host muster.HostID, d muster.Digest) (chain []muster.StoredEnvelope, envelope []byte, err error) {
	chain, ok := g.chains.get(host)
	if !ok || chain[0].Digest != d {
		chain, err = g.Store.Base(ctx, host, d)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if envelope, ok = g.opened.get(d); !ok {
		envelope, err = r.open(host, chain)
	}
	return chain, envelope, err
}

// remember keeps a stored report as the likely base of the host's next.
func (g *Ingest) remember(host muster.HostID, chain []muster.StoredEnvelope) {
	if was, ok := g.chains.get(host); ok {
		if was[0].Seq > chain[0].Seq {
			return
		}
		g.opened.remove(was[0].Digest)
	}
	const fixed = 128 // bytes of an element beside its body
	cost := 0
	for i := range chain {
		cost += fixed + cap(chain[i].Body)
	}
	g.chains.put(host, chain, cost)
}

// OpenStored gives the signed bytes of the first envelope of a chain, as a
// store returns it.
func OpenStored(host muster.HostID, chain []muster.StoredEnvelope) ([]byte, error) {
	return new(rooms).open(host, chain)
}

// rooms are where envelopes are opened one against the other.
type rooms [2][]byte

func (r *rooms) open(host muster.HostID, chain []muster.StoredEnvelope) (envelope []byte, err error) {
	for i := len(chain) - 1; i >= 0; i-- {
		e, under := &chain[i], envelope
		f := &wire.Frame{Host: host, Seq: e.Seq, Base: e.Base, Size: e.Size, Body: e.Body}
		if envelope, err = wire.OpenFrameInto(r[i%2], f, func(muster.Digest) []byte { return under }, 0); err != nil {
			return nil, fmt.Errorf("open stored report %d of host %s: %w", e.Seq, host, err)
		}
		r[i%2] = envelope
	}
	if wire.EnvelopeDigest(envelope) != chain[0].Digest {
		return nil, fmt.Errorf("stored report %d of host %s is damaged, or one that it rests on", chain[0].Seq, host)
	}
	return envelope, nil
}

// count sums up the verdicts by the severities in force.
func (g *Ingest) count(verdicts []muster.Verdict) (s muster.Summary, gateFails bool) {
	s.MeetsBaseline = len(verdicts) > 0
	var waived muster.Waiver
	for _, v := range verdicts {
		f := [1]muster.Finding{{Status: v.Status, Severity: g.Severity(v.Control)}}
		if v.Waiver != "" {
			f[0].Waiver = &waived
		} else if v.Status == muster.StatusFail && f[0].Severity.Gates() {
			gateFails = true
		}
		one := muster.Summarize(f[:]) // one by one, so that nothing is allocated
		s.Pass, s.Fail, s.Unknown = s.Pass+one.Pass, s.Fail+one.Fail, s.Unknown+one.Unknown
		s.NotApplicable, s.Waived = s.NotApplicable+one.NotApplicable, s.Waived+one.Waived
		s.MeetsBaseline = s.MeetsBaseline && one.MeetsBaseline
	}
	return s, gateFails
}
