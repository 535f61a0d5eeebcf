package ingest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

func newKeys(t testing.TB) seal.Keys {
	t.Helper()
	b, err := seal.NewKey()
	must(t, err)
	keys, err := seal.ParseKeys(b)
	must(t, err)
	return keys
}

// courierLab is a collector that opens sealed files, to a peer that the test chooses.
func courierLab(t *testing.T, peer *muster.Peer) (*lab, seal.Keys) {
	keys := newKeys(t)
	return newLab(t, func(o *ingest.Options) {
		o.Unseal, o.Name = keys, "State of Example"
		if peer != nil {
			o.Identify = func(*http.Request) (muster.Peer, error) { return *peer, nil }
		}
	}), keys
}

// sealed writes the host's next n reports to whoever holds the keys.
func (h *host) sealed(keys seal.Keys, n int) []byte {
	h.Helper()
	var frames []*wire.Frame
	for range n {
		envelope := h.sign()
		f, err := wire.NewFrame(h.id, h.seq, envelope, nil)
		must(h, err)
		frames = append(frames, f)
	}
	return h.pack(keys, frames, h.statement())
}

func (h *host) pack(keys seal.Keys, frames []*wire.Frame, statement []byte, custody ...muster.CustodyEvent) []byte {
	h.Helper()
	to, err := seal.ParseRecipient(keys.Recipient())
	must(h, err)
	var b bytes.Buffer
	must(h, seal.Write(&b, to, seal.Head{Host: h.id, WrittenAt: time.Unix(1793700000, 0), Enrollment: statement, Custody: custody}, frames))
	return b.Bytes()
}

// relay posts a file and reads the return.
func (l *lab) relay(file []byte) *seal.Return {
	l.Helper()
	r := send(l, l.url+"/v1/courier", "", file)
	b, err := io.ReadAll(r.Body)
	must(l, err)
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != wire.TypeCourier {
		l.Fatalf("%s: %s", r.Status, b)
	}
	ret, err := seal.ReadReturn(b)
	must(l, err)
	return ret
}

func (l *lab) expect(ret *seal.Return, problem wire.Code, codes ...wire.Code) {
	l.Helper()
	if ret.Problem != problem || len(ret.Outcomes) != len(codes) {
		l.Fatalf("problem %q (%s), %d outcomes: %+v", ret.Problem, ret.Reason, len(ret.Outcomes), ret.Outcomes)
	}
	for i, o := range ret.Outcomes {
		if o.Code != codes[i] {
			l.Fatalf("report %d: %s (%s), want %s", o.Seq, o.Code, o.Reason, codes[i])
		}
	}
}

func TestCourier(t *testing.T) {
	county := &muster.Peer{Node: "n1", Name: "clerk-2", Counties: []muster.County{"17031"}}
	l, keys := courierLab(t, county)
	h := newHost(t, 1)
	file := h.sealed(keys, 3)
	ret := l.relay(file)
	l.expect(ret, "", wire.CodeStored, wire.CodeStored, wire.CodeStored)
	if !ret.Whole() || ret.Host != h.id || ret.State != muster.HostActive || ret.Collector != "State of Example" {
		t.Errorf("%+v", ret.ReturnHead)
	}
	// Again: the receipts come again, and nothing is stored twice.
	l.expect(l.relay(file), "", wire.CodeDuplicate, wire.CodeDuplicate, wire.CodeDuplicate)
	steps, err := l.store.Custody(t.Context(), h.id)
	must(t, err)
	if len(steps) < 3 || steps[0].Act != muster.CustodyWrote || steps[0].By != string(h.id) || steps[1].By != "clerk-2" || steps[2].Act != muster.CustodyReceived ||
		steps[0].File != ret.File || steps[0].From != 1 || steps[0].To != 3 {
		t.Errorf("custody %+v", steps)
	}
	e, err := l.store.Enrolled(t.Context(), h.id)
	if err != nil || e.Node != "" {
		t.Errorf("the host took the node of its carrier: %+v, %v", e, err)
	}
}

func TestCourierCounty(t *testing.T) {
	peer := &muster.Peer{Node: "n1", Name: "clerk-2", Counties: []muster.County{"17043"}}
	l, keys := courierLab(t, peer)
	h := newHost(t, 1)
	file := h.sealed(keys, 1)
	l.expect(l.relay(file), wire.CodeWrongCounty)
	// Without a tag: stored, and pending.
	peer.Counties = nil
	ret := l.relay(file)
	l.expect(ret, "", wire.CodeStored)
	if ret.State != muster.HostPending {
		t.Errorf("state %s", ret.State)
	}
	// A host of another state has no business here.
	far := newHost(t, 2)
	far.county, far.report.Header.County = "18001", "18001"
	l.expect(l.relay(far.sealed(keys, 1)), wire.CodeWrongCounty)
}

func TestCourierOfAnother(t *testing.T) {
	l, keys := courierLab(t, &muster.Peer{Local: true})
	h, thief := newHost(t, 1), newHost(t, 2)
	l.expect(l.relay(h.sealed(newKeys(t), 1)), seal.ProblemOtherKey)
	l.expect(l.relay([]byte("junk")), seal.ProblemCut)
	l.expect(l.relay(nil), seal.ProblemCut)
	// Someone else's enrollment, and someone else's reports.
	f, err := wire.NewFrame(h.id, 2, h.sign(), nil)
	must(t, err)
	l.expect(l.relay(h.pack(keys, []*wire.Frame{f}, thief.statement())), wire.CodeMalformed)
	l.expect(l.relay(thief.pack(keys, []*wire.Frame{f}, thief.statement())), wire.CodeMalformed)
	f.Host = thief.id
	l.expect(l.relay(thief.pack(keys, []*wire.Frame{f}, thief.statement())), "", wire.CodeBadSignature)
	if steps, err := l.store.Custody(t.Context(), thief.id); err != nil || len(steps) != 0 {
		t.Errorf("custody without any report of the host: %+v, %v", steps, err)
	}
	// A host with a node of its own keeps it.
	known := newHost(t, 3)
	id, err := wire.HostIDOf(&known.key.PublicKey)
	must(t, err)
	der, err := wire.MarshalPublicKey(&known.key.PublicKey)
	must(t, err)
	_, err = l.store.Enroll(t.Context(), muster.Enrolled{Host: muster.Host{ID: id, County: "17031", Profile: muster.Workstation, Platform: muster.Linux},
		PublicKey: der, Node: "n7"}, true, time.Unix(1, 0))
	must(t, err)
	l.expect(l.relay(known.sealed(keys, 1)), "", wire.CodeStored)
	if e, err := l.store.Enrolled(t.Context(), id); err != nil || e.Node != "n7" {
		t.Errorf("%+v, %v", e, err)
	}
}

// A head has no author: whoever got hold of a report can seal it again, and must
// not make the collector say that it received what it did not.
func TestCourierForgedCustody(t *testing.T) {
	l, keys := courierLab(t, &muster.Peer{Local: true})
	h := newHost(t, 1)
	first := l.relay(h.sealed(keys, 1))
	of := func(file, act, by string, to uint64) muster.CustodyEvent {
		return muster.CustodyEvent{At: time.Unix(1793600000, 0).UTC(), Act: act, By: by, File: file, Host: h.id, From: 1, To: to}
	}
	returned := of(first.File, muster.CustodyReturned, string(h.id), 1)
	custody := []muster.CustodyEvent{
		of(first.File, muster.CustodyReceived, "State of Example", 9), returned, returned,
		// Of a file that never came here.
		of("0123456789abcdef", muster.CustodyReceived, "State of Example", 9), of("0123456789abcdef", muster.CustodyRelayed, "a desk", 9),
		// What a database cannot hold would keep all of the host's from being read.
		of(first.File, muster.CustodyRelayed, "another desk", math.MaxUint64), of(first.File, muster.CustodyRelayed, "a\x00desk", 9),
	}
	for n := range 100 {
		custody = append(custody, of(first.File, muster.CustodyRelayed, fmt.Sprint("desk ", n), 1))
	}
	own := 0
	for range 3 {
		envelope := h.sign()
		f, err := wire.NewFrame(h.id, h.seq, envelope, nil)
		must(t, err)
		l.expect(l.relay(h.pack(keys, []*wire.Frame{f}, h.statement(), custody...)), "", wire.CodeStored)
		steps, err := l.store.Custody(t.Context(), h.id)
		must(t, err)
		own = 0
		told := map[string]int{}
		for _, e := range steps {
			told[e.File]++
			if e.File == "0123456789abcdef" || e.By == "a\x00desk" || e.By == "another desk" || e.Act == muster.CustodyReceived && e.At.Equal(returned.At) {
				t.Errorf("believed: %+v", e)
			}
			if e.Act == muster.CustodyReceived {
				own++
			}
		}
		if told[first.File] != 1+1+1+4 || !slices.Contains(steps, returned) {
			t.Errorf("%d steps of a file of which the stick says a hundred: %+v", told[first.File], steps)
		}
	}
	if own != 4 {
		t.Errorf("%d of 4 files were received", own)
	}
}

// noWay keeps no steps.
type noWay struct{ ingest.Store }

func (noWay) KeepCustody(context.Context, []muster.CustodyEvent) error {
	return errors.New("no room for steps")
}

// A way that cannot be kept costs no receipt: the return says so, and so does the log.
func TestCourierWithoutItsWay(t *testing.T) {
	keys := newKeys(t)
	var logged bytes.Buffer
	l := newLab(t, func(o *ingest.Options) {
		o.Unseal, o.Store, o.Logger = keys, noWay{o.Store}, slog.New(slog.NewTextHandler(&logged, nil))
		o.Identify = func(*http.Request) (muster.Peer, error) { return muster.Peer{Local: true}, nil }
	})
	ret := l.relay(newHost(t, 1).sealed(keys, 2))
	l.expect(ret, "", wire.CodeStored, wire.CodeStored)
	if len(ret.Receipts()) != 2 || !strings.Contains(ret.Reason, "could not be kept") {
		t.Errorf("%+v", ret.ReturnHead)
	}
	if l.stop(); !strings.Contains(logged.String(), "no room for steps") {
		t.Errorf("logged: %s", &logged)
	}
}

// Of half a file what is whole is stored and receipted, and the answer says that
// the rest is missing.
func TestCourierHalfAFile(t *testing.T) {
	l, keys := courierLab(t, &muster.Peer{Local: true})
	h := newHost(t, 1)
	file := h.sealed(keys, 30)
	ret := l.relay(file[:len(file)*2/3])
	if ret.Problem != seal.ProblemCut || ret.Whole() || len(ret.Outcomes) < 5 || len(ret.Outcomes) >= 30 || ret.Reports != 30 {
		t.Fatalf("%+v, %d outcomes", ret.ReturnHead, len(ret.Outcomes))
	}
	half := len(ret.Outcomes)
	ret = l.relay(file)
	if !ret.Whole() || ret.Outcomes[half-1].Code != wire.CodeDuplicate || ret.Outcomes[half].Code != wire.CodeStored {
		t.Fatalf("after %d: %+v", half, ret.ReturnHead)
	}
}

// A host gets the policy of its ring where it judges by another one.
func TestCourierBringsThePolicy(t *testing.T) {
	l, keys := courierLab(t, &muster.Peer{Local: true})
	h := newHost(t, 1)
	must(t, l.store.Publish(t.Context(), muster.Release{Version: 2, Revision: "r", Digest: "x", Policy: "p", Bundle: []byte("bundle"), Ring: muster.RingAll}))
	if ret := l.relay(h.sealed(keys, 1)); string(ret.Bundle) != "bundle" {
		t.Errorf("%+v", ret.ReturnHead)
	}
}

// What one node sends slowly keeps no other from being heard.
func TestCourierSlowNode(t *testing.T) {
	keys := newKeys(t)
	l := newLab(t, func(o *ingest.Options) {
		o.Unseal = keys
		o.Identify = func(r *http.Request) (muster.Peer, error) {
			return muster.Peer{Node: "n" + r.Header.Get("X-Node"), Counties: []muster.County{"17031"}}, nil
		}
	})
	heard := make(chan struct{})
	for range 8 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(l.url, "http://"))
		must(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "POST /v1/courier HTTP/1.1\r\nHost: x\r\nX-Node: slow\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
		must(t, err)
		// The collector asks for a body once it has begun to read it.
		go func() { _, _ = bufio.NewReader(conn).ReadString('\n'); heard <- struct{}{} }()
	}
	for range 8 {
		<-heard
	}
	if ret := l.relay(newHost(t, 1).sealed(keys, 1)); !ret.Whole() {
		t.Errorf("%+v", ret.ReturnHead)
	}
}

func TestCourierTooLarge(t *testing.T) {
	l, keys := courierLab(t, &muster.Peer{Local: true})
	file := newHost(t, 1).sealed(keys, 1)
	r := send(l, l.url+"/v1/courier", "", append(file, make([]byte, seal.MaxFile)...))
	if r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Error(r.Status)
	}
}

// Cut off on the line, a file is no file: no return comes, and it is sent again.
func TestCourierLineIsCut(t *testing.T) {
	l, keys := courierLab(t, &muster.Peer{Local: true})
	file := newHost(t, 1).sealed(keys, 3)
	for _, n := range []int{0, 10, len(file) / 2, len(file) - 1} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(l.url, "http://"))
		must(t, err)
		_, err = fmt.Fprintf(conn, "POST /v1/courier HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(file), file[:n])
		must(t, err)
		must(t, conn.(*net.TCPConn).CloseWrite())
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		must(t, err)
		answer, err := io.ReadAll(r.Body)
		must(t, err)
		if ret, err := seal.ReadReturn(answer); err == nil {
			t.Errorf("cut after %d bytes: %+v", n, ret)
		}
		must(t, conn.Close())
	}
	if ret := l.relay(file); !ret.Whole() {
		t.Errorf("%+v", ret.ReturnHead)
	}
}
