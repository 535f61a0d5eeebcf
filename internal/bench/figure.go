package main

import (
	"fmt"
	"io"
)

// target of a figure; the zero value is none.
type target struct {
	bound float64
	least bool
}

func atMost(bound float64) target  { return target{bound, false} }
func atLeast(bound float64) target { return target{bound, true} }

// figure prints one figure beside its target, and whether it meets it.
func figure(w io.Writer, what string, v float64, t target) {
	if t == (target{}) {
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
