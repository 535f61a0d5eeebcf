package builtin

import "testing"

func TestProductState(t *testing.T) {
	for bits, want := range map[uint32]struct {
		state string
		fresh bool
	}{
		397568: {"On", true},  // Defender, on and current
		397584: {"On", false}, // Defender, old signatures
		393472: {"Off", true}, // Defender beside another product
		401664: {"Snoozed", true},
		266240: {"On", true}, // another product
	} {
		state, fresh := productState(bits)
		if state != want.state || fresh != want.fresh {
			t.Errorf("%#x: got %s %v", bits, state, fresh)
		}
	}
	if got := healthName(9); got != "Unknown" {
		t.Error(got)
	}
	if got := healthName(2); got != "Poor" {
		t.Error(got)
	}
}

func TestWordList(t *testing.T) {
	names := []string{"NONE", "ONE", "TWO"}
	for numbers, want := range map[string]string{
		"": "", "0": "NONE", "1, 2": "ONE,TWO", "2,7": "TWO,UNKNOWN", "-1": "UNKNOWN", "x": "UNKNOWN",
	} {
		if got := wordList(names, numbers); got != want {
			t.Errorf("%q: got %q, want %q", numbers, got, want)
		}
	}
}
