package collector

import (
	"context"
	"fmt"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/api"
	"github.com/passmuster/muster/collector/store"
)

// Pending are the hosts that wait for approval, or with a county its own, the longest
// waiting first.
func (c *Collector) Pending(ctx context.Context, county muster.County) ([]muster.HostStanding, error) {
	return c.store.Pending(ctx, county)
}

// Hosts are those that are active, a page of them.
func (c *Collector) Hosts(ctx context.Context, q muster.HostQuery) (muster.HostPage, error) {
	return c.store.Hosts(ctx, muster.View{}, q)
}

// Approve makes a pending host active. A host that never enrolled is an error
// that is fs.ErrNotExist.
func (c *Collector) Approve(ctx context.Context, id muster.HostID, actor string) error {
	return c.store.Approve(ctx, id, c.entry(actor, "approve", string(id)))
}

// Retire takes a host out of every list and count, until it enrolls anew. A host that
// is neither pending nor active is an error that is fs.ErrNotExist.
func (c *Collector) Retire(ctx context.Context, id muster.HostID, actor string) error {
	return c.store.Retire(ctx, id, c.entry(actor, "retire", string(id)))
}

// ClearClone forgets what shows that a host was copied.
func (c *Collector) ClearClone(ctx context.Context, id muster.HostID, actor string) error {
	return c.store.ClearClone(ctx, id, c.entry(actor, "clear_clone", string(id)))
}

// RequestAudit asks an active host for an audit: it is told at its next check-ins,
// until it brings a report of later. Any other host is an error that is
// fs.ErrNotExist.
func (c *Collector) RequestAudit(ctx context.Context, id muster.HostID, actor string) error {
	return c.store.RequestAudit(ctx, id, c.entry(actor, "request_audit", string(id)))
}

// Expect makes the list the computers that the county says it has.
func (c *Collector) Expect(ctx context.Context, county muster.County, list []muster.ExpectedHost, actor string) error {
	if err := c.ours(county); err != nil {
		return api.Refused(fmt.Errorf("expect hosts: %w", err))
	}
	if len(list) > store.MaxExpected {
		return api.Refused(fmt.Errorf("expect hosts: %d are more than the %d that one county can expect: shorten the list", len(list), store.MaxExpected))
	}
	return c.store.Expect(ctx, county, list, c.entry(actor, "expect_hosts", fmt.Sprintf("%d of county %s", len(list), county)))
}

func (c *Collector) entry(actor, action, object string) muster.LogEntry {
	return muster.LogEntry{At: c.Now(), Actor: actor, Action: action, Object: object}
}
