package collector

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies"
)

// Bounds of a bundle, in bytes.
const (
	maxBundle   = 16 << 20
	maxUnpacked = 64 << 20
	maxEntry    = 4 << 20
)

// PublishPolicy offers a bundle (tar.gz) to every host. Hosts verify its
// signature with their own keys; here it must only be a signed bundle.
// Publishing what is current changes nothing.
func (c *Collector) PublishPolicy(ctx context.Context, bundle []byte) (muster.PublishedPolicy, error) {
	b, err := readBundle(bundle)
	if err != nil {
		return muster.PublishedPolicy{}, fmt.Errorf("publish policy: %w", err)
	}
	sum := sha256.Sum256(bundle)
	p := muster.PublishedPolicy{
		Digest: hex.EncodeToString(sum[:]), Revision: b.revision, Bundle: bundle, Actor: "console", Published: c.Now().UTC(),
	}
	if current, err := c.store.Policy(ctx); err == nil && current.Digest == p.Digest {
		return current, nil
	}
	return p, c.store.PublishPolicy(ctx, p)
}

// policy gives the published policy and its catalogue. Where none is published
// it is the baseline of this program.
func (c *Collector) policy(ctx context.Context) (muster.PublishedPolicy, []muster.Control, error) {
	p, err := c.store.Policy(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return p, policies.Catalogue(), nil
	}
	if err != nil {
		return p, nil, err
	}
	b, err := readBundle(p.Bundle)
	if err != nil {
		return p, nil, fmt.Errorf("read published policy %s: %w", p.Revision, err)
	}
	return p, b.controls, nil
}

// bundle is what a collector reads of a policy bundle, without OPA.
type bundle struct {
	revision string
	controls []muster.Control
}

// readBundle reads the manifest and the catalogue of a signed bundle.
func readBundle(data []byte) (*bundle, error) {
	if len(data) > maxBundle {
		return nil, fmt.Errorf("the bundle has more than %d MiB", maxBundle>>20)
	}
	files, err := unpack(data, ".manifest", ".signatures.json", "controls.json")
	if err != nil {
		return nil, fmt.Errorf("the bundle is not a tar.gz file: %w", err)
	}
	if files[".signatures.json"] == nil {
		return nil, errors.New("the bundle is not signed, and no host would take it: muster policy sign signs it")
	}
	var manifest struct {
		Revision string `json:"revision"`
	}
	b := &bundle{}
	if err := json.Unmarshal(files[".manifest"], &manifest); err != nil || manifest.Revision == "" {
		return nil, errors.New("the bundle has no .manifest with a revision")
	}
	if err := json.Unmarshal(files["controls.json"], &b.controls); err != nil || len(b.controls) == 0 {
		return nil, errors.New("the bundle has no controls.json with a catalogue: muster policy build makes it")
	}
	b.revision = manifest.Revision
	return b, nil
}

// unpack reads the named files of a tar.gz and no others.
func unpack(data []byte, names ...string) (map[string][]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for t := tar.NewReader(io.LimitReader(z, maxUnpacked)); ; {
		h, err := t.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		for _, want := range names {
			if name != want {
				continue
			}
			if h.Size > maxEntry {
				return nil, fmt.Errorf("%s has more than %d MiB", name, maxEntry>>20)
			}
			if files[name], err = io.ReadAll(t); err != nil {
				return nil, err
			}
		}
	}
}

func onLoopback(address string) bool {
	u, err := url.Parse(address)
	return err == nil && muster.IsLoopback(u.Hostname())
}
