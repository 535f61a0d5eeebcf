package collector

import (
	"context"
	"io/fs"
	"net/http"

	"github.com/passmuster/muster"
)

// Pending are the hosts that wait for approval, the longest waiting first.
func (c *Collector) Pending(ctx context.Context) ([]muster.HostStanding, error) {
	return c.store.Pending(ctx)
}

// Hosts that are active, by id, after the one named, at most limit.
func (c *Collector) Hosts(ctx context.Context, after muster.HostID, limit int) ([]muster.HostStanding, error) {
	return c.store.Hosts(ctx, after, limit)
}

// Approve makes a pending host active. A host that never enrolled is an error
// that is fs.ErrNotExist.
func (c *Collector) Approve(ctx context.Context, id muster.HostID, actor string) error {
	return c.store.Approve(ctx, id, actor, c.Now())
}

// RequestAudit asks an active host for an audit: it is told at its next check-ins,
// until it brings a report of later. Any other host is an error that is
// fs.ErrNotExist.
func (c *Collector) RequestAudit(ctx context.Context, id muster.HostID, actor string) error {
	return c.store.RequestAudit(ctx, id, muster.LogEntry{At: c.Now(), Actor: actor, Action: "request_audit", Object: string(id)})
}

// act does to a host what the address says.
func (c *Collector) act(r *http.Request) (muster.HostID, error) {
	id, err := muster.ParseHostID(r.PathValue("host"))
	if err != nil {
		return "", fs.ErrNotExist
	}
	switch r.PathValue("act") {
	case "approve":
		return id, c.Approve(r.Context(), id, actor(r))
	case "audit":
		return id, c.RequestAudit(r.Context(), id, actor(r))
	}
	return "", fs.ErrNotExist
}

func (c *Collector) apiAct(w http.ResponseWriter, r *http.Request) {
	id, err := c.act(r)
	var h muster.HostStanding
	if err == nil {
		h, err = c.store.Host(r.Context(), id)
	}
	c.changed(w, r, http.StatusOK, h, err)
}

func (c *Collector) formAct(w http.ResponseWriter, r *http.Request) {
	id, err := c.act(r)
	c.back(w, r, "/hosts/"+string(id), err)
}

func (c *Collector) apiPending(r *http.Request) (any, error) {
	hosts, err := c.store.Pending(r.Context())
	return struct {
		Hosts []muster.HostStanding `json:"hosts"` // the longest waiting first
	}{notNil(hosts)}, err
}
