package recorded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
	"github.com/passmuster/muster/agent/facts/recorded"
)

func mustSchema(tb testing.TB) *facts.Schema {
	tb.Helper()
	s, err := facts.NewSchema(nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func mustOpen(tb testing.TB, name string) *recorded.Recording {
	tb.Helper()
	r, err := recorded.Open(filepath.Join("../../../testdata/hosts", name))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func mustEngine(tb testing.TB, r *recorded.Recording, schema *facts.Schema) facts.Engine {
	tb.Helper()
	e, err := r.Engine(schema)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { e.Close() })
	return e
}

func TestParseErrors(t *testing.T) {
	const head = `{"muster_recording": 1, "recorded_at": "2026-10-19T14:05:11Z", "hostname": "h", "platform": "linux", "profile": "ems", "engine": "e", `
	for text, want := range map[string]string{
		"":                        "not valid JSON",
		"{\n\"tables\": {\n,":     "line 3: not valid JSON",
		"[]":                      "line 1: want a JSON object, found array",
		`{"tables": {}}`:          `"muster_recording" is missing`,
		`{"muster_recording": 2}`: "version 2 and this program reads version 1",
		`{"muster_recording": 1}`: `platform "" is not known: use windows or linux`,
		head + `"tables": null}`:  `"tables" is missing`,
		head + `"tables": {"users": [{"uid": 0}]}}`:                                 `want text, found number: every value stands between quotation marks`,
		head + `"tables": {"users": [null]}}`:                                       "table users: row 1 is null",
		head + `"tables": {"users": {"uid": "0"}}}`:                                 "want []muster.Row, found object",
		head + `"tables": {"Users": []}}`:                                           `table "Users": a name has`,
		head + `"tables": {"users": [{"u id": "0"}]}}`:                              `column "u id"`,
		head + `"tables": {"users": []}, "unavailable": {"users": "denied"}}`:       "remove one of the two",
		head + `"tables": {}, "unavailble": {}}`:                                    `unknown field "unavailble"`,
		strings.Replace(head, "linux", "darwin", 1) + `"tables": {}}`:               `platform "darwin" is not known`,
		strings.Replace(head, `"ems"`, `"kiosk"`, 1) + `"tables": {}}`:              `profile "kiosk" is not known`,
		strings.Replace(head, "2026-10-19T14:05:11Z", "today", 1) + `"tables": {}}`: "cannot parse",
		head + `"tables": {}} {}`:                                                   "not valid JSON",
	} {
		r, err := recorded.Parse([]byte(text))
		if err == nil || r != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v %v\nwant %s", text, r, err, want)
		}
	}
	if _, err := recorded.Open(filepath.Join(t.TempDir(), "none.json")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// FuzzParse: what is read can be written, and reads the same again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"muster_recording": 1, "recorded_at": "2026-10-19T14:05:11Z", "platform": "linux", "unavailable": {"tpm_info": "no chip"}, "tables": {"users": [{"uid": "0", "username": "<é\u0000"}], "mounts": []}}`))
	f.Add([]byte(`{"muster_recording": 1, "tables": {}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := recorded.Parse(data)
		if err != nil {
			if r != nil {
				t.Error("a recording beside an error")
			}
			return
		}
		var b bytes.Buffer
		if _, err := r.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		again, err := recorded.Parse(b.Bytes())
		if err != nil {
			t.Fatalf("%v\n%s", err, b.Bytes())
		}
		r.RecordedAt = r.RecordedAt.UTC().Truncate(time.Second)
		if diff := cmp.Diff(r, again, cmp.Transformer("map", func(m map[string]string) map[string]string {
			full := map[string]string{}
			for k, v := range m {
				full[k] = v
			}
			return full
		}), cmp.Transformer("rows", func(rows []muster.Row) []muster.Row { return append([]muster.Row{}, rows...) })); diff != "" {
			t.Errorf("read again (-want +got):\n%s", diff)
		}
	})
}

func TestEngine(t *testing.T) {
	schema := mustSchema(t)
	r := mustOpen(t, "win11-workstation.json")
	r.Unavailable["tpm_info"] = "the service does not answer"
	delete(r.Tables, "tpm_info")
	r.Tables["muster_of_another_release"] = []muster.Row{{"a": "1"}}
	e := mustEngine(t, r, schema)
	count := func(sql string) int {
		t.Helper()
		rows, err := e.Query(context.Background(), sql, facts.DefaultRowLimit)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		return len(rows)
	}
	for sql, want := range map[string]int{
		"SELECT data FROM windows_eventlog WHERE channel = 'Security' AND eventid = 4625 AND timestamp = '86400000'":                  6,
		"SELECT data FROM windows_eventlog WHERE channel = 'Security' AND eventid IN (4625) AND timestamp = '1' AND time_range = '2'": 6,
		"SELECT data FROM windows_eventlog WHERE channel = 'Security' AND eventid > 9999":                                             0,
		`SELECT DISTINCT key FROM registry WHERE key LIKE 'HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\%'`:                                  0,
		"SELECT antispyware FROM windows_security_center":                                                                             1,
		"SELECT * FROM wmi_event_filters":         len(r.Tables["wmi_event_filters"]),
		"SELECT a FROM muster_of_another_release": 1,
	} {
		if got := count(sql); got != want {
			t.Errorf("%s: %d rows, want %d", sql, got, want)
		}
	}
	for sql, want := range map[string]string{
		"SELECT * FROM tpm_info": "the service does not answer",
		"SELECT * FROM sudoers":  "not in the recording",
	} {
		_, err := e.Query(context.Background(), sql, 10)
		if !errors.Is(err, facts.ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// hostFacts reach every kind of table: whole ones, ones that want a
// constraint, joins, and what the host does not have.
func hostFacts() []muster.Fact {
	var list []muster.Fact
	for i, sql := range []string{
		"SELECT name, version FROM os_version",
		"SELECT u.username FROM user_groups ug JOIN users u ON u.uid = ug.uid JOIN groups g ON g.gid = ug.gid WHERE g.group_sid = 'S-1-5-32-544'",
		`SELECT name, data FROM registry WHERE key = 'HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion' AND lower(name) = 'editionid'`,
		`SELECT key, name, data FROM registry WHERE key LIKE 'HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\%Profile' AND lower(name) IN ('enablefirewall')`,
		`SELECT f.path, h.sha256 FROM file f LEFT JOIN hash h ON h.path = f.path WHERE f.path LIKE 'C:\Program Files\%%' AND f.type = 'regular'`,
		"SELECT lp.port, p.name FROM listening_ports lp LEFT JOIN processes p ON p.pid = lp.pid WHERE lp.port != 0",
		"SELECT u.username, ce.identifier FROM users u CROSS JOIN chrome_extensions ce USING (uid)",
		"SELECT data FROM windows_eventlog WHERE channel = 'Security' AND eventid IN (4625, 4624) AND timestamp = '86400000'",
		"SELECT name FROM programs WHERE name LIKE '%java%' OR publisher LIKE 'G%'",
		"SELECT id FROM systemd_units",
	} {
		list = append(list, muster.Fact{Name: fmt.Sprint("fact", i), SQL: map[muster.Platform]string{muster.Windows: sql}})
	}
	return list
}

// TestRecord: a fact over the recording of a host is the fact over the host.
func TestRecord(t *testing.T) {
	schema := mustSchema(t)
	for _, name := range []string{"win11-workstation.json", "win10-ems.json"} {
		original := mustOpen(t, name)
		delete(original.Tables, "programs")
		original.Unavailable["programs"] = "the registry is locked"
		live := &facts.Gatherer{Builtin: mustEngine(t, original, schema), Schema: schema, Platform: muster.Windows}
		r, err := recorded.Record(context.Background(), live, schema, hostFacts(), recorded.Recording{
			RecordedAt: original.RecordedAt, Hostname: original.Hostname, Platform: original.Platform, Profile: original.Profile,
		}, recorded.DefaultRedactions())
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if _, err := r.WriteTo(&file); err != nil {
			t.Fatal(err)
		}
		if r, err = recorded.Parse(file.Bytes()); err != nil {
			t.Fatal(err)
		}
		replay := &facts.Gatherer{Builtin: mustEngine(t, r, schema), Schema: schema, Platform: muster.Windows}
		want := live.Gather(context.Background(), hostFacts(), nil)
		got := replay.Gather(context.Background(), hostFacts(), nil)
		ignore := cmp.FilterPath(func(p cmp.Path) bool {
			return p.Last().String() == ".Duration" || p.Last().String() == ".Reason"
		}, cmp.Ignore())
		if diff := cmp.Diff(want, got, ignore); diff != "" {
			t.Errorf("%s (-live +recorded):\n%s", name, diff)
		}
		for _, p := range r.Tables["processes"] {
			if _, args, more := strings.Cut(strings.TrimPrefix(p["cmdline"], `"`), `" `); more && args != "[redacted]" {
				t.Errorf("cmdline is not redacted: %s", p["cmdline"])
			}
		}
		if diff := cmp.Diff([]string{"programs", "systemd_units"}, slices.Sorted(maps.Keys(r.Unavailable))); diff != "" {
			t.Errorf("unavailable (-want +got):\n%s", diff)
		}
		if r.GivenBy != "recorded" {
			t.Errorf("given by %q", r.GivenBy)
		}
	}
}

func TestRecordErrors(t *testing.T) {
	schema := mustSchema(t)
	live := &facts.Gatherer{Builtin: mustEngine(t, mustOpen(t, "win10-ems.json"), schema), Schema: schema, Platform: muster.Windows}
	for sql, want := range map[string]string{
		"SELECT nosuch FROM users": "record fact x: no such column: nosuch",
		"SELECT * FROM curl":       "refused",
	} {
		list := []muster.Fact{{Name: "x", SQL: map[muster.Platform]string{muster.Windows: sql}}}
		_, err := recorded.Record(context.Background(), live, schema, list, recorded.Recording{Platform: muster.Windows}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := recorded.Record(ctx, live, schema, hostFacts(), recorded.Recording{Platform: muster.Windows}, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestParseRedaction(t *testing.T) {
	for _, s := range []string{"", "x", "x=", "=x", "a.b.c=x", "a.=x", "A=x", "a=("} {
		if _, err := recorded.ParseRedaction(s); err == nil {
			t.Errorf("%q passed", s)
		}
	}
	d, err := recorded.ParseRedaction("users.description=J.+=")
	if err != nil || d.Table != "users" || d.Column != "description" || d.Pattern.String() != "J.+=" {
		t.Errorf("%+v %v", d, err)
	}
}

func BenchmarkOpenEngine(b *testing.B) {
	schema, r := mustSchema(b), mustOpen(b, "win11-workstation.json")
	for b.Loop() {
		e, err := r.Engine(schema)
		if err != nil {
			b.Fatal(err)
		}
		e.Close()
	}
}

func BenchmarkFact(b *testing.B) {
	schema, r := mustSchema(b), mustOpen(b, "win11-workstation.json")
	e := mustEngine(b, r, schema)
	for b.Loop() {
		if _, err := e.Query(context.Background(), "SELECT lp.port, p.name FROM listening_ports lp LEFT JOIN processes p ON p.pid = lp.pid WHERE lp.port != 0", 1000); err != nil {
			b.Fatal(err)
		}
	}
}
