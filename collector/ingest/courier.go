package ingest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

const (
	// maxCouriers is how many sealed files are read at once: more than one node may send.
	maxCouriers = 4 * maxPerNode
	// maxOfCounty of them are from one county's nodes, from nodes of none, or from
	// people: more than one node has.
	maxOfCounty = maxPerNode + 2
	// courierTime bounds how long one may take to come and be answered: a county's
	// line can be slow.
	courierTime = 15 * time.Minute
	// maxTold is how many steps of an act a file can have when a stick says of another one.
	maxTold = 4
)

// courier takes a sealed file that a connected computer relays. Whatever the
// file is, the answer is a return file, which travels back on the stick.
func (g *Ingest) courier(w http.ResponseWriter, r *http.Request, peer muster.Peer) {
	ret, err := g.Courier(w, r, peer)
	if err != nil {
		g.FailCourier(w, r, err)
		return
	}
	g.WriteReturn(w, r, ret)
}

// FailCourier answers an error of Courier.
func (g *Ingest) FailCourier(w http.ResponseWriter, r *http.Request, err error) {
	g.fail(w, r, err)
}

// WriteReturn answers with a return file.
func (g *Ingest) WriteReturn(w http.ResponseWriter, r *http.Request, ret *seal.Return) {
	var b bytes.Buffer
	if err := seal.WriteReturn(&b, ret); err != nil {
		g.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", wire.TypeCourier)
	_, _ = w.Write(b.Bytes())
}

// Courier takes the sealed file in a request's body and says what became of it.
// A file that cannot be taken is a Return with a Problem; an error means that the
// collector could not look at all, and that the same file is to be sent again.
func (g *Ingest) Courier(w http.ResponseWriter, r *http.Request, peer muster.Peer) (*seal.Return, error) {
	county := countyOf(peer)
	if !g.ofCounty.Enter(county) {
		return nil, errBusy
	}
	defer g.ofCounty.Leave(county)
	select {
	case g.couriers <- struct{}{}:
		defer func() { <-g.couriers }()
	default:
		return nil, errBusy
	}
	until := time.Now().Add(courierTime)
	rc := http.NewResponseController(w)
	// A server that cannot do so has its own bounds.
	_ = errors.Join(rc.SetReadDeadline(until), rc.SetWriteDeadline(until))

	body := &hashed{r: http.MaxBytesReader(w, r.Body, seal.MaxFile), sum: sha256.New()}
	ret := &seal.Return{ReturnHead: seal.ReturnHead{Collector: g.Name, ReceivedAt: g.Now().UTC().Truncate(time.Second)}}
	head, err := g.unseal(r, peer, body, ret)
	_, _ = io.Copy(io.Discard, body) // its error is in body
	if body.err != nil {
		return nil, fmt.Errorf("read the sealed file: %w", body.err)
	}
	ret.File = hex.EncodeToString(body.sum.Sum(nil))[:16]
	if err := blame(ret, err); err != nil {
		return nil, err
	}
	if ret.Problem != "" {
		g.Logger.Warn("sealed file refused", "file", ret.File, "host", ret.Host, "code", ret.Problem, "reason", ret.Reason, "from", r.RemoteAddr)
	}
	if head == nil {
		return ret, nil
	}
	if err := g.custody(r.Context(), head, peer, ret); err != nil { // what is receipted must not wait for it
		g.Logger.Error("custody not kept", "file", ret.File, "host", ret.Host, "error", err)
		ret.Reason = cmp.Or(ret.Reason, "the way of the file could not be kept: its reports are taken all the same")
	}
	release, ok, err := g.offer(r.Context(), head.Host, head.PolicyDigest)
	if err == nil && ok {
		ret.Bundle, err = g.bundle(r.Context(), release.Version)
	}
	return ret, err
}

// countyOf names whose places at the courier a peer takes; "" has no bound.
func countyOf(peer muster.Peer) string {
	switch {
	case peer.Local:
		return ""
	case len(peer.Counties) > 0:
		return string(peer.Counties[0])
	case peer.Node != "":
		return "nodes without a county"
	}
	return "people"
}

// unseal opens the file, lets its host in and takes its reports in the same way
// as those of POST /v1/reports. The head is nil where the host was not let in.
func (g *Ingest) unseal(r *http.Request, peer muster.Peer, body io.Reader, ret *seal.Return) (*seal.Head, error) {
	file, err := seal.Open(body, g.Unseal)
	if err != nil {
		return nil, err
	}
	head := &file.Head
	if ret.State, err = g.introduce(r.Context(), head, peer); err != nil {
		return nil, err
	}
	ret.Host, ret.Reports = head.Host, head.Reports
	for err == nil {
		var frames []wire.Frame
		frames, err = readChunk(func(f *wire.Frame) error {
			err := file.Read(f)
			if err == nil && f.Host != head.Host {
				err = refuse(wire.CodeMalformed, "a report of another host is in the file of %s", head.Host)
			}
			return err
		})
		if len(frames) == 0 {
			break
		}
		// The county was checked; who carries a stick is no node of the host.
		decided, failed := g.decide(r, frames, muster.Peer{Local: true}, muster.WayCourier, len(ret.Outcomes) == 0)
		if failed != nil {
			return nil, failed
		}
		ret.Outcomes = append(ret.Outcomes, decided...)
	}
	if err == io.EOF {
		err = nil
	}
	return head, err
}

// introduce enrolls the host by the statement in its file. It is approved where
// the peer speaks for its county; a host that has a node of the tailnet enrolls
// there.
func (g *Ingest) introduce(ctx context.Context, head *seal.Head, peer muster.Peer) (muster.HostState, error) {
	_, id, err := wire.VerifyEnrollment(head.Enrollment)
	if err != nil {
		return "", err
	}
	if id != head.Host {
		return "", refuse(wire.CodeMalformed, "the file of host %s has the enrollment of host %s", head.Host, id)
	}
	k, err := g.host(ctx, id)
	if err == nil && k.node != "" {
		return k.state, mayFor(peer, k.county)
	}
	peer.Node = "" // of the carrier, not of the host
	return g.admit(ctx, head.Enrollment, peer)
}

// blame puts into the return what is wrong with the file, and gives back the
// errors that are the collector's own.
func blame(ret *seal.Return, err error) error {
	var no *refusedError
	switch {
	case err == nil:
	case errors.Is(err, seal.ErrOtherKey):
		ret.Problem, ret.Reason = seal.ProblemOtherKey, "it is sealed to another collector than "+ret.Collector+": is the stick from another state, or the site file an old one?"
	case errors.Is(err, seal.ErrCut):
		ret.Problem, ret.Reason = seal.ProblemCut, "the file is cut off or damaged: what was whole is stored, the rest is still missing"
	case errors.As(err, &no):
		ret.Problem, ret.Reason = no.code, no.err.Error()
	case errors.Is(err, fs.ErrExist):
		ret.Problem, ret.Reason = wire.CodeConflict, "this host has made a newer statement, of another county or profile: is its clock right?"
	case errors.Is(err, wire.ErrMalformed), errors.Is(err, wire.ErrFutureSchema), errors.Is(err, wire.ErrBadSignature), errors.Is(err, wire.ErrTooLarge):
		ret.Problem, ret.Reason = codeOf(err), err.Error()
	default:
		return err
	}
	return nil
}

// custody keeps the way of the file, once a report in it has proven that it is
// the host's, and puts it into the return. What the head says of earlier files is
// what the stick says: nobody signed it. It is kept of files that came here, and little
// of each, so that of some hundred files the collector's own steps always stay.
func (g *Ingest) custody(ctx context.Context, head *seal.Head, peer muster.Peer, ret *seal.Return) error {
	step := func(at time.Time, act, by string) muster.CustodyEvent {
		return muster.CustodyEvent{At: at, Act: act, By: by, File: ret.File, Host: head.Host, From: head.From, To: head.To}
	}
	if sane(head.WrittenAt) {
		ret.Custody = append(ret.Custody, step(head.WrittenAt, muster.CustodyWrote, string(head.Host)))
	}
	if by := cmp.Or(peer.Login, peer.Name, peer.Node); by != "" {
		ret.Custody = append(ret.Custody, step(ret.ReceivedAt, muster.CustodyRelayed, by))
	}
	ret.Custody = append(ret.Custody, step(ret.ReceivedAt, muster.CustodyReceived, ret.Collector))
	if !slices.ContainsFunc(ret.Outcomes, func(o wire.Outcome) bool { return o.Receipt != nil }) {
		return nil
	}
	var own []muster.CustodyEvent
	for _, e := range ret.Custody {
		if e.Sane() { // the numbers are what the head says
			own = append(own, e)
		}
	}
	if err := g.Store.KeepCustody(ctx, own); err != nil || len(head.Custody) == 0 {
		return err
	}
	kept, err := g.Store.Custody(ctx, head.Host)
	if err != nil {
		return err
	}
	type acts struct{ file, act string }
	steps := map[acts]int{}
	for _, e := range kept {
		steps[acts{e.File, e.Act}]++
	}
	var told []muster.CustodyEvent
	for _, e := range head.Custody {
		e.At = e.At.UTC().Truncate(time.Second) // as it is kept
		// What was received here this collector knows by itself.
		if e.Host != head.Host || e.Act == muster.CustodyReceived || !e.Sane() || !sane(e.At) || slices.Contains(kept, e) ||
			steps[acts{e.File, muster.CustodyReceived}] == 0 || steps[acts{e.File, e.Act}] >= maxTold {
			continue
		}
		steps[acts{e.File, e.Act}]++
		kept, told = append(kept, e), append(told, e)
	}
	return g.Store.KeepCustody(ctx, told)
}

// hashed digests what is read through it and remembers why it ended.
type hashed struct {
	r   io.Reader
	sum hash.Hash
	err error // nil at the end of the file
}

func (h *hashed) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.sum.Write(p[:n])
	if err != nil && err != io.EOF && h.err == nil {
		h.err = err
	}
	return n, err
}
