package eval_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/eval"
	"github.com/passmuster/muster/policies/bundle"
)

// largeHost is a Linux computer with 2,000 packages and 300 processes.
func largeHost(b *bundle.Bundle) map[string]muster.FactResult {
	facts := map[string]muster.FactResult{}
	for name := range b.Facts {
		facts[name] = muster.FactResult{Name: name, Status: muster.FactOK}
	}
	rows := func(n int, row func(i int) muster.Row) []muster.Row {
		out := make([]muster.Row, n)
		for i := range out {
			out[i] = row(i)
		}
		return out
	}
	set := func(name string, n int, row func(i int) muster.Row) {
		facts[name] = muster.FactResult{Name: name, Status: muster.FactOK, Rows: rows(n, row)}
	}
	set("software", 2000, func(i int) muster.Row {
		return muster.Row{"program": fmt.Sprintf("libpackage%d-common 1:2.%d-1ubuntu1", i, i)}
	})
	set("processes", 300, func(i int) muster.Row {
		return muster.Row{"name": fmt.Sprintf("daemon%d", i), "path": fmt.Sprintf("/usr/lib/daemons/daemon%d", i)}
	})
	set("services", 400, func(i int) muster.Row {
		return muster.Row{"name": fmt.Sprintf("unit%d.service", i), "path": fmt.Sprintf("/lib/systemd/system/unit%d.service", i)}
	})
	set("os_version", 1, func(int) muster.Row {
		return muster.Row{"name": "Ubuntu", "platform": "ubuntu", "version": "24.04.1 LTS (Noble Numbat)"}
	})
	return facts
}

func BenchmarkOpenEmbedded(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bundle.Embedded(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	p, err := bundle.Embedded()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := eval.New(p, muster.Linux, muster.Workstation); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	p, err := bundle.Embedded()
	if err != nil {
		b.Fatal(err)
	}
	e, err := eval.New(p, muster.Linux, muster.Workstation)
	if err != nil {
		b.Fatal(err)
	}
	in := input(largeHost(p))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Eval(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
}
