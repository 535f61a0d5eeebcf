package collector

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/passmuster/muster"
)

// What an operator enters of a county is kept, logged and shown; what is wrong with it is
// said in words, and changes nothing.
func TestCountyForms(t *testing.T) {
	o := openAll(t)
	const county = muster.County("17031")
	ship(t, o.running, o.keys.hostToken)
	who := caller{name: "operator", base: o.far, client: &http.Client{}, peer: muster.Peer{Node: "n2", Login: "operator@state.example", Roles: []muster.Role{muster.RoleOperator}}}
	const form = "Content-Type: application/x-www-form-urlencoded"
	page := func(path string) string {
		t.Helper()
		code, _, body := o.as(who, http.MethodGet, path, "")
		if code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, code, body)
		}
		return body
	}
	post := func(path string, fields url.Values) (int, string, string) {
		t.Helper()
		code, h, body := o.as(who, http.MethodPost, path, fields.Encode(), form)
		return code, h.Get("Location"), body
	}

	contacts := url.Values{"name": {"Dana Whitfield", " ", "Desk"}, "duty": {"County clerk", "", ""}, "phone": {"+1 312 555 0142", "", ""}, "email": {"", "", " desk@cook.example"}}
	if code, to, body := post("/counties/17031/contacts", contacts); code != http.StatusSeeOther || to != "/counties/17031/edit?done=contacts" {
		t.Fatalf("contacts: %d %s %s", code, to, body)
	}
	kept, err := o.store.Contacts(t.Context(), county)
	if must(t, err); len(kept) != 2 || kept[0] != (muster.Contact{Name: "Dana Whitfield", Duty: "County clerk", Phone: "+1 312 555 0142"}) || kept[1].Email != "desk@cook.example" {
		t.Errorf("kept %+v", kept)
	}
	for _, path := range []string{"/counties/17031", "/counties/17031/scorecard", "/counties/17031/edit?done=contacts"} {
		if !strings.Contains(page(path), "Dana Whitfield") {
			t.Errorf("%s does not show the contact", path)
		}
	}

	list := "PC-9, workstation, at the counter\r\nEMS-2, ems\r\n"
	if code, to, body := post("/counties/17031/expected", url.Values{"list": {list}}); code != http.StatusSeeOther || to != "/counties/17031/edit?done=expected" {
		t.Fatalf("expected: %d %s %s", code, to, body)
	}
	if body := page("/counties/17031"); !strings.Contains(body, "at the counter") {
		t.Errorf("what is missing is not shown: %s", body)
	}
	// The page gives back what it takes.
	_, after, _ := strings.Cut(page("/counties/17031/edit"), `id="list"`)
	_, after, _ = strings.Cut(after, ">\n")
	shown, _, _ := strings.Cut(after, "</textarea>")
	if code, _, body := post("/counties/17031/expected", url.Values{"list": {shown}}); code != http.StatusSeeOther {
		t.Errorf("%q again: %d %s", shown, code, body)
	}
	expected, err := o.store.Expected(t.Context(), muster.View{}, county)
	if must(t, err); len(expected) != 2 || expected[1].Name != "PC-9" || expected[1].Note != "at the counter" || expected[0].Profile != muster.EMS {
		t.Errorf("expected %+v", expected)
	}
	log, err := o.store.AuditLog(t.Context(), 0, 3)
	must(t, err)
	for i, want := range []string{"expect_hosts 2 of county 17031", "expect_hosts 2 of county 17031", "set_contacts 2 of county 17031"} {
		if e := log[i]; e.Action+" "+e.Object != want || !strings.Contains(e.Actor, "operator@state.example") {
			t.Errorf("log %d: %+v", i, e)
		}
	}

	for name, c := range map[string]struct {
		path   string
		fields url.Values
		says   string
	}{
		"Profile":      {"/counties/17031/expected", url.Values{"list": {"PC-9, front desk"}}, "use workstation or ems"},
		"Twice":        {"/counties/17031/expected", url.Values{"list": {"PC-9\npc-9"}}, "pc-9 is there twice"},
		"Quote":        {"/counties/17031/expected", url.Values{"list": {`PC "9"`}}, "line 1"},
		"NoName":       {"/counties/17031/contacts", url.Values{"name": {""}, "duty": {"clerk"}, "phone": {""}, "email": {""}}, "the name is missing"},
		"FieldMissing": {"/counties/17031/contacts", url.Values{"name": {"a"}}, "some of these fields did not come"},
		"Long":         {"/counties/17031/contacts", url.Values{"name": {strings.Repeat("x", 201)}, "duty": {""}, "phone": {""}, "email": {""}}, "shorten it"},
		"NoCounty":     {"/counties/1703/contacts", url.Values{}, "five-digit"},
	} {
		if code, _, body := post(c.path, c.fields); code != http.StatusUnprocessableEntity || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d does not say %q: %.2000s", name, code, c.says, body)
		}
	}
	if again, err := o.store.Contacts(t.Context(), county); err != nil || len(again) != 2 {
		t.Errorf("a refused form changed the contacts: %v %v", again, err)
	}
	if code, _, body := post("/counties/17031/expected", url.Values{"list": {strings.Repeat("x\n", 200_000)}}); code != http.StatusRequestEntityTooLarge {
		t.Errorf("a form that is too large: %d %.300s", code, body)
	}
	// Nothing entered is nothing kept.
	if code, _, _ := post("/counties/17031/expected", url.Values{"list": {""}}); code != http.StatusSeeOther {
		t.Errorf("an empty list: %d", code)
	}
	if expected, err = o.store.Expected(t.Context(), muster.View{}, county); err != nil || len(expected) != 0 {
		t.Errorf("after an empty list %v is expected: %v", expected, err)
	}
}
