package collector

import (
	"context"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/hooks"
)

// newSender makes what tells the webhooks.
func (c *Collector) newSender() (*hooks.Sender, error) {
	return hooks.New(hooks.Options{Hooks: c.Hooks, Queue: c.store, From: c.Name, Now: c.Now, Logger: c.Logger})
}

// TestHook sends a webhook an event that says that nothing has happened, and returns
// the status of its answer.
func (c *Collector) TestHook(ctx context.Context, name string) (status int, err error) {
	sender, err := c.newSender()
	if err != nil {
		return 0, err
	}
	return sender.Test(ctx, name)
}

// Deliveries are the newest, of all webhooks.
func (c *Collector) Deliveries(ctx context.Context, limit int) ([]muster.Delivery, error) {
	return c.store.Deliveries(ctx, "", limit)
}

// Expected are the computers that a county says it has, or with "" all.
func (c *Collector) Expected(ctx context.Context, county muster.County) ([]muster.ExpectedHost, error) {
	return c.store.Expected(ctx, muster.View{}, county)
}
