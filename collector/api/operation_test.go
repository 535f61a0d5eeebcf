package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

func TestRefused(t *testing.T) {
	s := newSite(t)
	for target, want := range map[string]struct {
		method string
		code   int
		says   string
	}{
		"/api/v1/nothing":                                          {"GET", 404, "not_found"},
		"/api/":                                                    {"POST", 404, "not_found"},
		"/api/v1/policies/1/burn":                                  {"POST", 404, "not_found"},
		"/api/v1/hosts":                                            {"POST", 405, "GET, HEAD"},
		"/api/v1/policies":                                         {"DELETE", 405, "GET, HEAD, POST"},
		"/api/v1/hosts?state=active":                               {"GET", 400, `no parameter \"state\"`},
		"/api/v1/hosts?county=17031&county=17043":                  {"GET", 400, "county is given twice"},
		"/api/v1/hosts?county=1703":                                {"GET", 400, "FIPS"},
		"/api/v1/hosts?a;b":                                        {"GET", 400, "cannot be read"},
		"/api/v1/hosts?limit=5001":                                 {"GET", 400, "1 to 5000"},
		"/api/v1/hosts?as_of=2027-01-01":                           {"GET", 400, "in the future"},
		"/api/v1/hosts?as_of=yesterday":                            {"GET", 400, "neither a day"},
		"/api/v1/hosts?known=now":                                  {"GET", 400, "as_of"},
		"/api/v1/hosts?known=later&as_of=2026-11-3":                {"GET", 400, "use then or now"},
		"/api/v1/audit-log?after=eA":                               {"GET", 400, "not the next"},
		"/api/v1/audit-log?as_of=2026-11-03":                       {"GET", 400, "no parameter"},
		"/api/v1/findings?control=MVS-ENC-1":                       {"GET", 400, "no policy and no report"},
		"/api/v1/controls/=odd,control?county=17043":               {"GET", 404, "not_found"}, // only the other county's reports have it
		"/api/v1/findings?control==odd,control&county=17043":       {"GET", 400, "no policy and no report"},
		"/api/v1/findings?host=" + string(s.far) + "&county=17031": {"GET", 404, "not_found"},
		"/api/v1/hosts/" + string(s.waiting):                       {"GET", 404, "waits for approval"},
		"/api/v1/hosts/" + string(s.waiting) + "/reports":          {"GET", 404, "waits for approval"},
	} {
		w := s.ask(want.method, target, "")
		var p struct{ Code, Title string }
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != want.code || !strings.Contains(w.Body.String(), want.says) || p.Code == "" || p.Title == "" ||
			w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %s %v", want.method, target, w.Code, w.Body, err)
		}
		if allow := w.Header().Get("Allow"); (w.Code == 405) != (allow != "") || !strings.Contains(want.says+w.Body.String(), allow) {
			t.Errorf("%s: Allow is %q", target, allow)
		}
	}
}

// A client that has an answer is told so, and HEAD has its header.
func TestETags(t *testing.T) {
	s := newSite(t)
	for _, op := range operations() {
		if op.method != http.MethodGet || strings.HasPrefix(op.id, "export") {
			continue
		}
		target := strings.NewReplacer("{host}", string(s.odd), "{county}", "17031", "{control}", "MVS-ENC-01", "{seq}", "2", "{version}", "1").Replace(op.path)
		if op.id == "listFindings" {
			target += "?county=17031"
		}
		w := s.ask(http.MethodGet, target, "")
		tag := w.Header().Get("ETag")
		if w.Code != http.StatusOK || !strings.HasPrefix(tag, `"`) {
			t.Errorf("%s: %d, ETag %s", target, w.Code, tag)
		}
		if op.id == "getHostReport" || op.id == "listAuditLog" { // asking changes the log
			continue
		}
		if again := s.ask(http.MethodGet, target, "", "If-None-Match: "+tag); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s again: %d", target, again.Code)
		}
		if head := s.ask(http.MethodHead, target, ""); head.Code != http.StatusOK || head.Header().Get("ETag") != tag || head.Body.Len() > 0 {
			t.Errorf("HEAD %s: %d %v", target, head.Code, head.Header())
		}
	}
	before := s.ask(http.MethodGet, "/api/v1/hosts", "").Header().Get("ETag")
	s.now = s.now.AddDate(0, 0, 1)
	s.commit(s.report(s.odd, 21, nil))
	if w := s.ask(http.MethodGet, "/api/v1/hosts", "", "If-None-Match: "+before); w.Code != http.StatusOK {
		t.Errorf("after a report: %d", w.Code)
	}
	for _, target := range []string{"/api/v1/export/oscal", "/api/v1/export/ocsf", "/api/v1/hosts?format=csv"} {
		log, err := s.Store.AuditLog(t.Context(), 0, 1000)
		must(t, err)
		w := s.ask(http.MethodHead, target, "")
		after, err := s.Store.AuditLog(t.Context(), 0, 1000)
		must(t, err)
		if w.Code != http.StatusOK || w.Body.Len() > 0 || w.Header().Get("Content-Disposition") == "" || len(after) != len(log) {
			t.Errorf("HEAD %s: %d %v, %d lines more", target, w.Code, w.Header(), len(after)-len(log))
		}
	}
}

// Pages follow each other to the end, by body and by header alike.
func TestPages(t *testing.T) {
	s := newSite(t)
	for target, want := range map[string]int{"/api/v1/hosts?limit=1": 3, "/api/v1/hosts?limit=1&county=17031": 2, "/api/v1/hosts?limit=1&control=MVS-NET-01&as_of=2026-11-20": 1,
		"/api/v1/hosts/" + string(s.odd) + "/reports?limit=3": 20, "/api/v1/findings?county=17031&limit=1": 2} {
		seen := map[string]bool{}
		pages := 0
		for next := target; next != ""; pages++ {
			w := s.ask(http.MethodGet, next, "")
			var page map[string]json.RawMessage
			must(t, json.Unmarshal(w.Body.Bytes(), &page))
			for _, name := range []string{"hosts", "reports", "findings"} {
				var items []json.RawMessage
				if page[name] != nil {
					must(t, json.Unmarshal(page[name], &items))
				}
				for _, i := range items {
					if seen[string(i)] {
						t.Errorf("%s: twice %s", target, i)
					}
					seen[string(i)] = true
				}
			}
			next = ""
			if page["next_url"] != nil {
				must(t, json.Unmarshal(page["next_url"], &next))
			}
			if link := w.Header().Get("Link"); next != "" && link != "<"+next+`>; rel="next"` || next == "" && link != "" {
				t.Errorf("%s: Link %q, next %q", target, link, next)
			}
		}
		if len(seen) != want || pages < 2 && want > 1 {
			t.Errorf("%s: %d items on %d pages, want %d", target, len(seen), pages, want)
		}
	}
}

// A county that is asked for is all that is told.
func TestOneCounty(t *testing.T) {
	s := newSite(t)
	for _, op := range operations() {
		for _, p := range op.query {
			if p.name != "county" {
				continue
			}
			for _, more := range []string{"", "&as_of=2026-11-15", "&as_of=2026-11-15&known=now", "&control=MVS-ENC-01"} {
				target := strings.ReplaceAll(op.path, "{control}", "MVS-ENC-01") + "?county=17031" + more
				w := s.ask(op.method, target, "")
				if w.Code != http.StatusOK && !strings.Contains(w.Body.String(), "no parameter") {
					t.Errorf("%s: %d %s", target, w.Code, w.Body)
				}
				for _, foreign := range []string{string(s.far), "ems-far", "17043"} {
					if strings.Contains(w.Body.String(), foreign) {
						t.Errorf("%s tells %s: %.300s", target, foreign, w.Body)
					}
				}
			}
		}
	}
}

// A signed report comes out as it came in.
func TestReport(t *testing.T) {
	s := newSite(t)
	s.now = s.now.AddDate(0, 0, 1)
	a := s.report(s.odd, 21, map[string]muster.Status{"MVS-ENC-01": muster.StatusFail})
	s.commit(a)
	body := s.get("/api/v1/hosts/" + string(s.odd) + "/reports/21")
	if wire.EnvelopeDigest([]byte(body)) != a.Envelope.Digest {
		t.Error("other bytes")
	}
	if _, err := wire.Verify(wire.KindReport, []byte(body), &s.keys[s.odd].PublicKey); err != nil {
		t.Error(err)
	}
}

// A file that breaks off does not look whole, and what fails before it begins is told.
func TestBrokenOff(t *testing.T) {
	s := newSite(t)
	var log bytes.Buffer
	o := s.Options
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	broken := &breaking{Store: s.Store}
	o.Store = broken
	a, err := New(o)
	must(t, err)
	mux := http.NewServeMux()
	for pattern, h := range a.Handlers() {
		mux.Handle(pattern, h)
	}
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, path := range []string{"/api/v1/hosts?format=csv", "/api/v1/export/oscal", "/api/v1/export/ocsf", "/api/v1/hosts"} {
		broken.after = 0
		resp, err := http.Get(server.URL + path)
		must(t, err)
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(string(b), "cable") || err != nil {
			t.Errorf("%s: %s %s %v", path, resp.Status, b, err)
		}
	}
	if !strings.Contains(log.String(), "cable") {
		t.Errorf("log: %s", &log)
	}
	broken.after = 1
	resp, err := http.Get(server.URL + "/api/v1/hosts?format=csv")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("half a file looks whole")
	}
}

// breaking is a store whose connection breaks after so many pages of hosts, which it
// makes long.
type breaking struct {
	Store
	after int
}

var errCable = errors.New("the cable was pulled")

func (b *breaking) Hosts(ctx context.Context, v muster.View, q muster.HostQuery) (muster.HostPage, error) {
	if b.after--; b.after < 0 {
		return muster.HostPage{}, errCable
	}
	page, err := b.Store.Hosts(ctx, v, muster.HostQuery{})
	page.Hosts, page.Next = slices.Repeat(page.Hosts, 200), "more"
	return page, err
}

func (b *breaking) Controls(context.Context, muster.View, muster.County) ([]muster.ControlStanding, error) {
	return nil, errCable
}

// A database that fails is no fault of what was sent, and what it says is for the log.
func TestStoreFails(t *testing.T) {
	s := newSite(t)
	must(t, s.Store.Close())
	s.closed = true
	for _, c := range []struct{ method, target, body string }{
		{"GET", "/api/v1/hosts", ""},
		{"PUT", "/api/v1/counties/17031/expected", `{"expected": [{"name": "pc1"}]}`},
		{"PUT", "/api/v1/rings", `{"county": "17031", "ring": "early"}`},
		{"POST", "/api/v1/policies", "a bundle"},
		{"POST", "/api/v1/hosts/" + string(s.odd) + "/audit", ""},
	} {
		if w := s.ask(c.method, c.target, c.body); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "closed") {
			t.Errorf("%s %s: %d %s", c.method, c.target, w.Code, w.Body)
		}
	}
}

// A list in which two names are one, or a name that no computer has, is refused.
func TestOddExpected(t *testing.T) {
	s := newSite(t)
	for _, body := range []string{`{"expected": [{"name": "pc1"}, {"name": " PC1"}]}`, `{"expected": [{"name": "pc\u001b[2J"}]}`, `{"expected": []} {"expected": [{"name": "pc1"}]}`} {
		if w := s.ask("PUT", "/api/v1/counties/17031/expected", body); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}
