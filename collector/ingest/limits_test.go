package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/internal/wire"
)

// slowly lets so many through at once, and then as good as none.
func slowly(burst int) ingest.Rate { return ingest.Rate{PerSecond: 1e-6, Burst: burst} }

// Who is too fast is told when to come back, and another sender is served meanwhile.
func TestSendersAreLimited(t *testing.T) {
	l := newLab(t, func(o *ingest.Options) {
		o.Identify = nodes{"a": cook("17031"), "b": cook("17031")}.identify
		o.Limits = ingest.Limits{Work: slowly(40), Enrollments: slowly(2), Checkins: slowly(3)}
	})
	limited := func(r *http.Response) {
		t.Helper()
		after, err := strconv.Atoi(r.Header.Get("Retry-After"))
		if r.StatusCode != http.StatusTooManyRequests || err != nil || after < 1 || after > 3600 {
			t.Errorf("%s, retry after %q", r.Status, r.Header.Get("Retry-After"))
		}
	}
	h := newHost(t, 1)
	for range 2 {
		if got := code(t, h.enroll(l.url, "a")); got != "" {
			t.Fatal(got)
		}
	}
	limited(h.enroll(l.url, "a"))
	for range 3 {
		if r, _ := l.checkin("a", wire.Checkin{Host: h.id}); r.StatusCode != http.StatusOK {
			t.Fatal(r.Status)
		}
	}
	r, _ := l.checkin("a", wire.Checkin{Host: h.id})
	limited(r)

	// What is left is for 32 reports: they are taken, and the rest of the batch stays
	// with its host.
	var frames []*wire.Frame
	for range 50 {
		h.prev = nil
		frames = append(frames, h.next())
	}
	r = send(t, l.url+"/v1/reports", "a", batch(t, frames...))
	got := outcomes(t, r.Body)
	if len(got) == 0 || len(got) >= len(frames) || got[len(got)-1].Code != wire.CodeStored {
		t.Fatalf("%d outcomes", len(got))
	}
	r = send(t, l.url+"/v1/reports", "a", batch(t, frames[len(got):]...))
	limited(r)
	if got := code(t, r); got != "too_fast" {
		t.Error(got)
	}
	other := newHost(t, 2)
	if got := code(t, other.enroll(l.url, "b")); got != "" {
		t.Errorf("another node: %s", got)
	}
	if refused, got := l.shipFrom("b", other); got != wire.CodeStored {
		t.Errorf("another node: %s %s", refused, got)
	}
}

// A host that makes more than it may keeps the rest; what others name in its place
// costs it nothing.
func TestHostsAreLimited(t *testing.T) {
	l := newLab(t, func(o *ingest.Options) { o.Limits.Reports = slowly(3) })
	h, other := newHost(t, 1).enrolled(l.url), newHost(t, 2).enrolled(l.url)
	forged := newHost(t, 3).next()
	forged.Host = h.id
	for range 5 {
		l.ship([]*wire.Frame{forged}, wire.CodeBadSignature)
	}
	for range 3 {
		l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
	}
	kept := h.next()
	l.ship([]*wire.Frame{kept, other.next()}, wire.CodeBusy, wire.CodeStored)
	if _, err := l.store.Envelope(t.Context(), h.id, kept.Seq); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is stored: %v", err)
	}
}

// A county's nodes leave the others places at the courier.
func TestOneCountyLeavesCourierPlaces(t *testing.T) {
	members := nodes{"other": cook("17043")}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		members[name] = cook("17031")
	}
	l := newTailnet(t, members)
	wait := make(slow)
	codes := make(chan int, 20)
	for name := range members {
		for range 4 {
			if name == "other" {
				continue
			}
			go func() {
				r, err := try(l.url+"/v1/courier", name, wait)
				if err != nil {
					t.Error(err)
					codes <- 0
					return
				}
				r.Body.Close()
				codes <- r.StatusCode
			}()
		}
	}
	for range cap(codes) - 6 {
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("too many of one county: %d", code)
		}
	}
	if r := send(t, l.url+"/v1/courier", "other", nil); r.StatusCode != http.StatusOK {
		t.Errorf("another county: %s", r.Status)
	}
	close(wait)
	for range 6 {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("it had a place: %d", code)
		}
	}
}

// Whoever asks is asked who it is; one that cannot be told yet is to come again.
func TestWhoAsksForThePolicy(t *testing.T) {
	var known atomic.Bool
	l := newLab(t, func(o *ingest.Options) {
		o.Identify = func(*http.Request) (muster.Peer, error) {
			if known.Load() {
				return muster.Peer{Node: "n"}, nil
			}
			return muster.Peer{}, errors.New("the tailnet does not answer")
		}
	})
	must(t, l.store.Publish(t.Context(), muster.Release{Version: 1, Policy: "p", Digest: "abc", Revision: "r1", Bundle: []byte("bundle"), Ring: muster.RingAll, Published: time.Now()}))
	for _, want := range []int{http.StatusServiceUnavailable, http.StatusOK} {
		r, err := http.Get(l.url + "/v1/policy")
		must(t, err)
		r.Body.Close()
		if r.StatusCode != want || want != http.StatusOK && r.Header.Get("Retry-After") == "" {
			t.Errorf("%s, want %d", r.Status, want)
		}
		known.Store(true)
	}
	l = newLab(t)
	req, err := http.NewRequest(http.MethodGet, l.url+"/v1/policy", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer of bad news")
	r, err := http.DefaultClient.Do(req)
	must(t, err)
	if got := code(t, r); r.StatusCode != http.StatusUnauthorized || got != "bad_token" {
		t.Errorf("%s %s", r.Status, got)
	}
}

// lossy is a store whose connection breaks after a commit, before the answer.
type lossy struct {
	ingest.Store
	broken *atomic.Int32 // so many more times
}

func (l lossy) Commit(ctx context.Context, reports []muster.Accepted) ([]muster.Committed, error) {
	done, err := l.Store.Commit(ctx, reports)
	if err == nil && l.broken.Add(-1) >= 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return done, err
}

// What a commit did is found out where nobody could tell: by the collector, and where
// it cannot, by the host.
func TestUnknownCommit(t *testing.T) {
	var broken atomic.Int32
	var commits, failed atomic.Int32
	stats := &ingest.Stats{Committed: func(_ int, _ time.Duration, err error) {
		commits.Add(1)
		if err != nil {
			failed.Add(1)
		}
	}}
	l := newLab(t, func(o *ingest.Options) { o.Store, o.Stats = lossy{o.Store, &broken}, stats })
	h := newHost(t, 1).enrolled(l.url)
	broken.Store(1)
	first := h.next()
	l.ship([]*wire.Frame{first}, wire.CodeDuplicate)
	broken.Store(2)
	second := h.next()
	if r := send(t, l.url+"/v1/reports", token, batch(t, second)); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%s", r.Status)
	}
	l.ship([]*wire.Frame{second}, wire.CodeDuplicate)
	list, err := l.store.HostReports(t.Context(), h.id, 0, 10)
	if err != nil || len(list) != 2 || list[0].Seq != 2 || list[1].Digest != wire.EnvelopeDigest(envelope(t, first, nil)) {
		t.Errorf("%+v %v", list, err)
	}
	if commits.Load() != 5 || failed.Load() != 3 {
		t.Errorf("%d commits, %d failed", commits.Load(), failed.Load())
	}
	counts := stats.Reports.Counts()
	if counts["duplicate"] != 2 || counts["stored"] != 0 || stats.Refused.Counts()["unavailable"] != 1 ||
		stats.Held.Load() != 0 || stats.Waiting.Load() != 0 || stats.Bytes.Load() == 0 {
		t.Errorf("counted %v, refused %v, %d bytes held, %d chunks waiting", counts, stats.Refused.Counts(), stats.Held.Load(), stats.Waiting.Load())
	}
}

// envelope opens a frame.
func envelope(t testing.TB, f *wire.Frame, base []byte) []byte {
	t.Helper()
	b, err := wire.OpenFrame(f, func(muster.Digest) []byte { return base }, 0)
	must(t, err)
	return b
}

// A report rests on none of another month, so that evidence goes by the month.
func TestMonthsRestOnTheirOwn(t *testing.T) {
	var at atomic.Pointer[time.Time]
	set := func(s string) {
		now, err := time.Parse(time.DateTime, s)
		must(t, err)
		at.Store(&now)
	}
	set("2026-11-30 23:59:00")
	l := newLab(t, func(o *ingest.Options) { o.Now = func() time.Time { return *at.Load() } })
	h := newHost(t, 1).enrolled(l.url)
	var signed [][]byte
	for _, now := range []string{"2026-11-30 23:59:00", "2026-11-30 23:59:59", "2026-12-01 00:00:00", "2026-12-01 00:00:01"} {
		set(now)
		l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
		signed = append(signed, h.prev)
	}
	for i, want := range []struct{ month, chain int }{{202611, 1}, {202611, 2}, {202612, 1}, {202612, 2}} {
		chain, err := l.store.Envelope(t.Context(), h.id, uint64(i+1))
		must(t, err)
		if len(chain) != want.chain || chain[0].Month != want.month {
			t.Errorf("report %d of month %d rests on %d others", i+1, chain[0].Month, len(chain)-1)
		}
		if got, err := ingest.OpenStored(h.id, chain); err != nil || !bytes.Equal(got, signed[i]) {
			t.Errorf("report %d is not what its host signed: %v", i+1, err)
		}
	}
}

// Two collectors before one store believe each other's changes.
func TestAnotherCollector(t *testing.T) {
	var later atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	members := nodes{"a": cook("17031"), "b": cook("17031"), "plain": {}}
	var shared ingest.Store
	one := newLab(t, func(o *ingest.Options) { o.Identify, o.Now, shared = members.identify, now, o.Store })
	two := newLab(t, func(o *ingest.Options) { o.Identify, o.Now, o.Store, o.Key = members.identify, now, shared, one.key })
	ship := func(l *lab, node string, f *wire.Frame, want wire.Code) {
		t.Helper()
		r := send(t, l.url+"/v1/reports", node, batch(t, f))
		if got := outcomes(t, r.Body); len(got) != 1 || got[0].Code != want {
			t.Errorf("%+v, want %s", got, want)
		}
	}
	h := newHost(t, 1)
	if got := code(t, h.enroll(one.url, "a")); got != "" {
		t.Fatal(got)
	}
	for i := range 6 { // each rests on what the other took
		ship([]*lab{one, two}[i%2], "a", h.next(), wire.CodeStored)
	}
	if got := code(t, h.enroll(two.url, "b")); got != "" { // it moves
		t.Fatal(got)
	}
	moved := h.next()
	ship(one, "b", moved, wire.CodeStored)
	ship(two, "a", moved, wire.CodeUnknownHost)
	later.Add(int64(2 * time.Minute))
	ship(one, "a", moved, wire.CodeUnknownHost)

	// Retired at the one, it can store no more than a host that waits at the other.
	for h.seq < 40 {
		ship(two, "b", h.next(), wire.CodeStored)
	}
	must(t, one.store.Retire(t.Context(), h.id, muster.LogEntry{Actor: "console", Action: "retire"}))
	later.Add(int64(2 * time.Minute))
	ship(two, "b", h.next(), wire.CodePending)

	waits := newHost(t, 2)
	if got := code(t, waits.enroll(one.url, "plain")); got != "" {
		t.Fatal(got)
	}
	for waits.seq < 32 {
		ship(two, "plain", waits.next(), wire.CodeStored)
	}
	kept := waits.next()
	ship(two, "plain", kept, wire.CodePending)
	must(t, one.store.Approve(t.Context(), waits.id, muster.LogEntry{Actor: "console", Action: "approve"}))
	ship(two, "plain", kept, wire.CodeStored)
}
