package uplink

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

const (
	requestTimeout = 5 * time.Minute // a full batch over a slow line
	maxRetryAfter  = time.Hour
	maxAnswer      = 1 << 20  // bytes
	maxPolicy      = 32 << 20 // bytes
	maxProblem     = 16 << 10 // bytes
	maxReason      = 200      // bytes of the collector's words that are shown
)

var (
	errUnknownHost = errors.New("the collector does not know this host")
	errTooLarge    = errors.New("the collector calls it too large")
)

// busyError: the collector asks for a pause.
type busyError struct {
	status string
	after  time.Duration
}

func (e *busyError) Error() string { return "the collector is busy (" + e.status + ")" }

// client speaks the host API and believes nothing about who answers.
type client struct {
	http  *http.Client
	base  *url.URL
	token string
}

func newClient(c *http.Client, base *url.URL, token string) *client {
	own := http.Client{Timeout: requestTimeout}
	if c != nil {
		own = *c
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{&own, base, token}
}

func (c *client) enroll(ctx context.Context, envelope []byte, answer *wire.EnrollAnswer) error {
	return c.exchange(ctx, "v1/enroll", wire.TypeCOSE, envelope, answer)
}

func (c *client) checkin(ctx context.Context, checkin wire.Checkin, answer *wire.CheckinAnswer) error {
	body, err := wire.Marshal(checkin)
	if err != nil {
		return err
	}
	return c.exchange(ctx, "v1/checkin", wire.TypeCBOR, body, answer)
}

// exchange posts a body and reads one CBOR value.
func (c *client) exchange(ctx context.Context, path, contentType string, body []byte, answer any) error {
	res, err := c.do(ctx, http.MethodPost, path, body, http.Header{"Content-Type": {contentType}, "Accept": {wire.TypeCBOR}})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := readAnswer(res, wire.TypeCBOR, maxAnswer)
	if err != nil {
		return err
	}
	return wire.Unmarshal(b, answer)
}

// reports posts a batch and gives each outcome to take, also those before an
// answer breaks off.
func (c *client) reports(ctx context.Context, batch []byte, take func(wire.Outcome) error) error {
	res, err := c.do(ctx, http.MethodPost, "v1/reports", batch, http.Header{"Content-Type": {wire.TypeSeq}, "Accept": {wire.TypeSeq}})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := checkAnswer(res, wire.TypeSeq); err != nil {
		return err
	}
	seq, err := wire.NewSeqReader(res.Body, maxAnswer/16, maxAnswer)
	if err != nil {
		return err
	}
	for {
		var outcome wire.Outcome
		switch err := seq.Read(&outcome); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if err := take(outcome); err != nil {
			return err
		}
	}
}

// policy gets the bundle for the host, whole.
func (c *client) policy(ctx context.Context, host muster.HostID) (bundle []byte, etag string, err error) {
	res, err := c.do(ctx, http.MethodGet, "v1/policy?host="+url.QueryEscape(string(host)), nil, http.Header{})
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	bundle, err = readAnswer(res, "", maxPolicy)
	if err != nil {
		return nil, "", err
	}
	zr, err := gzip.NewReader(bytes.NewReader(bundle))
	if err != nil {
		return nil, "", notCollector(res)
	}
	// An answer without a length may have ended early; muster would refuse it, and
	// what was refused is not fetched again.
	if _, err := io.Copy(io.Discard, io.LimitReader(zr, maxPolicy)); err != nil {
		return nil, "", fmt.Errorf("the policy came only in part: %w", err)
	}
	return bundle, res.Header.Get("ETag"), nil
}

func (c *client) do(ctx context.Context, method, path string, body []byte, header http.Header) (*http.Response, error) {
	path, query, _ := strings.Cut(path, "?")
	address := c.base.JoinPath(path)
	address.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, method, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.http.Do(req)
}

func readAnswer(res *http.Response, wantType string, limit int64) ([]byte, error) {
	if err := checkAnswer(res, wantType); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("the answer is larger than %d bytes", limit)
	}
	return b, nil
}

// checkAnswer turns everything but a good answer of a collector into an error
// that says what to do. wantType "" means any.
func checkAnswer(res *http.Response, wantType string) error {
	got := mediaType(res)
	if res.StatusCode == http.StatusOK && (wantType == "" || got == wantType) {
		return nil
	}
	problem := readProblem(res)
	switch code := res.StatusCode; {
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		return &busyError{problem.status, retryAfter(res)}
	case code == http.StatusRequestEntityTooLarge:
		return errTooLarge
	case code == http.StatusOK, code >= 300 && code < 400, got == "text/html":
		return notCollector(res)
	case problem.Code == string(wire.CodeUnknownHost):
		return errUnknownHost
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("the collector refuses this host: %s: check the site file, or the node's tag in the tailnet", problem)
	}
	return fmt.Errorf("the collector answered %s", problem)
}

// notCollector: a proxy or the login page of a network answers in its place.
func notCollector(res *http.Response) error {
	return fmt.Errorf("%s did not answer as a Muster collector (%s, content type %q): is a proxy or a login page in between?",
		res.Request.URL.Host, printable(res.Status), mediaType(res))
}

func mediaType(res *http.Response) string {
	t, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// problem is how a collector says no (RFC 9457).
type problem struct {
	status string
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func readProblem(res *http.Response) problem {
	p := problem{status: printable(res.Status)}
	if mediaType(res) == "application/problem+json" {
		b, err := io.ReadAll(io.LimitReader(res.Body, maxProblem))
		if err != nil || json.Unmarshal(b, &p) != nil {
			return problem{status: p.status}
		}
	}
	return p
}

// String is fit for a terminal.
func (p problem) String() string {
	if p.Detail == "" {
		return p.status
	}
	return p.status + ": " + printable(p.Detail)
}

func printable(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxReason)], "")
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

func retryAfter(res *http.Response) time.Duration {
	v := res.Header.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n >= 0 {
		return min(time.Duration(min(n, 1<<20))*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(time.Until(at), 0), maxRetryAfter)
	}
	return 0
}
