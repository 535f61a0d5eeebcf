package policies_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies"
)

func TestClaims(t *testing.T) {
	want := map[string][]string{"MVS-BAK-01": {"restore_tested"}, "MVS-NET-04": {"ssh_mfa"}}
	if got := policies.EmbeddedClaims(); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v, want %v", got, want)
	}
	got := policies.Claims(map[string][]byte{
		"controls/a.rego":      []byte("# about it\npackage state.a\n\nx if data.lists.attestations.guarded_on\ny if data.lists.attestations.guarded_until\n"),
		"controls/a_test.rego": []byte("package state.a_test\nx if data.lists.attestations.other_on\n"),
		"data.json":            []byte("{}"),
	}, []muster.Control{{ID: "S-A", Package: "state.a"}})
	if want := map[string][]string{"S-A": {"guarded"}}; !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v, want %v", got, want)
	}
}
