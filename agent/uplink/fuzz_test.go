package uplink

import (
	"bytes"
	"crypto/ecdsa"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/passmuster/muster/internal/wire"
)

// says answers every request with the same bytes.
type says struct {
	status int
	header http.Header
	body   []byte
}

func (s says) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a reader in memory
		r.Body.Close()
	}
	return &http.Response{Status: http.StatusText(s.status), StatusCode: s.status, Header: s.header.Clone(), Request: r,
		Body: io.NopCloser(bytes.NewReader(s.body)), ContentLength: int64(len(s.body))}, nil
}

// Whatever a collector answers, nothing counts as a receipt that its key has not
// signed, and what is said about it is fit for a terminal.
func FuzzAnswers(f *testing.F) {
	for _, kind := range []string{wire.TypeCBOR, wire.TypeSeq, wire.TypeCourier, "application/problem+json", "text/html", "application/gzip"} {
		f.Add(200, kind, "60", `"etag"`, []byte("\xa5\x01\x60\x02\x01\x03\x66stored\x05\x41\x00"))
		f.Add(403, kind, "Mon, 23 Nov 2026 02:00:00 GMT", "", []byte(`{"code":"wrong_county","detail":"\u001b[31m"}`))
		f.Add(206, kind, "", `"etag"`, []byte("\x1f\x8b"))
	}
	key, err := wire.NewKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, kind, retry, etag string, body []byte) {
		if status < 100 || status > 999 {
			status = 200
		}
		header := http.Header{"Content-Type": {kind}, "Retry-After": {retry}, "Etag": {etag}, "Content-Range": {"bytes 0-"}}
		c := newClient(&http.Client{Transport: says{status, header, body}}, &url.URL{Scheme: "http", Host: "collector"}, "")
		var errs []error
		note := func(err error) { errs = append(errs, err) }
		note(c.enroll(t.Context(), []byte("x"), &wire.EnrollAnswer{}))
		note(c.checkin(t.Context(), wire.Checkin{}, &wire.CheckinAnswer{}))
		note(c.reports(t.Context(), []byte("x"), func(o wire.Outcome) error {
			if _, err := wire.VerifyReceipt(o.Receipt, []*ecdsa.PublicKey{&key.PublicKey}); err == nil {
				t.Error("a receipt out of nothing")
			}
			return nil
		}))
		d := download{etag: `"etag"`, bytes: []byte("\x1f")}
		note(c.policy(t.Context(), "h", &d))
		note(c.courier(t.Context(), strings.NewReader("x"), 1, func(r io.Reader) error {
			got, err := io.ReadAll(r)
			if err == nil && !bytes.Equal(got, body) {
				t.Error("the return file is not what came")
			}
			return err
		}))
		if after := retryAfter(&http.Response{Header: header}); after < 0 || after > maxRetryAfter {
			t.Errorf("waits %v", after)
		}
		for _, err := range errs {
			if err != nil && (len(err.Error()) > 1000 || slices.ContainsFunc([]rune(err.Error()), unicode.IsControl)) {
				t.Errorf("says %q", err)
			}
		}
	})
}
