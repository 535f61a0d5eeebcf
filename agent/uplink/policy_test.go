package uplink

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster/internal/wire"
)

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A policy that muster has refused is not fetched again until the collector
// offers another. One that it lost, or could use now, is.
func TestPolicyIsFetchedAgain(t *testing.T) {
	l := newLab(t, 1)
	fetched, refused := 0, false
	l.collector.Policy = zipped(t, "a bundle")
	l.collector.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v1/policy" {
			fetched++
		}
		return false
	}
	contact := func(what string, want int) {
		t.Helper()
		u := l.uplink() // a process of its own each time
		u.PolicyRefused = func() bool { return refused }
		if err := u.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if fetched != want {
			t.Errorf("%s: fetched %d times, want %d", what, fetched, want)
		}
	}
	empty := func() {
		t.Helper()
		if err := os.Remove(l.path("inbox", "policy.tar.gz")); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	contact("the first", 1)
	contact("it waits in the inbox", 1)
	empty()
	refused = true
	contact("it was refused", 1)
	contact("it was refused", 1)
	refused = false
	contact("the refusal is taken back, or the policy is lost", 2)
	empty()
	refused = true
	l.collector.Policy = zipped(t, "another bundle")
	contact("another is offered", 3)
}

// A download that breaks off leaves nothing and is fetched again, also where the
// answer has no length by which to tell.
func TestTornPolicyIsFetchedAgain(t *testing.T) {
	l := newLab(t, 1)
	l.collector.Policy = zipped(t, strings.Repeat("a bundle", 1000))
	half := l.collector.Policy[:len(l.collector.Policy)/2]
	for _, length := range []int{len(l.collector.Policy), -1} {
		l.collector.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/v1/policy" {
				return false
			}
			w.Header().Set("Content-Type", "application/gzip")
			w.Header().Set("ETag", `"x"`)
			if length > 0 {
				w.Header().Set("Content-Length", strconv.Itoa(length))
			}
			if _, err := w.Write(half); err != nil {
				t.Error(err)
			}
			return true
		}
		if err := l.uplink().Once(t.Context()); err == nil || !strings.Contains(err.Error(), "fetch the policy: ") {
			t.Errorf("length %d: %v", length, err)
		}
		if entries, err := os.ReadDir(l.path("inbox")); err != nil || len(entries) > 0 {
			t.Errorf("length %d: %v, %v", length, entries, err)
		}
	}
	l.collector.Before = nil
	if err := l.uplink().Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(l.path("inbox", "policy.tar.gz")); err != nil || !bytes.Equal(got, l.collector.Policy) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// A download that was cut goes on where it broke off, unless another policy is
// offered meanwhile.
func TestCutPolicyGoesOn(t *testing.T) {
	l := newLab(t, 0)
	random := make([]byte, 100_000)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	for _, another := range []bool{false, true} {
		l.collector.Policy = zipped(t, fmt.Sprint("a bundle", another)+string(random))
		var ranges []string
		l.collector.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/v1/policy" {
				return false
			}
			ranges = append(ranges, r.Header.Get("Range"))
			if len(ranges) > 2 {
				return false
			}
			// Each answer breaks off after a third of the whole.
			third := &firstBytes{ResponseWriter: w, left: len(l.collector.Policy) / 3}
			w.Header().Set("ETag", fmt.Sprintf("%q", wire.EnvelopeDigest(l.collector.Policy)))
			w.Header().Set("Content-Type", "application/gzip")
			http.ServeContent(third, r, "", time.Time{}, bytes.NewReader(l.collector.Policy))
			return true
		}
		u := l.uplink()
		for range 2 {
			if err := u.Once(t.Context()); err == nil || !strings.Contains(err.Error(), "bytes came") {
				t.Fatalf("said %v", err)
			}
		}
		if another {
			l.collector.Policy = zipped(t, "another bundle"+string(random))
		}
		if err := u.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		third := len(l.collector.Policy) / 3
		if !another && !slices.Equal(ranges, []string{"", fmt.Sprintf("bytes=%d-", third), fmt.Sprintf("bytes=%d-", 2*third)}) {
			t.Errorf("asked for %q", ranges)
		}
		if got, err := os.ReadFile(l.path("inbox", "policy.tar.gz")); err != nil || !bytes.Equal(got, l.collector.Policy) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

// firstBytes breaks off the connection after so many bytes of the body.
type firstBytes struct {
	http.ResponseWriter
	left int
}

func (f *firstBytes) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p[:min(len(p), f.left)])
	if f.left -= n; f.left == 0 {
		http.NewResponseController(f.ResponseWriter).Flush() //nolint:errcheck // the uplink sees what came
		panic(http.ErrAbortHandler)
	}
	return n, err
}
