package collector

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/api"
	"github.com/passmuster/muster/policies"
)

// maxBundle bounds a packed bundle, in bytes.
const maxBundle = 16 << 20

// leap is how far a version may be above every other.
const leap = 1_000_000

// highest version that a policy may have. It may be a date and a time, of tomorrow at most,
// because clocks differ. There are always others above it.
func highest(newest int64, now time.Time) int64 {
	y, m, d := now.AddDate(0, 0, 1).Date()
	return max(newest+leap, int64(y*1e4+int(m)*100+d)*1e6+235959)
}

// Publish keeps a signed bundle (tar.gz) and offers it as far as the ring.
// Hosts verify its signature with their own keys; here it must only be signed.
// Its version must be above every other: an error that is fs.ErrExist where it
// is not; but not so far that it looks like a mistake. Publishing a bundle once more changes
// nothing.
func (c *Collector) Publish(ctx context.Context, bundle []byte, ring muster.Ring, actor string) (muster.Release, error) {
	r, _, err := c.publish(ctx, bundle, muster.Release{Ring: ring, Actor: actor})
	return r, err
}

// Upload keeps a signed bundle as Publish does, and offers it to nobody: Promote offers it
// to the canaries. known: it was kept before, and stands as it stood.
func (c *Collector) Upload(ctx context.Context, bundle []byte, actor string) (r muster.Release, known bool, err error) {
	return c.publish(ctx, bundle, muster.Release{Ring: muster.RingCanary, Paused: true, Actor: actor})
}

func (c *Collector) publish(ctx context.Context, bundle []byte, r muster.Release) (_ muster.Release, known bool, err error) {
	b, err := readBundle(bundle)
	if err == nil {
		// Nobody could look at what it changes.
		_, err = between(nil, bundle)
	}
	if err != nil {
		return muster.Release{}, false, api.Refused(fmt.Errorf("publish policy: %w", err))
	}
	sum := sha256.Sum256(bundle)
	r.Version, r.Revision, r.Digest, r.Policy, r.Bundle = b.version, b.revision, hex.EncodeToString(sum[:]), b.digest, bundle
	r.Published = c.Now().UTC()
	releases, err := c.store.Releases(ctx)
	if err != nil {
		return muster.Release{}, false, err
	}
	newest := int64(0)
	for _, known := range releases {
		newest = max(newest, known.Version)
		if known.Digest == r.Digest {
			return known, true, nil
		}
	}
	if most := highest(newest, r.Published); r.Version > most {
		return muster.Release{}, false, api.Refused(fmt.Errorf("publish policy: version %d is far above the newest, %d, and hosts would refuse every lower one after it: build it with --version %d, or another up to %d",
			r.Version, newest, newest+1, most))
	}
	defer c.offered()
	return r, false, c.store.Publish(ctx, r)
}

// Releases are all that were published, the highest version first.
func (c *Collector) Releases(ctx context.Context) ([]muster.Release, error) {
	return c.store.Releases(ctx)
}

// Release finds a release by its version.
func (c *Collector) Release(ctx context.Context, version int64) (muster.Release, error) {
	releases, err := c.store.Releases(ctx)
	if err != nil {
		return muster.Release{}, err
	}
	for _, r := range releases {
		if r.Version == version {
			return r, nil
		}
	}
	return muster.Release{}, fmt.Errorf("policy version %d: %w", version, fs.ErrNotExist)
}

// Promote offers a release to the next ring, and to hosts again where it was paused.
func (c *Collector) Promote(ctx context.Context, version int64, actor string) (muster.Release, error) {
	r, err := c.Release(ctx, version)
	if err != nil {
		return r, err
	}
	next := r.Ring.Next()
	if next == "" && !r.Paused {
		return r, fmt.Errorf("policy version %d is offered to every host already: %w", version, fs.ErrExist)
	}
	if r.Paused {
		next = r.Ring // first where it was, and then further
	}
	return c.roll(ctx, r, next, false, "promote_policy", actor)
}

// Pause stops to offer a release. Hosts that have it keep it: to take it back,
// publish what was before with a higher version.
func (c *Collector) Pause(ctx context.Context, version int64, actor string) (muster.Release, error) {
	r, err := c.Release(ctx, version)
	if err != nil || r.Paused {
		return r, err
	}
	return c.roll(ctx, r, r.Ring, true, "pause_policy", actor)
}

func (c *Collector) roll(ctx context.Context, r muster.Release, ring muster.Ring, paused bool, action, actor string) (muster.Release, error) {
	defer c.offered()
	r.Ring, r.Paused = ring, paused
	return r, c.store.Roll(ctx, r.Version, ring, paused, muster.LogEntry{At: c.Now(), Actor: actor, Action: action,
		Object: fmt.Sprintf("version %d (%s) to %s", r.Version, r.Revision, ring)})
}

// RingMembers are the counties and hosts that are in a ring of their own.
func (c *Collector) RingMembers(ctx context.Context) ([]muster.RingMember, error) {
	return c.store.RingMembers(ctx)
}

// SetRing puts one county, or one host, into a ring. The ring all is that of
// everyone else, so a county in it is in none of its own; a host may be kept in
// it against its county.
func (c *Collector) SetRing(ctx context.Context, m muster.RingMember, actor string) error {
	if (m.County == "") == (m.Host == "") {
		return api.Refused(errors.New("set ring: name a county or a host, one of them"))
	}
	if m.County != "" {
		if err := c.ours(m.County); err != nil {
			return api.Refused(fmt.Errorf("set ring: %w", err))
		}
	}
	if _, err := muster.ParseRing(string(m.Ring)); err != nil {
		return api.Refused(fmt.Errorf("set ring: %w", err))
	}
	if m.Host != "" {
		if _, err := c.store.Host(ctx, muster.View{}, m.Host); err != nil {
			return err
		}
	}
	entry := muster.LogEntry{At: c.Now(), Actor: actor, Action: "set_ring",
		Object: fmt.Sprintf("%s%s to %s", m.County, m.Host, m.Ring)}
	if m.County != "" && m.Ring == muster.RingAll {
		m.Ring = ""
	}
	defer c.offered()
	return c.store.SetRing(ctx, m, entry)
}

// inForce gives what is in all policies that are offered to any ring; of two that know
// a control, a fact, a waiver or an attestation the higher version tells it. Where none is offered it
// is the baseline of this program. The key changes with the answer, which is nil
// where the view has it already, and with what was published.
func (c *Collector) inForce(ctx context.Context) (key string, force *bundle, err error) {
	releases, err := c.store.Releases(ctx)
	if err != nil {
		return "", nil, err
	}
	var offered []muster.Release
	for _, ring := range muster.Rings {
		if r, ok := muster.Offer(releases, ring, ""); ok {
			offered = append(offered, r)
		}
	}
	slices.SortFunc(offered, func(a, b muster.Release) int { return cmp.Compare(a.Version, b.Version) })
	offered = slices.CompactFunc(offered, func(a, b muster.Release) bool { return a.Version == b.Version })
	for _, r := range offered {
		key += fmt.Sprintf("%d ", r.Version)
	}
	var newest int64
	if len(releases) > 0 {
		newest = releases[0].Version
	}
	key += fmt.Sprintf("of %d", newest)
	if v := c.view.Load(); v != nil && v.key == key {
		return key, nil, nil
	}
	published, err := c.published(ctx, releases)
	if err != nil {
		return "", nil, err
	}
	if len(offered) == 0 {
		return key, &bundle{version: newest, controls: policies.Catalogue(), facts: policies.EmbeddedFacts(), claims: policies.EmbeddedClaims(), published: published}, nil
	}
	byID := map[string]muster.Control{}
	force = &bundle{version: newest, facts: map[string]muster.Fact{}, claims: map[string][]string{}, held: map[int64][]muster.Waiver{}, published: published}
	for _, r := range offered {
		data, err := c.store.Bundle(ctx, r.Version)
		if err != nil {
			return "", nil, err
		}
		b, err := readBundle(data)
		if err != nil {
			return "", nil, fmt.Errorf("read published policy version %d: %w", r.Version, err)
		}
		for _, k := range b.controls {
			byID[k.ID] = k
		}
		maps.Copy(force.facts, b.facts)
		maps.Copy(force.claims, b.claims)
		force.held[r.Version] = b.waivers
		force.waivers = append(slices.DeleteFunc(force.waivers, func(old muster.Waiver) bool {
			return slices.ContainsFunc(b.waivers, func(w muster.Waiver) bool { return w.ID == old.ID })
		}), b.waivers...)
		force.attestations = append(slices.DeleteFunc(force.attestations, func(old muster.Attestation) bool {
			return slices.ContainsFunc(b.attestations, func(a muster.Attestation) bool { return a.ID == old.ID })
		}), b.attestations...)
	}
	force.controls = slices.SortedFunc(maps.Values(byID), func(a, b muster.Control) int { return cmp.Compare(a.ID, b.ID) })
	return key, force, nil
}

// published are the controls of all releases and of the baseline of this program by id; of
// one that several have the newest tells it.
func (c *Collector) published(ctx context.Context, releases []muster.Release) (map[string]muster.Control, error) {
	all, read := map[string]muster.Control{}, int64(0)
	for _, k := range policies.Catalogue() {
		all[k.ID] = k
	}
	if v := c.view.Load(); v != nil {
		all, read = maps.Clone(v.published), v.newest
	}
	for _, r := range slices.Backward(releases) {
		if r.Version <= read {
			continue
		}
		data, err := c.store.Bundle(ctx, r.Version)
		if err != nil {
			return nil, err
		}
		b, err := readBundle(data)
		if err != nil { // it may be one that nobody is offered
			c.Logger.ErrorContext(ctx, "published policy not read", "version", r.Version, "error", err)
			continue
		}
		for _, k := range b.controls {
			all[k.ID] = k
		}
	}
	return all, nil
}

// bundle is what a collector reads of a policy bundle, without OPA.
type bundle struct {
	revision string
	version  int64
	digest   string
	controls []muster.Control
	facts    map[string]muster.Fact
	claims   map[string][]string // that controls read, by id

	waivers      []muster.Waiver
	attestations []muster.Attestation
	// Of what is in force: waivers by the version that holds them, and what all releases,
	// of which version is the newest, know.
	held      map[int64][]muster.Waiver
	published map[string]muster.Control
}

// readBundle reads the manifest and the catalogue of a signed bundle.
func readBundle(data []byte) (*bundle, error) {
	if len(data) > maxBundle {
		return nil, fmt.Errorf("the bundle has more than %d MiB", maxBundle>>20)
	}
	files, err := policies.Unpack(data)
	if err != nil {
		return nil, err
	}
	if files[policies.SignaturesFile] == nil {
		return nil, errors.New("the bundle is not signed, and no host would take it: muster policy sign signs it")
	}
	var manifest struct {
		Revision string `json:"revision"`
		Metadata struct {
			Muster struct {
				Version int64 `json:"version"`
			} `json:"muster"`
		} `json:"metadata"`
	}
	b := &bundle{digest: policies.Digest(files)}
	if err := json.Unmarshal(files[".manifest"], &manifest); err != nil || manifest.Revision == "" {
		return nil, errors.New("the bundle has no .manifest with a revision")
	}
	b.revision, b.version = manifest.Revision, manifest.Metadata.Muster.Version
	if b.version < 1 {
		return nil, errors.New("the bundle has no version number: muster policy build --version gives it one")
	}
	if err := json.Unmarshal(files["controls.json"], &b.controls); err != nil || len(b.controls) == 0 {
		return nil, errors.New("the bundle has no controls.json with a catalogue: muster policy build makes it")
	}
	b.claims = policies.Claims(files, b.controls)
	if b.facts, err = policies.Facts(files); err != nil {
		return nil, err
	}
	b.waivers, b.attestations, err = policies.Exceptions(files)
	return b, err
}

func onLoopback(address string) bool {
	u, err := url.Parse(address)
	return err == nil && muster.IsLoopback(u.Hostname())
}
