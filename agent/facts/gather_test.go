package facts_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// another is an engine that calls itself osquery and fails as told.
type another struct {
	facts.Engine
	lacks string
	err   error
	asked int
}

func (a *another) Name() string          { return "osquery" }
func (a *another) Has(table string) bool { return table != a.lacks && a.Engine.Has(table) }
func (a *another) Query(ctx context.Context, sql string, limit int) ([]muster.Row, error) {
	a.asked++
	if errors.Is(a.err, context.DeadlineExceeded) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	return a.Engine.Query(ctx, sql, limit)
}

func oneRow(name string) facts.Table {
	return facts.Table{Name: name, Columns: text("name"), Rows: rowsOf(muster.Row{"name": name})}
}

func on(platform muster.Platform, name, sql string) muster.Fact {
	return muster.Fact{Name: name, SQL: map[muster.Platform]string{platform: sql}}
}

func TestGatherChoosesTheEngine(t *testing.T) {
	preferred := oneRow("os_version")
	preferred.Preferred = true
	own := mustSQL(t, oneRow("users"), oneRow("muster_tpm"), preferred, oneRow("groups"))
	schema, err := facts.NewSchema([]facts.Table{oneRow("muster_tpm")})
	if err != nil {
		t.Fatal(err)
	}
	defer schema.Close()
	withRoutes := mustSQL(t, oneRow("users"), oneRow("routes"), oneRow("os_version"), oneRow("groups"))
	broken := fmt.Errorf("osquery: %w", facts.ErrEngineLost)
	for _, c := range []struct {
		name, sql string
		osquery   error
		status    muster.FactStatus
		engine    string
		reason    string
	}{
		{"osquery first", "SELECT username FROM users", nil, muster.FactError, "builtin", "no such column"},
		{"both", "SELECT 1 AS x FROM users", nil, muster.FactOK, "osquery", ""},
		{"own table", "SELECT 1 AS x FROM muster_tpm", nil, muster.FactOK, "builtin", ""},
		{"own table in a join", "SELECT 1 AS x FROM muster_tpm, users", nil, muster.FactOK, "builtin", ""},
		{"preferred", "SELECT name FROM os_version", nil, muster.FactOK, "builtin", ""},
		{"osquery alone", "SELECT 1 AS x FROM routes", nil, muster.FactOK, "osquery", ""},
		{"no engine", "SELECT 1 AS x FROM mounts", nil, muster.FactUnavailable, "", "table mounts is not available on this computer: osquery does not have mounts, builtin does not have mounts"},
		{"no engine for the join", "SELECT 1 AS x FROM routes, muster_tpm", nil, muster.FactUnavailable, "", "builtin does not have routes"},
		{"unavailable there", "SELECT 1 AS x FROM users", facts.ErrUnavailable, muster.FactOK, "builtin", ""},
		{"lost", "SELECT 1 AS x FROM users", broken, muster.FactOK, "builtin", ""},
		{"lost, no other", "SELECT 1 AS x FROM routes", broken, muster.FactUnavailable, "osquery", "does not answer"},
		{"hangs", "SELECT 1 AS x FROM users", context.DeadlineExceeded, muster.FactOK, "builtin", ""},
		{"hangs, no other", "SELECT 1 AS x FROM routes", context.DeadlineExceeded, muster.FactTimeout, "osquery", "no answer in time"},
		{"refused", "SELECT 1 AS x FROM curl", nil, muster.FactError, "", "refused"},
		{"wrong", "SELECT FROM users", nil, muster.FactError, "", "syntax error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &facts.Gatherer{
				Builtin: own, Osquery: &another{Engine: withRoutes, err: c.osquery}, Schema: schema,
				Platform: muster.Linux, Timeout: 200 * time.Millisecond,
			}
			if c.osquery == nil {
				g.Timeout = time.Minute
			}
			r := g.Gather(context.Background(), []muster.Fact{on(muster.Linux, c.name, c.sql)}, nil)[0]
			if r.Status != c.status || r.Engine != c.engine || !strings.Contains(r.Reason, c.reason) || (r.Reason == "") != (r.Status == muster.FactOK) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestGatherIsolatesFacts(t *testing.T) {
	hung := make(chan struct{})
	defer close(hung)
	own := mustSQL(t, oneRow("users"),
		facts.Table{Name: "groups", Columns: text("name"), Rows: func(context.Context, facts.Query, func(muster.Row) error) error {
			<-hung
			return nil
		}},
		facts.Table{Name: "mounts", Columns: text("name"), Rows: func(context.Context, facts.Query, func(muster.Row) error) error {
			return fmt.Errorf("open /proc/mounts: %w", facts.ErrDenied)
		}})
	lost := &another{Engine: own, err: facts.ErrEngineLost}
	g := &facts.Gatherer{Builtin: own, Osquery: lost, Schema: mustSchema(t), Platform: muster.Linux, Timeout: 200 * time.Millisecond}
	var seen []string
	got := g.Gather(context.Background(), []muster.Fact{
		on(muster.Linux, "hangs", "SELECT 1 AS x FROM groups"),
		on(muster.Linux, "denied", "SELECT 1 AS x FROM mounts"),
		on(muster.Windows, "elsewhere", "SELECT 1 AS x FROM registry"),
		on(muster.Linux, "works", "SELECT 1 AS x FROM users"),
		on(muster.Linux, "empty", "SELECT 1 AS x FROM users WHERE username = 'x'"),
	}, func(done, total int, name string) { seen = append(seen, fmt.Sprint(done, "/", total, " ", name)) })
	want := []muster.FactResult{
		{Name: "hangs", Status: muster.FactTimeout, Engine: "builtin", Reason: "no answer in time"},
		{Name: "denied", Status: muster.FactDenied, Engine: "builtin", Reason: "table mounts: open /proc/mounts: needs administrator rights"},
		{Name: "elsewhere", Status: muster.FactUnavailable, Reason: "fact elsewhere has no statement for linux"},
		{Name: "works", Status: muster.FactOK, Engine: "builtin", Rows: []muster.Row{{"x": "1"}}},
		{Name: "empty", Status: muster.FactError, Engine: "builtin", Reason: "no such column: username"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(muster.FactResult{}, "Duration")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"0/5 hangs", "1/5 denied", "2/5 elsewhere", "3/5 works", "4/5 empty", "5/5 "}, seen); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if lost.asked != 1 {
		t.Errorf("a lost engine was asked %d times", lost.asked)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r := g.Gather(ctx, []muster.Fact{on(muster.Linux, "late", "SELECT 1 AS x FROM users")}, nil)[0]; r.Status != muster.FactTimeout {
		t.Errorf("after the end: %+v", r)
	}
}

func TestSecretsAreWithheld(t *testing.T) {
	registry := facts.Table{Name: "registry", Columns: text("key", "name", "data"), Rows: rowsOf(
		muster.Row{"key": `HKEY_LOCAL_MACHINE\SOFTWARE\Winlogon`, "name": "DefaultPassword", "data": "hunter2"},
		muster.Row{"key": `HKEY_LOCAL_MACHINE\SOFTWARE\Winlogon`, "name": "Other", "data": "x"},
	)}
	sam := facts.Table{Name: "augeas", Columns: text("node", "path", "value"), Rows: rowsOf(
		muster.Row{"path": "/etc/shadow", "value": "$6$"})}
	e := mustSQL(t, registry, sam)
	want := []muster.Row{{"data": "present"}, {"data": "x"}}
	if diff := cmp.Diff(want, mustQuery(t, e, "SELECT data FROM registry")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := mustQuery(t, e, "SELECT data FROM registry WHERE data = 'hunter2'"); len(got) != 0 {
		t.Error("the password can be guessed")
	}
	if _, err := e.Query(context.Background(), "SELECT 1 FROM augeas", 10); !errors.Is(err, facts.ErrRefused) {
		t.Errorf("shadow: %v", err)
	}
}
