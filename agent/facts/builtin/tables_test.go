package builtin

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// gather runs a table as a statement that reads all its columns would.
func gather(t testing.TB, table facts.Table, constraints ...facts.Constraint) ([]muster.Row, error) {
	t.Helper()
	var rows []muster.Row
	q := facts.Query{Constraints: constraints, Used: func(string) bool { return true }}
	err := table.Rows(t.Context(), q, func(r muster.Row) error {
		rows = append(rows, r)
		return nil
	})
	return rows, err
}

func equal(column, value string) facts.Constraint {
	return facts.Constraint{Column: column, Value: value}
}

func like(column, value string) facts.Constraint {
	return facts.Constraint{Column: column, Op: facts.Like, Value: value}
}

// TestColumns compares names and types with osquery's own description.
func TestColumns(t *testing.T) {
	var schema struct {
		Tables map[string]struct {
			Columns []struct {
				Name, Type string
				Platforms  []string
				Hidden     bool
			}
		}
	}
	b, err := os.ReadFile("../osquery-schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	for _, table := range Tables() {
		if strings.HasPrefix(table.Name, "muster_") {
			continue
		}
		spec, ok := schema.Tables[table.Name]
		if !ok {
			t.Errorf("%s: osquery has no such table", table.Name)
		}
		types := map[string]string{}
		for _, c := range spec.Columns {
			types[c.Name] = c.Type
			here := len(c.Platforms) == 0 || slices.ContainsFunc(c.Platforms, func(p string) bool {
				return p == "posix" && runtime.GOOS != "windows" || strings.Contains(p, runtime.GOOS)
			})
			has := slices.ContainsFunc(table.Columns, func(own facts.Column) bool { return own.Name == c.Name })
			if here && !c.Hidden && !has {
				t.Errorf("%s: column %s is missing", table.Name, c.Name)
			}
		}
		for _, c := range table.Columns {
			if types[c.Name] != c.Type {
				t.Errorf("%s.%s: type %q, osquery has %q", table.Name, c.Name, c.Type, types[c.Name])
			}
		}
	}
}

func TestTablesAreSortedAndComplete(t *testing.T) {
	names := map[string]bool{}
	last := ""
	for _, table := range Tables() {
		if table.Name <= last {
			t.Errorf("%s comes after %s", table.Name, last)
		}
		last = table.Name
		names[table.Name] = true
		if table.Source == "" || len(table.Platforms) == 0 || table.Rows == nil || len(table.Columns) == 0 {
			t.Errorf("%s: not completely defined", table.Name)
		}
	}
	if len(names) != len(Tables()) {
		t.Error("two tables have one name")
	}
}

// here asks tables that need a constraint about something that is there.
func here(t testing.TB, table facts.Table) []facts.Constraint {
	for _, c := range table.Columns {
		if c.Required && c.Name == "path" {
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			return []facts.Constraint{equal("path", exe)}
		}
		if c.Required && c.Name == "channel" {
			return []facts.Constraint{equal("channel", "System")}
		}
	}
	return nil
}

// TestHere runs every table on this computer: it answers or says why not, and
// gives no column that it does not declare.
func TestHere(t *testing.T) {
	for _, table := range Tables() {
		t.Run(table.Name, func(t *testing.T) {
			rows, err := gather(t, table, here(t, table)...)
			if err != nil && !errors.Is(err, facts.ErrDenied) && !errors.Is(err, facts.ErrUnavailable) {
				t.Fatal(err)
			}
			for _, r := range rows {
				for column := range r {
					if !slices.ContainsFunc(table.Columns, func(c facts.Column) bool { return c.Name == column }) {
						t.Fatalf("row has a column %s", column)
					}
				}
			}
			t.Log(len(rows), "rows,", err)
		})
	}
}

// TestStops: a table gives back emit's error, and stops once its context is done.
func TestStops(t *testing.T) {
	stop := errors.New("enough")
	for _, table := range Tables() {
		t.Run(table.Name, func(t *testing.T) {
			rows, err := gather(t, table, here(t, table)...)
			if err != nil || len(rows) == 0 {
				return
			}
			q := facts.Query{Constraints: here(t, table), Used: func(string) bool { return true }}
			err = table.Rows(t.Context(), q, func(muster.Row) error { return stop })
			if !errors.Is(err, stop) {
				t.Errorf("emit's error is lost: %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			err = table.Rows(ctx, q, func(muster.Row) error { return nil })
			if err == nil {
				t.Error("goes on after its context is done")
			}
		})
	}
}

func BenchmarkTable(b *testing.B) {
	for _, table := range Tables() {
		b.Run(table.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := gather(b, table, here(b, table)...)
				if err != nil && !errors.Is(err, facts.ErrDenied) && !errors.Is(err, facts.ErrUnavailable) {
					b.Fatal(err)
				}
			}
		})
	}
}
