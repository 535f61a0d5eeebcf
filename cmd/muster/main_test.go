package main

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/passmuster/muster"
)

// asMuster, where it is set, makes the test binary the program itself.
const asMuster = "MUSTER_TEST_RUN"

// testVersion is the version that it then takes itself for; "" leaves it.
const testVersion = "MUSTER_TEST_VERSION"

func TestMain(m *testing.M) {
	if os.Getenv(asMuster) != "" {
		muster.Version = cmp.Or(os.Getenv(testVersion), muster.Version)
		main()
	}
	testscript.Main(m, map[string]func(){"muster": main})
}

// TestScripts runs testdata/*.txtar, one behaviour each, against the real program.
func TestScripts(t *testing.T) {
	hosts, err := filepath.Abs("../../testdata/hosts")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOSTS", hosts)
			return writeLists(hosts, env.WorkDir)
		},
		Cmds:      scriptCommands(),
		Condition: scriptCondition,
	})
}

// writeLists gives each script the lists that belong to the recorded hosts, as
// <host>.lists.json.
func writeLists(hosts, dir string) error {
	files, err := filepath.Glob(filepath.Join(hosts, "*.expected.json"))
	if err != nil {
		return err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var expected struct {
			Lists json.RawMessage `json:"lists"`
		}
		if err := json.Unmarshal(b, &expected); err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(file), ".expected.json") + ".lists.json"
		if err := os.WriteFile(filepath.Join(dir, name), expected.Lists, 0o644); err != nil {
			return err
		}
	}
	return nil
}
