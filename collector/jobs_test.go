package collector

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/hooks"
	"github.com/passmuster/muster/collector/store/postgres/pgtest"
)

// Two collectors before one database tell a webhook of each event once, and the other
// takes over when one ends.
func TestTwoCollectorsSendOnce(t *testing.T) {
	if _, err := pgtest.Find(); err != nil {
		t.Skip(err)
	}
	database := pgtest.Start(t).NewDatabase(t)
	var mu sync.Mutex
	got := map[string]int{} // by host
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Data muster.Event }
		b, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(b, &m); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		got[string(m.Data.Host)]++
	}))
	defer receiver.Close()
	hook := hooks.Hook{Name: "a", URL: receiver.URL, Kinds: []string{muster.EventPending}}
	var two [2]*running
	for i := range two {
		two[i] = start(t, func(o *Options) { o.Database, o.Hooks = database, []hooks.Hook{hook} })
	}
	want := map[string]int{}
	wait := func() {
		t.Helper()
		for {
			mu.Lock()
			same, twice := maps.Equal(got, want), false
			for _, n := range got {
				twice = twice || n > 1
			}
			mu.Unlock()
			if twice {
				t.Fatalf("sent %v", got)
			}
			if same {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	for _, r := range two {
		for range 3 {
			want[string(ship(t, r, ""))]++
		}
	}
	wait()
	leader := two[0]
	if _, last := leader.history.read(); len(last) == 0 {
		leader = two[1]
	}
	must(t, leader.stop())
	for _, r := range two {
		if r != leader {
			if _, last := r.history.read(); len(last) > 0 {
				t.Error("both did the jobs")
			}
			want[string(ship(t, r, ""))]++
		}
	}
	wait()
}

func TestReadyAndMetrics(t *testing.T) {
	r := start(t)
	ship(t, r, r.keys.hostToken)
	code, _, body := get(t, http.DefaultClient, r.base+"/readyz", "")
	var ready Readiness
	must(t, json.Unmarshal([]byte(body), &ready))
	if code != http.StatusOK || !ready.Ready || len(ready.Parts) != 3 {
		t.Errorf("%d %s", code, body)
	}
	if code, _, _ := get(t, http.DefaultClient, r.base+"/metrics", ""); code == http.StatusOK {
		t.Error("anyone reads the metrics")
	}
	code, _, body = get(t, http.DefaultClient, r.base+"/metrics", apiToken(t, r))
	for _, want := range []string{
		"muster_database_up 1", `muster_hosts{state="failing"} 1`, "muster_counties 1", `muster_ingest_reports_total{code="stored"} 1`,
		"muster_ingest_commit_seconds_count 1", "muster_ingest_commit_reports_sum 1", "muster_build_info{", "go_goroutines",
	} {
		if code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%d, no %q in\n%s", code, want, body)
		}
	}
	must(t, r.stop())
	ready = r.readiness(context.Background())
	if ready.Ready || ready.Parts[0].Ready {
		t.Errorf("%+v", ready)
	}
}

func TestJobsThatFailAreCounted(t *testing.T) {
	c, err := Open(t.Context(), Options{Data: t.TempDir()})
	must(t, err)
	defer c.Close()
	ctx, stop := context.WithCancel(t.Context())
	tries := 0
	c.repeat(ctx, job{"test", time.Millisecond, func(context.Context) error {
		if tries++; tries > 2 {
			stop()
		}
		return fmt.Errorf("try %d", tries)
	}})
	if failures, _ := c.history.read(); failures["test"] != 2 {
		t.Errorf("%v after %d tries", failures, tries)
	}
}

func TestCheck(t *testing.T) {
	find := func(list []Finding, subject string) Finding {
		t.Helper()
		for _, f := range list {
			if f.Subject == subject {
				return f
			}
		}
		t.Errorf("nothing about %s in %+v", subject, list)
		return Finding{}
	}
	expect := func(list []Finding, want map[string]string) {
		t.Helper()
		for subject, state := range want {
			if f := find(list, subject); f.State != state || f.State != CheckOK && f.Next == "" {
				t.Errorf("%+v, want %s", f, state)
			}
		}
	}
	nowhere := Options{Data: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:1"}
	expect(Check(t.Context(), nowhere), map[string]string{"data folder": CheckWarning, "keys": CheckWarning, "database": CheckWarning, "collector": CheckWarning})
	if _, err := os.Stat(nowhere.Data); err == nil {
		t.Error("the check made a folder")
	}

	r := start(t)
	o := r.Options
	o.Listen = strings.TrimPrefix(r.base, "http://")
	o.Hooks = []hooks.Hook{{Name: "a", URL: "http://127.0.0.1:1"}, {Name: "b", URL: r.base}}
	expect(Check(t.Context(), o), map[string]string{"data folder": CheckOK, "keys": CheckOK, "database": CheckOK, "clock": CheckOK,
		"receipt key": CheckOK, "collector database": CheckOK, "collector policy": CheckOK, "webhook a": CheckFail, "webhook b": CheckOK})

	must(t, r.stop())
	must(t, os.Chmod(o.Data, 0o755))
	must(t, os.Remove(filepath.Join(o.Data, "keys", receiptFile)))
	o.Database = "postgres://muster@127.0.0.1:1/muster?connect_timeout=1"
	expect(Check(t.Context(), o), map[string]string{"data folder": CheckFail, "keys": CheckFail, "database": CheckFail})
}
