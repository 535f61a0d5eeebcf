package facts_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster/agent/facts"
)

func mustSchema(tb testing.TB) *facts.Schema {
	tb.Helper()
	s, err := facts.NewSchema(nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func TestCheckPasses(t *testing.T) {
	s := mustSchema(t)
	for sql, tables := range map[string][]string{
		"SELECT name FROM os_version;":                     {"os_version"},
		"SELECT name FROM OS_Version -- ; comment":         {"os_version"},
		`SELECT "name" FROM "os_version" WHERE name = ';'`: {"os_version"},
		"SELECT count(*) FROM users":                       {"users"},
		"SELECT 1 AS one":                                  nil,
		"SELECT datetime FROM windows_eventlog WHERE channel = 'Security' AND timestamp = '1'":                 {"windows_eventlog"},
		"SELECT f.path, h.sha256 FROM file f LEFT JOIN hash h ON h.path = f.path":                              {"file", "hash"},
		"SELECT u.username, ce.name FROM users u CROSS JOIN chrome_extensions ce USING (uid)":                  {"chrome_extensions", "users"},
		"SELECT time FROM last WHERE time > (SELECT unix_time FROM time) - 86400":                              {"last", "time"},
		"WITH u AS (SELECT uid FROM users), n(x) AS (SELECT count(*) FROM u) SELECT x, lower('A') AS a FROM n": {"users"},
		"SELECT count(*) FROM (SELECT 1) AS q":                                                                 nil,
		"SELECT username FROM users UNION ALL SELECT command FROM crontab":                                     {"crontab", "users"},
	} {
		got, err := s.Check(sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		if diff := cmp.Diff(tables, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sql, diff)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	s := mustSchema(t)
	for _, c := range []struct {
		sql     string
		refused bool
		text    string
	}{
		{"", false, "empty"},
		{" ; ; -- nothing", false, "empty"},
		{"SELECT 1; SELECT 2", true, "more than one statement"},
		{"SELECT 1; /* x */ DROP TABLE users", true, "more than one statement"},
		{"SELECT 1\x00", false, "NUL"},
		{"SELECT " + strings.Repeat(" ", 300_000) + "1", false, "longer than 256 KiB"},
		{"SELECT nosuch FROM users", false, "no such column: nosuch"},
		{"SELECT * FROM nosuch", false, "no such table: nosuch"},
		{"SELECT username, username FROM users", false, "two columns of the answer are named username"},
		{"SELECT 1 FROM", false, "incomplete input"},
		{"SELECT 'open", false, "unrecognized token"},
		{"SELECT * FROM curl WHERE url = 'http://example.gov'", true, "it asks the network"},
		{"SELECT count(*) FROM CARVES", true, "it reads or copies"},
		{"SELECT 1 FROM users WHERE EXISTS (SELECT 1 FROM shell_history)", true, "what people did"},
		{"WITH x AS (SELECT key, value FROM process_envs) SELECT * FROM x", true, "secrets"},
		{"SELECT * FROM yara_file", true, ""},
		{"SELECT * FROM sqlite_schema", true, "not part of the schema"},
		{"SELECT count(*) FROM sqlite_master", true, ""},
		{"SELECT * FROM pragma_database_list", true, ""},
		{"SELECT count(*) FROM pragma_database_list", true, ""},
		{"SELECT value FROM json_each('[1]')", true, ""},
		{"SELECT * FROM dbstat", true, ""},
		{"SELECT count(*) FROM sqlite_dbpage", true, ""},
		{"PRAGMA database_list", true, "only SELECT"},
		{"ATTACH '/tmp/x' AS x", true, "only SELECT"},
		{"VACUUM INTO '/tmp/x'", true, "only SELECT"},
		{"CREATE TABLE x(a)", true, "only SELECT"},
		{"CREATE TEMP VIEW x AS SELECT 1", true, "only SELECT"},
		{"DELETE FROM users", true, "only SELECT"},
		{"INSERT INTO users VALUES (1)", true, "only SELECT"},
		{"BEGIN", true, "only SELECT"},
		{"EXPLAIN SELECT 1", true, "begins with explain"},
		{"SELECT load_extension('/tmp/x.so')", true, "function load_extension"},
		{"SELECT randomblob(1000000000)", true, "function randomblob"},
		{"SELECT zeroblob(1000000000)", true, "function zeroblob"},
		{"SELECT readfile('/etc/shadow')", false, "no such function: readfile"},
		{"SELECT fts3_tokenizer('x')", false, "no such function"},
		{"SELECT muster_emit(1)", true, "function muster_emit"},
		{"SELECT random()", true, "function random"},
		{"SELECT ?", false, "has a parameter"},
		{"SELECT name FROM users WHERE uid = :uid", false, "has a parameter"},
		{"WITH sqlite_master(a) AS (SELECT 1) SELECT sql FROM main.sqlite_master", true, "not part of the schema"},
	} {
		tables, err := s.Check(c.sql)
		if err == nil || !strings.Contains(err.Error(), c.text) || errors.Is(err, facts.ErrRefused) != c.refused {
			t.Errorf("%.60s: %v %v", c.sql, tables, err)
		}
	}
}

func TestSchemaTable(t *testing.T) {
	s := mustSchema(t)
	file, ok := s.Table("file")
	if !ok || cmp.Diff([]string{"path", "directory", "pid_with_namespace"}, file.Indexed) != "" {
		t.Errorf("file: %v %v", ok, file.Indexed)
	}
	if extensions, _ := s.Table("chrome_extensions"); cmp.Diff([]string{"uid"}, extensions.Indexed) != "" {
		t.Errorf("chrome_extensions: %v", extensions.Indexed)
	}
	if users, _ := s.Table("users"); users.Indexed != nil {
		t.Errorf("users: %v", users.Indexed)
	}
	if _, ok := s.Table("nosuch"); ok {
		t.Error("nosuch is known")
	}
}

// FuzzCheck: what passes reads known tables only and runs without touching
// anything else.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		"SELECT name FROM os_version WHERE name LIKE 'a%' OR major IN (1, 2);",
		"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c LIMIT 3) SELECT x FROM c",
		"SELECT 'a;b' /* ; */ AS [x;y] -- ;",
		"SELECT * FROM pragma_database_list", "SELECT 1;;", "\"", "/*",
	} {
		f.Add(seed)
	}
	s := mustSchema(f)
	f.Fuzz(func(t *testing.T, sql string) {
		tables, err := s.Check(sql)
		if err != nil {
			return
		}
		for _, name := range tables {
			if _, known := s.Table(name); !known {
				t.Errorf("%q reads %s", sql, name)
			}
		}
		limited, err := facts.Limited(sql, 1)
		if err != nil {
			t.Fatalf("%q passed, but: %v", sql, err)
		}
		again, err := s.Check(limited)
		if err != nil || cmp.Diff(tables, again) != "" {
			t.Errorf("%q passed with %v, limited %v %v", sql, tables, again, err)
		}
	})
}
