package builtin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// moving are tables whose rows change while they are asked.
var moving = []string{"interface_details", "listening_ports", "logical_drives", "mounts", "muster_time_sync",
	"process_open_sockets", "processes", "time", "uptime", "windows_eventlog"}

// counting columns go on between two questions: packets of other programs pass.
var counting = map[string][]string{"iptables": {"packets", "bytes"}}

// agrees asks each table for the rows with a value in each of the ways in which
// SQL can, and compares with the rows of the whole table that SQLite itself
// finds to have it: + keeps a constraint from the table.
func agrees(t *testing.T, tables []facts.Table) {
	t.Helper()
	engine, err := facts.NewSQL("builtin", muster.Platform(runtime.GOOS), tables)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	ask := func(statement string, without ...string) ([]string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		rows, err := engine.Query(ctx, statement, 1<<20)
		var texts []string
		for _, r := range rows {
			for _, column := range without {
				delete(r, column)
			}
			texts = append(texts, fmt.Sprint(r)) // fmt sorts the columns
		}
		slices.Sort(texts)
		return texts, err
	}
	for _, table := range tables {
		if slices.Contains(moving, table.Name) {
			continue
		}
		from := "SELECT t.* FROM " + quoted(table.Name) + " t WHERE 1"
		for _, c := range here(t, table) {
			from += " AND t." + c.Column + " = " + literal("text", c.Value)
		}
		rows, err := gather(t, table, here(t, table)...)
		if err != nil {
			if _, sqlErr := ask(from); !sameKind(sqlErr, err) {
				t.Errorf("%s: %v, by SQL %v", table.Name, err, sqlErr)
			}
			continue
		}
		columns := table.Columns
		if table.Whole {
			columns = columns[:1] // it is told of no constraint
		}
		for _, c := range columns {
			if slices.Contains(counting[table.Name], c.Name) {
				continue
			}
			values := someValues(rows, c.Name)
			var all []string
			for _, value := range values {
				all = append(all, literal(c.Type, value))
			}
			in := " IN (" + strings.Join(all, ", ") + ")"
			for _, value := range values {
				v, column := literal(c.Type, value), "t."+quoted(c.Name)
				for what, pair := range map[string][2]string{
					"=":    {from + " AND " + column + " = " + v, from + " AND +" + column + " = " + v},
					"IN":   {from + " AND " + column + in, from + " AND +" + column + in},
					"LIKE": {from + " AND " + column + " LIKE " + v, from + " AND +" + column + " LIKE " + v},
					"join": {"SELECT t.* FROM (SELECT " + v + " AS x) j CROSS JOIN" + strings.TrimPrefix(from, "SELECT t.* FROM") + " AND " + column + " = j.x",
						from + " AND +" + column + " = " + v},
				} {
					if what == "LIKE" && (c.Required || strings.ContainsAny(value, "%_")) {
						continue // a pattern of osquery's own
					}
					got, err := ask(pair[0], counting[table.Name]...)
					if errors.Is(err, facts.ErrRefused) {
						continue // says more than no rows
					}
					want, wantErr := ask(pair[1], counting[table.Name]...)
					if err != nil || wantErr != nil || !slices.Equal(got, want) {
						t.Errorf("%s: %s\n%d rows (%v), of the whole table %d (%v)\n%.400s\n%.400s", table.Name, pair[0], len(got), err, len(want), wantErr, fmt.Sprint(got), fmt.Sprint(want))
					}
				}
			}
		}
	}
}

// sameKind reports whether two errors become the same status.
func sameKind(a, b error) bool {
	for _, kind := range []error{facts.ErrDenied, facts.ErrUnavailable} {
		if errors.Is(a, kind) != errors.Is(b, kind) {
			return false
		}
	}
	return a != nil && b != nil
}

// someValues are a few of a column's values and, with its case changed, one more.
func someValues(rows []muster.Row, column string) []string {
	values := map[string]bool{}
	for _, r := range rows {
		if values[r[column]] = true; len(values) == 2 {
			break
		}
	}
	for v := range maps.Clone(values) {
		values[strings.ToUpper(v)] = true
	}
	return slices.Sorted(maps.Keys(values))
}

func quoted(name string) string { return `"` + name + `"` }

func literal(columnType, value string) string {
	if columnType != "text" && columnType != "datetime" && value != "" && strings.Trim(value, "-0123456789.") == "" {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", "''") + "'"
}

// TestTablesAgree asks this computer.
func TestTablesAgree(t *testing.T) { agrees(t, Tables()) }
