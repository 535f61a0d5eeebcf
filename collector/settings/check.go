package settings

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// Bounds of times.
const (
	minStale, maxStale     = Duration(time.Hour), Duration(366 * 24 * time.Hour)
	minKeep, maxKeep       = Duration(24 * time.Hour), Duration(3660 * 24 * time.Hour)
	minSession, maxSession = Duration(time.Minute), Duration(30 * 24 * time.Hour)
	maxSecret              = 64 << 10 // bytes of a file that holds one
)

// Wrong is an error about a key, that says where it was set.
func (l *Loaded) Wrong(key string, err error) error {
	return fmt.Errorf("%s: %s: %w", l.origin(key), key, err)
}

// check looks at each value, and at what goes together.
func (l *Loaded) check() (errs []error) {
	wrong := func(bad bool, key, format string, args ...any) {
		if bad {
			errs = append(errs, l.Wrong(key, fmt.Errorf(format, args...)))
		}
	}
	bounds := func(key string, d, least, most Duration) {
		wrong(d < least || d > most, key, "%s is not from %s to %s", d, least, most)
	}
	wrong(l.State != "" && (len(l.State) != 2 || strings.Trim(l.State, "0123456789") != ""), "state", "%q is not a two-digit FIPS code, for example \"17\"", l.State)
	wrong(l.Data == "", "data", "it is empty: name a folder")
	wrong(CheckListen(l.Listen) != nil, "listen", "%w", CheckListen(l.Listen))

	u, err := url.Parse(l.Database.URL)
	wrong(err != nil || l.Database.URL != "" && u.Scheme != "postgres" && u.Scheme != "postgresql", "database.url", "it is not postgres://user@host/database; leave it out for a file in the data folder")
	wrong(l.Database.PasswordFile != "" && l.Database.URL == "", "database.password_file", "there is no database.url that it belongs to")
	if err == nil {
		_, has := u.User.Password()
		wrong(has && l.Database.PasswordFile != "", "database.password_file", "database.url has a password too: take it out there")
		wrong(u.User.Username() == "" && l.Database.URL != "" && l.Database.PasswordFile != "", "database.password_file", "database.url names no user: want postgres://user@host/database")
		wrong(u.Query().Has("password") || u.Query().Has("sslpassword"), "database.url", "a password is in its parameters: put it into database.password_file") // errors would tell it
	}

	wrong(l.Tailnet.Hostname == "" && l.Tailnet.ControlURL != "", "tailnet.control_url", "it is for a tailnet: name the node with tailnet.hostname (--tailnet-hostname)")
	wrong(l.Tailnet.Hostname == "" && l.Tailnet.AuthKeyFile != "", "tailnet.auth_key_file", "it is for a tailnet: name the node with tailnet.hostname (--tailnet-hostname)")

	tls := map[string]string{"tls.listen": l.TLS.Listen, "tls.url": l.TLS.URL, "tls.certificate": l.TLS.Certificate, "tls.key": l.TLS.Key}
	oidc := map[string]string{"oidc.issuer": l.OIDC.Issuer, "oidc.client_id": l.OIDC.ClientID}
	for _, group := range []map[string]string{tls, oidc} {
		for key, value := range group {
			wrong(value == "" && (anySet(tls) || anySet(oidc)), key, "it is empty: the dashboard with TLS needs tls.listen, tls.url, tls.certificate, tls.key, oidc.issuer and oidc.client_id")
		}
	}
	wrong(anySet(oidc) && len(l.OIDC.Grants) == 0, "oidc.grants", "nobody is given a role: list claim, value and role of at least one")

	bounds("sessions.life", l.Sessions.Life, minSession, maxSession)
	bounds("sessions.idle", l.Sessions.Idle, minSession, max(l.Sessions.Life, minSession))
	bounds("stale_after.workstation", l.StaleAfter.Workstation, minStale, maxStale)
	bounds("stale_after.ems", l.StaleAfter.EMS, minStale, maxStale)
	bounds("evidence.keep", l.Evidence.Keep, minKeep, maxKeep)

	for i, h := range l.Webhooks {
		key := fmt.Sprintf("webhooks[%d]", i)
		wrong(slices.ContainsFunc(l.Webhooks[:i], func(before Webhook) bool { return before.Name == h.Name }), key, "there is a webhook %q already: give each a name of its own", h.Name)
		wrong((h.URL == "") == (h.URLFile == ""), key, "want one of url and url_file")
		for _, kind := range h.Events {
			wrong(!slices.Contains(muster.EventKinds, kind), key+".events", "%q is none of %s", kind, strings.Join(muster.EventKinds, ", "))
		}
		for _, county := range h.Counties {
			_, err := muster.ParseCounty(county)
			wrong(err != nil, key+".counties", "%q: %w", county, err)
		}
	}

	_, err = l.Log.level()
	wrong(err != nil, "log.level", "%q is none of debug, info, warn, error", l.Log.Level)
	wrong(l.Log.Format != "text" && l.Log.Format != "json", "log.format", "%q is neither text nor json", l.Log.Format)
	return errs
}

// anySet reports whether any is set.
func anySet(group map[string]string) bool {
	for _, value := range group {
		if value != "" {
			return true
		}
	}
	return false
}

// CheckListen says what is wrong with the address of the host API.
func CheckListen(address string) error {
	if host, _, err := net.SplitHostPort(address); err != nil || !muster.IsLoopback(host) {
		return fmt.Errorf("%q: the collector listens on this computer only, for example on %s", address, Default().Listen)
	}
	return nil
}

// DatabaseURL with the password in it; "" where none is configured.
func (l *Loaded) DatabaseURL() (string, error) {
	if l.Database.PasswordFile == "" {
		return l.Database.URL, nil
	}
	password, err := ReadSecret(l.Database.PasswordFile)
	if err != nil {
		return "", l.Wrong("database.password_file", err)
	}
	u, err := url.Parse(l.Database.URL)
	if err != nil {
		return "", l.Wrong("database.url", errors.New("it is no address"))
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String(), nil
}

// ReadSecret reads a file that holds a secret, without space around it.
func ReadSecret(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSecret {
		return "", fmt.Errorf("%s is no file with a secret", name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" {
		return "", fmt.Errorf("%s is empty", name)
	}
	return secret, nil
}

// redacted leaves out what is secret in an address.
func (l *Loaded) redacted() Settings {
	s := l.Settings
	if u, err := url.Parse(s.Database.URL); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			s.Database.URL = u.Redacted()
		}
	}
	s.Webhooks = slices.Clone(s.Webhooks)
	for i, h := range s.Webhooks {
		if h.URL == "" {
			continue
		}
		s.Webhooks[i].URL = "xxxxx"
		if u, err := url.Parse(h.URL); err == nil { // what follows the host is often the secret
			s.Webhooks[i].URL = u.Scheme + "://" + u.Host + "/xxxxx"
		}
	}
	return s
}
