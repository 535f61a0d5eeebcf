package door

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// TLS is the dashboard's way in for people's browsers in the state's own network. The
// host API is not served there.
type TLS struct {
	// Listen is the address to listen on, such as ":443".
	Listen string
	// URL as people's browsers know it, such as https://muster.example.gov.
	URL string
	// Certificate, with those that it rests on, and Key are PEM files. They are read
	// again when they change.
	Certificate, Key string
}

// Check says what is wrong with the URL.
func (t *TLS) Check() error {
	_, err := t.host()
	return err
}

// host of the URL.
func (t *TLS) host() (string, error) {
	u, err := url.Parse(t.URL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return "", fmt.Errorf("tls url %q is not https:// and a name, for example https://muster.example.gov", t.URL)
	}
	return u.Hostname(), nil
}

// Config reads the files. What it tells later of files that cannot be read any more goes
// to the log, and the certificate that was stays.
func (t *TLS) Config(log *slog.Logger) (*tls.Config, error) {
	c := &certificate{TLS: t, log: log}
	if err := c.read(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

// certificate follows its files.
type certificate struct {
	*TLS
	log  *slog.Logger
	mu   sync.Mutex
	pair *tls.Certificate
	seen [2]stamp
}

// stamp tells a file that changed.
type stamp struct {
	modified time.Time
	size     int64
}

func (c *certificate) stamps() (s [2]stamp, err error) {
	for i, name := range []string{c.Certificate, c.Key} {
		info, e := os.Stat(name)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		s[i] = stamp{info.ModTime(), info.Size()}
	}
	return s, err
}

// read takes the files' certificate. Where they fail, they are read again once they
// have changed.
func (c *certificate) read() error {
	seen, err := c.stamps()
	if seen == c.seen && c.pair != nil {
		return nil
	}
	c.seen = seen
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.Certificate, c.Key); err == nil {
			c.pair = &pair
			return nil
		}
	}
	return fmt.Errorf("read the TLS certificate and its key: %w", err)
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.read(); err != nil {
		c.log.Error("TLS certificate not renewed", "error", err)
	}
	return c.pair, nil
}

// attempts bounds the sign-ins that one address, or network of IPv6, begins, because each
// is kept for a while.
type attempts struct {
	mu sync.Mutex
	of map[netip.Prefix]*rate.Limiter
}

const (
	attemptsEvery = 3 * time.Second
	attemptsBurst = 20
	maxAddresses  = 10_000
)

func newAttempts() *attempts { return &attempts{of: map[netip.Prefix]*rate.Limiter{}} }

func (a *attempts) allow(remote string, now time.Time) bool {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	bits := 32
	if at.Addr().Is6() && !at.Addr().Is4In6() {
		bits = 64 // one network has as many as it wants
	}
	from, _ := at.Addr().Unmap().WithZone("").Prefix(bits)
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.of[from]
	if l == nil {
		if len(a.of) >= maxAddresses {
			clear(a.of)
		}
		l = rate.NewLimiter(rate.Every(attemptsEvery), attemptsBurst)
		a.of[from] = l
	}
	return l.AllowN(now, 1)
}
