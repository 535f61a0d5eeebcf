package builtin

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// TestStatements asks every Windows statement of the shipped policies on this
// computer. What it lacks is unavailable or denied; nothing is an error, such
// as a table or a column that is not there.
func TestStatements(t *testing.T) {
	files, err := filepath.Glob("../../../policies/facts/*/data.yaml")
	must(t, err)
	engine, err := facts.NewSQL("builtin", muster.Windows, Tables())
	must(t, err)
	defer engine.Close()
	schema, err := facts.NewSchema(nil)
	must(t, err)
	defer schema.Close()
	gatherer := facts.Gatherer{Builtin: engine, Schema: schema, Platform: muster.Windows}
	asked := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		var statements map[string]map[muster.Platform]string
		must(t, yaml.Unmarshal(text, &statements))
		for name, sql := range statements {
			if sql[muster.Windows] == "" {
				continue
			}
			asked++
			_, _, err := gatherer.Query(t.Context(), sql[muster.Windows])
			if err != nil && !errors.Is(err, facts.ErrDenied) && !errors.Is(err, facts.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if asked == 0 {
		t.Error("no statement was found")
	}
}
