package collector

import (
	"errors"
	"fmt"
	"html"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	diff "github.com/passmuster/muster/policies/changes"
)

// A county asks for a waiver, the officer grants it and publishes the policy that holds
// it by the pages, looking at what it changes before any computer is offered it.
func TestPolicyForms(t *testing.T) {
	o := openAll(t)
	host := ship(t, o.running, o.keys.hostToken)
	const form = "Content-Type: application/x-www-form-urlencoded"
	person := func(name string, role muster.Role) caller {
		return caller{name: name, base: o.far, client: &http.Client{}, peer: muster.Peer{Node: "n2", Login: name, Roles: []muster.Role{role}}}
	}
	officer, clerk := person("officer@state.example", muster.RoleCISO), person("clerk@cook.example", "county:17031")
	page := func(who caller, path string, says ...string) string {
		t.Helper()
		code, _, body := o.as(who, http.MethodGet, path, "")
		for _, want := range says {
			if body := html.UnescapeString(body); code != http.StatusOK || !strings.Contains(body, want) {
				t.Errorf("%s as %s: %d does not say %q: %s", path, who.name, code, want, body[strings.Index(body, "<main"):])
			}
		}
		return body
	}
	post := func(who caller, path string, fields url.Values, wantCode int, want string) {
		t.Helper()
		code, h, body := o.as(who, http.MethodPost, path, fields.Encode(), form)
		if code != wantCode || h.Get("Location") != want && !strings.Contains(body, want) {
			t.Errorf("%s as %s: %d %s %s, want %d %s", path, who.name, code, h.Get("Location"), body, wantCode, want)
		}
	}
	upload := func(field string, bundle []byte, wantCode int, want string) {
		t.Helper()
		sent, header := formOf(t, field, chosen{"baseline.tar.gz", bundle})
		code, h, body := o.as(officer, http.MethodPost, "/policies", sent, header)
		if code != wantCode || h.Get("Location") != want && !strings.Contains(body, want) {
			t.Errorf("upload: %d %s %s, want %d %s", code, h.Get("Location"), body, wantCode, want)
		}
	}
	seen := func() { // what a watcher would do
		t.Helper()
		must(t, o.reload(t.Context()))
	}

	first := release(t, 7, "low")
	upload("bundle", first, http.StatusSeeOther, "/policies/7?done=uploaded")
	upload("bundle", first, http.StatusSeeOther, "/policies/7?done=known")
	upload("bundle", release(t, 6, "low"), http.StatusConflict, "higher")
	upload("bundle", []byte("junk"), http.StatusUnprocessableEntity, "no policy bundle")
	upload("file", first, http.StatusUnprocessableEntity, "no file was chosen")
	upload("bundle", make([]byte, maxBundle+1<<20), http.StatusRequestEntityTooLarge, "more than this form takes")
	post(officer, "/policies", nil, http.StatusUnprocessableEntity, "the form cannot be read")
	page(officer, "/policies/7?done=uploaded", "Kept, and offered to nobody yet.", "Offered to nobody, and no computer runs it.", "Against the baseline", "Another title", "Published, offered to nobody yet")
	if code, _, _ := get(t, http.DefaultClient, o.base+"/v1/policy?host="+string(host), ""); code != http.StatusNotFound {
		t.Errorf("an uploaded policy is offered: %d", code)
	}
	for _, ring := range muster.Rings {
		post(officer, "/policies/7/promote", nil, http.StatusSeeOther, "/policies/7?done=promoted")
		page(officer, "/policies/7", "Offered to ring "+string(ring))
	}
	if code, h, body := o.as(officer, http.MethodGet, "/api/v1/policies/7/bundle", ""); code != http.StatusOK || body != string(first) || !strings.Contains(h.Get("Content-Disposition"), "policy-7.tar.gz") {
		t.Errorf("the bundle again: %d, %d bytes, %v", code, len(body), h)
	}
	seen()

	ask := url.Values{"control": {"MVS-ENC-01"}, "host": {string(host)}, "reason": {"The \"new\" one comes in May."}, "until": {o.Now().AddDate(0, 2, 0).UTC().Format("2006-01-02")}}
	page(clerk, "/exceptions/ask?county=17031&host="+string(host), "Another title (MVS-ENC-01)", `selected="selected">Only`)
	post(clerk, "/counties/17031/asks", ask, http.StatusSeeOther, "/exceptions?county=17031&done=ask")
	page(clerk, "/exceptions?county=17031&done=ask", "Asked. The answer", "Requests that wait", `The "new" one comes in May.`)
	for field, says := range map[string]string{"control": "no control", "reason": "the reason is missing", "until": "is no day", "host": "is none of county"} {
		wrong := maps.Clone(ask)
		wrong[field] = []string{map[string]string{"host": string(muster.NewHostID([]byte("nobody")))}[field]}
		post(clerk, "/counties/17031/asks", wrong, http.StatusUnprocessableEntity, says)
	}
	post(clerk, "/counties/17089/asks", ask, http.StatusNotFound, "")
	post(clerk, "/asks/1/answer", url.Values{"state": {"granted"}}, http.StatusForbidden, "")
	post(officer, "/asks/1/answer", url.Values{"state": {"declined"}}, http.StatusUnprocessableEntity, "the answer is missing")
	post(officer, "/asks/1/answer", url.Values{"state": {"perhaps"}}, http.StatusUnprocessableEntity, "is no answer")
	post(officer, "/asks/99/answer", url.Values{"state": {"granted"}}, http.StatusConflict, "not there")
	post(officer, "/asks/1/answer", url.Values{"state": {"granted"}, "answer": {"Until May."}, "county": {"17031"}}, http.StatusSeeOther, "/exceptions?county=17031&done=granted")
	post(officer, "/asks/1/answer", url.Values{"state": {"declined"}, "answer": {"No."}}, http.StatusConflict, "")
	lines := page(officer, "/exceptions", "Granted", "Until May.", "no policy that is offered holds such a waiver")

	// The lines as they are shown make the policy that excuses.
	_, lines, _ = strings.Cut(html.UnescapeString(lines), `<pre tabindex="0"><code>`)
	lines, _, _ = strings.Cut(lines, "</code>")
	files := releaseFiles(8, "high")
	files["waivers/data.yaml"] = lines
	upload("bundle", tarball(t, files), http.StatusSeeOther, "/policies/8?done=uploaded")
	page(officer, "/policies/8", "Against <a href=\"/policies/7\">version 7</a>", "<del><bdi>low</bdi></del>", "<ins><bdi>high</bdi></ins>", "ASK-1", "Changed: 1 control.")
	post(officer, "/policies/8/promote", nil, http.StatusSeeOther, "/policies/8?done=promoted")
	page(officer, "/policies/8", "pausing may be enough", "So version 7 is signed again as version 9")
	seen()
	page(officer, "/exceptions", "Not in force here yet. Version 8 holds it as ASK-1", "Only in version 8")
	for range 2 {
		post(officer, "/policies/8/promote", nil, http.StatusSeeOther, "/policies/8?done=promoted")
	}
	seen()
	page(clerk, "/exceptions?county=17031", "In force. Version 8 holds it as ASK-1")

	log, err := o.store.AuditLog(t.Context(), 0, 50)
	must(t, err)
	var deeds []string
	for _, e := range slices.Backward(log) {
		if strings.Contains(e.Actor, "example") && e.Action != "promote_policy" {
			deeds = append(deeds, fmt.Sprint(e.Action, " by ", e.Actor))
		}
	}
	want := []string{"publish_policy by officer@state.example", "export by officer@state.example", "ask_waiver by clerk@cook.example", "answer_ask by officer@state.example", "publish_policy by officer@state.example"}
	if !slices.Equal(deeds, want) {
		t.Errorf("the log has %q, want %q", deeds, want)
	}
}

// What a release changes is told again without looking at the bundles again, and what
// cannot be read is an error.
func TestDiff(t *testing.T) {
	r := start(t)
	for version, severity := range []string{7: "low", 8: "high"} {
		if severity != "" {
			_, err := r.Publish(t.Context(), release(t, version, severity), muster.RingAll, "console")
			must(t, err)
		}
	}
	want := diff.Change{Kind: diff.KindControl, Name: "MVS-ENC-01", What: "severity", Old: "low", New: "high"}
	for range 2 {
		list, err := r.Diff(t.Context(), 7, 8)
		if must(t, err); !slices.Contains(list, want) || len(list) != 3 {
			t.Errorf("from 7 to 8: %v", list)
		}
	}
	if len(r.compared.kept) != 1 {
		t.Errorf("%d pairs are kept", len(r.compared.kept))
	}
	list, err := r.Diff(t.Context(), 0, 8)
	if must(t, err); !slices.ContainsFunc(list, func(c diff.Change) bool { return c.What == "removed" && c.Kind == diff.KindControl }) {
		t.Errorf("from the baseline to one control nothing is removed: %v", list)
	}
	for range 2 { // it may be there later
		if _, err := r.Diff(t.Context(), 7, 99); !errors.Is(err, fs.ErrNotExist) || len(r.compared.kept) != 2 {
			t.Errorf("with a version that is not there: %v, %d kept", err, len(r.compared.kept))
		}
	}

	// One that was damaged is not looked at again.
	must(t, r.store.Publish(t.Context(), muster.Release{Version: 9, Revision: "nine", Bundle: []byte("damaged"), Ring: muster.RingAll, Paused: true, Published: r.Now()}))
	_, first := r.Diff(t.Context(), 8, 9)
	_, second := r.Diff(t.Context(), 8, 9)
	if first == nil || first != second || len(r.compared.kept) != 3 {
		t.Errorf("a damaged one: %v, then %v, %d kept", first, second, len(r.compared.kept))
	}
	must(t, r.reload(t.Context())) // all others are in force

	// However much changes, what is told of it has an end; nobody waits for who compares.
	files := releaseFiles(10, "high")
	var entries strings.Builder
	for n := range 20_000 {
		fmt.Fprintf(&entries, "%d,", n)
	}
	files["lists/data.json"] = `{"l": [` + entries.String() + `0]}`
	_, err = r.Publish(t.Context(), tarball(t, files), muster.RingAll, "console")
	must(t, err)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			if list, err := r.Diff(t.Context(), 8, 10); err != nil || len(list) != web.MostChanges {
				t.Errorf("a long list: %d changes, %v", len(list), err)
			}
		})
	}
	r.compared.turn.Lock()
	if list, err := r.Diff(t.Context(), 7, 8); err != nil || len(list) != 3 {
		t.Errorf("while others are compared: %v, %v", list, err)
	}
	r.compared.turn.Unlock()
	readers.Wait()
}
