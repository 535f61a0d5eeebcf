package policies_test

import (
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies"
)

func TestExceptions(t *testing.T) {
	waivers, attestations, err := policies.Exceptions(map[string][]byte{
		"waivers/data.yaml":      []byte("- {id: w1, control: MVS-ENC-01, county: \"17031\", reason: r, approver: a, approved: \"2026-11-01\", expires: 2026-12-01}\n"),
		"attestations/data.json": []byte(`[{"id": "a1", "claim": "restore_tested", "on": "2026-11-01T10:00:00+02:00", "by": "b", "until": "2027-11-01"}]`),
		"lists/data.yaml":        []byte("junk: ["), "x/waivers/data.yaml": []byte("[1]"), "waivers/other.yaml": []byte("[1]"),
	})
	if err != nil {
		t.Fatal(err)
	}
	day := func(m time.Month, d, h int) time.Time { return time.Date(2026, m, d, h, 0, 0, 0, time.UTC) }
	if want := (muster.Waiver{ID: "w1", Control: "MVS-ENC-01", County: "17031", Reason: "r", Approver: "a", Approved: day(11, 1, 0), Expires: day(12, 1, 0)}); len(waivers) != 1 || waivers[0] != want {
		t.Errorf("%+v", waivers)
	}
	if len(attestations) != 1 || attestations[0].Claim != "restore_tested" || !attestations[0].On.Equal(day(11, 1, 8)) {
		t.Errorf("%+v", attestations)
	}
	waivers, _, err = policies.Exceptions(map[string][]byte{"data.json": []byte(`{"waivers": [{"id": "w1"}]}`), "attestations/data.yaml": []byte("# none\n")})
	if err != nil || len(waivers) != 1 {
		t.Errorf("at the top: %+v %v", waivers, err)
	}
	for text, says := range map[string]string{
		"{": "read waivers/data.yaml", "a: 1": "want a list", "[1]": "entry 1: want an object", "[{county: 17031}]": "in quotes",
		"[{expires: soon}]": "entry 1: expires: \"soon\" is no date", "[{expires: 7}]": "in quotes",
	} {
		if _, _, err := policies.Exceptions(map[string][]byte{"waivers/data.yaml": []byte(text)}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What is read of a bundle that anyone sends is what its files say, or an error.
func FuzzExceptions(f *testing.F) {
	f.Add([]byte("- {id: w1, approved: 2026-11-01}\n"), []byte(`[{"id": "a1", "on": "2026-11-01"}]`))
	f.Fuzz(func(t *testing.T, w, a []byte) {
		waivers, attestations, err := policies.Exceptions(map[string][]byte{"waivers/data.yaml": w, "attestations/data.json": a})
		if err != nil && (waivers != nil && attestations != nil) {
			t.Errorf("%+v %+v beside %v", waivers, attestations, err)
		}
		for _, x := range waivers {
			if !x.Approved.IsZero() && x.Approved.Location() != time.UTC {
				t.Errorf("%v is not UTC", x.Approved)
			}
		}
	})
}

// A few bytes of aliases stand for gigabytes, in whichever file they are.
func TestAliasesAreRefused(t *testing.T) {
	text := []byte("waivers:\n- &a {id: W-1}\n- *a\n")
	if _, _, err := policies.Exceptions(map[string][]byte{"data.yaml": text}); err == nil || !strings.Contains(err.Error(), "line 3 uses a YAML alias") {
		t.Error(err)
	}
	if _, err := policies.Facts(map[string][]byte{"facts/a/data.yaml": []byte("a: &q {linux: SELECT 1}\nb: *q\n")}); err == nil {
		t.Error("facts with aliases are read")
	}
	var v any
	if err := policies.ParseData([]byte("# nothing\n"), &v); err != nil || v != nil {
		t.Errorf("%v, %v", v, err)
	}
}
