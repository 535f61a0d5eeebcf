package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
)

// Limits of the lists that the API gives.
const (
	defaultPage    = 500
	maxPage        = 5000
	maxTransitions = 1000
)

// route is an address for people and scripts, and the role that it needs.
type route struct {
	pattern string
	need    muster.Role
	handler http.Handler
}

// routes are all addresses for people and scripts. Whatever is not here is not
// served.
func (c *Collector) routes() []route {
	const viewer, operator, ciso = muster.RoleViewer, muster.RoleOperator, muster.RoleCISO
	return []route{
		{"GET /healthz", anyone, http.HandlerFunc(c.healthz)},
		{"GET /login", anyone, http.HandlerFunc(c.login)},
		{"POST /api/v1/links", here, http.HandlerFunc(c.apiLink)},

		{"/", viewer, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.view.Load().pages.ServeHTTP(w, r) })},
		{"/api/", viewer, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			ingest.Problem(w, http.StatusNotFound, "not_found", "there is no such address in the API")
		})},
		{"GET /api/v1/hosts", viewer, c.list(c.apiHosts)},
		{"GET /api/v1/hosts/{host}", viewer, c.list(c.apiHost)},
		{"GET /api/v1/pending", viewer, c.list(c.apiPending)},
		{"GET /api/v1/counties", viewer, c.list(c.apiCounties)},
		{"GET /api/v1/counties/{county}", viewer, c.list(c.apiCounty)},
		{"GET /api/v1/controls", viewer, c.list(c.apiControls)},
		{"GET /api/v1/findings", viewer, c.list(c.apiFindings)},
		{"GET /api/v1/audit-log", viewer, c.list(c.apiAuditLog)},
		{"GET /api/v1/policies", viewer, c.list(c.apiPolicies)},
		{"GET /api/v1/rings", viewer, c.list(c.apiRings)},

		{"POST /api/v1/hosts/{host}/{act}", operator, http.HandlerFunc(c.apiAct)},
		{"POST /api/v1/courier", operator, http.HandlerFunc(c.apiCourier)},
		{"POST /hosts/{host}/{act}", operator, http.HandlerFunc(c.formAct)},

		{"POST /api/v1/policies", ciso, http.HandlerFunc(c.apiPublish)},
		{"POST /api/v1/policies/{version}/{step}", ciso, http.HandlerFunc(c.apiStep)},
		{"PUT /api/v1/rings", ciso, http.HandlerFunc(c.apiSetRing)},
		{"POST /policies/{version}/{step}", ciso, http.HandlerFunc(c.formStep)},
		{"POST /policies/rings", ciso, http.HandlerFunc(c.formSetRing)},
	}
}

// handler is the whole server: hosts under /v1, people and scripts elsewhere.
func (c *Collector) handler(hosts http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, r := range c.routes() {
		mux.Handle(r.pattern, c.allow(r.need, r.handler))
	}
	all := http.NewServeMux()
	all.Handle("/v1/", hosts) // no browser reads its answers, and a slow line carries them
	all.Handle("/", secure(mux))
	return http.NewCrossOriginProtection().Handler(all)
}

// secure sets the headers of every answer. Pages bring a wider policy of their own.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

func (c *Collector) healthz(w http.ResponseWriter, r *http.Request) {
	if _, err := c.store.AuditLog(r.Context(), 1); err != nil {
		c.Logger.Error("store does not answer", "error", err)
		ingest.Problem(w, http.StatusServiceUnavailable, "unavailable", "the store does not answer")
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// login exchanges a one-time link for a session.
func (c *Collector) login(w http.ResponseWriter, r *http.Request) {
	if overTailnet(r.Context()) {
		refuse(w, r, http.StatusForbidden, "not_here", "the link is for the collector's own computer")
		return
	}
	session, ok := c.doors.enter(r.URL.Query().Get("token"))
	if !ok {
		ingest.Problem(w, http.StatusUnauthorized, "bad_link",
			"this link was used, or is too old: muster-collector link makes another")
		return
	}
	if err := c.log(r.Context(), "link", "login", r.RemoteAddr); err != nil {
		c.Logger.Error("login not logged", "error", err)
		ingest.Problem(w, http.StatusServiceUnavailable, "unavailable", "the audit log cannot be written, so nobody is let in")
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: session, Path: "/", MaxAge: int(sessionLife.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
	w.Header().Set("Cache-Control", "no-store")
	// A redirect after a click elsewhere would come without the strict cookie; a fresh navigation does not.
	w.Header().Set("Refresh", "0; url=/")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte("<!doctype html><title>Muster</title><p>You are in. <a href=\"/\">Go to the dashboard</a></p>\n"))
}

// apiLink makes another one-time link, for who holds the API token.
func (c *Collector) apiLink(w http.ResponseWriter, r *http.Request) {
	if !c.doors.script(r) {
		ingest.Problem(w, http.StatusForbidden, "token_needed", "only the API token makes links")
		return
	}
	c.writeJSON(w, r, http.StatusOK, map[string]string{"path": "/login?token=" + c.doors.link()})
}

// errBadRequest says what is wrong with a request.
type errBadRequest struct{ error }

// list answers with the JSON of what get returns.
func (c *Collector) list(get func(r *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := get(r)
		var bad errBadRequest
		switch {
		case err == nil:
			c.writeJSON(w, r, http.StatusOK, v)
		case errors.As(err, &bad):
			ingest.Problem(w, http.StatusBadRequest, "bad_request", err.Error())
		case errors.Is(err, fs.ErrNotExist):
			ingest.Problem(w, http.StatusNotFound, "not_found", "there is no such host or county, or it waits for approval")
		case r.Context().Err() != nil: // nobody would see an answer
		default:
			c.Logger.Error("request failed", "path", r.URL.Path, "error", err)
			ingest.Problem(w, http.StatusServiceUnavailable, "unavailable", "the store does not answer")
		}
	})
}

func (c *Collector) writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		c.Logger.Error("request failed", "path", r.URL.Path, "error", err)
		ingest.Problem(w, http.StatusInternalServerError, "unavailable", "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

func hostOf(id string) (muster.HostID, error) {
	h, err := muster.ParseHostID(id)
	if err != nil {
		return "", errBadRequest{err}
	}
	return h, nil
}

// apiHosts gives a page of active hosts; next, where there is one, is the after
// of the following page.
func (c *Collector) apiHosts(r *http.Request) (any, error) {
	q, limit := r.URL.Query(), defaultPage
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxPage {
			return nil, errBadRequest{errors.New("limit is not a number from 1 to " + strconv.Itoa(maxPage))}
		}
		limit = n
	}
	hosts, err := c.store.Hosts(r.Context(), muster.HostID(q.Get("after")), limit)
	if err != nil {
		return nil, err
	}
	var next muster.HostID
	if len(hosts) == limit {
		next = hosts[limit-1].ID
	}
	return struct {
		Hosts []muster.HostStanding `json:"hosts"`
		Next  muster.HostID         `json:"next,omitempty"`
	}{notNil(hosts), next}, nil
}

func (c *Collector) apiHost(r *http.Request) (any, error) {
	id, err := hostOf(r.PathValue("host"))
	if err != nil {
		return nil, err
	}
	h, err := c.store.Host(r.Context(), id)
	if err != nil {
		return nil, err
	}
	findings, err := c.store.HostFindings(r.Context(), id)
	if err != nil {
		return nil, err
	}
	custody, err := c.store.Custody(r.Context(), id)
	if err != nil {
		return nil, err
	}
	transitions, err := c.store.HostTransitions(r.Context(), id, maxTransitions)
	return struct {
		muster.HostStanding
		Findings    []muster.FindingStanding `json:"findings"`
		Transitions []muster.Transition      `json:"transitions"` // newest first
		// Custody of its sealed files, as each place on their way has said.
		Custody []muster.CustodyEvent `json:"custody"`
	}{h, notNil(findings), notNil(transitions), notNil(custody)}, err
}

func (c *Collector) apiCounties(r *http.Request) (any, error) {
	counties, err := c.store.Counties(r.Context())
	return struct {
		Counties []muster.CountyStanding `json:"counties"`
	}{notNil(counties)}, err
}

func (c *Collector) apiCounty(r *http.Request) (any, error) {
	county, err := muster.ParseCounty(r.PathValue("county"))
	if err != nil {
		return nil, errBadRequest{err}
	}
	counties, err := c.store.Counties(r.Context())
	if err != nil {
		return nil, err
	}
	for _, standing := range counties {
		if standing.County != county {
			continue
		}
		hosts, err := c.store.CountyHosts(r.Context(), county)
		return struct {
			muster.CountyStanding
			HostList []muster.HostStanding `json:"host_list"`
		}{standing, notNil(hosts)}, err
	}
	return nil, fs.ErrNotExist
}

func (c *Collector) apiControls(r *http.Request) (any, error) {
	standing, err := c.store.Controls(r.Context())
	return struct {
		Catalogue []muster.Control         `json:"catalogue"`
		Controls  []muster.ControlStanding `json:"controls"`
	}{notNil(c.view.Load().controls), notNil(standing)}, err
}

// apiFindings gives all findings of a host, or the fails and unknowns of a county
// or a control.
func (c *Collector) apiFindings(r *http.Request) (any, error) {
	q := r.URL.Query()
	var findings []muster.FindingStanding
	var err error
	switch {
	case q.Has("host"):
		var id muster.HostID
		if id, err = hostOf(q.Get("host")); err != nil {
			return nil, err
		}
		if _, err = c.store.Host(r.Context(), id); err != nil {
			return nil, err
		}
		findings, err = c.store.HostFindings(r.Context(), id)
	case q.Has("county"):
		var county muster.County
		if county, err = muster.ParseCounty(q.Get("county")); err != nil {
			return nil, errBadRequest{err}
		}
		findings, err = c.store.CountyFindings(r.Context(), county)
	case q.Has("control"):
		control := q.Get("control")
		findings, err = c.store.ControlFindings(r.Context(), control)
		if _, known := c.view.Load().byID[control]; err == nil && !known && len(findings) == 0 {
			err = errBadRequest{fmt.Errorf("no policy and no report has a control %q", control)}
		}
	default:
		err = errBadRequest{errors.New("say which: ?host=, ?county= or ?control=")}
	}
	return struct {
		Findings []muster.FindingStanding `json:"findings"`
	}{notNil(findings)}, err
}

func (c *Collector) apiAuditLog(r *http.Request) (any, error) {
	entries, err := c.store.AuditLog(r.Context(), defaultPage)
	return struct {
		Entries []muster.LogEntry `json:"entries"` // newest first
	}{notNil(entries)}, err
}

// notNil makes an empty list [] in JSON.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
