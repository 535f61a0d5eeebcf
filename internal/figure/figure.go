// Package figure prints measured figures beside their targets, for the benchmarks. A
// target that is not met is said, and never an error: machines differ.
package figure

import (
	"fmt"
	"io"
)

// Target of a figure; the zero value is none.
type Target struct {
	bound float64
	least bool
}

// AtMost is met by figures up to the bound, AtLeast by those from it on.
func AtMost(bound float64) Target  { return Target{bound, false} }
func AtLeast(bound float64) Target { return Target{bound, true} }

// Print prints one figure beside its target, and whether it meets it.
func Print(w io.Writer, what string, v float64, t Target) {
	if t == (Target{}) {
		fmt.Fprintf(w, "%-60s %10.4g\n", what, v)
		return
	}
	words, met := "at most", v <= t.bound
	if t.least {
		words, met = "at least", v >= t.bound
	}
	verdict := "met"
	if !met {
		verdict = "NOT MET"
	}
	fmt.Fprintf(w, "%-60s %10.4g   %s %g: %s\n", what, v, words, t.bound, verdict)
}
