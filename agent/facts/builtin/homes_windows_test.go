package builtin

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/passmuster/muster/agent/facts"
)

// TestHomes: the home of the user who runs the tests is among them, and its
// uid is that user's.
func TestHomes(t *testing.T) {
	mine, err := os.UserHomeDir()
	must(t, err)
	homes, err := host{}.homes()
	must(t, err)
	i := slices.IndexFunc(homes, func(o home) bool { return strings.EqualFold(o.path, mine) })
	if i < 0 {
		t.Fatalf("no %s in %v", mine, homes)
	}
	if sid := mySID(t); !strings.HasSuffix(sid, "-"+homes[i].uid) {
		t.Errorf("uid is %s of %s", homes[i].uid, sid)
	}
	q := facts.Query{Constraints: []facts.Constraint{equal("uid", homes[i].uid)}}
	if asked, err := (host{}).homesOf(q); err != nil || len(asked) != 1 || asked[0] != homes[i] {
		t.Errorf("asked for one: %v, %v", asked, err)
	}
}

// TestConnectivity asks the Network List Manager by its own method.
func TestConnectivity(t *testing.T) {
	rows := mustGather(t, connectivityTable())
	if len(rows) != 1 || len(rows[0]) != 9 {
		t.Errorf("rows are %v", rows)
	}
}
