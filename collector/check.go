package collector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// States of a Finding.
const (
	CheckOK      = "ok"
	CheckWarning = "warning"
	CheckFail    = "fail"
)

// Finding is what Check says of one thing.
type Finding struct {
	Subject string `json:"subject"`
	State   string `json:"state"` // CheckOK, CheckWarning or CheckFail
	Detail  string `json:"detail"`
	// Next is what to do about it; "" where all is well.
	Next string `json:"next,omitempty"`
}

const (
	checkTimeout = 10 * time.Second
	// Certificates and keys that end so soon are warned of.
	soon = 30 * 24 * time.Hour
	// A clock that is so far off is warned of, or a failure.
	clockWarning, clockFail = 2 * time.Second, 30 * time.Second
	// lowOnSpace is how many free bytes are warned of.
	lowOnSpace = 1 << 30
)

// Check looks whether a collector with these options can work, and changes nothing; but
// a database with an older schema is brought up to date.
func Check(ctx context.Context, o Options) []Finding {
	c := &checker{Options: o.withDefaults()}
	c.folder()
	k := c.keys()
	c.database(ctx, k)
	c.running(ctx)
	c.certificate()
	c.provider(ctx)
	for _, h := range c.Hooks {
		c.outcome("webhook "+h.Name, "reached; nothing was sent", h.Reach(ctx), "start it or correct its url; muster-collector webhooks test "+h.Name+" sends it something")
	}
	return c.list
}

type checker struct {
	Options
	list []Finding
}

func (c *checker) say(subject, state, next, format string, args ...any) {
	c.list = append(c.list, Finding{subject, state, fmt.Sprintf(format, args...), next})
}

// outcome says well where err is nil, else what is wrong and what to do.
func (c *checker) outcome(subject, well string, err error, next string) {
	if err != nil {
		c.say(subject, CheckFail, next, "%v", err)
		return
	}
	c.say(subject, CheckOK, "", "%s", well)
}

func (c *checker) folder() {
	const subject = "data folder"
	info, err := os.Stat(c.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.say(subject, CheckWarning, "it is made at the first start; look whether the name is right", "%s is not there", c.Data)
		return
	case err != nil:
		c.say(subject, CheckFail, "let the user of the collector read it", "%v", err)
		return
	case open(info):
		c.say(subject, CheckFail, "chmod 700 "+c.Data, "%s is open to others (mode %o)", c.Data, info.Mode().Perm())
	default:
		c.say(subject, CheckOK, "", "%s", c.Data)
	}
	free, err := freeBytes(c.Data)
	switch {
	case err != nil:
		c.say("disk", CheckWarning, "look yourself", "free space is not known here: %v", err)
	case free < leastFree:
		c.say("disk", CheckFail, "make room: reports are refused, and stay with their hosts", "%s free", mib(free))
	case free < lowOnSpace:
		c.say("disk", CheckWarning, "make room", "%s free", mib(free))
	default:
		c.say("disk", CheckOK, "", "%s free", mib(free))
	}
}

// open reports whether others may read a file; Windows has no such modes.
func open(info fs.FileInfo) bool { return runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 }

func (c *checker) keys() *keys {
	const subject = "keys"
	dir := c.keysFolder()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		c.say(subject, CheckWarning, "they are made at the first start; where there were some, put them back from a backup before", "%s is not there", dir)
		return nil
	}
	k, err := readKeys(dir)
	if err != nil {
		c.say(subject, CheckFail, "put the file back from a backup", "%v", err)
		return nil
	}
	for _, name := range keyFiles() {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err != nil || open(info) {
			c.say(subject, CheckFail, "chmod 600 "+path, "%s is open to others", path)
			return k
		}
	}
	c.say(subject, CheckOK, "", "receipt keys: %d, age keys: %d", len(k.receipts), len(k.age))
	return k
}

func (c *checker) database(ctx context.Context, k *keys) {
	const subject = "database"
	if c.Database == "" {
		path := filepath.Join(c.Data, "muster.db")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			c.say(subject, CheckWarning, "it is made at the first start; where there was one, muster-collector restore puts back a backup", "%s is not there", path)
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	s, err := c.openStore(ctx)
	if err != nil {
		c.say(subject, CheckFail, "look at its address, its password file and whether it runs", "%v", err)
		return
	}
	defer s.Close()
	about, err := s.About(ctx)
	if err != nil {
		c.say(subject, CheckFail, "look at the database's own log", "%v", err)
		return
	}
	c.say(subject, CheckOK, "", "%s, schema %d, %s", about.Database, about.Schema, mib(uint64(about.Bytes)))
	off := c.Now().Sub(about.Now).Abs().Round(time.Millisecond)
	const sync = "let both computers get their time from one source (NTP)"
	switch {
	case off > clockFail:
		c.say("clock", CheckFail, sync, "it is %s off the database's", off)
	case off > clockWarning:
		c.say("clock", CheckWarning, sync, "it is %s off the database's", off)
	default:
		c.say("clock", CheckOK, "", "it agrees with the database's")
	}
	if k == nil {
		return
	}
	switch err := k.known(ctx, s); {
	case errors.Is(err, fs.ErrNotExist):
		c.say("receipt key", CheckOK, "", "none was recorded before the first start")
	default:
		c.outcome("receipt key", "the one that the database has recorded", err, "see above")
	}
}

// running asks the collector that serves here, if one does.
func (c *checker) running(ctx context.Context) {
	const subject = "collector"
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Listen+"/readyz", nil)
	if err != nil {
		c.say(subject, CheckFail, "correct listen", "%v", err)
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.say(subject, CheckWarning, "start it, and check again: only then it is known where its tailnet stands", "none answers on %s", c.Listen)
		return
	}
	defer resp.Body.Close()
	var ready Readiness
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&ready); err != nil || len(ready.Parts) == 0 {
		c.say(subject, CheckFail, "end it, or listen elsewhere", "another program answers on %s", c.Listen)
		return
	}
	for _, p := range ready.Parts {
		state, next := CheckOK, ""
		if !p.Ready {
			state, next = CheckFail, "look at the collector's log"
		}
		c.say(subject+" "+p.Name, state, next, "%s", p.words())
	}
}

func (c *checker) certificate() {
	if c.TLS == nil {
		return
	}
	const subject = "TLS certificate"
	pair, err := tls.LoadX509KeyPair(c.TLS.Certificate, c.TLS.Key)
	var leaf *x509.Certificate
	if err == nil {
		leaf, err = x509.ParseCertificate(pair.Certificate[0])
	}
	u, parse := url.Parse(c.TLS.URL)
	if err = errors.Join(err, parse); err == nil {
		err = leaf.VerifyHostname(u.Hostname())
	}
	const next = "renew it; it is read again by itself"
	switch {
	case err != nil:
		c.say(subject, CheckFail, "correct tls.certificate, tls.key or tls.url", "%v", err)
	case c.Now().After(leaf.NotAfter):
		c.say(subject, CheckFail, next, "it has expired on %s", leaf.NotAfter.Format(time.DateOnly))
	case c.Now().Add(soon).After(leaf.NotAfter):
		c.say(subject, CheckWarning, next, "it expires on %s", leaf.NotAfter.Format(time.DateOnly))
	default:
		c.say(subject, CheckOK, "", "valid until %s", leaf.NotAfter.Format(time.DateOnly))
	}
}

func (c *checker) provider(ctx context.Context) {
	if c.OIDC == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := c.OIDC.Check()
	if err == nil {
		err = c.OIDC.Discover(ctx)
	}
	c.outcome("OIDC provider", c.OIDC.Issuer+" answers", err, "correct oidc.issuer, or ask whoever runs it")
}
