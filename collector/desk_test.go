package collector

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/api"
	"github.com/passmuster/muster/collector/store"
)

// What people of a county are told when they ask for a waiver.
func TestAskForWaiver(t *testing.T) {
	r := start(t)
	mine := ship(t, r, r.keys.hostToken)
	foreign := shipOf(t, r, r.keys.hostToken, "17089", "elsewhere")
	waiting := shipOf(t, r, "", "17031", "waits")
	now := time.Now()
	fine := muster.Ask{County: "17031", Host: mine, Control: "MVS-ENC-01", Reason: " new disks\nare ordered ", Until: now.AddDate(0, 0, 400)}
	for says, change := range map[string]func(*muster.Ask){
		"":                                   func(*muster.Ask) {},
		"not of state":                       func(a *muster.Ask) { a.County = "18001" },
		"five-digit":                         func(a *muster.Ask) { a.County = "x" },
		"the reason is missing":              func(a *muster.Ask) { a.Reason = " \n" },
		"1001 characters, and at most 1000":  func(a *muster.Ask) { a.Reason = strings.Repeat("ü", 1001) },
		"characters that are no text":        func(a *muster.Ask) { a.Reason = "old\x00" },
		"not in the future":                  func(a *muster.Ask) { a.Until = now },
		"more than 400 days away":            func(a *muster.Ask) { a.Until = now.AddDate(0, 0, 402) },
		`no control "MVS-NONE-01"`:           func(a *muster.Ask) { a.Control = "MVS-NONE-01" },
		fmt.Sprintf("host %q", foreign):      func(a *muster.Ask) { a.Host = foreign },
		fmt.Sprintf("host %q", waiting):      func(a *muster.Ask) { a.Host = waiting },
		fmt.Sprintf("host %q", "h<nowhere>"): func(a *muster.Ask) { a.Host = "h<nowhere>" },
	} {
		a := fine
		change(&a)
		_, err := r.Ask(t.Context(), a, "clerk@example.gov")
		if (says == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), says) || !api.IsRefused(err)) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	page, err := r.store.Asks(t.Context(), muster.AskQuery{})
	must(t, err)
	list := page.Asks
	if len(list) != 1 || list[0].By != "clerk@example.gov" || list[0].Reason != "new disks\nare ordered" || list[0].Until != fine.Until.UTC().Truncate(24*time.Hour) {
		t.Fatalf("kept: %+v", list)
	}

	id := list[0].ID
	for says, answer := range map[string]func() error{
		"is no answer":          func() error { return r.Answer(t.Context(), id, muster.AskOpen, "", "ciso") },
		"the answer is missing": func() error { return r.Answer(t.Context(), id, muster.AskDeclined, " ", "ciso") },
		"at most 1000":          func() error { return r.Answer(t.Context(), id, muster.AskGranted, strings.Repeat("x", 1001), "ciso") },
	} {
		if err := answer(); err == nil || !strings.Contains(err.Error(), says) || !api.IsRefused(err) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	must(t, r.Answer(t.Context(), id, muster.AskGranted, "", "ciso"))
	if err := r.Answer(t.Context(), id, muster.AskDeclined, "no", "ciso"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("answered twice: %v", err)
	}
	if err := r.Answer(t.Context(), id+1, muster.AskGranted, "", "ciso"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("answered nothing: %v", err)
	}
	log, err := r.store.AuditLog(t.Context(), 0, 99)
	must(t, err)
	for actor, object := range map[string]string{
		"clerk@example.gov": "MVS-ENC-01 for host " + string(mine) + " of county 17031 until " + fine.Until.UTC().Format(time.DateOnly),
		"ciso":              fmt.Sprintf("granted request %d of county 17031 for MVS-ENC-01", id),
	} {
		if !slices.ContainsFunc(log, func(e muster.LogEntry) bool { return e.Actor == actor && e.Object == object }) {
			t.Errorf("no line %q by %s in %+v", object, actor, log)
		}
	}
}

func TestContactsAreChecked(t *testing.T) {
	r := start(t)
	set := func(county muster.County, list ...muster.Contact) error {
		return r.SetContacts(t.Context(), county, list, "operator")
	}
	long := strings.Repeat("ü", maxField)
	must(t, set("17031", muster.Contact{Name: long, Duty: long, Phone: long, Email: long}))
	for says, err := range map[string]error{
		"not of state":                   set("18001"),
		"contact 2: the name is missing": set("17031", muster.Contact{Name: "x"}, muster.Contact{Phone: "1"}),
		"the email has 201":              set("17031", muster.Contact{Name: "x", Email: long + "x"}),
		"the duty has characters":        set("17031", muster.Contact{Name: "x", Duty: "\xff"}),
		"21 are more than the 20":        set("17031", slices.Repeat([]muster.Contact{{Name: "x"}}, store.MaxContacts+1)...),
	} {
		if err == nil || !strings.Contains(err.Error(), says) || !api.IsRefused(err) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	if list, err := r.store.Contacts(t.Context(), "17031"); err != nil || len(list) != 1 || list[0].Name != long {
		t.Errorf("kept: %v %v", list, err)
	}
}

// A request can be granted up to the end of its last day, and no waiver comes of it later.
func TestGrantOnTheLastDay(t *testing.T) {
	o := openAll(t)
	day := o.clock.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 3)
	var ids []int64
	for range 2 {
		id, err := o.Ask(t.Context(), muster.Ask{County: "17031", Control: "MVS-ENC-01", Reason: "old", Until: day}, "clerk")
		must(t, err)
		ids = append(ids, id)
	}
	o.clock.add(day.AddDate(0, 0, 1).Sub(o.clock.Now()) - time.Second)
	must(t, o.Answer(t.Context(), ids[0], muster.AskGranted, "", "ciso"))
	o.clock.add(time.Second)
	if err := o.Answer(t.Context(), ids[1], muster.AskGranted, "", "ciso"); !api.IsRefused(err) || !strings.Contains(err.Error(), "its last day, "+day.Format(time.DateOnly)+", has passed") {
		t.Errorf("granted after its last day: %v", err)
	}
	must(t, o.Answer(t.Context(), ids[1], muster.AskDeclined, "too late", "ciso"))
}

// Whoever reads a county asks for it, and learns nothing of another's computers by it.
func TestCountyAsks(t *testing.T) {
	o := openAll(t)
	mine := ship(t, o.running, o.keys.hostToken)
	foreign := shipOf(t, o.running, o.keys.hostToken, "17089", "elsewhere")
	clerk := caller{base: o.far, client: &http.Client{}, peer: muster.Peer{Node: "n1", Login: "clerk@ours.example", Roles: []muster.Role{muster.CountyRole("17031")}}}
	until := o.clock.Now().AddDate(0, 1, 0).Format(time.DateOnly)
	ask := func(county, host string) (int, string) {
		t.Helper()
		code, _, body := o.as(clerk, http.MethodPost, "/api/v1/counties/"+county+"/asks", `{"host": "`+host+`", "control": "MVS-ENC-01", "reason": "old", "until": "`+until+`"}`)
		return code, strings.ReplaceAll(body, host, "…")
	}
	if code, body := ask("17031", string(mine)); code != http.StatusCreated || !strings.Contains(body, `"by":"clerk@ours.example"`) {
		t.Errorf("%d %s", code, body)
	}
	code, body := ask("17031", string(foreign))
	if c, b := ask("17031", string(muster.NewHostID([]byte("nowhere")))); code != http.StatusUnprocessableEntity || c != code || b != body {
		t.Errorf("a computer elsewhere: %d %s; none: %d %s", code, body, c, b)
	}
	if code, _ := ask("17089", string(foreign)); code != http.StatusNotFound {
		t.Errorf("for another county: %d", code)
	}
	for path, tells := range map[string]string{"/api/v1/asks": "MVS-ENC-01", "/api/v1/search?q=" + string(mine[:9]): string(mine), "/api/v1/search?q=" + string(foreign): `{"hosts":[]}`} {
		if code, _, body := o.as(clerk, http.MethodGet, path, ""); code != http.StatusOK || !strings.Contains(body, tells) || strings.Contains(body, "elsewhere") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}
