package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/internal/wire"
)

func TestReportsAreReceiptedAndProveThemselves(t *testing.T) {
	for name, room := range map[string]int{
		"bases remembered as signed":   0,
		"bases remembered as stored":   300_000, // too little for an envelope
		"bases read from the database": 1,
	} {
		t.Run(name, func(t *testing.T) { receiptedAndProven(t, room) })
	}
}

func receiptedAndProven(t *testing.T, room int) {
	t.Helper()
	l := newLab(t, func(o *ingest.Options) { o.CacheBytes = room })
	h := newHost(t, 1).enrolled(l.url)
	var signed [][]byte
	// Long enough for the chain of bases to be cut more than once.
	for range 2*ingest.MaxDepth + 10 {
		l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
		signed = append(signed, h.prev)
	}
	whole := 0
	for i, want := range signed {
		chain, err := l.store.Envelope(t.Context(), h.id, uint64(i+1))
		must(t, err)
		if len(chain) > ingest.MaxDepth+1 {
			t.Fatalf("report %d rests on %d others", i+1, len(chain)-1)
		}
		if len(chain) == 1 {
			whole++
		}
		got, err := ingest.OpenStored(h.id, chain)
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Fatalf("report %d is not what its host signed", i+1)
		}
	}
	if whole != 3 {
		t.Errorf("%d reports are stored whole, want 3", whole)
	}
	if s, err := l.store.Host(t.Context(), muster.View{}, h.id); err != nil || s.Seq != uint64(len(signed)) || s.Conflict {
		t.Errorf("host: %+v %v", s, err)
	}
}

func TestBaseSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "muster.db")
	l := labAt(t, path)
	h := newHost(t, 1).enrolled(l.url)
	l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
	l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
	l.stop()
	l = labAt(t, path)
	l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
	other := newHost(t, 2)
	other.sign()
	h.prev = other.prev // a base that the collector never saw
	l.ship([]*wire.Frame{h.next()}, wire.CodeNeedBase)
}

func TestRefusals(t *testing.T) {
	l := newLab(t)
	good := newHost(t, 1).enrolled(l.url)
	frames, want := []*wire.Frame{}, []wire.Code{}
	add := func(code wire.Code, f *wire.Frame) { frames, want = append(frames, f), append(want, code) }
	refused := func(code wire.Code, change func(h *host)) *host {
		h := newHost(t, uint64(10+len(frames))).enrolled(l.url)
		change(h)
		add(code, h.next())
		return h
	}
	add(wire.CodeStored, good.next())
	add(wire.CodeUnknownHost, newHost(t, 2).next())
	refused(wire.CodeBadSignature, func(h *host) { h.key = newKey(t) })
	refused(wire.CodeWrongCounty, func(h *host) { h.report.Header.County = "17043" })
	refused(wire.CodeMalformed, func(h *host) { h.report.Header.Profile = muster.EMS })
	refused(wire.CodeMalformed, func(h *host) { h.seq = 1 << 60 })
	refused(wire.CodeMalformed, func(h *host) { h.report.Header.Host = good.id })

	tampered := newHost(t, 3).enrolled(l.url)
	envelope := tampered.sign()
	envelope[len(envelope)/2] ^= 1
	f, err := wire.NewFrame(tampered.id, 1, envelope, nil)
	must(t, err)
	add(wire.CodeBadSignature, f)

	future := newHost(t, 4).enrolled(l.url)
	content, err := wire.Marshal(map[int]any{1: map[int]any{1: 99, 2: string(future.id), 3: 1}, 2: "in another form"})
	must(t, err)
	envelope, err = wire.Sign(wire.KindReport, content, future.key, string(future.id))
	must(t, err)
	f, err = wire.NewFrame(future.id, 1, envelope, nil)
	must(t, err)
	add(wire.CodeFutureSchema, f)

	bomb, err := wire.NewPlainFrame(good.id, 9, make([]byte, wire.MaxEnvelope))
	must(t, err)
	small := *bomb
	small.Size = 1000
	add(wire.CodeMalformed, &small)
	bomb.Size = 1 << 30
	add(wire.CodeTooLarge, bomb)
	add(wire.CodeMalformed, &wire.Frame{Host: good.id, Seq: 9, Size: 10, Body: []byte("junk")})

	// The poison is in the middle: the good ones around it are stored.
	add(wire.CodeStored, good.next())
	l.ship(frames, want...)

	page, err := l.store.Hosts(t.Context(), muster.View{}, muster.HostQuery{})
	must(t, err)
	for _, h := range page.Hosts {
		if h.ID != good.id && h.Seq != 0 {
			t.Errorf("host %s has a report that was refused", h.Hostname)
		}
	}
	if _, err := l.store.Envelope(t.Context(), good.id, 9); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused report is stored: %v", err)
	}
}

func TestDuplicateAndConflict(t *testing.T) {
	l := newLab(t)
	h := newHost(t, 1).enrolled(l.url)
	first := h.next()
	a := l.ship([]*wire.Frame{first}, wire.CodeStored)
	b := l.ship([]*wire.Frame{first, first}, wire.CodeDuplicate, wire.CodeDuplicate)
	if len(a[0].Receipt) == 0 || len(b[0].Receipt) == 0 {
		t.Error("a report that came twice is receipted twice")
	}
	h.seq, h.prev = 0, nil // a copy of the host starts over
	l.ship([]*wire.Frame{h.next()}, wire.CodeConflict)
	if s, err := l.store.Host(t.Context(), muster.View{}, h.id); err != nil || !s.Conflict {
		t.Errorf("the host is not flagged: %+v %v", s, err)
	}
}

func TestLateReportIsEvidenceOnly(t *testing.T) {
	l := newLab(t)
	h := newHost(t, 1).enrolled(l.url)
	first, second, third := h.next(), h.next(), h.next()
	l.ship([]*wire.Frame{first}, wire.CodeStored)
	l.ship([]*wire.Frame{third}, wire.CodeNeedBase) // it rests on the second
	l.ship([]*wire.Frame{second, third}, wire.CodeStored, wire.CodeNeedBase)
	l.ship([]*wire.Frame{third}, wire.CodeStored)
	if s, err := l.store.Host(t.Context(), muster.View{}, h.id); err != nil || s.Seq != 3 || s.Conflict {
		t.Errorf("host: %+v %v", s, err)
	}
}

func TestEnroll(t *testing.T) {
	l := newLab(t)
	status := func(h *host, token string, want int) {
		t.Helper()
		if r := h.enroll(l.url, token); r.StatusCode != want {
			b, _ := io.ReadAll(r.Body)
			t.Errorf("%s %s, want %d", r.Status, b, want)
		}
	}
	waiting := newHost(t, 1)
	status(waiting, "", http.StatusOK)
	status(newHost(t, 2), "another token", http.StatusUnauthorized)
	elsewhere := newHost(t, 3)
	elsewhere.county = "18001"
	status(elsewhere, token, http.StatusForbidden)
	nowhere := newHost(t, 4)
	nowhere.county = "x"
	status(nowhere, token, http.StatusBadRequest)
	if r := send(t, l.url+"/v1/enroll", token, []byte("junk")); r.StatusCode != http.StatusBadRequest {
		t.Error(r.Status)
	}

	l.ship([]*wire.Frame{waiting.next()}, wire.CodeStored)
	if _, err := l.store.Host(t.Context(), muster.View{}, waiting.id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a pending host is shown: %v", err)
	}
	waiting.enrolled(l.url) // with the token
	if s, err := l.store.Host(t.Context(), muster.View{}, waiting.id); err != nil || s.Seq != 1 {
		t.Errorf("once active: %+v %v", s, err)
	}
	// It moves: the county that ingest knows follows.
	waiting.county, waiting.report.Header.County = "17043", "17043"
	l.ship([]*wire.Frame{waiting.next()}, wire.CodeWrongCounty)
	waiting.seq--
	waiting.prev = nil
	waiting.enrolled(l.url)
	l.ship([]*wire.Frame{waiting.next()}, wire.CodeStored)
}

func TestPolicyAndCheckin(t *testing.T) {
	l := newLab(t)
	get := func(etag string) *http.Response {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, l.url+"/v1/policy", nil)
		must(t, err)
		req.Header.Set("If-None-Match", etag)
		r, err := http.DefaultClient.Do(req)
		must(t, err)
		t.Cleanup(func() { r.Body.Close() })
		return r
	}
	checkin := func() (a wire.CheckinAnswer) {
		t.Helper()
		b, err := wire.Marshal(wire.Checkin{Host: "h"})
		must(t, err)
		r := send(t, l.url+"/v1/checkin", "", b)
		b, err = io.ReadAll(r.Body)
		must(t, err)
		must(t, wire.Unmarshal(b, &a))
		return a
	}
	if r := get(""); r.StatusCode != http.StatusNotFound {
		t.Error(r.Status)
	}
	if a := checkin(); a.PolicyETag != "" || a.NextSeconds <= 0 {
		t.Errorf("check-in: %+v", a)
	}
	must(t, l.store.Publish(t.Context(), muster.Release{Version: 1, Policy: "p", Digest: "abc", Revision: "r1", Bundle: []byte("bundle"), Ring: muster.RingAll, Published: time.Now()}))
	r := get("")
	if b, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusOK || string(b) != "bundle" || r.Header.Get("ETag") != checkin().PolicyETag {
		t.Errorf("%s %q", r.Status, b)
	}
	if r := get(r.Header.Get("ETag")); r.StatusCode != http.StatusNotModified {
		t.Error(r.Status)
	}
}

// endless gives bytes for ever and counts them.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.read.Add(int64(len(p)))
	clear(p)
	return len(p), nil
}

func TestHugeBodies(t *testing.T) {
	l := newLab(t)
	h := newHost(t, 1).enrolled(l.url)
	post := func(length int64, body io.Reader) int {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, l.url+"/v1/reports", body)
		must(t, err)
		req.ContentLength = length
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0 // the collector hung up while the body was on its way
		}
		r.Body.Close()
		return r.StatusCode
	}
	announced := &endless{}
	if code := post(1<<30, io.LimitReader(announced, 1<<30)); code != 0 && code != http.StatusRequestEntityTooLarge {
		t.Errorf("1 GiB announced: %d", code)
	}
	// One CBOR byte string that claims 1 GiB, with no length announced.
	chunked := &endless{}
	head := bytes.NewReader([]byte{0x5a, 0x40, 0, 0, 0})
	if code := post(-1, io.MultiReader(head, io.LimitReader(chunked, 1<<30))); code == http.StatusOK {
		t.Error("1 GiB in chunks was taken")
	}
	for what, e := range map[string]*endless{"announced": announced, "chunked": chunked} {
		if n := e.read.Load(); n > 64<<20 {
			t.Errorf("%s: %d MiB were read", what, n>>20)
		}
	}
	l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
}

// gate is a store whose commits wait until it opens.
type gate struct {
	ingest.Store
	open chan struct{}
}

func (g gate) Commit(ctx context.Context, r []muster.Accepted) ([]muster.Committed, error) {
	<-g.open
	return g.Store.Commit(ctx, r)
}

// With no place left, a request is turned away at once; what has a place is
// committed and answered, also when the collector is told to stop meanwhile.
func TestBusyAndShutdown(t *testing.T) {
	open := make(chan struct{})
	l := newLab(t, func(o *ingest.Options) { o.Store, o.MaxBusy = gate{o.Store, open}, 2 })
	var bodies [][]byte
	for i := range 8 {
		h := newHost(t, uint64(i)).enrolled(l.url)
		bodies = append(bodies, batch(t, h.next()))
	}
	codes := make(chan int, len(bodies))
	var all sync.WaitGroup
	for _, b := range bodies {
		all.Go(func() {
			r, err := post(l.url, b)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			if r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			codes <- r.StatusCode
		})
	}
	for range len(bodies) - 2 {
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("no place left: %d", code)
		}
	}
	stopped := make(chan struct{})
	go func() { l.stop(); close(stopped) }()
	close(open)
	all.Wait()
	<-stopped
	for range 2 {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("it had a place: %d", code)
		}
	}
}

// Who may wait for a place is bounded by what all that wait hold in memory, not by
// their patience.
func TestWhatWaitsIsBounded(t *testing.T) {
	open := make(chan struct{})
	l := newLab(t, func(o *ingest.Options) {
		o.Store, o.MaxBusy, o.Patience, o.MaxHeld = gate{o.Store, open}, 1, time.Hour, 32<<10
	})
	codes := make(chan int, 20)
	var all sync.WaitGroup
	for i := range cap(codes) {
		h := newHost(t, uint64(i)).enrolled(l.url)
		body := batch(t, h.next()) // some 10 kB
		all.Go(func() {
			r, err := post(l.url, body)
			if err != nil {
				t.Error(err)
				codes <- 0
				return
			}
			r.Body.Close()
			codes <- r.StatusCode
		})
	}
	if code := <-codes; code != http.StatusServiceUnavailable {
		t.Errorf("no room left: %d", code)
	}
	close(open)
	all.Wait()
	close(codes)
	stored := 0
	for code := range codes {
		if code == http.StatusOK {
			stored++
		} else if code != http.StatusServiceUnavailable {
			t.Errorf("%d", code)
		}
	}
	if stored == 0 {
		t.Error("none that waited was stored")
	}
	// What was held is let go of.
	h := newHost(t, 99).enrolled(l.url)
	for range 9 {
		h.prev = nil // as large as the first
		l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
	}
}

// poison is a store that cannot take one host's reports, as no store should be.
type poison struct {
	ingest.Store
	host *muster.HostID
}

func (p poison) Commit(ctx context.Context, list []muster.Accepted) ([]muster.Committed, error) {
	for _, r := range list {
		if r.Header.Host == *p.host {
			return nil, errors.New("constraint failed")
		}
	}
	return p.Store.Commit(ctx, list)
}

func TestOnePoisonedHostKeepsNobodyOut(t *testing.T) {
	var bad muster.HostID
	l := newLab(t, func(o *ingest.Options) { o.Store = poison{o.Store, &bad} })
	bodies := make([][]byte, 16)
	for i := range bodies {
		h := newHost(t, uint64(i)).enrolled(l.url)
		if i == 3 {
			bad = h.id // before the first report, for Commit reads it
		}
		bodies[i] = batch(t, h.next())
	}
	var all sync.WaitGroup
	for i, body := range bodies {
		want := http.StatusOK
		if i == 3 {
			want = http.StatusServiceUnavailable
		}
		all.Go(func() {
			r, err := post(l.url, body)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			if r.StatusCode != want {
				t.Errorf("host %d: %s, want %d", i, r.Status, want)
			}
		})
	}
	all.Wait()
}

func TestEmptyAndBrokenBatches(t *testing.T) {
	l := newLab(t)
	h := newHost(t, 1).enrolled(l.url)
	if r := send(t, l.url+"/v1/reports", token, nil); r.StatusCode != http.StatusOK {
		t.Error(r.Status)
	}
	if r := send(t, l.url+"/v1/reports", token, []byte{0xff}); r.StatusCode != http.StatusBadRequest ||
		!strings.HasPrefix(r.Header.Get("Content-Type"), "application/problem+json") {
		t.Error(r.Status, r.Header)
	}
	// What came before the break is stored and answered.
	r := send(t, l.url+"/v1/reports", token, append(batch(t, h.next()), 0xff))
	if got := outcomes(t, r.Body); len(got) != 1 || got[0].Code != wire.CodeStored {
		t.Errorf("outcomes: %+v", got)
	}
}
