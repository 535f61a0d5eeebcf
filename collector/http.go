package collector

import (
	"maps"
	"net/http"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/api"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/forms"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/collector/web"
)

// handlers are all that the collector serves, by pattern. The door's table says who may
// use each.
func (c *Collector) handlers(in http.Handler) (map[string]http.Handler, error) {
	a, err := api.New(api.Options{
		Store: scoped{c.store}, Act: c, Site: c.Name, Open: ingest.OpenStored, MaxBundle: maxBundle,
		Catalogue:    func() []muster.Control { return c.view.Load().controls },
		Waivers:      func() []muster.Waiver { return c.view.Load().waivers },
		Attestations: func() []muster.Attestation { return c.view.Load().attestations },
		Known: func(control string) bool {
			_, ok := c.view.Load().published[control]
			return ok
		},
		Courier: http.HandlerFunc(c.takeCourier),
		Who:     func(r *http.Request) muster.Peer { return door.Sender(r.Context()) },
		Actor:   actor,
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
	for _, pattern := range web.Patterns() {
		all[pattern] = pages
	}
	for _, pattern := range []string{"POST /v1/enroll", "POST /v1/checkin", "POST /v1/reports", "POST /v1/courier", "GET /v1/policy"} {
		all[pattern] = in
	}
	maps.Copy(all, map[string]http.Handler{
		"GET /healthz": http.HandlerFunc(c.healthz),
		"GET /readyz":  http.HandlerFunc(c.readyz),
		"GET /metrics": c.metricsHandler(),
	})
	maps.Copy(all, forms.New(forms.Options{Act: c, Actor: actor, Refused: api.IsRefused, ParseExpected: api.ParseExpected, Logger: c.Logger,
		Refuse: func(w http.ResponseWriter, r *http.Request, code int, why, way string) {
			c.view.Load().pages.Refuse(w, r, code, why, way)
		}}))
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
