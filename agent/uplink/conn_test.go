package uplink

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseRate(t *testing.T) {
	for s, want := range map[string]int{"": 0, "64kbit": 8000, "2mbit": 250_000, "0.5Mbit": 62_500, "8kbit": MinRate} {
		if got, err := ParseRate(s); err != nil || got != want {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"64", "kbit", "64kb", "-1kbit", "nankbit", "infmbit", "1kbit", "64kbitkbit", "1e30mbit", "0kbit"} {
		if got, err := ParseRate(s); err == nil {
			t.Errorf("%q: %d", s, got)
		}
	}
}

// A request has the headers that a collector needs, and no other.
func TestLeanRequests(t *testing.T) {
	l := newLab(t, 1)
	seen := map[string]string{}
	l.collector.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		b, err := httputil.DumpRequest(r, false)
		if err != nil {
			t.Error(err)
		}
		seen[r.URL.Path] = string(b)
		return false
	}
	if err := l.uplink().Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, request := range seen {
		for line := range strings.Lines(request) {
			name, _, isHeader := strings.Cut(strings.TrimSpace(line), ": ")
			switch name {
			case "Host", "Content-Type", "Content-Length", "Authorization":
			default:
				if isHeader {
					t.Errorf("%s has %s", path, line)
				}
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d requests", len(seen))
	}
}

// pipe is a connection of a client with its other end, on a clock of its own: call
// it within synctest.
func pipe(t *testing.T, o ClientOptions) (near, far net.Conn) {
	t.Helper()
	near, far = net.Pipe()
	o.Dial = func(context.Context, string, string) (net.Conn, error) { return near, nil }
	near, err := NewClient(o).Transport.(*http.Transport).DialContext(t.Context(), "tcp", "collector:80")
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

func TestMaxRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, size = 8000, 80_000
		var moved atomic.Int64
		near, far := pipe(t, ClientOptions{MaxRate: rate, Moved: func() { moved.Add(1) }})
		start := time.Now()
		go io.Copy(far, io.LimitReader(far, size)) //nolint:errcheck // what is missing shows below
		sent := make(chan error, 1)
		go func() { _, err := near.Write(make([]byte, size)); sent <- err }()
		n, err := io.Copy(io.Discard, io.LimitReader(near, size))
		if err = errors.Join(err, <-sent); err != nil || n != size || moved.Load() == 0 {
			t.Fatalf("%d bytes, %v, moved %d times", n, err, moved.Load())
		}
		// The clock is not the computer's: only the bucket lets it pass.
		if took := time.Since(start); took < (2*size/rate-2)*time.Second || took > (2*size/rate+2)*time.Second {
			t.Errorf("%d bytes each way took %v", size, took)
		}
		if err := errors.Join(near.Close(), far.Close()); err != nil {
			t.Error(err)
		}
	})
}

// A connection on which nothing moves ends; one that moves slowly does not, also
// where all of it goes one way.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe(t, ClientOptions{})
		answer := make(chan error, 1)
		go func() { _, err := near.Read(make([]byte, 1)); answer <- err }()
		go io.Copy(io.Discard, far) //nolint:errcheck // it ends with far
		for range 100 {
			time.Sleep(stallTimeout - time.Second)
			if _, err := near.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case err := <-answer:
			t.Errorf("gave up the answer while the request was under way: %v", err)
		default:
		}
		if err := <-answer; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("said %v", err)
		}
		if err := errors.Join(near.Close(), far.Close()); err != nil {
			t.Error(err)
		}
	})
}

// A closed connection does not wait for its share of the line.
func TestCloseWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe(t, ClientOptions{MaxRate: MinRate})
		go io.Copy(io.Discard, far) //nolint:errcheck // it ends with far
		sent := make(chan error, 1)
		go func() { _, err := near.Write(make([]byte, 1<<20)); sent <- err }()
		time.Sleep(time.Minute)
		if err := near.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := <-sent; err == nil {
			t.Error("all of it was sent")
		}
		far.Close()
	})
}

// A collector that takes a request and says nothing is given up.
func TestSilentCollector(t *testing.T) {
	l := newLab(t, 1)
	hold := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	t.Cleanup(silent.Close)
	t.Cleanup(func() { close(hold) })
	l.url = silent.URL
	u := l.uplink()
	u.client = newClient(NewClient(ClientOptions{stall: 50 * time.Millisecond}), u.client.base, "")
	if err := u.Once(t.Context()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("said %v", err)
	}
}
