package collector

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/web"
)

const (
	// settle gathers the changes of a moment, so that a burst is looked at once.
	settle = time.Second
	// lookEvery is how soon a change is seen that nobody told of.
	lookEvery = time.Minute
)

// view is what depends on the policy in force.
type view struct {
	key      string // of inForce
	controls []muster.Control
	byID     map[string]muster.Severity
	pages    *web.Pages

	waivers      []muster.Waiver
	attestations []muster.Attestation

	newest    int64 // the highest version in published
	published map[string]muster.Control
}

// severity of a control; one that the policy does not know counts as critical.
func (v *view) severity(control string) muster.Severity {
	if s, ok := v.byID[control]; ok {
		return s
	}
	return muster.SeverityCritical
}

// reload takes up a policy that was published since.
func (c *Collector) reload(ctx context.Context) error {
	key, force, err := c.inForce(ctx)
	if err != nil {
		return err
	}
	if force == nil {
		return nil
	}
	v := &view{key: key, controls: force.controls, byID: make(map[string]muster.Severity, len(force.controls)),
		waivers: force.waivers, attestations: force.attestations, newest: force.version, published: force.published}
	for _, k := range force.controls {
		v.byID[k.ID] = k.Severity
	}
	v.pages, err = web.New(web.Options{Reader: reader{scoped{c.store}}, Catalogue: force.controls, Published: force.published, Facts: force.facts, Waivers: force.waivers,
		Attestations: force.attestations, Claims: force.claims, Held: force.held, Diff: c.Diff, State: c.State, Name: c.Name, StaleAfter: c.StaleAfter, Who: who, May: door.May,
		Entry: c.entryways(), Live: c.live, Now: c.Now, Logger: c.Logger})
	if err != nil {
		return err
	}
	c.view.Store(v)
	return nil
}

// entryways are how people come in, without what is secret about it.
func (c *Collector) entryways() web.Entry {
	e := web.Entry{Tailnet: c.Tailnet != nil}
	for _, rule := range door.Table() {
		e.Routes = append(e.Routes, rule.Pattern)
	}
	if c.OIDC != nil {
		e.Issuer = c.OIDC.Issuer
		for _, g := range c.OIDC.Grants {
			e.Grants = append(e.Grants, web.Grant(g))
		}
	}
	return e
}

// who looks at a page.
func who(r *http.Request) web.Person {
	p := door.Sender(r.Context())
	if p.Local {
		p.Name = "" // "link" and "token" are for the audit log
	}
	return web.Person{Name: cmp.Or(p.Login, p.Name), Role: door.Highest(p), Counties: door.CountiesOf(p),
		Session: door.WayOf(r.Context()) != door.ViaTailnet}
}

// refresh takes up what was published, promoted or put into a ring since.
func (c *Collector) refresh(ctx context.Context, forget func()) {
	forget()
	if err := c.reload(ctx); err != nil && ctx.Err() == nil {
		c.Logger.Error("policy not read", "error", err)
	}
}

// follow takes up what other processes change, until ctx ends.
func (c *Collector) follow(ctx context.Context, forget func()) error {
	changes := c.store.Watch(ctx)
	look := time.NewTimer(lookEvery)
	defer look.Stop()
	soon := false
	for {
		select {
		case counties, ok := <-changes:
			switch {
			case !ok:
				changes = nil // ctx has ended
			case len(counties) == 0 && !soon: // policies and rings are of no county
				soon = true
				look.Reset(settle)
			}
		case <-look.C:
			c.refresh(ctx, forget)
			soon = false
			look.Reset(lookEvery)
		case <-ctx.Done():
			return nil
		}
	}
}
