package uplink

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

const (
	dialTimeout = 30 * time.Second
	// A connection on which nothing moves for so long is given up.
	stallTimeout = 90 * time.Second
	// Between two contacts no connection is kept: a new one costs the line as many
	// bytes of HTTP, and the collector has better use for its places.
	idleConnTimeout = 10 * time.Second

	maxBurst = 16 << 10 // bytes
	// MinRate is the slowest line for which a check-in still makes sense.
	MinRate = 1000 // bytes a second
)

// ClientOptions of NewClient. The zero value is right on loopback.
type ClientOptions struct {
	// Dial connects to the collector; nil means without a tailnet.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// MaxRate bounds the bytes a second, both ways together; 0 means no bound.
	MaxRate int
	// Moved is called whenever bytes have moved, by several goroutines; nil means
	// that nobody asks.
	Moved func()

	stall time.Duration
}

// NewClient is an HTTP client that sends nothing needless, asks no proxy of the
// environment, and gives up a connection only when nothing moves on it: a slow
// line may take its time.
func NewClient(o ClientOptions) *http.Client {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.stall == 0 {
		o.stall = stallTimeout
	}
	var bucket *rate.Limiter
	if o.MaxRate > 0 {
		bucket = rate.NewLimiter(rate.Limit(o.MaxRate), min(o.MaxRate, maxBurst))
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		c, err := o.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		open, closed := context.WithCancel(context.Background())
		return &conn{Conn: c, bucket: bucket, stall: o.stall, moved: o.Moved, open: open, closed: closed}, nil
	}
	return &http.Client{Transport: &http.Transport{
		DialContext:            dial,
		DisableCompression:     true,
		MaxConnsPerHost:        1,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: 16 << 10,
		WriteBufferSize:        maxBurst,
	}}
}

// conn pays for its bytes out of the bucket, and fails where nothing moves.
type conn struct {
	net.Conn
	bucket *rate.Limiter // nil: no bound
	stall  time.Duration
	moved  func()
	open   context.Context
	closed context.CancelFunc
}

func (c *conn) Read(p []byte) (int, error) {
	if c.bucket != nil {
		p = p[:min(len(p), c.bucket.Burst())]
	}
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if e := c.pay(n); err == nil {
		err = e
	}
	return n, err
}

func (c *conn) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		part := p
		if c.bucket != nil {
			part = p[:min(len(p), c.bucket.Burst())]
		}
		if err = c.pay(len(part)); err != nil {
			return n, err
		}
		// Both directions: while a request is on its way, no answer is expected.
		if err = c.SetDeadline(time.Now().Add(c.stall)); err != nil {
			return n, err
		}
		var done int
		done, err = c.Conn.Write(part)
		n, p = n+done, p[done:]
	}
	return n, err
}

func (c *conn) pay(n int) error {
	if n > 0 && c.moved != nil {
		c.moved()
	}
	if n == 0 || c.bucket == nil {
		return nil
	}
	return c.bucket.WaitN(c.open, n)
}

func (c *conn) Close() error {
	c.closed()
	return c.Conn.Close()
}

// ParseRate reads a rate such as "64kbit" or "2mbit" (a second) and gives bytes a
// second; "" is 0, no bound.
func ParseRate(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	bits := map[string]float64{"kbit": 1e3, "mbit": 1e6}
	number := strings.TrimRight(strings.ToLower(s), "kmbit")
	unit, known := bits[strings.ToLower(s)[len(number):]]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || math.IsNaN(n) || n <= 0 {
		return 0, fmt.Errorf("rate %q: write for example 64kbit or 2mbit", s)
	}
	if n = n * unit / 8; n < MinRate || n > math.MaxInt32 {
		return 0, fmt.Errorf("rate %q: must be at least %dkbit", s, MinRate*8/1000)
	}
	return int(n), nil
}
