package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/passmuster/muster"
)

// Policies that were published, the highest version first.
type Policies struct {
	Policies []muster.Release `json:"policies"`
	// Use counts active hosts by the policy that they judge by.
	Use []muster.PolicyUse `json:"use"`
}

// PolicyDetail is one release, and what it changed on the hosts that took it up.
type PolicyDetail struct {
	muster.Release
	Effect muster.PolicyEffect `json:"effect"`
}

// Rings are the counties and hosts that are in a ring of their own.
type Rings struct {
	Members []muster.RingMember `json:"members"`
}

// typeBundle is a policy bundle: tar, gzip.
const typeBundle = "application/gzip"

// maxSmall bounds a small body, in bytes.
const maxSmall = 4 << 10

func policyOperations() []operation {
	const version = "/api/v1/policies/{version}"
	publish := change(http.MethodPost, "/api/v1/policies", "publishPolicy", "Publishes a signed policy bundle. Publishing it once more changes nothing.",
		http.StatusCreated, (*call).publish)
	publish.query = []param{{name: "ring", about: "As far as which ring; without it canary.", words: []string{"canary", "early", "all"}}}
	publish.takes = []content{{media: typeBundle}}
	publish.fails = []int{http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}
	ring := change(http.MethodPut, "/api/v1/rings", "setRing", "Puts one county, or one host, into a ring; the ring all is that of everyone else.",
		http.StatusOK, (*call).setRing)
	ring.takes = []content{{typeJSON, reflect.TypeFor[muster.RingMember]()}}
	ring.fails = []int{http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}
	step := func(verb, id, about string, do func(Act) func(context.Context, int64, string) (muster.Release, error)) operation {
		return change(http.MethodPost, version+"/"+verb, id, about, http.StatusOK, func(c *call, _ http.ResponseWriter) (muster.Release, error) {
			n, err := strconv.ParseInt(c.PathValue("version"), 10, 64)
			if err != nil {
				return muster.Release{}, fs.ErrNotExist
			}
			return do(c.Act)(c.Context(), n, c.Actor(c.Request))
		})
	}
	return []operation{
		list("/api/v1/policies", "listPolicies", "Policies that were published, the highest version first.", nil, (*call).policies),
		publish,
		get(version, "getPolicy", "One release, and what it changed on the hosts that took it up.", nil, (*call).policy),
		{method: http.MethodGet, path: version + "/bundle", id: "getPolicyBundle", status: http.StatusOK,
			about: "The signed bundle of a release, as it was published.", gives: []content{{media: typeBundle}}, serve: (*call).bundle},
		step("promote", "promotePolicy", "Offers a release to the next ring, or again where it was paused.",
			func(a Act) func(context.Context, int64, string) (muster.Release, error) { return a.Promote }),
		step("pause", "pausePolicy", "Stops to offer a release; hosts that have it keep it.",
			func(a Act) func(context.Context, int64, string) (muster.Release, error) { return a.Pause }),
		list("/api/v1/rings", "listRings", "Counties and hosts that are in a ring of their own.", nil, (*call).rings),
		ring,
	}
}

func (c *call) policies() (Policies, error) {
	releases, err := c.Store.Releases(c.Context())
	if err != nil {
		return Policies{}, err
	}
	use, err := c.Store.PolicyUse(c.Context())
	slices.SortFunc(use, func(a, b muster.PolicyUse) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Ring, b.Ring))
	})
	return Policies{notNil(releases), notNil(use)}, err
}

func (c *call) policy() (PolicyDetail, error) {
	releases, err := c.Store.Releases(c.Context())
	if err != nil {
		return PolicyDetail{}, err
	}
	for _, r := range releases {
		if strconv.FormatInt(r.Version, 10) != c.PathValue("version") {
			continue
		}
		effect, err := c.Store.PolicyEffect(c.Context(), r.Policy, c.Known)
		effect.Changes = notNil(effect.Changes)
		return PolicyDetail{r, effect}, err
	}
	return PolicyDetail{}, fs.ErrNotExist
}

func (c *call) bundle(w http.ResponseWriter) error {
	version, err := strconv.ParseInt(c.PathValue("version"), 10, 64)
	if err != nil {
		return fs.ErrNotExist
	}
	bundle, err := c.Store.Bundle(c.Context(), version)
	if err != nil {
		return err
	}
	if err := c.export(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeBundle)
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="policy-%d.tar.gz"`, version))
	serveBytes(w, c.Request, bundle)
	return nil
}

func (c *call) publish(w http.ResponseWriter) (muster.Release, error) {
	ring := muster.RingCanary
	if c.query.Has("ring") {
		ring = muster.Ring(c.query.Get("ring"))
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, c.Body, c.MaxBundle))
	if err != nil {
		return muster.Release{}, errBad{err}
	}
	return c.Act.Publish(c.Context(), b, ring, c.Actor(c.Request))
}

func (c *call) rings() (Rings, error) {
	members, err := c.Store.RingMembers(c.Context())
	slices.SortFunc(members, func(a, b muster.RingMember) int {
		return cmp.Or(cmp.Compare(a.County, b.County), cmp.Compare(a.Host, b.Host))
	})
	return Rings{notNil(members)}, err
}

func (c *call) setRing(w http.ResponseWriter) (muster.RingMember, error) {
	var m muster.RingMember
	in := json.NewDecoder(http.MaxBytesReader(w, c.Body, maxSmall))
	in.DisallowUnknownFields()
	if err := in.Decode(&m); err != nil {
		return m, badf("want {\"county\" or \"host\": …, \"ring\": …}: %w", err)
	}
	return m, c.Act.SetRing(c.Context(), m, c.Actor(c.Request))
}
