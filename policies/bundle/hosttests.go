package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/util"

	"github.com/passmuster/muster"
)

// HostTest says what a policy must find on one recorded host. Its paths are
// relative to its file.
type HostTest struct {
	// File in the folder: "hosts/win11.yaml".
	File string `json:"-"`
	// Recording is the path of the recorded host.
	Recording string `json:"recording"`
	// Now to judge at; zero means the time of the recording.
	Now time.Time `json:"now"`
	// Lists is the text of an object of lists, or of a path to one; nil means none.
	Lists json.RawMessage `json:"lists"`
	// Expect maps controls to their status; the others may be as they like.
	Expect map[string]muster.Status `json:"expect"`
	// Expected is the path of a file that holds now, lists, and the status of
	// every control; "" means none.
	Expected string `json:"expected"`
}

// HostTests reads the files hosts/*.yaml of a folder, in order.
func HostTests(fsys fs.FS) ([]HostTest, error) {
	names, err := fs.Glob(fsys, "hosts/*.y*ml")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var tests []HostTest
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		t, err := ParseHostTest(text)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path.Clean(name), err)
		}
		t.File = name
		tests = append(tests, *t)
	}
	return tests, nil
}

// ParseHostTest reads the text of one host test, YAML or JSON.
func ParseHostTest(text []byte) (*HostTest, error) {
	var v any
	if err := util.Unmarshal(text, &v); err != nil {
		return nil, err
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var t HostTest
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return nil, fmt.Errorf("want recording, now, lists and expect, or recording and expected: %w", err)
	}
	if string(t.Lists) == "null" {
		t.Lists = nil
	}
	switch {
	case t.Recording == "":
		return nil, errors.New("recording is missing: the path of a file of muster facts record")
	case (len(t.Expect) == 0) == (t.Expected == ""):
		return nil, errors.New("want expect, with the status of some controls, or expected, with the path of a file")
	case t.Expected != "" && (t.Lists != nil || !t.Now.IsZero()):
		return nil, errors.New("now and lists are in the file that expected names: leave them out here")
	}
	return &t, nil
}
