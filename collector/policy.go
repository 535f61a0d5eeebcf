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

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/api"
	"github.com/passmuster/muster/policies"
)

// maxBundle bounds a packed bundle, in bytes.
const maxBundle = 16 << 20

// maxVersion of a policy: numbers in JSON are exact up to it.
const maxVersion = 1 << 53

// Publish keeps a signed bundle (tar.gz) and offers it as far as the ring.
// Hosts verify its signature with their own keys; here it must only be signed.
// Its version must be above every other: an error that is fs.ErrExist where it
// is not. Publishing a bundle once more changes nothing.
func (c *Collector) Publish(ctx context.Context, bundle []byte, ring muster.Ring, actor string) (muster.Release, error) {
	return c.publish(ctx, bundle, muster.Release{Ring: ring, Actor: actor})
}

// Upload keeps a signed bundle as Publish does, and offers it to nobody: Promote offers it
// to the canaries.
func (c *Collector) Upload(ctx context.Context, bundle []byte, actor string) (muster.Release, error) {
	return c.publish(ctx, bundle, muster.Release{Ring: muster.RingCanary, Paused: true, Actor: actor})
}

func (c *Collector) publish(ctx context.Context, bundle []byte, r muster.Release) (muster.Release, error) {
	b, err := readBundle(bundle)
	if err != nil {
		return muster.Release{}, api.Refused(fmt.Errorf("publish policy: %w", err))
	}
	sum := sha256.Sum256(bundle)
	r.Version, r.Revision, r.Digest, r.Policy, r.Bundle = b.version, b.revision, hex.EncodeToString(sum[:]), b.digest, bundle
	r.Published = c.Now().UTC()
	releases, err := c.store.Releases(ctx)
	if err != nil {
		return muster.Release{}, err
	}
	for _, known := range releases {
		if known.Digest == r.Digest {
			return known, nil
		}
	}
	defer c.offered()
	return r, c.store.Publish(ctx, r)
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
// where the view has it already.
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
	if v := c.view.Load(); v != nil && v.key == key {
		return key, nil, nil
	}
	if len(offered) == 0 {
		return key, &bundle{controls: policies.Catalogue(), facts: policies.EmbeddedFacts()}, nil
	}
	byID := map[string]muster.Control{}
	force = &bundle{facts: map[string]muster.Fact{}, held: map[int64][]muster.Waiver{}}
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

// bundle is what a collector reads of a policy bundle, without OPA.
type bundle struct {
	revision string
	version  int64
	digest   string
	controls []muster.Control
	facts    map[string]muster.Fact

	waivers      []muster.Waiver
	attestations []muster.Attestation
	held         map[int64][]muster.Waiver // of what is in force: by the version that holds them
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
	if b.version > maxVersion {
		return nil, fmt.Errorf("version %d leaves none above it: build it with one of at most %d", b.version, int64(maxVersion))
	}
	if err := json.Unmarshal(files["controls.json"], &b.controls); err != nil || len(b.controls) == 0 {
		return nil, errors.New("the bundle has no controls.json with a catalogue: muster policy build makes it")
	}
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
