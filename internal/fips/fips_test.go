package fips_test

import (
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/fips"
)

func TestCounty(t *testing.T) {
	for _, tt := range []struct{ code, name, state string }{
		{"56021", "Laramie County", "Wyoming"},
		{"22071", "Orleans Parish", "Louisiana"},
		{"51760", "Richmond city", "Virginia"},
		{"02020", "Anchorage", "Alaska"},
		{"56999", "56999", "Wyoming"},
		{"", "", ""},
	} {
		name, state := fips.County(muster.County(tt.code))
		if name != tt.name || state != tt.state {
			t.Errorf("County(%q) = %q, %q; want %q, %q", tt.code, name, state, tt.name, tt.state)
		}
	}
}

func TestCounties(t *testing.T) {
	got := fips.Counties("56")
	if len(got) != 23 || got[0] != "56001" || got[22] != "56045" {
		t.Errorf("Counties(56) = %d codes, %v", len(got), got)
	}
	if fips.Counties("00") != nil {
		t.Error("Counties(00) is not empty")
	}
}
