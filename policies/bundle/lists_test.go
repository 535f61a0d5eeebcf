package bundle_test

import (
	"strings"
	"testing"

	"github.com/passmuster/muster/policies/bundle"
)

// A file of something else must not be taken for lists that say nothing.
func TestWithListsRefusesOtherFiles(t *testing.T) {
	b, err := bundle.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.WithLists([]byte(`{"now": "2026-10-19", "expect": {}}`)); err == nil || !strings.Contains(err.Error(), "admins_allowed") {
		t.Errorf("error %v, want one that names the lists", err)
	}
	for _, good := range []string{`{}`, `{"dated": "2026-10-15"}`, `{"dated": "2026-10-15", "admins_allowed": [], "not_yet_known": 1}`} {
		if _, err := b.WithLists([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}
