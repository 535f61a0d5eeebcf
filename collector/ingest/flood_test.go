package ingest_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

var tiny = flag.Int("tiny", 20_000, "requests of TestTinyRequests; 1000000 by hand")

const gigabyte = 1 << 30

// zstdBomb is a frame of zstd, no larger than 1 MiB, that unpacks to 1 GiB of zeros. Its
// header says that it is claimed bytes, or with 0 nothing.
func zstdBomb(claimed uint32) []byte {
	const block = 128 << 10                             // the largest that the format has
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58 | 7} // a window of 2 MiB
	if claimed > 0 {
		b = binary.LittleEndian.AppendUint32([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0}, claimed)
	}
	for n := gigabyte / block; n > 0; n-- {
		head := uint32(block<<3 | 1<<1) // a byte, so many times
		if n == 1 {
			head |= 1 // the last
		}
		b = append(b, byte(head), byte(head>>8), byte(head>>16), 0)
	}
	return b
}

// gzipBomb is 1 GiB of zeros in less than 1 MiB of gzip, and that once more in gzip.
func gzipBomb(t testing.TB) (once, twice []byte) {
	t.Helper()
	pack := func(b []byte, times int) []byte {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		for range times {
			_, err := w.Write(b)
			must(t, err)
		}
		must(t, w.Close())
		return packed.Bytes()
	}
	const zeros = 1 << 20
	once = pack(make([]byte, zeros), gigabyte/zeros)
	return once, pack(once, 1)
}

// heap logs what do has allocated, and what is left of it.
func heap(t testing.TB, what string, do func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	allocated := after.TotalAlloc - before.TotalAlloc
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%s: allocated %.1f MiB, in use %.1f MiB before and %.1f after, %.1f of the system", what,
		float64(allocated)/(1<<20), float64(before.HeapAlloc)/(1<<20), float64(after.HeapAlloc)/(1<<20), float64(after.Sys)/(1<<20))
}

// No bomb goes off: whichever way it is packed, it is refused by what it says of itself
// or at the end of the room that it was given.
func TestBombs(t *testing.T) {
	l, keys := courierLab(t, nil)
	h := newHost(t, 1).enrolled(l.url)
	gzipped, twice := gzipBomb(t)
	nested, err := wire.NewPlainFrame(h.id, 9, zstdBomb(0)) // an envelope that is a bomb
	must(t, err)
	frame := func(size uint32, body []byte) *wire.Frame {
		return &wire.Frame{Host: h.id, Seq: 9, Size: size, Body: body}
	}
	deep := bytes.Repeat([]byte{0x81}, wire.MaxFrame-1) // a million arrays, each in the other
	bombs := map[string]struct {
		frame *wire.Frame
		code  wire.Code
	}{
		"which says nothing of itself":   {frame(1000, zstdBomb(0)), wire.CodeMalformed},
		"which says that it is small":    {frame(1000, zstdBomb(1000)), wire.CodeMalformed},
		"which says that it is allowed":  {frame(wire.MaxEnvelope, zstdBomb(wire.MaxEnvelope)), wire.CodeMalformed},
		"which says what it is":          {frame(gigabyte, zstdBomb(gigabyte)), wire.CodeTooLarge},
		"whose two sizes differ":         {frame(1000, zstdBomb(gigabyte)), wire.CodeMalformed},
		"in an envelope that is allowed": {nested, wire.CodeMalformed},
		"of gzip in the place of zstd":   {frame(1000, gzipped), wire.CodeMalformed},
	}
	for what, bomb := range bombs {
		if len(bomb.frame.Body) > 1<<20 {
			t.Fatalf("a bomb of %d bytes", len(bomb.frame.Body))
		}
		heap(t, "a bomb "+what, func() {
			l.ship([]*wire.Frame{bomb.frame, h.next()}, bomb.code, wire.CodeStored)
			l.expect(l.relay(h.pack(keys, []*wire.Frame{bomb.frame}, h.statement())), "", bomb.code)
		})
	}
	// The host API has no compression of HTTP: what claims it is bytes like others.
	for coding, body := range map[string][]byte{"gzip": gzipped, "zstd": zstdBomb(0), "gzip, gzip": twice, "": deep} {
		for _, path := range []string{"/v1/reports", "/v1/enroll", "/v1/checkin", "/v1/courier"} {
			heap(t, coding+" to "+path, func() {
				req, err := http.NewRequest(http.MethodPost, l.url+path, bytes.NewReader(body))
				must(t, err)
				req.Header.Set("Authorization", "Bearer "+token)
				req.Header.Set("Content-Encoding", coding)
				r, err := http.DefaultClient.Do(req)
				must(t, err)
				b, err := io.ReadAll(r.Body)
				must(t, errors.Join(err, r.Body.Close()))
				switch {
				case path == "/v1/courier" && r.StatusCode == http.StatusOK: // a return file that says what is wrong
					ret, err := seal.ReadReturn(b)
					must(t, err)
					l.expect(ret, seal.ProblemCut)
				case r.StatusCode != http.StatusBadRequest && r.StatusCode != http.StatusRequestEntityTooLarge:
					t.Errorf("%s %s", r.Status, b)
				}
			})
		}
	}
	l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
	if _, err := l.store.Envelope(t.Context(), h.id, 9); !errors.Is(err, fs.ErrNotExist) && h.seq < 9 {
		t.Errorf("a bomb is stored: %v", err)
	}
}

// A batch that was seen on its way proves nothing but itself, whoever sends it again.
func TestReplayedBatch(t *testing.T) {
	l := newTailnet(t, nodes{"a": cook("17031"), "b": cook("17031"), "far": cook("17043"), "plain": {}})
	h, thief := newHost(t, 1), newHost(t, 2)
	thief.county, thief.report.Header.County = "17043", "17043"
	for node, h := range map[string]*host{"a": h, "far": thief} {
		if got := code(t, h.enroll(l.url, node)); got != "" {
			t.Fatal(got)
		}
	}
	replayed := func(node string, body []byte, want wire.Code) {
		t.Helper()
		got := outcomes(t, send(t, l.url+"/v1/reports", node, body).Body)
		if len(got) != 3 {
			t.Fatalf("%d outcomes", len(got))
		}
		for _, o := range got {
			if o.Code != want || (want == wire.CodeStored || want == wire.CodeDuplicate) != (o.Receipt != nil) {
				t.Errorf("from %s: %s (%s), want %s", node, o.Code, o.Reason, want)
			}
		}
	}
	frames := []*wire.Frame{}
	for range 3 {
		envelope := h.sign()
		f, err := wire.NewFrame(h.id, h.seq, envelope, nil)
		must(t, err)
		frames = append(frames, f)
	}
	body := batch(t, frames...)
	for _, node := range []string{"b", "far", "plain"} {
		replayed(node, body, wire.CodeUnknownHost)
	}
	if list, err := l.store.HostReports(t.Context(), h.id, 0, 10); err != nil || len(list) != 0 {
		t.Fatalf("%+v %v", list, err)
	}
	replayed("a", body, wire.CodeStored)
	for range 3 { // the same bytes again, and in another order
		replayed("a", body, wire.CodeDuplicate)
		replayed("a", batch(t, frames[2], frames[0], frames[1]), wire.CodeDuplicate)
	}
	for _, node := range []string{"b", "far", "plain"} {
		replayed(node, body, wire.CodeUnknownHost)
	}
	// Under another name.
	var renamed, renumbered []*wire.Frame
	for _, f := range frames {
		as, at := *f, *f
		as.Host, at.Seq = thief.id, f.Seq+10
		renamed, renumbered = append(renamed, &as), append(renumbered, &at)
	}
	replayed("far", batch(t, renamed...), wire.CodeBadSignature)
	replayed("a", batch(t, renumbered...), wire.CodeMalformed)
	list, err := l.store.HostReports(t.Context(), h.id, 0, 10)
	if err != nil || len(list) != 3 {
		t.Errorf("%d reports, %v", len(list), err)
	}
	if s, err := l.store.Host(t.Context(), muster.View{}, h.id); err != nil || s.Seq != 3 || s.Conflict {
		t.Errorf("the host: %+v %v", s, err)
	}
	if list, err := l.store.HostReports(t.Context(), thief.id, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("the thief has %d reports, %v", len(list), err)
	}
}

// flood sends everything that is bad, at full speed, until stop is closed, and gives
// how many requests that were.
func flood(t testing.TB, l *lab, sender string, h *host, stop chan struct{}) (sent func() int64) {
	random := make([]byte, wire.MaxBatch)
	_, err := rand.Read(random)
	must(t, err)
	bomb := batch(t, &wire.Frame{Host: h.id, Seq: 9, Size: wire.MaxEnvelope, Body: zstdBomb(wire.MaxEnvelope)})
	var giant []byte
	for len(giant)+len(bomb) < wire.MaxBatch {
		giant = append(giant, bomb...)
	}
	bodies := map[string][]byte{"a bomb": bomb, "a giant batch": giant, "random bytes": random, "junk": []byte("junk"), "nothing": nil,
		"a cut batch": bomb[:len(bomb)/2]}
	var n atomic.Int64
	var all sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	post := func(path string, body io.Reader) {
		req, err := http.NewRequest(http.MethodPost, l.url+path, body)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+sender)
		n.Add(1)
		if r, err := client.Do(req); err == nil { // else it hung up
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
	}
	for _, body := range bodies {
		for _, path := range []string{"/v1/reports", "/v1/enroll", "/v1/courier"} {
			all.Go(func() {
				for open := true; open; {
					post(path, bytes.NewReader(body))
					select {
					case <-stop:
						open = false
					default:
					}
				}
			})
		}
	}
	for range 4 { // begins well, and then never ends
		all.Go(func() { post("/v1/reports", io.MultiReader(bytes.NewReader(bomb), slow(stop))) })
	}
	return func() int64 { all.Wait(); client.CloseIdleConnections(); return n.Load() }
}

// One sender's poison at full speed costs the others nothing.
func TestFloodSlowsNobodyElse(t *testing.T) {
	stats := &ingest.Stats{}
	l := newLab(t, func(o *ingest.Options) {
		o.Identify = nodes{"bad": cook("17031"), "good": cook("17031")}.identify
		o.Limits.Work, o.Stats = ingest.Rate{PerSecond: 100, Burst: 2000}, stats
	})
	bad, good := newHost(t, 1), newHost(t, 2)
	for node, h := range map[string]*host{"bad": bad, "good": good} {
		if got := code(t, h.enroll(l.url, node)); got != "" {
			t.Fatal(got)
		}
	}
	stop := make(chan struct{})
	heap(t, "a flood", func() {
		sent := flood(t, l, "bad", bad, stop)
		for range 30 {
			if refused, got := l.shipFrom("good", good); got != wire.CodeStored {
				t.Fatalf("%s %q", refused, got)
			}
		}
		close(stop)
		t.Logf("%d bad requests, answered %v, their reports %v", sent(), stats.Refused.Counts(), stats.Reports.Counts())
	})
	if stats.Held.Load() != 0 || stats.Waiting.Load() != 0 {
		t.Errorf("%d bytes held, %d chunks wait", stats.Held.Load(), stats.Waiting.Load())
	}
	if s, err := l.store.Host(t.Context(), muster.View{}, good.id); err != nil || s.Seq != good.seq {
		t.Errorf("%+v %v", s, err)
	}
}

// Many small requests of someone on the collector's computer who does not know the
// token, in raw bytes over few connections: as fast as they can come.
func TestTinyRequests(t *testing.T) {
	stats := &ingest.Stats{}
	l := newLab(t, func(o *ingest.Options) { o.Stats = stats })
	h := newHost(t, 1).enrolled(l.url)
	address, err := url.Parse(l.url)
	must(t, err)
	kinds := []string{
		"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
		"POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
		"POST /v1/checkin HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n\xa0",
		"GET /v1/policy?host=x HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
	}
	var left atomic.Int64
	n := *tiny
	if testing.Short() {
		n = 2_000
	}
	left.Store(int64(n))
	var answers ingest.Counter
	var all sync.WaitGroup
	stored := 0
	heap(t, "tiny requests", func() {
		start := time.Now()
		for range 16 {
			all.Go(func() {
				for left.Load() > 0 {
					if err := volley(address.Host, kinds, &left, &answers); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		ended := make(chan struct{})
		go func() { all.Wait(); close(ended) }()
		for open := true; open; {
			l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
			stored++
			select {
			case <-ended:
				open = false
			default:
			}
		}
		t.Logf("%d tiny requests in %.1f s, answered %v; %d reports of another host stored meanwhile", n, time.Since(start).Seconds(), answers.Counts(), stored)
	})
	if s, err := l.store.Host(t.Context(), muster.View{}, h.id); err != nil || s.Seq != uint64(stored) {
		t.Errorf("%+v %v", s, err)
	}
}

// volley sends requests over one connection, and counts the answers until it is closed
// or none is left.
func volley(address string, kinds []string, left *atomic.Int64, answers *ingest.Counter) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	all := []byte(strings.Join(kinds, ""))
	for left.Load() > 0 {
		if _, err := c.Write(all); err != nil {
			return nil // it has had enough of this connection
		}
		for range kinds {
			r, err := http.ReadResponse(in, nil)
			if err != nil {
				return nil
			}
			left.Add(-1)
			answers.Add(r.Status, 1)
			if _, err := io.Copy(io.Discard, r.Body); err != nil || r.Close {
				return nil
			}
		}
	}
	return nil
}

// BenchmarkBesideAFlood is how long a report takes while another node sends poison at
// full speed, with the senders on the same processors.
func BenchmarkBesideAFlood(b *testing.B) {
	for name, flooded := range map[string]bool{"Alone": false, "Flooded": true} {
		b.Run(name, func(b *testing.B) {
			l := newLab(b, func(o *ingest.Options) {
				o.Identify = nodes{"bad": cook("17031"), "good": cook("17031")}.identify
				o.Limits.Work = ingest.Rate{PerSecond: 100, Burst: 2000}
				if !flooded { // a fast computer ships more than that
					o.Limits.Work.Burst = 1 << 20
				}
			})
			bad, good := newHost(b, 1), newHost(b, 2)
			bad.enroll(l.url, "bad")
			good.enroll(l.url, "good")
			stop, sent := make(chan struct{}), func() int64 { return 0 }
			if flooded {
				sent = flood(b, l, "bad", bad, stop)
			}
			for b.Loop() {
				if refused, got := l.shipFrom("good", good); got != wire.CodeStored {
					b.Fatal(refused, got)
				}
			}
			close(stop)
			sent()
		})
	}
}
