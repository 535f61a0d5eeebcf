package collector

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
)

// release is a signed bundle as far as a collector looks into it.
func release(t *testing.T, version int, severity string) []byte {
	t.Helper()
	return tarball(t, releaseFiles(version, severity))
}

func releaseFiles(version int, severity string) map[string]string {
	return map[string]string{
		".manifest":        fmt.Sprintf(`{"revision": "r%d", "metadata": {"muster": {"version": %d}}}`, version, version),
		".signatures.json": `{}`,
		"controls.json":    fmt.Sprintf(`[{"id": "MVS-ENC-01", "title": "Another title", "severity": %q}]`, severity),
	}
}

func TestPublish(t *testing.T) {
	r := start(t)
	publish := func(files map[string]string) error {
		_, err := r.Publish(t.Context(), tarball(t, files), muster.RingAll, "console")
		return err
	}
	for missing := range releaseFiles(7, "low") {
		some := maps.Clone(releaseFiles(7, "low"))
		delete(some, missing)
		if publish(some) == nil {
			t.Errorf("published without %s", missing)
		}
	}
	for name, says := range map[string]string{`{"revision": "r"}`: "no version number", `{}`: "no .manifest with a revision"} {
		some := releaseFiles(7, "low")
		some[".manifest"] = name
		if err := publish(some); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 2 {
		must(t, publish(releaseFiles(7, "low")))
	}
	if err := publish(releaseFiles(6, "low")); err == nil || !strings.Contains(err.Error(), "higher") {
		t.Error(err)
	}
	if err := publish(releaseFiles(20991231_235959, "low")); err == nil || !strings.Contains(err.Error(), "far above the newest, 7") || !strings.Contains(err.Error(), "--version 8") {
		t.Error(err)
	}
	for name, text := range map[string]string{"lists/data.yaml": "l: [", "controls.json": `[{"id": "A", "lists": 1}]`} {
		some := releaseFiles(8, "low")
		some[name] = text
		if err := publish(some); err == nil || !strings.Contains(err.Error(), "publish policy: ") {
			t.Errorf("with %s: %v", name, err)
		}
	}
	log, err := r.store.AuditLog(t.Context(), 0, 9)
	must(t, err)
	if len(log) != 2 || log[0].Action != "publish_policy" || log[1].Action != "start" {
		t.Errorf("log: %+v", log)
	}
	must(t, r.reload(t.Context()))
	if s := r.view.Load().severity("MVS-ENC-01"); s != muster.SeverityLow {
		t.Errorf("severity by the new policy: %v", s)
	}
	if s := r.view.Load().severity("NEW-01"); s != muster.SeverityCritical {
		t.Errorf("severity of a control that nobody knows: %v", s)
	}
	if code, _, body := get(t, http.DefaultClient, r.base+"/v1/policy", ""); code != http.StatusOK || body != string(release(t, 7, "low")) {
		t.Errorf("policy: %d, %d bytes", code, len(body))
	}
}

// A version may count up or tell the time, as any state likes, and whatever was published
// others can follow.
func TestHighest(t *testing.T) {
	now := time.Date(2026, 11, 23, 23, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		newest, version int64
		fits            bool
	}{
		{0, 1, true}, {0, 7, true}, {14, 15, true}, {0, 20261123, true}, {14, 20261123, true}, {14, 2026112301, true}, {14, 202611232300, true},
		{0, 20261124_010000, true}, {0, 20261126_000000, false}, {0, 1 << 53, false}, {0, math.MaxInt64, false},
		{20261124_235959, 20261124_235960, true}, {20261124_235959, 20261126_000000, false},
	} {
		if fits := c.version <= highest(c.newest, now); fits != c.fits {
			t.Errorf("version %d after %d: %v", c.version, c.newest, fits)
		}
	}
	newest := int64(0)
	for range 100 {
		before := newest
		if newest = highest(newest, now); newest < before+leap || newest > 1<<53 {
			t.Fatalf("after %d comes %d", before, newest)
		}
	}
}

// The way of a policy through the rings, over the API, as hosts see it.
func TestRollout(t *testing.T) {
	r := start(t)
	token := apiToken(t, r)
	canary := ship(t, r, r.keys.hostToken)
	call := func(method, path string, body []byte, wantCode int, wantText string) {
		t.Helper()
		req, err := http.NewRequest(method, r.base+path, bytes.NewReader(body))
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		must(t, err)
		if resp.StatusCode != wantCode || !strings.Contains(string(text), wantText) {
			t.Errorf("%s %s: %s %s", method, path, resp.Status, text)
		}
	}
	offered := func(host muster.HostID, want int) {
		t.Helper()
		code, _, body := get(t, http.DefaultClient, r.base+"/v1/policy?host="+string(host), "")
		if want == 0 && code != http.StatusNotFound || want != 0 && (code != http.StatusOK || body != string(release(t, want, "low"))) {
			t.Errorf("host %q is offered %d, %d bytes, want version %d", host, code, len(body), want)
		}
	}
	offered(canary, 0)
	call("PUT", "/api/v1/rings", []byte(`{"host": "`+canary+`", "ring": "canary"}`), 200, `"canary"`)
	call("PUT", "/api/v1/rings", []byte(`{"county": "18001", "ring": "canary"}`), 422, "not of state 17")
	call("PUT", "/api/v1/rings", []byte(`{"county": "17031", "ring": "beta"}`), 422, "canary, early or all")
	call("PUT", "/api/v1/rings", []byte(`{"ring": "all"}`), 422, "a county or a host")
	call("PUT", "/api/v1/rings", []byte(`?`), 400, "want")
	call("GET", "/api/v1/rings", nil, 200, string(canary))

	call("POST", "/api/v1/policies?ring=all", release(t, 7, "low"), 201, `"version":7`)
	call("POST", "/api/v1/policies", release(t, 8, "low"), 201, `"ring":"canary"`)
	call("POST", "/api/v1/policies?ring=beta", release(t, 9, "low"), 400, "canary, early or all")
	call("POST", "/api/v1/policies", release(t, 5, "low"), 409, "higher")
	call("POST", "/api/v1/policies", []byte("junk"), 422, "no policy bundle")
	call("POST", "/api/v1/policies", make([]byte, maxBundle+1), 413, "KiB")
	offered(canary, 8)
	offered("", 7)
	call("POST", "/api/v1/policies/8/promote", nil, 200, `"ring":"early"`)
	offered("", 7)
	call("POST", "/api/v1/policies/8/pause", nil, 200, `"paused":true`)
	offered(canary, 7) // a host without any; one that has 8 is told nothing
	call("POST", "/api/v1/policies/8/promote", nil, 200, `"ring":"early"`)
	call("POST", "/api/v1/policies/8/promote", nil, 200, `"ring":"all"`)
	call("POST", "/api/v1/policies/8/promote", nil, 409, "every host already")
	offered("", 8)
	call("POST", "/api/v1/policies/9/promote", nil, 404, "no such host, county, control, report, policy or request")
	call("POST", "/api/v1/policies/8/burn", nil, 404, "no such address")
	call("GET", "/api/v1/policies", nil, 200, `"version":8`)
	call("GET", "/api/v1/audit-log", nil, 200, `"actor":"token","action":"promote_policy","object":"version 8 (r8) to all"`)
	if code, _, _ := get(t, http.DefaultClient, r.base+"/api/v1/policies", ""); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", code)
	}
}
