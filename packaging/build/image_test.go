package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// The one file of the image is what docker save writes, and what OCI says.
func TestImageFile(t *testing.T) {
	r := testRelease(t)
	layer, err := layerOf(r.time, []entry{{name: "usr/", mode: 0o755}, {name: "usr/x", mode: 0o755, owner: imageUser, data: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	made, err := r.imageOf(layer)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.out, "image.tar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := writeImage(f, made, "passmuster/muster-collector:1", r.time); err != nil {
		t.Fatal(err)
	}
	saved, err := tarball.ImageFromPath(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(saved); err != nil {
		t.Errorf("as docker save writes it: %v", err)
	}
	dir := t.TempDir()
	command(t, dir, "tar", "xf", path)
	oci := ociImage(t, dir)
	if err := validate.Image(oci); err != nil {
		t.Errorf("as an OCI layout: %v", err)
	}
	for what, img := range map[string]v1.Image{"saved": saved, "layout": oci} {
		c, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if c.Config.User != "65532:65532" || c.Config.Entrypoint[0] != "/usr/bin/muster-collector" || !c.Created.Equal(r.time) || c.Architecture != "amd64" {
			t.Errorf("%s: %+v", what, c)
		}
	}
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && !info.ModTime().Equal(r.time) {
			t.Errorf("%s is of %s", d.Name(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if n := strings.Count(string(authorities()), "BEGIN CERTIFICATE"); n < 100 {
		t.Errorf("%d authorities", n)
	}
}

func ociImage(t *testing.T, dir string) v1.Image {
	t.Helper()
	p, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	index, err := p.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
