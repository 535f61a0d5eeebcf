package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/policies/bundle"
)

// hostVerdict is one control on one recorded host: what it is and what it should be.
type hostVerdict struct {
	file, control string
	want, got     string
	reason        string // why it is so
}

func (v hostVerdict) ok() bool { return v.want == v.got }

// expectation is what a host test asks for, after its files were read.
type expectation struct {
	Now    time.Time
	Lists  json.RawMessage
	Expect map[string]muster.Status
	// every control of the policy has to be in Expect.
	whole bool
}

// testHost audits a recorded host as muster audit --recording does, by the
// policy in dir.
func testHost(ctx context.Context, dir string, t bundle.HostTest) ([]hostVerdict, error) {
	beside := filepath.Dir(filepath.Join(dir, filepath.FromSlash(t.File)))
	want, err := expect(beside, t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.File, err)
	}
	res, err := agent.Audit(ctx, agent.Options{
		Recording: filepath.Join(beside, filepath.FromSlash(t.Recording)), Bundle: dir, Unsigned: true, Now: want.Now, ListsText: want.Lists,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.File, err)
	}
	var verdicts []hostVerdict
	found := map[string]bool{}
	for _, f := range res.Audit.Findings {
		found[f.Control] = true
		status, ok := want.Expect[f.Control]
		if !ok && !want.whole {
			continue
		}
		v := hostVerdict{file: t.File, control: f.Control, want: status.String(), got: f.Status.String(), reason: why(f)}
		if !ok {
			v.want = "a word of the file"
		}
		verdicts = append(verdicts, v)
	}
	for _, id := range slices.Sorted(maps.Keys(want.Expect)) {
		if !found[id] && !want.whole {
			verdicts = append(verdicts, hostVerdict{t.File, id, want.Expect[id].String(), "no such control", ""})
		}
	}
	return verdicts, nil
}

// why tells the reason of a finding, or its first evidence.
func why(f muster.Finding) string {
	if f.Reason != "" || len(f.Violations) == 0 {
		return f.Reason
	}
	v := f.Violations[0]
	text := fmt.Sprintf("%s: found %s, want %s", v.Subject, v.Found, v.Want)
	if more := len(f.Violations) - 1; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

// expect reads the files that a host test names.
func expect(beside string, t bundle.HostTest) (*expectation, error) {
	e := &expectation{Now: t.Now, Lists: t.Lists, Expect: t.Expect}
	if t.Expected != "" {
		return expected(filepath.Join(beside, filepath.FromSlash(t.Expected)))
	}
	var name string
	if json.Unmarshal(t.Lists, &name) != nil || name == "" {
		return e, nil
	}
	text, err := os.ReadFile(filepath.Join(beside, filepath.FromSlash(name)))
	e.Lists = text
	return e, err
}

// expected reads a file that tells now, lists, and the status of every control.
func expected(name string) (*expectation, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var file struct {
		Now    time.Time
		Lists  json.RawMessage
		Expect map[string]struct{ Status *muster.Status }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	e := &expectation{Now: file.Now, Lists: file.Lists, Expect: map[string]muster.Status{}, whole: true}
	for id, want := range file.Expect {
		e.Expect[id] = *cmp.Or(want.Status, new(muster.Status))
	}
	return e, nil
}
