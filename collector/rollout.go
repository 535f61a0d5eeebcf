package collector

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/api"
)

// policyForm does something to the release of the address, and shows the policies.
func (c *Collector) policyForm(do func(context.Context, int64, string) (muster.Release, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version, err := strconv.ParseInt(r.PathValue("version"), 10, 64)
		if err != nil {
			err = fs.ErrNotExist
		} else {
			_, err = do(r.Context(), version, actor(r))
		}
		c.back(w, r, "/policies", err)
	})
}

func (c *Collector) ringForm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	m, err := ParseRingMember(r.PostFormValue("who"), r.PostFormValue("ring"))
	if err == nil {
		err = c.SetRing(r.Context(), m, actor(r))
	} else {
		err = api.Refused(err)
	}
	c.back(w, r, "/policies", err)
}

// ParseRingMember reads a ring, and a county's FIPS code or a host's id.
func ParseRingMember(who, ring string) (muster.RingMember, error) {
	to, err := muster.ParseRing(ring)
	m := muster.RingMember{Ring: to}
	if err != nil {
		return m, err
	}
	if county, err := muster.ParseCounty(who); err == nil {
		m.County = county
		return m, nil
	}
	m.Host, err = muster.ParseHostID(who)
	if err != nil {
		err = fmt.Errorf("%q is neither a county's FIPS code nor a host's id", who)
	}
	return m, err
}

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
