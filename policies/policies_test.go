package policies_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"testing"

	"github.com/passmuster/muster/policies"
	"github.com/passmuster/muster/policies/bundle"
)

var update = flag.Bool("update", false, "write controls.json anew")

// controls.json is made from the annotations, and is what the collector reads.
func TestCatalogueIsCurrent(t *testing.T) {
	b, err := bundle.OpenDir(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	want, err := b.Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("controls.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile("controls.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("controls.json is behind the Rego: run go test ./policies -update")
	}
	if n := len(policies.Catalogue()); n != len(b.Controls) || n == 0 {
		t.Errorf("the catalogue has %d controls, the Rego %d", n, len(b.Controls))
	}
}

// Every *_test.rego of the baseline passes, under a host's capabilities.
func TestRego(t *testing.T) {
	results, err := bundle.Test(context.Background(), os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if len(results) == 0 {
		t.Fatal("no tests found")
	}
	for _, r := range results {
		if !r.Passed {
			t.Errorf("%s: %s: %v %s", r.File, r.Name, r.Err, r.Output)
		}
	}
}
