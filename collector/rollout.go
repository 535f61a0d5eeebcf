package collector

import (
	"context"

	"github.com/passmuster/muster"
)

// PolicyUse counts active hosts by policy and ring.
func (c *Collector) PolicyUse(ctx context.Context) ([]muster.PolicyUse, error) {
	return c.store.PolicyUse(ctx)
}

// Reach counts the active hosts that are offered what reaches the ring.
func (c *Collector) Reach(ctx context.Context, ring muster.Ring) (int, error) {
	use, err := c.store.PolicyUse(ctx)
	hosts := 0
	for _, u := range use {
		if ring.Reaches(u.Ring) {
			hosts += u.Hosts
		}
	}
	return hosts, err
}
