package hooks

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"syscall"
	"time"

	"github.com/passmuster/muster"
)

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Check says what is wrong with a hook, if anything.
func (h *Hook) Check() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("webhook %s: %w", h.Name, fmt.Errorf(format, args...))
	}
	if !nameForm.MatchString(h.Name) {
		return fmt.Errorf("webhook %q: a name is of lower-case letters, digits, - and _, at most 63", h.Name)
	}
	u, err := url.Parse(h.URL)
	switch {
	case err != nil || u.Hostname() == "": // url.Error would tell the address, which may be a secret
		return fail("its url is no address: want https://…")
	case u.User != nil:
		return fail("its url holds a password: use the secret, which signs")
	case u.Scheme != "https" && (u.Scheme != "http" || !muster.IsLoopback(u.Hostname())):
		return fail("its url is not https, which only this computer may be without")
	}
	if _, err := ParseFormat(string(h.Format)); err != nil {
		return fail("%w", err)
	}
	for _, k := range h.Kinds {
		if !slices.Contains(muster.EventKinds, k) {
			return fail("event %q is none of %v", k, muster.EventKinds)
		}
	}
	for _, c := range h.Counties {
		if _, err := muster.ParseCounty(string(c)); err != nil {
			return fail("%w", err)
		}
	}
	return nil
}

// dialer connects to public addresses, and to others as far as the hook lets it. It
// looks at the address itself, after the name was resolved.
func (h *Hook) dialer() *net.Dialer {
	u, err := url.Parse(h.URL)
	local := err == nil && muster.IsLoopback(u.Hostname())
	return &net.Dialer{Timeout: RequestTimeout / 2, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return allowed(at.Addr().Unmap(), local, h.Private)
	}}
}

// shared is 100.64.0.0/10: addresses of a provider's, and of a tailnet's, inside.
var shared = netip.MustParsePrefix("100.64.0.0/10")

func allowed(ip netip.Addr, local, private bool) error {
	switch {
	case ip.IsLoopback():
		if !local {
			return errors.New("its name leads to this computer: configure the address 127.0.0.1 where that is meant")
		}
	case ip.IsPrivate() || shared.Contains(ip):
		if !private {
			return fmt.Errorf("its name leads to the private address %s: set private where that is meant", ip)
		}
	case !ip.IsGlobalUnicast():
		return fmt.Errorf("its name leads to %s, where no webhook is", ip)
	}
	return nil
}

func (h *Hook) client() *http.Client {
	return &http.Client{
		Timeout: RequestTimeout,
		Transport: &http.Transport{
			DialContext: h.dialer().DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: RequestTimeout / 2,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxAnswer,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Reach connects to the hook, with TLS where it speaks it, and sends nothing.
func (h *Hook) Reach(ctx context.Context) error {
	if err := h.Check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	u, err := url.Parse(h.URL)
	if err != nil {
		return plain(err)
	}
	address := net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme]))
	dial := h.dialer().DialContext
	if u.Scheme == "https" {
		dial = (&tls.Dialer{NetDialer: h.dialer()}).DialContext
	}
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// plain leaves out the address of a hook, which may be a secret.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
