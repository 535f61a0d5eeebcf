// Package bundle builds, checks, signs and opens policy bundles: plain OPA
// bundles that hold the controls of a baseline (Rego), the facts they ask for
// (SQL), the dated lists they read, and the waivers.
//
//	.manifest               revision; metadata.muster: version, created, expires, min_agent
//	.signatures.json        one JWT (ES256) over the digest of every other file
//	controls.json           the catalogue, made from the annotations
//	controls/*.rego         package muster.controls.<id>, one control each
//	lib/*.rego              helpers
//	facts/<area>/data.yaml  name: {windows: SQL, linux: SQL}
//	lists/data.yaml         name: {dated, source, value}
//	freshness/data.yaml     name: days that a list stays fresh; 0 means for ever
//	waivers/data.yaml       a list of muster.Waiver
//	attestations/data.yaml  a list of muster.Attestation
//	counties/<fips>/data.yaml, hosts/<host id>/data.yaml
//	                        {lists: {name: {dated, source, value}}} over those of the state
//
// Foreign bundles are read with bounds on files and bytes, and nothing in them
// is believed before its signature is verified.
package bundle

import (
	"maps"
	"time"

	"github.com/passmuster/muster"
)

// Bundle is an opened policy bundle. It is read-only; With… methods return a
// changed copy.
type Bundle struct {
	Revision string
	// Version counts up with each release; a host keeps the highest as a floor.
	// 0 for the built-in baseline and for folders.
	Version int64
	// Digest is the lower-case hex SHA-256 over the names and contents of all
	// files but the signature, however they were packed.
	Digest string
	// Signed: the signature was verified against one of the given keys.
	Signed bool
	// SignedBy is the KeyID of that key, or "".
	SignedBy string
	// Created and Expires are zero where the manifest does not say.
	Created time.Time
	Expires time.Time
	// MinAgent is the oldest agent version that can run the bundle, or "".
	MinAgent string

	Controls []muster.Control // ordered by id
	Facts    map[string]muster.Fact
	Lists    map[string]List
	Waivers  []muster.Waiver
	// Attestations as the bundle has them, those that hold no more among them.
	Attestations []muster.Attestation
	// Modules is the Rego source by file name, tests left out.
	Modules map[string][]byte

	data      map[string]any    // of the data files
	freshness map[string]int    // list name to days; absent or 0 means no limit
	areas     map[string]string // fact name to the folder in facts that has it
	counties  map[muster.County]map[string]List
	hosts     map[muster.HostID]map[string]List
}

// List is dated data that controls read as data.lists.<name>.
type List struct {
	// Value as JSON decodes it.
	Value any
	// Dated says when the list was last known to be right; zero where nobody said.
	Dated  time.Time
	Source string
	// MaxAge after which the list is stale; 0 means never.
	MaxAge time.Duration
	// Layer it comes from: LayerState, "county 17031", "host h…", LayerAttested, LayerFile.
	Layer string
}

// Stale reports whether the list is past its date at now. A list that can go
// stale and carries no date is.
func (l List) Stale(now time.Time) bool {
	return l.MaxAge > 0 && (l.Dated.IsZero() || now.After(l.Dated.Add(l.MaxAge)))
}

// Stale reports whether the bundle is past its expiry at now. It still judges.
func (b *Bundle) Stale(now time.Time) bool {
	return !b.Expires.IsZero() && now.After(b.Expires)
}

// Data is the document that Rego sees as data: the bundle's data files, and the
// plain values of the lists under "lists". What the engine itself reads is left
// out. The caller must not change it.
func (b *Bundle) Data() map[string]any {
	data := maps.Clone(b.data)
	for _, name := range []string{"facts", "freshness", "waivers", "attestations", "counties", "hosts"} {
		delete(data, name)
	}
	lists := make(map[string]any, len(b.Lists))
	for name, l := range b.Lists {
		lists[name] = l.Value
	}
	data["lists"] = lists
	return data
}
