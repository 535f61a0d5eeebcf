package facts_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

var onBoth = []muster.Platform{muster.Linux, muster.Windows}

// rowsOf is a table's Rows that gives the same rows always.
func rowsOf(rows ...muster.Row) func(context.Context, facts.Query, func(muster.Row) error) error {
	return func(_ context.Context, _ facts.Query, emit func(muster.Row) error) error {
		for _, r := range rows {
			if err := emit(r); err != nil {
				return err
			}
		}
		return nil
	}
}

func text(names ...string) []facts.Column {
	var cols []facts.Column
	for _, n := range names {
		cols = append(cols, facts.Column{Name: n, Type: "text"})
	}
	return cols
}

func mustSQL(tb testing.TB, tables ...facts.Table) *facts.SQL {
	tb.Helper()
	for i := range tables {
		if tables[i].Platforms == nil {
			tables[i].Platforms = onBoth
		}
	}
	e, err := facts.NewSQL("builtin", muster.Linux, tables)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

func mustQuery(tb testing.TB, e facts.Engine, statement string) []muster.Row {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rows, err := e.Query(ctx, statement, facts.DefaultRowLimit)
	if err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
	return rows
}

var processes = facts.Table{
	Name: "processes",
	Columns: []facts.Column{
		{Name: "pid", Type: "bigint"}, {Name: "name", Type: "text"}, {Name: "share", Type: "double"},
		{Name: "secret", Type: "text", Hidden: true},
	},
	Rows: rowsOf(
		muster.Row{"pid": "1", "name": "init", "share": "0.5", "secret": "s"},
		muster.Row{"pid": "20", "name": "sshd"},
		muster.Row{"pid": "3", "name": "cron", "share": "2"},
	),
}

func TestSQLValues(t *testing.T) {
	e := mustSQL(t, processes)
	for _, c := range []struct {
		sql  string
		want []muster.Row
	}{
		{"SELECT * FROM processes WHERE pid = 1", []muster.Row{{"pid": "1", "name": "init", "share": "0.5"}}},
		{"SELECT pid FROM processes WHERE pid > 2 ORDER BY pid;", []muster.Row{{"pid": "3"}, {"pid": "20"}}},
		{"SELECT pid FROM processes WHERE pid IN ('20', 3) ORDER BY pid", []muster.Row{{"pid": "3"}, {"pid": "20"}}},
		{"SELECT name FROM PROCESSES WHERE secret = 's'", []muster.Row{{"name": "init"}}},
		{"SELECT name FROM processes WHERE share IS NULL", []muster.Row{{"name": "sshd"}}},
		{"SELECT share FROM processes WHERE pid = 3", []muster.Row{{"share": "2.0"}}},
		{"SELECT NULL a, 1/0 b, x'00ff' c, 1.5 d, 'x' e -- so", []muster.Row{{"a": "", "b": "", "c": "", "d": "1.5", "e": "x"}}},
		{"SELECT name FROM processes WHERE name = 'nobody'", nil},
		{"SELECT name FROM processes WHERE name LIKE 'i%' OR name LIKE '%i%' OR name LIKE 'c%'",
			[]muster.Row{{"name": "init"}, {"name": "cron"}}},
		{"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 3) SELECT x FROM c",
			[]muster.Row{{"x": "1"}, {"x": "2"}, {"x": "3"}}},
		{"VALUES ('a;b')", []muster.Row{{"column1": "a;b"}}},
	} {
		if diff := cmp.Diff(c.want, mustQuery(t, e, c.sql)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.sql, diff)
		}
	}
}

// asked is a table of files that requires path or directory and notes what it
// was asked.
func asked(log *[]string) facts.Table {
	return facts.Table{
		Name: "file",
		Columns: []facts.Column{
			{Name: "path", Type: "text", Required: true}, {Name: "directory", Type: "text", Required: true}, {Name: "size", Type: "bigint"},
		},
		Rows: func(_ context.Context, q facts.Query, emit func(muster.Row) error) error {
			var parts []string
			for _, c := range q.Constraints {
				parts = append(parts, c.Column+[]string{"=", "~"}[c.Op]+c.Value)
			}
			for _, c := range []string{"path", "directory", "size"} {
				if q.Used(c) {
					parts = append(parts, c)
				}
			}
			*log = append(*log, strings.Join(parts, " "))
			if path, ok := q.Equals("path"); ok {
				return emit(muster.Row{"path": path, "size": strconv.Itoa(len(path))})
			}
			for _, p := range []string{"/opt/a", "/opt/b"} {
				if err := emit(muster.Row{"path": p, "directory": "/opt", "size": "6"}); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func TestSQLPushesDown(t *testing.T) {
	var log []string
	hash := facts.Table{
		Name:    "hash",
		Columns: []facts.Column{{Name: "path", Type: "text", Required: true}, {Name: "sha256", Type: "text"}},
		Rows: func(_ context.Context, q facts.Query, emit func(muster.Row) error) error {
			path, _ := q.Equals("path")
			log = append(log, "hash="+path)
			return emit(muster.Row{"path": path, "sha256": "h" + path})
		},
	}
	e := mustSQL(t, asked(&log), hash)
	for _, c := range []struct{ sql, asked string }{
		{"SELECT path FROM file WHERE path = '/x'", "path=/x path"},
		{"SELECT size FROM file WHERE path IN ('/x', '/y')", "path=/x path size; path=/y path size"},
		{"SELECT path FROM file WHERE path LIKE '/opt/%'", "path~/opt/% path"},
		{"SELECT f.path, h.sha256 FROM file f JOIN hash h ON h.path = f.path WHERE f.path LIKE '/opt/%%'", "path~/opt/%% path; hash=/opt/a; hash=/opt/b"},
		{"SELECT f.path, h.sha256 FROM file f LEFT JOIN hash h ON h.path = f.path WHERE f.directory = '/opt'", "directory=/opt path directory; hash=/opt/a; hash=/opt/b"},
		{"SELECT a.path FROM file a, file b WHERE a.path = '/x' AND b.path = '/x'", "path=/x path"},
	} {
		log = nil
		if len(mustQuery(t, e, c.sql)) == 0 {
			t.Errorf("%s: no rows", c.sql)
		}
		if got := strings.Join(log, "; "); got != c.asked {
			t.Errorf("%s:\n got %s\nwant %s", c.sql, got, c.asked)
		}
	}
	_, err := e.Query(context.Background(), "SELECT * FROM file", 10)
	if err == nil || !strings.Contains(err.Error(), "Table file was queried without a required column in the WHERE clause") {
		t.Errorf("no required column: %v", err)
	}
}

// TestSQLLimit: a table that stops at the limit it is told, however it meets its
// constraints, gives the answer of one that never stops.
func TestSQLLimit(t *testing.T) {
	table := func(stops bool, told *int) facts.Table {
		return facts.Table{Name: "events", Columns: []facts.Column{{Name: "n", Type: "integer"}, {Name: "kind", Type: "text"}},
			Rows: func(_ context.Context, q facts.Query, emit func(muster.Row) error) error {
				if *told = q.Limit; !stops {
					q.Limit = 0
				}
				given := 0
				for n := range 100 {
					row := muster.Row{"n": strconv.Itoa(n), "kind": "k" + strconv.Itoa(n%3)}
					if kind, ok := q.Equals("kind"); ok && kind != row["kind"] {
						continue
					}
					if n2, ok := q.Equals("n"); ok && n2 != row["n"] {
						continue
					}
					if given++; q.Limit > 0 && given > q.Limit {
						return nil
					}
					if err := emit(row); err != nil {
						return err
					}
				}
				return nil
			}}
	}
	for _, c := range []struct {
		statement string
		told      int
	}{
		{"SELECT * FROM events LIMIT 5", 5},
		{"SELECT n FROM events WHERE kind = 'k1' LIMIT 5", 5},
		{"SELECT 1 AS a, * FROM (SELECT n FROM events WHERE kind = 'k1' LIMIT 5) UNION ALL SELECT 2, 3", 5},
		{"SELECT count(*) AS c FROM (SELECT n FROM events WHERE kind = 'k1' LIMIT 5)", 5},
		{"SELECT n FROM events WHERE kind = 'k1' AND n = 4 LIMIT 5", 5},
		{"SELECT n FROM events WHERE kind = 'k1' LIMIT 5 OFFSET 2", 0},
		{"SELECT n FROM events WHERE kind = 'k1' ORDER BY n DESC LIMIT 5", 0},
		{"SELECT n FROM events WHERE n > 50 LIMIT 5", 0},
		{"SELECT n FROM events WHERE lower(kind) = 'k1' LIMIT 5", 0},
		{"SELECT n FROM events WHERE kind IN ('k1', 'k2') LIMIT 5", 0},
		{"SELECT n FROM events WHERE kind = 'k1' OR n = 7 LIMIT 5", 0},
		{"SELECT DISTINCT kind FROM events LIMIT 2", 0},
		{"SELECT kind, count(*) AS c FROM events GROUP BY kind LIMIT 2", 0},
		{"SELECT a.n FROM events a JOIN events b ON a.n = b.n LIMIT 3", 0},
	} {
		var told, ignored int
		stopping, whole := mustSQL(t, table(true, &told)), mustSQL(t, table(false, &ignored))
		if diff := cmp.Diff(mustQuery(t, whole, c.statement), mustQuery(t, stopping, c.statement)); diff != "" {
			t.Errorf("%s:\n%s", c.statement, diff)
		}
		if told != c.told {
			t.Errorf("%s: told %d, want %d", c.statement, told, c.told)
		}
	}
}

func TestSQLErrors(t *testing.T) {
	failing := func(name string, err error) facts.Table {
		return facts.Table{Name: name, Columns: text("a"), Rows: func(context.Context, facts.Query, func(muster.Row) error) error { return err }}
	}
	e := mustSQL(t, processes,
		failing("denied", fmt.Errorf("open /etc/shadow: %w", facts.ErrDenied)),
		failing("absent", facts.ErrUnavailable),
		facts.Table{Name: "panics", Columns: text("a"), Rows: func(_ context.Context, q facts.Query, emit func(muster.Row) error) error {
			return emit([]muster.Row{}[len(q.Constraints)])
		}})
	for _, c := range []struct {
		sql  string
		is   error
		text string
	}{
		{"SELECT * FROM denied", facts.ErrDenied, "table denied: open /etc/shadow: needs administrator rights"},
		{"SELECT p.pid FROM processes p LEFT JOIN denied d ON d.a = p.name", facts.ErrDenied, ""},
		{"SELECT * FROM absent", facts.ErrUnavailable, ""},
		{"SELECT * FROM nosuch", facts.ErrUnavailable, "no such table: nosuch"},
		{"SELECT nosuch FROM processes", nil, "no such column: nosuch"},
		{"SELECT 1 FROM FROM", nil, `near "FROM": syntax error`},
		{"SELECT * FROM panics", nil, "the table failed"},
		{"SELECT 1; SELECT 2", facts.ErrRefused, "more than one statement"},
		{"  -- nothing\n ;", nil, "empty"},
		{"SELECT muster_emit(1)", facts.ErrRefused, ""},
		{"ATTACH '/tmp/x' AS y", facts.ErrRefused, ""},
	} {
		_, err := e.Query(context.Background(), c.sql, 10)
		if err == nil || !strings.Contains(err.Error(), c.text) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", c.sql, err)
		}
		if got := mustQuery(t, e, "SELECT name FROM processes WHERE pid = 1"); len(got) != 1 {
			t.Errorf("engine is not usable after %s", c.sql)
		}
	}
}

func TestSQLIsBounded(t *testing.T) {
	hung := make(chan struct{})
	defer close(hung)
	e := mustSQL(t, processes,
		facts.Table{Name: "hangs", Columns: text("a"), Rows: func(context.Context, facts.Query, func(muster.Row) error) error {
			<-hung
			return nil
		}},
		facts.Table{Name: "endless", Columns: text("a"), Rows: func(_ context.Context, _ facts.Query, emit func(muster.Row) error) error {
			for {
				if err := emit(muster.Row{"a": strings.Repeat("x", 1000)}); err != nil {
					return err
				}
			}
		}})
	const million = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 10000000) "
	if got := mustQuery(t, e, million+"SELECT DISTINCT x || printf('%.*c', 100, 'x') AS y FROM (SELECT x FROM c LIMIT 19000) ORDER BY y"); len(got) != 19000 {
		t.Errorf("%d rows sorted", len(got))
	}
	const endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) "
	for _, c := range []struct {
		sql  string
		is   error
		text string
	}{
		{million + "SELECT x FROM c", nil, "more than 20000 rows"},
		{"SELECT a.* FROM processes a, processes b, processes c, processes d, processes e, processes f, processes g, processes h, processes i, processes j, processes k", nil, "more than 20000 rows"},
		{endless + "SELECT x FROM c WHERE x = 1", context.DeadlineExceeded, ""},
		{endless + "SELECT count(*) FROM c", context.DeadlineExceeded, ""},
		{million + "SELECT x FROM c ORDER BY -x", nil, "more memory"},
		{million + "SELECT DISTINCT x || 'abcdefghijklmnopqrstuvwxyz' FROM c LIMIT 1 OFFSET 9000000", nil, "more memory"},
		{million + "SELECT group_concat(printf('%.*c', 100000, 'x')) FROM (SELECT x FROM c LIMIT 300)", nil, "too big"},
		{"SELECT printf('%.*c', 100000000, 'x')", nil, "too big"},
		{million + "SELECT x, printf('%.*c', 100000, 'x') FROM c", nil, "more than 16 MiB"},
		{"SELECT * FROM hangs", context.DeadlineExceeded, ""},
		{"SELECT count(*) FROM endless", nil, "more than 64 MiB"},
	} {
		timeout := time.Minute
		if errors.Is(c.is, context.DeadlineExceeded) {
			timeout = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		_, err := e.Query(ctx, c.sql, facts.DefaultRowLimit)
		cancel()
		if err == nil || !strings.Contains(err.Error(), c.text) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", c.sql, err)
		}
		if got := mustQuery(t, e, "SELECT name FROM processes WHERE pid = 1"); len(got) != 1 {
			t.Errorf("engine is not usable after %s", c.sql)
		}
	}
}
