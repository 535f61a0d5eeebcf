package builtin

import "testing"

func TestParsePackage(t *testing.T) {
	p, ok := parsePackage("MSTeams_25060.205.3499.6849_arm64__8wekyb3d8bbwe")
	if !ok || p.family() != "MSTeams_8wekyb3d8bbwe" || p.version != "25060.205.3499.6849" {
		t.Error(p, ok)
	}
	p, ok = parsePackage("Windows.PrintDialog_6.2.3.0_neutral_neutral_cw5n1h2txyewy")
	if !ok || p.family() != "Windows.PrintDialog_cw5n1h2txyewy" {
		t.Error(p, ok)
	}
	for _, bad := range []string{"", "a", "a_b_c_d", "_1_x__y", "a_1_x__"} {
		if _, ok := parsePackage(bad); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}
