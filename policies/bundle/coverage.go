package bundle

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"

	"github.com/open-policy-agent/opa/v1/cover"
)

// Coverage is how much of a Rego file its tests went through.
type Coverage struct {
	File string
	// Percent of the lines that do something.
	Percent float64
	// Missed lines, from 1, in order.
	Missed []int
}

// Cover runs the tests like Test, and says by file what they went through.
func Cover(ctx context.Context, fsys fs.FS) ([]TestResult, []Coverage, error) {
	modules, data, err := testSources(fsys)
	if err != nil {
		return nil, nil, fmt.Errorf("test policy: %w", err)
	}
	lines := cover.New()
	results, err := traceModules(ctx, modules, data, lines)
	if err != nil {
		return nil, nil, err
	}
	var all []Coverage
	for name, report := range lines.Report(modules).Files {
		if modules[name] == nil || isTest(name) {
			continue
		}
		c := Coverage{File: name, Percent: report.Coverage}
		for _, r := range report.NotCovered {
			for row := r.Start.Row; row <= r.End.Row; row++ {
				c.Missed = append(c.Missed, row)
			}
		}
		slices.Sort(c.Missed)
		c.Missed = slices.Compact(c.Missed)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Coverage) int { return cmp.Compare(a.File, b.File) })
	return results, all, nil
}
