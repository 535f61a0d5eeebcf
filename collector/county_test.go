package collector

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/internal/wire"
)

// Two counties with hosts in every state: whatever the people of one ask for, in
// whatever way, nothing of the other comes back, and what is the other's answers as
// what is not there.
func TestCountyAgainstCounty(t *testing.T) {
	o := openAll(t)
	const ours, theirs = muster.County("17031"), muster.County("17089")
	mine := shipOf(t, o.running, o.keys.hostToken, ours, "ours-counting")
	foreign := shipOf(t, o.running, o.keys.hostToken, theirs, "theirs-counting")
	waiting := shipOf(t, o.running, "", theirs, "theirs-waiting")
	gone := shipOf(t, o.running, o.keys.hostToken, theirs, "theirs-retired")
	must(t, o.Retire(t.Context(), gone, "chief@theirs.example"))
	must(t, o.Expect(t.Context(), theirs, []muster.ExpectedHost{{Name: "theirs-missing", Note: "theirs-note"}}, "chief@theirs.example"))
	must(t, o.Expect(t.Context(), ours, []muster.ExpectedHost{{Name: "ours-missing"}}, "chief@ours.example"))
	must(t, o.SetContacts(t.Context(), theirs, []muster.Contact{{Name: "theirs-clerk"}}, "chief@theirs.example"))
	must(t, o.SetContacts(t.Context(), ours, []muster.Contact{{Name: "ours-clerk"}}, "chief@state.example"))
	for county, host := range map[muster.County]muster.HostID{ours: mine, theirs: foreign} {
		_, err := o.Ask(t.Context(), muster.Ask{County: county, Host: host, Control: "MVS-ENC-01", Reason: string(county), Until: o.clock.Now().AddDate(0, 1, 0)}, "clerk@"+string(county))
		must(t, err)
	}
	must(t, o.SetRing(t.Context(), muster.RingMember{County: theirs, Ring: muster.RingCanary}, "chief@state.example"))
	_, err := o.Publish(t.Context(), release(t, 7, "low"), muster.RingAll, "chief@state.example")
	must(t, err)
	o.clock.add(time.Minute)
	shipOf(t, o.running, o.keys.hostToken, theirs, "theirs-new")

	secrets := []string{string(foreign), string(waiting), string(gone), "theirs", string(theirs)}
	nowhere := muster.NewHostID([]byte("nowhere"))
	peer := muster.Peer{Node: "n1", Login: "chief@ours.example", Roles: []muster.Role{muster.CountyRole(ours)}}
	people := []caller{
		{name: "tailnet", base: o.far, peer: peer, client: &http.Client{}},
		{name: "TLS", base: o.tls, client: o.signIn(muster.CountyRole(ours))},
	}
	asked, owned := 0, 0
	for _, who := range people {
		who.column = colViewer
		ask := func(method, path string, header ...string) (int, string) {
			t.Helper()
			asked++
			code, h, body := o.as(who, method, path, "", header...)
			text := body + fmt.Sprint(h)
			for _, s := range secrets {
				// What was asked for may come back, in a link to the sign-in for example.
				if strings.Contains(text, s) && !strings.Contains(path, s) {
					t.Errorf("%s %s %s by %s: %d tells %q: %.600s", method, path, header, who.name, code, s, text)
				}
			}
			if code >= 500 {
				t.Errorf("%s %s: %d %s", method, path, code, body)
			}
			return code, body
		}
		for _, rule := range door.Table() {
			method, route, ok := strings.Cut(rule.Pattern, " ")
			if !ok || rule.Need == door.Hosts || method == http.MethodPost && route == "/logout" {
				continue
			}
			fill := func(host muster.HostID, county muster.County) string {
				return strings.NewReplacer("{host}", string(host), "{county}", string(county), "{control}", "MVS-ENC-01", "{version}", "7", "{seq}", "1", "{ask}", "1", "{$}", "").Replace(route)
			}
			// Their own, and what a parameter could add to it.
			own := fill(mine, ours)
			if code, body := ask(method, own); code == http.StatusOK && (strings.Contains(body, "ours") || strings.Contains(body, string(mine)) || strings.Contains(body, string(ours))) {
				owned++
			}
			for _, query := range []string{"?county=17089", "?county=17031&county=17089", "?county=", "?county=%31%37089", "?COUNTY=17089", "?county=17031;county=17089",
				"?host=" + string(foreign), "?county=17031&host=" + string(foreign), "?control=MVS-ENC-01", "?county=17031&control=MVS-ENC-01",
				"?after=MTcwODk", "?after=MTcwODkg" /* 17089 */, "?format=csv", "?county=17031&format=csv", "?limit=5000", "?missing=true",
				"?as_of=" + o.clock.Now().UTC().Format("2006-01-02T15:04:05Z"), "?known=now&as_of=" + o.clock.Now().UTC().Format("2006-01-02T15:04:05Z"),
				"?policy=x", "?q=s", "?q=" + string(foreign), "?q=%25&county=17031", "?open=true", "?as_of=2026-01-01", "?from=2020-01-01"} {
				ask(method, own+query)
			}
			ask(method, own, "Accept: text/csv")
			ask(method, own, "X-HTTP-Method-Override: GET", "X-Original-URL: /counties/17089", "X-Rewrite-URL: /counties/17089")
			ask(http.MethodHead, own)
			// Another's, as nobody's.
			if other := fill(foreign, theirs); other != own {
				code, body := ask(method, other)
				wantCode, want := ask(method, fill(nowhere, "17999"))
				if code != wantCode || body != want || code < 400 {
					t.Errorf("%s %s: %d %s, and what is not there %d %s", method, other, code, body, wantCode, want)
				}
				for _, host := range []muster.HostID{waiting, gone} {
					if c, b := ask(method, fill(host, theirs)); c != code || b != body {
						t.Errorf("%s %s: %d %s", method, fill(host, theirs), c, b)
					}
				}
			}
			for _, query := range []string{"?county=17089", "?host=" + string(foreign)} {
				nothing := strings.NewReplacer("17089", "17999", string(foreign), string(nowhere)).Replace(query)
				code, body := ask(method, own+query)
				if c, b := ask(method, own+nothing); rule.County == door.ByQuery && (c != code || b != body || code < 400) {
					t.Errorf("%s%s: %d %s, and of nothing %d %s", own, query, code, body, c, b)
				}
			}
		}
		// Ways around the mux.
		for _, path := range []string{"//counties/17089", "/counties/17031/../17089", "/counties/%31%37%30%38%39", "/./hosts/" + string(foreign), "/counties/17089/",
			"/api/v1//hosts/" + string(foreign), "/api/v1/counties/17031/..%2f17089", "/API/v1/hosts", "/counties/17031%00", "/hosts/" + strings.ToUpper(string(foreign))} {
			if code, _ := ask(http.MethodGet, path); code == http.StatusOK {
				t.Errorf("%s: %d", path, code)
			}
		}
	}
	if owned < 2*15 {
		t.Errorf("only %d answers had anything of their own", owned)
	}
	t.Logf("%d requests, %d of them answered with what is theirs", asked, owned)
}

// What a host was in another county is not told to the readers of the one that it came
// to; who reads the whole state has it all.
func TestMovedHost(t *testing.T) {
	o := openAll(t)
	key, err := wire.NewKey()
	must(t, err)
	id := shipWith(t, o.running, o.keys.hostToken, "17089", "moving-pc", key)
	o.clock.add(time.Hour)
	then := "as_of=" + o.clock.Now().UTC().Format("2006-01-02T15:04:05Z")
	must(t, o.store.KeepCustody(t.Context(), []muster.CustodyEvent{{At: o.clock.Now(), Act: muster.CustodyWrote, By: "elsewhere", File: "aaaaaaaaaaaaaaaa", Host: id, From: 1, To: 1}}))
	o.clock.add(time.Hour)
	e, err := o.store.Enrolled(t.Context(), id)
	must(t, err)
	e.County = "17031"
	_, err = o.store.Enroll(t.Context(), e, true, o.clock.Now().Add(time.Minute))
	must(t, err)
	must(t, o.Approve(t.Context(), id, "chief@state.example"))
	o.clock.add(time.Hour)

	ours := caller{base: o.far, peer: muster.Peer{Node: "n1", Login: "chief@ours.example", Roles: []muster.Role{muster.CountyRole("17031")}}, client: &http.Client{}}
	state := ours
	state.peer.Roles = []muster.Role{muster.RoleViewer}
	host := "/api/v1/hosts/" + string(id)
	for path, tells := range map[string]string{ // what of its past only the state reads
		"/hosts/" + string(id):                        "not encrypted",
		"/hosts/" + string(id) + "?" + then:           "moving-pc",
		"/hosts/" + string(id) + "?known=now&" + then: "moving-pc",
		host:                                 "elsewhere",
		host + "?" + then:                    "17089",
		host + "?known=now&" + then:          "moving-pc",
		host + "/findings?known=now&" + then: "MVS-ENC-01",
		host + "/transitions":                "MVS-ENC-01",
		host + "/transitions?format=csv":     "MVS-ENC-01",
		host + "/reports":                    `"seq":1`,
		host + "/reports/1":                  "not encrypted",
		"/api/v1/findings?known=now&" + then + "&host=" + string(id):         "MVS-ENC-01",
		"/api/v1/findings?county=17031&known=now&" + then:                    "MVS-ENC-01",
		"/api/v1/findings?county=17031&control=MVS-ENC-01&known=now&" + then: string(id),
		"/api/v1/hosts?county=17031&known=now&" + then:                       string(id),
		"/api/v1/export/ocsf?county=17031&known=now&" + then:                 string(id),
		"/counties/17031?known=now&" + then:                                  "moving-pc",
	} {
		if code, _, body := o.as(state, http.MethodGet, path, ""); code != http.StatusOK || !strings.Contains(body, tells) {
			t.Errorf("%s for the state: %d, no %q in %.400s", path, code, tells, body)
		}
		if code, _, body := o.as(ours, http.MethodGet, path, ""); code >= 500 || strings.Contains(body, tells) {
			t.Errorf("%s for the county: %d tells %q: %.400s", path, code, tells, body)
		}
	}
	for _, path := range []string{"/hosts/" + string(id), host, host + "/findings", host + "/reports", "/counties/17031", "/api/v1/findings?host=" + string(id)} {
		if code, _, body := o.as(ours, http.MethodGet, path, ""); code != http.StatusOK {
			t.Errorf("%s as it is now: %d %.300s", path, code, body)
		}
	}
}

// change is a request that changes something, and the line that it leaves.
type change struct{ path, body, action string }

// changes has one for each route that is no read; the host waits for approval.
func changes(t *testing.T, host muster.HostID, file []byte) map[string]change {
	upload, _ := formOf(t, "file", chosen{"one.courier", file})
	bundle, _ := formOf(t, "bundle", chosen{"baseline.tar.gz", release(t, 10, "low")})
	return map[string]change{
		"POST /api/v1/links":                     {"/api/v1/links", "", "link"},
		"POST /api/v1/courier":                   {"/api/v1/courier", string(file), "upload_courier"},
		"POST /api/v1/hosts/{host}/approve":      {"/api/v1/hosts/" + string(host) + "/approve", "", "approve"},
		"POST /pending/approve":                  {"/pending/approve", "host=" + string(host), "approve"},
		"POST /courier":                          {"/courier", upload, "upload_courier"},
		"POST /hosts/{host}/approve":             {"/hosts/" + string(host) + "/approve", "", "approve"},
		"POST /api/v1/hosts/{host}/audit":        {"/api/v1/hosts/" + string(host) + "/audit", "", "request_audit"},
		"POST /hosts/{host}/audit":               {"/hosts/" + string(host) + "/audit", "", "request_audit"},
		"POST /api/v1/hosts/{host}/clear-clone":  {"/api/v1/hosts/" + string(host) + "/clear-clone", "", "clear_clone"},
		"POST /hosts/{host}/clear-clone":         {"/hosts/" + string(host) + "/clear-clone", "", "clear_clone"},
		"POST /hosts/{host}/retire":              {"/hosts/" + string(host) + "/retire", "county=17031", "retire"},
		"POST /api/v1/hosts/{host}/retire":       {"/api/v1/hosts/" + string(host) + "/retire", "", "retire"},
		"PUT /api/v1/counties/{county}/expected": {"/api/v1/counties/17031/expected", `{"expected": [{"name": "pc9"}]}`, "expect_hosts"},
		"PUT /api/v1/counties/{county}/contacts": {"/api/v1/counties/17031/contacts", `{"contacts": [{"name": "clerk"}]}`, "set_contacts"},
		"POST /counties/{county}/contacts":       {"/counties/17031/contacts", "name=clerk&duty=&phone=&email=", "set_contacts"},
		"POST /counties/{county}/expected":       {"/counties/17031/expected", "list=pc10", "expect_hosts"},
		"POST /api/v1/counties/{county}/asks": {"/api/v1/counties/17031/asks",
			`{"host": "` + string(host) + `", "control": "MVS-ENC-01", "reason": "old", "until": "` + time.Now().AddDate(0, 1, 0).Format(time.DateOnly) + `"}`, "ask_waiver"},
		"POST /counties/{county}/asks": {"/counties/17031/asks",
			"control=MVS-ENC-01&host=&reason=older&until=" + time.Now().AddDate(0, 1, 0).Format(time.DateOnly), "ask_waiver"},
		"POST /asks/{ask}/answer":                 {"/asks/2/answer", "state=declined&answer=no", "answer_ask"},
		"POST /api/v1/asks/{ask}/answer":          {"/api/v1/asks/1/answer", `{"state": "declined", "answer": "no"}`, "answer_ask"},
		"POST /api/v1/policies":                   {"/api/v1/policies", string(release(t, 9, "low")), "publish_policy"},
		"POST /api/v1/policies/{version}/promote": {"/api/v1/policies/8/promote", "", "promote_policy"},
		"POST /policies":                          {"/policies", bundle, "publish_policy"},
		"POST /policies/{version}/promote":        {"/policies/8/promote", "", "promote_policy"},
		"POST /api/v1/policies/{version}/pause":   {"/api/v1/policies/8/pause", "", "pause_policy"},
		"POST /policies/{version}/pause":          {"/policies/8/pause", "", "pause_policy"},
		"PUT /api/v1/rings":                       {"/api/v1/rings", `{"county": "17031", "ring": "early"}`, "set_ring"},
		"POST /policies/rings":                    {"/policies/rings", "who=17031&ring=early", "set_ring"},
	}
}

// Every change and every export leaves a line with who did it, and what cannot leave
// one is not done.
func TestEverythingLeavesALine(t *testing.T) {
	for _, full := range []bool{false, true} {
		logged := 0
		for _, rule := range door.Table() {
			method, _, _ := strings.Cut(rule.Pattern, " ")
			if read := method == http.MethodGet || !strings.Contains(rule.Pattern, " "); !read && !rule.Logs && rule.Need != door.Hosts {
				t.Errorf("%s changes something and leaves no line", rule.Pattern)
			}
			if rule.Logs && method != http.MethodGet {
				logged++
			}
		}
		t.Run(fmt.Sprintf("log full %v", full), func(t *testing.T) { leaveLines(t, full, logged) })
	}
}

func leaveLines(t *testing.T, full bool, logged int) {
	o := openAll(t)
	active := ship(t, o.running, o.keys.hostToken)
	site, err := o.Site(SiteOptions{County: "17031", CollectorURL: o.base, PolicyKeys: [][]byte{{1}}})
	must(t, err)
	_, file := sealed(t, site.AgeRecipient)
	_, err = o.Publish(t.Context(), release(t, 8, "low"), muster.RingCanary, "console")
	must(t, err)
	chief := caller{base: o.far, client: &http.Client{}, peer: muster.Peer{Node: "n1", Login: "chief@state.example", Roles: []muster.Role{muster.RoleCISO}}}
	script := caller{base: o.base, client: &http.Client{}, header: "Authorization: Bearer " + apiToken(t, o.running)}
	lines := func() []muster.LogEntry {
		t.Helper()
		log, err := o.store.AuditLog(t.Context(), 0, 5000)
		must(t, err)
		return log
	}
	// A log that takes nothing more, as a full disk would have it.
	db, err := sql.Open("sqlite", "file:"+filepath.Join(o.Data, "muster.db")+"?_pragma=busy_timeout(10000)")
	must(t, err)
	defer db.Close()
	fill := func(full bool) {
		t.Helper()
		statement := "DROP TRIGGER IF EXISTS full"
		if full {
			statement = "CREATE TRIGGER full BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'full'); END"
		}
		_, err := db.Exec(statement)
		must(t, err)
	}
	check := func(what string, who caller, method, path, body, action string, header ...string) {
		t.Helper()
		before, stored := len(lines()), dump(t, o.store)
		fill(full)
		code, _, answer := o.as(who, method, path, body, header...)
		fill(false)
		log := lines()
		switch {
		case full:
			if code < 400 || len(log) != before || !bytes.Equal(stored, dump(t, o.store)) {
				t.Errorf("%s: %d %.300s with a log that is full; changed: %v", what, code, answer, !bytes.Equal(stored, dump(t, o.store)))
			}
		case code >= 400 || len(log) == before || !slices.ContainsFunc(log[:len(log)-before], func(e muster.LogEntry) bool { return e.Action == action }):
			t.Errorf("%s: %d %.300s, log %+v", what, code, answer, log[:len(log)-before])
		default:
			actor := "chief@state.example"
			if who.base == o.base {
				actor = "token"
			}
			for _, e := range log[:len(log)-before] {
				if e.Actor != actor || e.At.IsZero() {
					t.Errorf("%s: %+v", what, e)
				}
			}
		}
	}

	done := 0
	for _, why := range []string{"old", "older"} {
		_, err = o.Ask(t.Context(), muster.Ask{County: "17031", Control: "MVS-ENC-01", Reason: why, Until: o.clock.Now().AddDate(0, 1, 0)}, "console")
		must(t, err)
	}
	all := changes(t, active, file)
	for _, pattern := range slices.Sorted(maps.Keys(all)) { // of policies the higher version comes later
		c := all[pattern]
		method, _, _ := strings.Cut(pattern, " ")
		host := active
		if strings.Contains(pattern, "/approve") {
			host = shipOf(t, o.running, "", "17031", fmt.Sprint("pc-", done))
		}
		if strings.Contains(pattern, "/clear-clone") {
			key, err := wire.NewKey()
			must(t, err)
			for range 2 { // two computers with one key
				host = shipWith(t, o.running, o.keys.hostToken, "17031", fmt.Sprint("pc-", done), key)
			}
		}
		if strings.Contains(pattern, "/retire") {
			host = shipOf(t, o.running, o.keys.hostToken, "17031", fmt.Sprint("pc-", done))
		}
		who := chief
		if pattern == "POST /api/v1/links" {
			who = script
		}
		header := "Content-Type: application/json"
		if !strings.HasPrefix(c.path, "/api/") {
			header = "Content-Type: application/x-www-form-urlencoded"
		}
		if boundary, ok := strings.CutPrefix(c.body, "--"); ok {
			boundary, _, _ = strings.Cut(boundary, "\r\n")
			header = "Content-Type: multipart/form-data; boundary=" + boundary
		}
		if !full && strings.Contains(pattern, "promote") { // there is something to do again
			_, err := o.Pause(t.Context(), 8, "console")
			must(t, err)
		}
		if !full && strings.Contains(pattern, "pause") {
			if _, err := o.Promote(t.Context(), 8, "console"); err != nil && !errors.Is(err, fs.ErrExist) {
				t.Fatal(err)
			}
		}
		check(pattern, who, method, strings.Replace(c.path, string(active), string(host), 1), strings.Replace(c.body, string(active), string(host), 1), c.action, header)
		done++
	}
	// Log out, and the sign-ins of the door, are the door's own tests.
	if done+1 != logged {
		t.Errorf("%d changes tried, the table has %d and log out", done, logged)
	}
	for _, rule := range door.Table() {
		method, route, _ := strings.Cut(rule.Pattern, " ")
		if !rule.Logs || method != http.MethodGet || strings.HasPrefix(route, "/login") {
			continue
		}
		path := strings.NewReplacer("{host}", string(active), "{county}", "17031", "{control}", "MVS-ENC-01", "{seq}", "1", "{version}", "8").Replace(route)
		switch {
		case route == "/api/v1/findings":
			path += "?format=csv&county=17031"
		case !strings.Contains(route, "/export/") && !strings.HasSuffix(route, "{seq}") && !strings.HasSuffix(route, "/bundle"):
			path += "?format=csv"
		}
		check(path, chief, method, path, "", "export")
		if strings.Contains(path, "format=csv") {
			check(path+" by header", chief, method, strings.Replace(strings.Replace(path, "format=csv&", "", 1), "?format=csv", "", 1), "", "export", "Accept: text/csv")
		}
	}
}

// dump is everything that is stored, but what counts how often it was opened.
func dump(t *testing.T, s store.Store) []byte {
	t.Helper()
	tables := map[string][]string{}
	must(t, s.Dump(t.Context(), func(r store.Row) error {
		// What the jobs of a running collector do by the clock.
		if r.Table == "rollups" || r.Table == "retold" {
			return nil
		}
		if i := slices.Index(r.Columns, "sent"); r.Table == "events" && i >= 0 {
			r.Values[i] = nil
		}
		b, err := json.Marshal(r)
		tables[r.Table] = append(tables[r.Table], string(b))
		return err
	}))
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		slices.Sort(tables[name])
		fmt.Fprintln(&b, name, tables[name])
	}
	return b.Bytes()
}
