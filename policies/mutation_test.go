package policies_test

import (
	"context"
	"os"
	"testing"

	"github.com/passmuster/muster/policies/bundle"
)

// Every condition of every control, turned round, and every fact, taken away,
// is noticed by the control's own tests.
func TestEveryMutantIsNoticed(t *testing.T) {
	mutants, err := bundle.Mutate(context.Background(), os.DirFS("."), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(mutants) == 0 {
		t.Fatal("no mutants")
	}
	for _, m := range mutants {
		if !m.Noticed {
			t.Errorf("%s:%d: no test notices: %s", m.File, m.Line, m.Change)
		}
	}
	t.Logf("%d mutants", len(mutants))
}
