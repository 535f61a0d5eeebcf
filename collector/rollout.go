package collector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
)

func (c *Collector) apiStep(w http.ResponseWriter, r *http.Request) {
	release, err := c.step(r)
	c.changed(w, r, http.StatusOK, release, err)
}

func (c *Collector) formStep(w http.ResponseWriter, r *http.Request) {
	_, err := c.step(r)
	c.back(w, r, "/policies", err)
}

func (c *Collector) apiSetRing(w http.ResponseWriter, r *http.Request) {
	var m muster.RingMember
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&m); err != nil {
		ingest.Problem(w, http.StatusBadRequest, "bad_request", "want {\"county\" or \"host\": …, \"ring\": …}: "+err.Error())
		return
	}
	c.changed(w, r, http.StatusOK, m, c.SetRing(r.Context(), m, actor(r)))
}

func (c *Collector) formSetRing(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	m, err := ParseRingMember(r.PostFormValue("who"), r.PostFormValue("ring"))
	if err == nil {
		err = c.SetRing(r.Context(), m, actor(r))
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

func (c *Collector) step(r *http.Request) (muster.Release, error) {
	version, err := strconv.ParseInt(r.PathValue("version"), 10, 64)
	if err != nil {
		return muster.Release{}, fs.ErrNotExist
	}
	switch r.PathValue("step") {
	case "promote":
		return c.Promote(r.Context(), version, actor(r))
	case "pause":
		return c.Pause(r.Context(), version, actor(r))
	}
	return muster.Release{}, fs.ErrNotExist
}

// apiPublish takes a bundle as body, and the ring in the query; without one it
// goes to the canaries.
func (c *Collector) apiPublish(w http.ResponseWriter, r *http.Request) {
	ring := muster.RingCanary
	if q := r.URL.Query(); q.Has("ring") {
		var err error
		if ring, err = muster.ParseRing(q.Get("ring")); err != nil {
			ingest.Problem(w, http.StatusBadRequest, "bad_request", err.Error())
			return
		}
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBundle))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		ingest.Problem(w, http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("a bundle has at most %d MiB", maxBundle>>20))
		return
	case err != nil:
		return // the sender has gone
	}
	release, err := c.Publish(r.Context(), b, ring, actor(r))
	c.changed(w, r, http.StatusCreated, release, err)
}

// changed answers a change with what came of it.
func (c *Collector) changed(w http.ResponseWriter, r *http.Request, status int, v any, err error) {
	switch {
	case err == nil:
		c.writeJSON(w, r, status, v)
	case errors.Is(err, fs.ErrNotExist):
		ingest.Problem(w, http.StatusNotFound, "not_found", "there is no such policy or host")
	case errors.Is(err, fs.ErrExist):
		ingest.Problem(w, http.StatusConflict, "conflict", err.Error())
	case errors.Is(err, muster.ErrFull):
		ingest.Problem(w, http.StatusServiceUnavailable, "unavailable", err.Error())
	default:
		ingest.Problem(w, http.StatusUnprocessableEntity, "refused", err.Error())
	}
}

// back returns the reader of a form to a page; what was refused is told there.
func (c *Collector) back(w http.ResponseWriter, r *http.Request, to string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("there is no such computer, or it waits for approval, or no such policy")
	}
	if err != nil {
		http.Error(w, "This was not done: "+err.Error()+". Go back, and look at the page anew.", http.StatusConflict)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (c *Collector) apiPolicies(r *http.Request) (any, error) {
	releases, err := c.store.Releases(r.Context())
	if err != nil {
		return nil, err
	}
	use, err := c.store.PolicyUse(r.Context())
	return struct {
		Policies []muster.Release   `json:"policies"` // the highest version first
		Use      []muster.PolicyUse `json:"use"`
	}{notNil(releases), notNil(use)}, err
}

func (c *Collector) apiRings(r *http.Request) (any, error) {
	members, err := c.store.RingMembers(r.Context())
	return struct {
		Members []muster.RingMember `json:"members"`
	}{notNil(members)}, err
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
