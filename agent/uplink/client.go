package uplink

import (
	"bytes"
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

	"github.com/passmuster/muster/internal/wire"
)

const (
	// Connections end where nothing moves (stallTimeout); these bound one on which
	// hardly anything does.
	smallTimeout = 2 * time.Minute // a few hundred bytes each way
	largeTimeout = 3 * time.Hour   // a stick's file over a slow line

	maxRetryAfter = time.Hour
	maxAnswer     = 1 << 20  // bytes
	maxPolicy     = 32 << 20 // bytes
	maxReturn     = 40 << 20 // bytes
	maxProblem    = 16 << 10 // bytes
	maxReason     = 200      // bytes of the collector's words that are shown
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
	if c == nil {
		c = NewClient(ClientOptions{})
	}
	own := *c
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
	ctx, cancel := context.WithTimeout(ctx, smallTimeout)
	defer cancel()
	res, err := c.post(ctx, path, contentType, bytes.NewReader(body), int64(len(body)))
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
	ctx, cancel := context.WithTimeout(ctx, largeTimeout)
	defer cancel()
	res, err := c.post(ctx, "v1/reports", wire.TypeSeq, bytes.NewReader(batch), int64(len(batch)))
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

// courier posts a sealed file and gives the answer to take.
func (c *client) courier(ctx context.Context, sealed io.Reader, size int64, take func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, largeTimeout)
	defer cancel()
	res, err := c.post(ctx, "v1/courier", wire.TypeCourier, sealed, size)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := checkAnswer(res, wire.TypeCourier); err != nil {
		return err
	}
	return take(&atMost{res.Body, maxReturn})
}

// atMost fails where there is more.
type atMost struct {
	r    io.Reader
	left int64
}

func (a *atMost) Read(p []byte) (int, error) {
	n, err := a.r.Read(p[:min(int64(len(p)), a.left+1)])
	if a.left -= int64(n); a.left < 0 {
		return 0, errors.New("the answer is too large")
	}
	return n, err
}

func (c *client) post(ctx context.Context, path, contentType string, body io.Reader, size int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath(path).String(), body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", contentType)
	return c.do(req)
}

func (c *client) do(req *http.Request) (*http.Response, error) {
	req.Header["User-Agent"] = nil // bytes
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
	case code == http.StatusOK, code >= 300 && code < 400, got == "text/html",
		code == http.StatusProxyAuthRequired, code == http.StatusNetworkAuthenticationRequired:
		return notCollector(res)
	case problem.Code == string(wire.CodeUnknownHost):
		return errUnknownHost
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("%w: check the site file, or the node's tag in the tailnet",
			&answerError{code, problem})
	}
	return &answerError{res.StatusCode, problem}
}

// answerError is a no that is the collector's own.
type answerError struct {
	status  int
	problem problem
}

func (e *answerError) Error() string {
	if e.status == http.StatusUnauthorized || e.status == http.StatusForbidden {
		return "the collector refuses this host: " + e.problem.String()
	}
	return "the collector answered " + e.problem.String()
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
