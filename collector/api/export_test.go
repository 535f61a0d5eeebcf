package api

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
)

func schema(t *testing.T, name string) *validator.Schema {
	t.Helper()
	b, err := os.ReadFile("../../testdata/schemas/" + name)
	must(t, err)
	doc := parse(t, string(b))
	// OSCAL's schema names by $id also what has a $ref; draft 7 looks at nothing beside one.
	if definitions, ok := doc.(object)["definitions"].(object); ok {
		for _, v := range definitions {
			if d := v.(object); d["$id"] != nil && d["$ref"] != nil {
				d["allOf"] = []any{object{"$ref": d["$ref"]}}
				delete(d, "$ref")
			}
		}
	}
	c := validator.NewCompiler()
	c.AssertFormat()
	must(t, c.AddResource(name, doc))
	s, err := c.Compile(name)
	must(t, err)
	return s
}

// moments that are exported: now, then, and what is known now about then.
var moments = []string{"", "as_of=2026-11-01T12:00:00Z", "as_of=2026-11-05", "as_of=2026-11-05&known=now", "as_of=2026-10-01"}

// oscalResult is what the test looks at of a result.
type oscalResult struct {
	Local struct {
		Items []struct{ UUID string } `json:"inventory-items"`
	} `json:"local-definitions"`
	Observations []struct{ UUID, Description string }
	Findings     []struct {
		Target struct {
			ID     string `json:"target-id"`
			Status struct{ State, Reason, Remarks string }
		}
		Related []struct {
			UUID string `json:"observation-uuid"`
		} `json:"related-observations"`
	}
}

func TestOSCAL(t *testing.T) {
	s := newSite(t)
	valid := schema(t, "oscal-1.0.6-assessment-results.json")
	for _, scope := range []string{"", "county=17031&", "county=17999&"} {
		for _, moment := range moments {
			body := s.get("/api/v1/export/oscal?" + scope + moment)
			if err := valid.Validate(parse(t, body)); err != nil {
				t.Errorf("%s%s: %v\n%.600s", scope, moment, err, body)
			}
			if again := s.get("/api/v1/export/oscal?" + scope + moment); again != body {
				t.Errorf("%s%s: another document", scope, moment)
			}
			if scope != "" && (strings.Contains(body, string(s.far)) || strings.Contains(body, "ems-far")) {
				t.Errorf("%s%s tells of another county", scope, moment)
			}
		}
	}
	if valid.Validate(parse(t, `{"assessment-results": {}}`)) == nil {
		t.Error("the schema takes anything")
	}

	read := func(query string) oscalResult {
		var doc struct {
			Results struct{ Results []oscalResult } `json:"assessment-results"`
		}
		must(t, json.Unmarshal([]byte(s.get("/api/v1/export/oscal?"+query)), &doc))
		return doc.Results.Results[0]
	}
	r := read("")
	if len(r.Local.Items) != 3 {
		t.Errorf("%d items", len(r.Local.Items))
	}
	observed := map[string]bool{}
	silent := false
	for _, o := range r.Observations {
		observed[o.UUID] = true
		silent = silent || strings.HasPrefix(o.Description, "Not heard from since 2026-11-01")
	}
	if !silent {
		t.Errorf("the silence of a stale host is not told: %+v", r.Observations)
	}
	states := map[string]string{}
	for _, f := range r.Findings {
		states[f.Target.ID] = f.Target.Status.State + " " + f.Target.Status.Reason
		for _, o := range f.Related {
			if !observed[o.UUID] {
				t.Errorf("%s relates to an observation that is not there", f.Target.ID)
			}
		}
	}
	// A pass does not satisfy while a host of the state is silent; what is asked of nobody has no finding.
	if states["MVS-ACC-01"] != "not-satisfied other" || states["MVS-NET-01"] != "not-satisfied other" || states["_odd_control"] != "not-satisfied fail" || states["MVS-EMS-01"] != "" {
		t.Errorf("states: %v", states)
	}
	for _, f := range read("county=17043").Findings {
		if f.Target.ID == "MVS-ENC-01" && !strings.Contains(f.Target.Status.Remarks, "waiver") {
			t.Errorf("waived: %+v", f)
		}
	}
}

func TestOCSF(t *testing.T) {
	s := newSite(t)
	valid := schema(t, "ocsf-1.2.0-compliance-finding.json")
	type event struct {
		Compliance struct {
			Control, Status string
			StatusID        int `json:"status_id"`
		}
		Status   string
		Device   struct{ UID, Name, Hostname string }
		Metadata struct{ UID string }
	}
	read := func(query string) (events []event) {
		body := s.get("/api/v1/export/ocsf?" + query)
		for line := range strings.Lines(body) {
			if err := valid.Validate(parse(t, line)); err != nil {
				t.Fatalf("%s: %v\n%s", query, err, line)
			}
			var e event
			must(t, json.Unmarshal([]byte(line), &e))
			events = append(events, e)
		}
		if again := s.get("/api/v1/export/ocsf?" + query); again != body {
			t.Errorf("%s: another document", query)
		}
		return events
	}
	for _, moment := range moments {
		events := read(moment)
		if none := strings.Contains(moment, "2026-10"); none != (len(events) == 0) {
			t.Errorf("%s: %d events", moment, len(events))
		}
		for _, e := range read("county=17031&" + moment) {
			if e.Device.UID == string(s.far) {
				t.Errorf("%s tells of another county", moment)
			}
		}
	}
	seen := map[string]bool{}
	for _, e := range read("") {
		if seen[e.Metadata.UID] {
			t.Errorf("%s is there twice", e.Metadata.UID)
		}
		seen[e.Metadata.UID] = true
		want := map[string]string{
			string(s.silent) + " MVS-ENC-01": "Unknown New", // it passed long ago
			string(s.far) + " MVS-ENC-01":    "Fail Suppressed", string(s.far) + " MVS-ACC-01": "Pass Resolved",
			string(s.odd) + " MVS-NET-01": "Unknown New", string(s.odd) + " =odd,control": "Fail New",
		}[e.Device.UID+" "+e.Compliance.Control]
		if got := e.Compliance.Status + " " + e.Status; want != "" && got != want {
			t.Errorf("%s %s: %s, want %s", e.Device.Name, e.Compliance.Control, got, want)
		}
		if e.Device.UID == string(s.odd) && e.Device.Hostname != "" {
			t.Errorf("%q is no hostname", e.Device.Hostname)
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d events", len(seen))
	}
}

// Whatever goes out is in the audit log first, as of which instant; where the log
// cannot be written, nothing goes out.
func TestExportsAreLogged(t *testing.T) {
	s := newSite(t)
	s.now = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for target, want := range map[string]string{
		"/api/v1/export/oscal?county=17031":                      "/api/v1/export/oscal?as_of=2026-11-22T08%3A00%3A00Z&county=17031",
		"/api/v1/export/ocsf?as_of=2026-11-05":                   "/api/v1/export/ocsf?as_of=2026-11-05T23%3A59%3A59.999999Z",
		"/api/v1/hosts?format=csv":                               "/api/v1/hosts?as_of=2026-11-22T08%3A00%3A00Z&format=csv",
		"/api/v1/audit-log?format=csv":                           "/api/v1/audit-log?format=csv",
		"/api/v1/hosts/" + string(s.odd) + "/reports/2":          "/api/v1/hosts/" + string(s.odd) + "/reports/2?",
		"/api/v1/hosts/" + string(s.odd) + "/reports?format=csv": "/api/v1/hosts/" + string(s.odd) + "/reports?format=csv",
	} {
		s.get(target)
		log, err := s.Store.AuditLog(t.Context(), 0, 1)
		must(t, err)
		if len(log) != 1 || log[0].Action != "export" || log[0].Object != want || log[0].Actor != "ciso@example.gov" {
			t.Errorf("%s: %+v", target, log)
		}
		s.logFails = true
		if w := s.ask(http.MethodGet, target, ""); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), string(s.odd)) {
			t.Errorf("%s without a log: %d %s", target, w.Code, w.Body)
		}
		s.logFails = false
	}
}
