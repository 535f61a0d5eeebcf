// Package policies is the minimum viable security baseline itself: controls in
// Rego, the facts they ask for in SQL, the lists they read, and the waivers.
//
// The sources are embedded, so that a host has a baseline before it has a
// network. This package imports no OPA: the collector reads the catalogue with
// it. Sub-package bundle builds, signs and opens bundles.
package policies

import (
	"embed"
	"encoding/json"
	"io/fs"

	"github.com/passmuster/muster"
)

//go:embed controls lib facts lists freshness waivers attestations controls.json
var sources embed.FS

// FS returns the sources of the baseline, as they lie in this folder.
func FS() fs.FS { return sources }

// Catalogue returns every control of the baseline, ordered by id. It is made
// from the Rego annotations by `go test ./policies -update`, and a test keeps
// both equal.
func Catalogue() []muster.Control {
	var controls []muster.Control
	data, err := sources.ReadFile("controls.json")
	if err != nil || json.Unmarshal(data, &controls) != nil {
		return nil // cannot happen: the file is embedded and tested
	}
	return controls
}
