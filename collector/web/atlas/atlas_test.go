package atlas_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/passmuster/muster/collector/web/atlas"
	"github.com/passmuster/muster/internal/fips"
)

// TestEveryState: every county that has a name has a shape inside its state's map.
func TestEveryState(t *testing.T) {
	path := regexp.MustCompile(`^(M\d+ \d+(l-?\d+[ -]-?\d+|l-?\d+-\d+)?([ -]?-?\d+[ -]\d+)*z)+$`)
	states, counties := 0, 0
	for code := range 100 {
		state := string([]byte{byte('0' + code/10), byte('0' + code%10)})
		m, ok := atlas.State(state)
		named := fips.Counties(state)
		if ok != (len(named) > 0) {
			t.Errorf("state %s: map %v, %d counties with a name", state, ok, len(named))
		}
		if !ok {
			continue
		}
		states++
		counties += len(m.Counties)
		if m.Width > 1000 || m.Height > 1000 || m.Width < 100 || m.Height < 100 {
			t.Errorf("state %s: map of %d × %d", state, m.Width, m.Height)
		}
		for i, s := range m.Counties {
			if i >= len(named) || s.County != named[i] {
				t.Errorf("state %s: shape %d is of county %s", state, i, s.County)
				break
			}
			if !path.MatchString(s.Path) || strings.Count(s.Path, "M") != strings.Count(s.Path, "z") {
				t.Errorf("county %s: path %s", s.County, s.Path)
			}
		}
	}
	if states != 56 || counties < 3200 {
		t.Errorf("%d states, %d counties", states, counties)
	}
	for _, none := range []string{"", "5", "99", "56021", "xx"} {
		if _, ok := atlas.State(none); ok {
			t.Errorf("a map of %q", none)
		}
	}
}
