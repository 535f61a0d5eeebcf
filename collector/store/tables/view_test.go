package tables

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

// What is read of a version's waivers is what was written of the verdicts.
func FuzzWaivers(f *testing.F) {
	f.Add("W1", "", "W-2 of Cook")
	f.Add("", "\r", " ")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		want := map[int]string{}
		var verdicts []muster.Verdict
		for i, id := range []string{a, b, c} {
			verdicts = append(verdicts, muster.Verdict{Control: string(rune('A' + i)), Waiver: id})
			if id != "" {
				want[i] = id
			}
		}
		s, err := (&DB{}).pack(nil, verdicts)
		if strings.Contains(a+b+c, "\n") {
			if err == nil {
				t.Fatal("a waiver of two lines was taken")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := parseWaivers(s.Waivers); !maps.Equal(got, want) {
			t.Errorf("read %v, want %v", got, want)
		}
	})
}

// A roll-up's controls are read as they were written, and nothing else is taken.
func FuzzRollupLines(f *testing.F) {
	f.Add("MVS-ENC-01 1 2 3 4 5\nMVS-NET-02 0 0 0 0 7\n")
	f.Add("MVS-ENC-01 1 2 3 4\n")
	f.Add("MVS-ENC-01 1 2 3 4 x")
	f.Add("MVS-ENC-01 0 0 0 0 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		was, is := newTally(), newTally()
		if was.parse(was.county("17031"), text) != nil {
			return
		}
		if err := is.parse(is.county("17031"), was.text("17031")); err != nil {
			t.Fatal(err)
		}
		all := func(t *tally) map[string]counts { return maps.Collect(t.each(t.county("17031"))) }
		if !maps.Equal(all(was), all(is)) {
			t.Errorf("%q is read as %q", text, is.text("17031"))
		}
	})
}

func TestDiffer(t *testing.T) {
	const pass, fail, na = muster.StatusPass, muster.StatusFail, muster.StatusNotApplicable
	got := differ(map[string]muster.Status{"same": pass, "worse": pass, "gone": fail, "never": na},
		map[string]muster.Status{"same": pass, "worse": fail, "new": pass})
	want := []muster.Transition{
		{Control: "gone", From: fail, To: na},
		{Control: "new", To: pass, First: true},
		{Control: "worse", From: pass, To: fail},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
