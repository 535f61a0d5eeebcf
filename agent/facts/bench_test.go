package facts_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

func BenchmarkNewSQL(b *testing.B) {
	for b.Loop() {
		e, err := facts.NewSQL("builtin", muster.Linux, []facts.Table{oneRow("users")})
		if err != nil {
			b.Fatal(err)
		}
		e.Close()
	}
}

func BenchmarkNewSchema(b *testing.B) {
	for b.Loop() {
		s, err := facts.NewSchema(nil)
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}

func BenchmarkCheck(b *testing.B) {
	s, n := mustSchema(b), 0
	for b.Loop() {
		n++ // a statement that was checked before costs nothing
		statement := fmt.Sprintf("SELECT p.name FROM listening_ports lp LEFT JOIN processes p ON p.pid = lp.pid WHERE lp.port != %d", n)
		if _, err := s.Check(statement); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkQuery(b *testing.B) {
	e := mustSQL(b, processes)
	for b.Loop() {
		if _, err := e.Query(context.Background(), "SELECT a.name FROM processes a JOIN processes b ON a.pid = b.pid", 100); err != nil {
			b.Fatal(err)
		}
	}
}
