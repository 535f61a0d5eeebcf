package ingest

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/problem"
)

// offerFor is how long releases and rings are remembered: every check-in asks
// for them.
const offerFor = time.Second

// rollout is what the store said of releases and rings at readAt. All requests
// share the bytes of a bundle, which may have 8 MiB.
type rollout struct {
	mu       sync.Mutex
	readAt   time.Time
	releases []muster.Release
	members  []muster.RingMember
	bundles  map[int64][]byte // of releases that were asked for
}

// Forget lets the next check-in see what was published or changed just now.
func (g *Ingest) Forget() {
	g.rollout.mu.Lock()
	defer g.rollout.mu.Unlock()
	g.rollout.readAt = time.Time{}
}

// offer chooses the release for a host. A host that is not known yet is in no
// ring of its own.
func (g *Ingest) offer(ctx context.Context, host muster.HostID, has string) (muster.Release, bool, error) {
	var county muster.County
	k, err := g.host(ctx, host)
	var refused *refusedError
	switch {
	case err == nil:
		county = k.county
	case !errors.As(err, &refused):
		return muster.Release{}, false, err
	}
	g.rollout.mu.Lock()
	defer g.rollout.mu.Unlock()
	if len(g.rollout.releases) == 0 || time.Since(g.rollout.readAt) >= offerFor {
		releases, err := g.Store.Releases(ctx)
		if err != nil {
			return muster.Release{}, false, err
		}
		members, err := g.Store.RingMembers(ctx)
		if err != nil {
			return muster.Release{}, false, err
		}
		g.rollout.releases, g.rollout.members, g.rollout.readAt = releases, members, time.Now()
	}
	r, ok := muster.Offer(g.rollout.releases, muster.RingOf(g.rollout.members, host, county), has)
	return r, ok, nil
}

// offers is the ETag of what the host should fetch; "" where it has the best.
func (g *Ingest) offers(ctx context.Context, host muster.HostID, has string) (string, error) {
	r, ok, err := g.offer(ctx, host, has)
	if err != nil || !ok {
		return "", err
	}
	return etag(r), nil
}

func etag(r muster.Release) string { return `"` + r.Digest + `"` }

// bundle reads a release's bytes once, and forgets those that nobody is offered.
func (g *Ingest) bundle(ctx context.Context, version int64) ([]byte, error) {
	g.rollout.mu.Lock()
	defer g.rollout.mu.Unlock()
	if b, ok := g.rollout.bundles[version]; ok {
		return b, nil
	}
	b, err := g.Store.Bundle(ctx, version)
	if err != nil {
		return nil, err
	}
	if g.rollout.bundles == nil || len(g.rollout.bundles) >= len(muster.Rings) {
		g.rollout.bundles = map[int64][]byte{}
	}
	g.rollout.bundles[version] = b
	return b, nil
}

// policy serves the bundle for the ring of the host that the query names. It
// needs no verification here: a bundle is no secret, and hosts trust its own
// signature.
func (g *Ingest) policy(w http.ResponseWriter, r *http.Request, _ muster.Peer) {
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	release, ok, err := g.offer(ctx, muster.HostID(r.URL.Query().Get("host")), "")
	if err != nil {
		g.fail(w, r, err)
		return
	}
	if !ok {
		problem.Write(w, http.StatusNotFound, "no_policy", "no policy is published for this host's ring yet")
		return
	}
	b, err := g.bundle(ctx, release.Version)
	if err != nil {
		g.fail(w, r, err)
		return
	}
	w.Header().Set("ETag", etag(release))
	w.Header().Set("Content-Type", "application/gzip")
	http.ServeContent(w, r, "", release.Published, bytes.NewReader(b))
}
