package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	imageName = "passmuster/muster-collector"
	imageUser = 65532 // as other images without a system have it
	imageData = "/var/lib/muster-collector"

	authoritiesFrom = "golang.org/x/crypto/x509roots/fallback"
)

// image makes the container image of the collector: the program, certificates of
// those who sign for the web, and nothing else. The file is an OCI layout and what
// docker save writes, in one: docker, podman, skopeo and containerd all load it.
func (r *release) image(ctx context.Context) ([]string, error) {
	path, err := r.program(ctx, "muster-collector", "linux")
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	notices, err := r.notices(ctx, "linux", "muster-collector")
	if err != nil {
		return nil, err
	}
	roots, err := own(authoritiesFrom)
	if err != nil {
		return nil, err
	}
	notices = fmt.Appendf(notices, "\n%s\n%s %s: MPL-2.0\n\n/etc/ssl/certs/ca-certificates.crt holds its certificates, which are Mozilla's, under the terms\nof https://mozilla.org/MPL/2.0/\n", line, roots.Path, roots.Version)
	licence, err := os.ReadFile(filepath.Join(r.root, "LICENSE"))
	if err != nil {
		return nil, err
	}
	layer, err := layerOf(r.time, []entry{
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, data: fmt.Appendf(nil, "root:x:0:\nmuster:x:%d:\n", imageUser)},
		{name: "etc/muster-collector/", mode: 0o755},
		{name: "etc/passwd", mode: 0o644, data: fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\nmuster:x:%[1]d:%[1]d:Muster collector:%[2]s:/sbin/nologin\n", imageUser, imageData)},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, data: authorities()},
		{name: "tmp/", mode: 0o1777},
		{name: "usr/", mode: 0o755},
		{name: "usr/bin/", mode: 0o755},
		{name: "usr/bin/muster-collector", mode: 0o755, data: program},
		{name: "usr/share/", mode: 0o755},
		{name: "usr/share/doc/", mode: 0o755},
		{name: "usr/share/doc/muster-collector/", mode: 0o755},
		{name: "usr/share/doc/muster-collector/LICENSE", mode: 0o644, data: licence},
		{name: "usr/share/doc/muster-collector/THIRD-PARTY-NOTICES.txt", mode: 0o644, data: notices},
		{name: "var/", mode: 0o755},
		{name: "var/lib/", mode: 0o755},
		{name: imageData[1:] + "/", mode: 0o700, owner: imageUser},
	})
	if err != nil {
		return nil, err
	}
	img, err := r.imageOf(layer)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(r.out, "muster-collector-"+r.version+"-image.tar")
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := writeImage(f, img, imageName+":"+strings.ReplaceAll(r.version, "+", "-"), r.time); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return []string{name}, f.Close()
}

// authorities are the certificates that Mozilla trusts, as the Go project hands them
// on and go.sum pins them, without those that it trusts only under a condition.
func authorities() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return b.Bytes()
}

// entry is a file, or with a slash behind its name a folder.
type entry struct {
	name  string
	mode  int64
	owner int // user and group
	data  []byte
}

func writeEntries(w io.Writer, at time.Time, entries []entry) error {
	t := tar.NewWriter(w)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner, Size: int64(len(e.data)), ModTime: at, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(e.data); err != nil {
			return err
		}
	}
	return t.Close()
}

func layerOf(at time.Time, entries []entry) (v1.Layer, error) {
	var b bytes.Buffer
	if err := writeEntries(&b, at, entries); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching, tarball.WithMediaType(types.OCILayer))
}

// imageOf puts a layer under what a runtime must know.
func (r *release) imageOf(layer v1.Layer) (v1.Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.Append(img, mutate.Addendum{Layer: layer, MediaType: types.OCILayer, History: v1.History{Created: v1.Time{Time: r.time}, CreatedBy: "packaging/build"}})
	if err != nil {
		return nil, err
	}
	c, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.Created, c.OS, c.Architecture = v1.Time{Time: r.time}, "linux", "amd64"
	c.Config = v1.Config{
		User:         fmt.Sprintf("%[1]d:%[1]d", imageUser),
		Entrypoint:   []string{"/usr/bin/muster-collector"},
		Cmd:          []string{"serve"},
		Env:          []string{"PATH=/usr/bin", "MUSTER_DATA=" + imageData},
		WorkingDir:   imageData,
		Volumes:      map[string]struct{}{imageData: {}},
		ExposedPorts: map[string]struct{}{"9443/tcp": {}}, // of tls.listen in the examples; a tailnet needs none
		StopSignal:   "SIGTERM",
		Labels: map[string]string{
			"org.opencontainers.image.title":       "muster-collector",
			"org.opencontainers.image.description": "Receives the reports of the counties' computers and shows where they stand",
			"org.opencontainers.image.version":     r.version,
			"org.opencontainers.image.created":     r.time.Format(time.RFC3339),
			"org.opencontainers.image.source":      "https://github.com/passmuster/muster",
			"org.opencontainers.image.licenses":    "Apache-2.0",
		},
	}
	return mutate.ConfigFile(img, c)
}

// writeImage writes an image of one layer as one file, with the name that it is loaded
// under.
func writeImage(w io.Writer, img v1.Image, name string, at time.Time) error {
	manifest, err := img.RawManifest()
	if err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	layer, err := img.LayerByDigest(m.Layers[0].Digest)
	if err != nil {
		return err
	}
	packed, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer packed.Close()
	content, err := io.ReadAll(packed)
	if err != nil {
		return err
	}
	_, tag, _ := strings.Cut(name, ":")
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{{
		MediaType: types.OCIManifestSchema1, Size: int64(len(manifest)), Digest: digest,
		Platform:    &v1.Platform{OS: "linux", Architecture: "amd64"},
		Annotations: map[string]string{"io.containerd.image.name": "docker.io/" + name, "org.opencontainers.image.ref.name": tag},
	}}})
	if err != nil {
		return err
	}
	blob := func(d v1.Hash) string { return "blobs/" + d.Algorithm + "/" + d.Hex }
	saved, err := json.Marshal(tarball.Manifest{{Config: blob(m.Config.Digest), RepoTags: []string{name}, Layers: []string{blob(m.Layers[0].Digest)}}})
	if err != nil {
		return err
	}
	return writeEntries(w, at, []entry{
		{name: "blobs/", mode: 0o755},
		{name: "blobs/sha256/", mode: 0o755},
		{name: blob(m.Config.Digest), mode: 0o644, data: config},
		{name: blob(m.Layers[0].Digest), mode: 0o644, data: content},
		{name: blob(digest), mode: 0o644, data: manifest},
		{name: "index.json", mode: 0o644, data: index},
		{name: "manifest.json", mode: 0o644, data: saved},
		{name: "oci-layout", mode: 0o644, data: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
	})
}
