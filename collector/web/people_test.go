package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

func TestPeople(t *testing.T) {
	b, _ := one(nil)
	entry := web.Entry{Routes: []string{"/", "GET /counties/{county}", "GET /controls/{control}", "GET /policies", "POST /hosts/{host}/approve", "POST /api/v1/hosts/{host}/approve",
		"POST /api/v1/hosts/{host}/retire", "POST /policies/{version}/pause", "POST /v1/enroll", "POST /logout", "POST /new/thing", "PUT /api/v1/new/thing"},
		Issuer: "https://login.example", Tailnet: true, Grants: []web.Grant{{Claim: "groups", Value: "invoice\u202Efdp.exe", Role: muster.RoleOperator}, {Claim: "email", Value: "clerk@albany.example", Role: "county:56001"}}}
	d := open(t, seenBy(t, b, officer, func(o *web.Options) { o.Entry = entry }), "/people")
	d.has(t, "You are officer@state.example. Your role: Security officer.", "What Reads one county county:… Reads everything viewer Operator operator Security officer (you) ciso",
		"See a county: its computers, and what to fix first their county yes yes yes", "See a control: why it matters, and where it fails their county yes yes yes", "See the whole state, its policies and how far they are rolled out no yes yes yes",
		"Approve a computer that waits no no yes yes", "Retire a computer, or say that it is no copy no no yes yes", "Offer a policy to more computers, pause it, say who tries it first no no no yes",
		"POST /new/thing no no yes yes", "PUT /api/v1/new/thing", // what has no words yet is not left out
		"People who sign in at https://login.example", "groups is invoice⟨U+202E⟩fdp.exe Operator operator", "email is clerk@albany.example Reads Albany County county:56001",
		"roles that its policy grants them", "muster-collector link")
	d.hasNot(t, "enroll", "logout", "Read the log, and this page")
	if strings.Count(d.Text, "Approve a computer") != 1 {
		t.Error("a form and its twin of the API are told twice")
	}
	d = open(t, seenBy(t, b, officer), "/people")
	d.has(t, "no sign-in service is configured", "No tailnet is configured.")
}

func TestExports(t *testing.T) {
	b := storybook.Example(now)
	active := 0
	for _, h := range b.Fleet {
		if h.State == muster.HostActive {
			active++
		}
	}
	d := open(t, seenBy(t, b, officer), "/exports")
	d.has(t, "Each file that is taken out leaves a line in the log", "What is not met CSV", "Choose a county first.", "Assessment results OSCAL, JSON", "Webhook deliveries", "The whole state",
		fmt.Sprintf("Computers CSV, %d lines", active), "Counties CSV, 23 lines", "What changed CSV, at most 5,000 lines", "Choose a county or a control first.",
		fmt.Sprintf("Compliance findings OCSF, JSON lines, about 1,%d lines", active*len(b.Catalogue)-1000))
	for _, want := range []string{"/api/v1/hosts?format=csv", "/api/v1/export/oscal", "/api/v1/openapi.json", "/api/v1/audit-log?format=csv", "/api/v1/days?format=csv"} {
		if !slices.Contains(d.Links, want) {
			t.Errorf("no link %s", want)
		}
	}
	// Of a county, at an instant.
	query := "?as_of=2026-11-02T12%3A00%3A00Z&known=now"
	d = open(t, seenBy(t, b, officer), "/exports"+query+"&county=56021")
	d.has(t, "as files for Laramie County, as of the instant above", "Always as of now.")
	d.hasNot(t, "Choose a county first.")
	for _, l := range d.Links {
		u, err := url.Parse(l)
		if err != nil {
			t.Fatal(err)
		}
		name, api := strings.CutPrefix(u.Path, "/api/v1/")
		if !api {
			continue
		}
		past := slices.Contains([]string{"hosts", "counties", "controls", "findings", "transitions", "stale", "expected", "waivers", "attestations", "export/oscal", "export/ocsf"}, name)
		if q := u.Query(); (q.Get("as_of") == "2026-11-02T12:00:00Z" && q.Get("known") == "now") != past {
			t.Errorf("%s: of the past is wanted %v", l, past)
		} else if whole := slices.Contains([]string{"audit-log", "policies", "rings", "deliveries", "openapi.json"}, name); (q.Get("county") == "56021" || strings.Contains(name, "56021")) == whole {
			t.Errorf("%s: of the county is wanted %v", l, !whole)
		}
	}
	d = open(t, seenBy(t, b, clerk), "/exports?county=56021")
	d.has(t, "for Laramie County", "Waivers", "OpenAPI")
	d.hasNot(t, "The whole state", "Webhook deliveries", "Rings", "Albany")
	// Of a control and of some days, whichever was entered first.
	d = open(t, seenBy(t, b, officer), "/exports?control=MVS-ENC-01&from=2026-10-30&to=2026-09-01&county=56021")
	for _, want := range []string{"/api/v1/hosts?control=MVS-ENC-01&county=56021&format=csv", "/api/v1/findings?control=MVS-ENC-01&county=56021&format=csv",
		"/api/v1/days?county=56021&format=csv&from=2026-09-01&to=2026-10-30", "/api/v1/counties/56021/contacts?format=csv"} {
		if !slices.Contains(d.Links, want) {
			t.Errorf("no link %s in %q", want, d.Links)
		}
	}
	d = open(t, seenBy(t, b, officer), "/exports?control=MVS-ENC-01&as_of=2026-11-02")
	if want := "/api/v1/days?format=csv&to=2026-11-02"; !slices.Contains(d.Links, want) {
		t.Errorf("no link %s in %q", want, d.Links)
	}
	for _, query := range []string{"county=5602", "county=x%00", "control=MVS-NO-99", "from=x", "to=2026-13-01"} {
		if d := open(t, seenBy(t, b, officer), "/exports?"+query); d.Code != http.StatusNotFound {
			t.Errorf("%s: %d", query, d.Code)
		}
	}
}
