package policies

import (
	"regexp"
	"slices"

	"github.com/passmuster/muster"
)

// Claims are those of attestations that controls read in the files of a bundle, by the
// control's id, to be shown. They are found where the source names them one by one, as
// data.lists.attestations.restore_tested_on.
func Claims(files map[string][]byte, controls []muster.Control) map[string][]string {
	of := regexp.MustCompile(`(?m)^package\s+(\S+)`)
	reads := regexp.MustCompile(`\bdata\.lists\.attestations\.([a-z0-9_]+)_(?:on|by|until)\b`)
	ids, claims := map[string]string{}, map[string][]string{}
	for _, c := range controls {
		ids[c.Package] = c.ID
	}
	for _, source := range files {
		name := of.FindSubmatch(source)
		if name == nil || ids[string(name[1])] == "" {
			continue
		}
		id := ids[string(name[1])]
		for _, found := range reads.FindAllSubmatch(source, -1) {
			if claim := string(found[1]); !slices.Contains(claims[id], claim) {
				claims[id] = append(claims[id], claim)
			}
		}
	}
	return claims
}

// EmbeddedClaims are those of the baseline.
func EmbeddedClaims() map[string][]string {
	files, err := embedded("controls")
	if err != nil {
		return nil // cannot happen
	}
	return Claims(files, Catalogue())
}
