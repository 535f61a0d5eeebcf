package collector

import (
	"errors"
	"io/fs"
	"maps"
	"net/http"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/api"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/ingest"
)

// handlers are all that the collector serves, by pattern. The door's table says who may
// use each.
func (c *Collector) handlers(in http.Handler) (map[string]http.Handler, error) {
	a, err := api.New(api.Options{
		Store: scoped{c.store}, Act: c, Site: c.Name, Open: ingest.OpenStored, MaxBundle: maxBundle,
		Catalogue:    func() []muster.Control { return c.view.Load().controls },
		Waivers:      func() []muster.Waiver { return c.view.Load().waivers },
		Attestations: func() []muster.Attestation { return c.view.Load().attestations },
		Courier:      http.HandlerFunc(c.takeCourier),
		Who:          func(r *http.Request) muster.Peer { return door.Sender(r.Context()) },
		Actor:        actor,
		Log: func(r *http.Request, action, object string) error {
			return c.log(r.Context(), actor(r), action, object)
		},
		Now: c.Now, Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	all := a.Handlers()
	maps.Copy(all, c.door.Handlers())
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.view.Load().pages.ServeHTTP(w, r) })
	for _, pattern := range []string{"GET /{$}", "GET /counties/{county}", "GET /hosts/{host}", "GET /controls/{control}", "GET /policies", "GET /static/"} {
		all[pattern] = pages
	}
	for _, pattern := range []string{"POST /v1/enroll", "POST /v1/checkin", "POST /v1/reports", "POST /v1/courier", "GET /v1/policy"} {
		all[pattern] = in
	}
	maps.Copy(all, map[string]http.Handler{
		"GET /healthz": http.HandlerFunc(c.healthz),
		"GET /readyz":  http.HandlerFunc(c.readyz),
		"GET /metrics": c.metricsHandler(),

		"POST /hosts/{host}/approve": c.hostForm(c.Approve),
		"POST /hosts/{host}/audit":   c.hostForm(c.RequestAudit),

		"POST /policies/{version}/promote": c.policyForm(c.Promote),
		"POST /policies/{version}/pause":   c.policyForm(c.Pause),
		"POST /policies/rings":             http.HandlerFunc(c.ringForm),
	})
	return all, nil
}

// handler is the whole server.
func (c *Collector) handler(in http.Handler) (http.Handler, error) {
	all, err := c.handlers(in)
	if err != nil {
		return nil, err
	}
	return c.door.Wrap(all), nil
}

// back returns the reader of a form to a page; what was refused is told there.
func (c *Collector) back(w http.ResponseWriter, r *http.Request, to string, err error) {
	status := http.StatusConflict
	switch {
	case err == nil:
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("there is no such computer, or it waits for approval, or no such policy")
	case errors.Is(err, muster.ErrFull):
		status, err = http.StatusServiceUnavailable, muster.ErrFull
	case !errors.Is(err, fs.ErrExist) && !api.IsRefused(err):
		c.Logger.Error("form not done", "path", r.URL.Path, "error", err)
		status, err = http.StatusServiceUnavailable, errors.New("the store does not answer")
	}
	http.Error(w, "This was not done: "+err.Error()+". Go back, and look at the page anew.", status)
}
