package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// testRelease has this test itself as its program.
func testRelease(t *testing.T) *release {
	t.Helper()
	r := &release{root: "../..", out: t.TempDir(), version: "1.2.3-rc.1+g0", time: time.Unix(1_700_000_000, 0).UTC()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := r.packed("muster-collector", "linux")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return r
}

// What is written of a program keeps to CycloneDX's schema and names what was linked.
func TestBOM(t *testing.T) {
	r := testRelease(t)
	info, err := buildinfo.ReadFile(r.packed("muster-collector", "linux"))
	if err != nil {
		t.Fatal(err)
	}
	licences := []terms{{module: "std", version: strings.TrimPrefix(info.GoVersion, "go"), ids: []string{"BSD-3-Clause"}}}
	for _, m := range info.Deps {
		licences = append(licences, terms{module: m.Path, version: m.Version, ids: []string{"Apache-2.0", "MIT"}})
	}
	name := "muster-collector-1.2.3-image.tar"
	write := func() []byte {
		bom, err := r.bom(name, [32]byte{1}, "linux", []string{"muster-collector"}, licences)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).EncodeVersion(bom, cdx.SpecVersion1_6); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	text := write()
	if !bytes.Equal(text, write()) {
		t.Error("not the same a second time")
	}
	checkSchema(t, text)
	var bom cdx.BOM
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	refs := map[string]bool{bom.Metadata.Component.BOMRef: true}
	for _, c := range *bom.Components {
		if refs[c.BOMRef] {
			t.Errorf("%s is listed twice", c.BOMRef)
		}
		refs[c.BOMRef] = true
	}
	for _, d := range *bom.Dependencies {
		for _, ref := range append(*d.Dependencies, d.Ref) {
			if !refs[ref] {
				t.Errorf("%s needs %s, which is not listed", d.Ref, ref)
			}
		}
	}
	for _, want := range []string{"pkg:golang/github.com/google/go-containerregistry@v", "pkg:golang/std@1.", "pkg:npm/us-atlas@3.0.1", "x509roots/fallback@v", `"h1:`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("it lacks %s", want)
		}
	}
	if _, err := r.bom(name, [32]byte{1}, "linux", []string{"muster-collector"}, licences[:3]); err == nil || !strings.Contains(err.Error(), "go list does not know") {
		t.Errorf("a module without terms: %v", err)
	}
}

// checkSchema holds a list against the schema that CycloneDX's own library brings.
func checkSchema(t *testing.T, text []byte) {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema")
	c := jsonschema.NewCompiler()
	for id, file := range map[string]string{"bom-1.6": "bom-1.6.schema.json", "spdx": "spdx.schema.json", "jsf-0.82": "jsf-0.82.schemax.json"} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource("http://cyclonedx.org/schema/"+id+".schema.json", schema); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Error(err)
	}
}

// The sums are those that sha256sum and ssh-keygen accept, and refuse after any change.
func TestSums(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("ssh-keygen is not installed: packaging/test-packages.txt names what the tests need")
	}
	r := testRelease(t)
	name := filepath.Join(r.out, "muster.deb")
	if err := os.WriteFile(name, []byte("a package"), 0o644); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	command(t, "", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	t.Setenv(releaseKey, key)
	if err := r.sums(t.Context(), []string{name}); err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	signers := filepath.Join(t.TempDir(), "signers")
	if err := os.WriteFile(signers, append([]byte("releases@muster "), public...), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.out, sumsName)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(text string) error {
		cmd := exec.Command("ssh-keygen", "-Y", "verify", "-n", "file", "-I", "releases@muster", "-f", signers, "-s", path+".sig")
		cmd.Stdin = strings.NewReader(text)
		return cmd.Run()
	}
	if err := verify(string(text)); err != nil {
		t.Error(err)
	}
	if err := verify(strings.Replace(string(text), "muster.deb", "muster.rpm", 1)); err == nil {
		t.Error("changed sums pass")
	}
	command(t, r.out, "sha256sum", "-c", sumsName)
	// Without a key no signature stays behind.
	t.Setenv(releaseKey, "")
	if err := r.sums(t.Context(), []string{name}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".sig"); err == nil {
		t.Error("unsigned sums have the signature of others")
	}
	t.Setenv(releaseKey, filepath.Join(r.out, "none"))
	if err := r.sums(t.Context(), []string{name}); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a key that is not there: %v", err)
	}
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}
