package door

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/passmuster/muster"
)

// guard lets in who has what the rule needs.
func (d *Door) guard(rule Rule, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		way := WayOf(r.Context())
		if rule.Need == Hosts && way != ViaTLS {
			next.ServeHTTP(w, r) // no browser reads its answers, and a slow line carries them
			return
		}
		secure(w.Header(), way)
		if !d.named(r, way) {
			d.refuse(w, r, http.StatusMisdirectedRequest, "wrong_name", "this is not the collector's name here")
			return
		}
		switch {
		case rule.Need == Hosts:
			d.missing(w, r)
			return
		case rule.Need == Anyone:
			next.ServeHTTP(w, r)
			return
		case rule.Need == Token && !d.script(r):
			d.refuse(w, r, http.StatusForbidden, "token_needed", "only a program of the collector's own computer that has the API token does this")
			return
		}
		p, err := d.person(r)
		if err != nil {
			d.unavailable(w, r, err)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), senderKey, p))
		if !text(r.URL) {
			d.refuse(w, r, http.StatusBadRequest, "bad_request", "its path or query has what is no text: check the address")
			return
		}
		if rule.Need == Token || may(p, rule.Need) {
			next.ServeHTTP(w, r)
			return
		}
		if theirs := CountiesOf(p); len(theirs) > 0 && rule.Need == muster.RoleViewer {
			d.county(w, r.WithContext(context.WithValue(r.Context(), countiesKey, true)), rule, theirs, next)
			return
		}
		d.stop(w, r, rule, p)
	})
}

// text reports whether an address says nothing that a database could not take as text.
func text(u *url.URL) bool {
	ok := func(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
	for name, values := range u.Query() {
		if !ok(name) || slices.ContainsFunc(values, func(s string) bool { return !ok(s) }) {
			return false
		}
	}
	return ok(u.Path)
}

// stop says what is missing.
func (d *Door) stop(w http.ResponseWriter, r *http.Request, rule Rule, p muster.Peer) {
	needed := "the role " + string(rule.Need) + " is needed here, and " + cmp.Or(p.Login, p.Name, "this node") + " does not have it: "
	switch {
	case WayOf(r.Context()) == ViaTailnet:
		d.refuse(w, r, http.StatusForbidden, "role_needed", needed+"whoever runs the tailnet can grant it")
	case p.Login != "":
		d.refuse(w, r, http.StatusForbidden, "role_needed", needed+"whoever runs the collector can give it, in oidc.grants")
	case WayOf(r.Context()) == ViaTLS:
		d.signIn(w, r)
	default:
		d.refuse(w, r, http.StatusUnauthorized, "login_needed",
			"nobody is signed in here: open the link that muster-collector printed, or have another one made by muster-collector link")
	}
}

// county serves what the rule lets the readers of these counties have. What it does
// not answers like what is not there, so that nothing tells the two apart.
func (d *Door) county(w http.ResponseWriter, r *http.Request, rule Rule, theirs []muster.County, next http.Handler) {
	q := r.URL.Query()
	ok := false
	var err error
	switch rule.County {
	case Open:
		ok = true
	case Home:
		home(w, r, theirs)
		return
	case ByPath:
		ok = slices.Contains(theirs, muster.County(r.PathValue("county")))
	case ByHost:
		ok, err = d.hostIn(r, r.PathValue("host"), theirs)
	case ByQuery:
		if len(q["county"]) > 1 || len(q["host"]) > 1 {
			d.refuse(w, r, http.StatusBadRequest, "bad_request", "say county and host once")
			return
		}
		if !q.Has("county") {
			if len(theirs) > 1 {
				d.refuse(w, r, http.StatusBadRequest, "county_needed", fmt.Sprintf("you read %d counties, and this shows one: say which, as in ?county=%s", len(theirs), theirs[0]))
				return
			}
			q.Set("county", string(theirs[0]))
		}
		county := muster.County(q.Get("county"))
		ok = slices.Contains(theirs, county)
		if ok && q.Has("host") {
			ok, err = d.hostIn(r, q.Get("host"), []muster.County{county})
		}
		r = r.Clone(r.Context())
		r.URL.RawQuery = q.Encode()
	}
	switch {
	case err != nil:
		d.unavailable(w, r, err)
	case ok:
		next.ServeHTTP(w, r)
	default:
		d.missing(w, r)
	}
}

func (d *Door) hostIn(r *http.Request, host string, theirs []muster.County) (bool, error) {
	id, err := muster.ParseHostID(host)
	if err != nil {
		return false, nil
	}
	county, err := d.Store.HostCounty(r.Context(), id)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return slices.Contains(theirs, county), err
}

// home leads to the page of the only county, or to that of several, at the same instant.
func home(w http.ResponseWriter, r *http.Request, theirs []muster.County) {
	to := url.URL{Path: "/counties", RawQuery: r.URL.RawQuery}
	if len(theirs) == 1 {
		to.Path += "/" + string(theirs[0])
	}
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// named refuses a name that someone else gave the collector: a page on such a
// name would be of one origin with it.
func (d *Door) named(r *http.Request, way Way) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	address, err := netip.ParseAddr(host)
	switch way {
	case ViaTLS:
		return strings.EqualFold(host, d.origin)
	case ViaTailnet:
		name := d.Tailnet.Status(r.Context()).Name
		first, _, _ := strings.Cut(name, ".")
		return err == nil || name != "" && (strings.EqualFold(host, name) || strings.EqualFold(host, first))
	}
	return err == nil && address.IsLoopback() || strings.EqualFold(host, "localhost")
}

// secure sets the headers of every answer. Pages bring a wider policy of their own.
func secure(h http.Header, way Way) {
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store") // weaknesses of election offices stay out of caches
	if way == ViaTLS {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}
