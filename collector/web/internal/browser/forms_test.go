package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
)

// A form of the dashboard, and how someone uses it who has only a keyboard: the least role
// that may with scripts, and another that may without.
type form struct {
	pattern       string
	with, without muster.Role
	use           func(*office, *testing.T, turn)
}

// A turn is once that someone uses a form; Name tells it from the other.
type turn struct {
	role    muster.Role
	scripts bool
	name    string
	version int64
}

const clerk muster.Role = "county:17031"

func forms() []form {
	const viewer, operator, ciso = muster.RoleViewer, muster.RoleOperator, muster.RoleCISO
	return []form{
		{"POST /hosts/{host}/approve", operator, ciso, (*office).approves},
		{"POST /pending/approve", operator, ciso, (*office).approvesSome},
		{"POST /courier", operator, ciso, (*office).uploads},
		{"POST /hosts/{host}/audit", operator, ciso, (*office).audits},
		{"POST /hosts/{host}/clear-clone", operator, ciso, (*office).clears},
		{"POST /hosts/{host}/retire", operator, ciso, (*office).retires},
		{"POST /counties/{county}/contacts", operator, ciso, (*office).calls},
		{"POST /counties/{county}/expected", operator, ciso, (*office).expects},
		{"POST /counties/{county}/asks", clerk, viewer, (*office).asks},
		{"POST /asks/{ask}/answer", ciso, ciso, (*office).answers},
		{"POST /policies", ciso, ciso, (*office).publishes},
		{"POST /policies/{version}/promote", ciso, ciso, (*office).promotes},
		{"POST /policies/{version}/pause", ciso, ciso, (*office).pauses},
		{"POST /policies/rings", ciso, ciso, (*office).rings},
		{"POST /logout", clerk, viewer, (*office).leaves},
	}
}

// patternOf the form whose address it is.
func patternOf(address string) string {
	mux := http.NewServeMux()
	for _, pattern := range formPatterns() {
		mux.Handle(pattern, http.NotFoundHandler())
	}
	_, pattern := mux.Handler(httptest.NewRequest(http.MethodPost, address, nil))
	return pattern
}

// formPatterns are those of all forms: what changes something, but for hosts and programs.
func formPatterns() (list []string) {
	for _, rule := range door.Table() {
		if path, ok := strings.CutPrefix(rule.Pattern, "POST "); ok && !strings.HasPrefix(path, "/api/") && !strings.HasPrefix(path, "/v1/") {
			list = append(list, rule.Pattern)
		}
	}
	return list
}

// use every form there is, each checked by what the store has afterwards.
func (o *office) use(t *testing.T, scripts bool) {
	left := formPatterns()
	for _, f := range forms() {
		as := turn{role: f.with, scripts: scripts, name: "with", version: 8}
		if !scripts {
			as.role, as.name, as.version = f.without, "without", 9
		}
		o.way(t, fmt.Sprintf("%s, %s", as.role, f.pattern), func(t *testing.T) {
			before := len(o.Posts())
			f.use(o, t, as)
			if !slices.ContainsFunc(o.Posts()[before:], func(to string) bool { return patternOf(to) == f.pattern }) {
				t.Errorf("nothing was sent to %s but %q", f.pattern, o.Posts()[before:])
			}
		})
		left = slices.DeleteFunc(left, func(pattern string) bool { return pattern == f.pattern })
	}
	if len(left) > 0 {
		t.Errorf("forms that nobody uses here: %q", left)
	}
}

// done wants the page to say that it was done.
const done = `document.querySelector("main .done") !== null`

// press the button that a selector chooses.
func (o *office) press(selector string) {
	o.Helper()
	o.TabTo(selector)
	o.Press("\r")
}

// send with the button that a selector chooses, and wait until it was done.
func (o *office) send(selector string) {
	o.Helper()
	o.press(selector)
	o.Wait(done)
}

// write into the field that a selector chooses.
func (o *office) write(selector, text string) {
	o.Helper()
	o.TabTo(selector)
	o.Press(text)
}

// choose a file in the field that a selector chooses.
func (o *office) choose(t *testing.T, selector, file string) {
	t.Helper()
	_, err := chromedp.Call(o.Ctx, page.SetInterceptFileChooserDialog, page.SetInterceptFileChooserDialogParams{Enabled: true})
	must(t, err)
	o.TabTo(selector)
	chosen, err := chromedp.Run(o.Ctx, chromedp.WaitEvent(page.FileChooserOpened, nil, chromedp.KeyEvent("\r")))
	must(t, err)
	_, err = chromedp.Call(o.Ctx, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{file}, BackendNodeID: chosen.BackendNodeID})
	must(t, err)
}

// host as the store has it; nil where it is not active.
func (o *office) host(t *testing.T, id muster.HostID) *muster.HostStanding {
	t.Helper()
	page, err := o.Hosts(t.Context(), muster.HostQuery{})
	must(t, err)
	if i := slices.IndexFunc(page.Hosts, func(h muster.HostStanding) bool { return h.ID == id }); i >= 0 {
		return &page.Hosts[i]
	}
	return nil
}

func (o *office) approves(t *testing.T, as turn) {
	c := newComputer(t, "17031", "new-pc-"+as.name).enroll(o, "").send(o, muster.StatusPass)
	o.enter(as.role, "/")
	o.press(`nav a[href="/pending"]`)
	o.Wait(`location.pathname === "/pending" && document.readyState === "complete"`)
	o.send(fmt.Sprintf(`button[formaction="/hosts/%s/approve"]`, c.id))
	o.sound(as.scripts)
	if o.host(t, c.id) == nil {
		t.Error("it is not approved")
	}
}

func (o *office) approvesSome(t *testing.T, as turn) {
	var some []*computer
	for _, name := range []string{"one-", "two-", "three-"} {
		some = append(some, newComputer(t, "17031", name+as.name).enroll(o, ""))
	}
	o.enter(as.role, "/pending?county=17031")
	for _, c := range some[:2] {
		o.write(fmt.Sprintf(`input[value="%s"]`, c.id), " ")
	}
	o.send(`.pick-all button`)
	for i, c := range some {
		if approved := o.host(t, c.id) != nil; approved != (i < 2) {
			t.Errorf("%s is approved: %v", c.name, approved)
		}
	}
	must(t, o.Retire(t.Context(), some[2].id, "console"))
}

func (o *office) uploads(t *testing.T, as turn) {
	c := newComputer(t, "17031", "far-pc-"+as.name)
	file := c.sealed(o)
	o.enter(as.role, "/courier")
	o.choose(t, `input[type=file]`, file)
	o.press(`form[action="/courier"] button`)
	o.Wait(`document.querySelector("h1").textContent.includes("taken in")`)
	o.TabTo(`a[href^="/courier/returns/"]`)
	o.sound(as.scripts)
	waits, err := o.Pending(t.Context(), c.county)
	must(t, err)
	if !slices.ContainsFunc(waits, func(h muster.HostStanding) bool { return h.ID == c.id }) {
		t.Errorf("it does not wait for approval: %+v", waits)
	}
	must(t, o.Approve(t.Context(), c.id, "console"))
}

func (o *office) audits(t *testing.T, as turn) {
	c := newComputer(t, "17031", "audited-"+as.name).enroll(o, o.hostToken).send(o, muster.StatusPass)
	o.enter(as.role, "/hosts/"+string(c.id))
	o.send(`form[action$="/audit"] button`)
	if h := o.host(t, c.id); h == nil || h.AuditWanted.IsZero() {
		t.Errorf("no audit is wanted: %+v", h)
	}
}

func (o *office) clears(t *testing.T, as turn) {
	c := newComputer(t, "17031", "copied-"+as.name).enroll(o, o.hostToken).copied(o)
	if h := o.host(t, c.id); h == nil || !h.Conflict {
		t.Fatalf("no copy is suspected: %+v", h)
	}
	o.enter(as.role, "/hosts/"+string(c.id))
	o.press(`details:has(form[action$="/clear-clone"]) summary`)
	o.send(`form[action$="/clear-clone"] button`)
	if h := o.host(t, c.id); h == nil || h.Conflict {
		t.Errorf("a copy is suspected: %+v", h)
	}
}

func (o *office) retires(t *testing.T, as turn) {
	c := newComputer(t, "17031", "old-"+as.name).enroll(o, o.hostToken).send(o, muster.StatusPass)
	o.enter(as.role, "/hosts/"+string(c.id))
	o.press(`details:has(form[action$="/retire"]) summary`)
	o.send(`form[action$="/retire"] button`)
	o.Is(`location.pathname === "/counties/17031"`)
	if h := o.host(t, c.id); h != nil {
		t.Errorf("it is there: %+v", h)
	}
}

func (o *office) calls(t *testing.T, as turn) {
	want := muster.Contact{Name: "Clerk " + as.name, Phone: "+1 312 555 0100"}
	o.enter(as.role, "/counties/17031/edit")
	o.write("#name-1", want.Name)
	o.write("#phone-1", want.Phone)
	o.send(`form[action$="/contacts"] button`)
	var got struct{ Contacts []muster.Contact }
	o.tell(t, "/api/v1/counties/17031/contacts", &got)
	if !slices.Equal(got.Contacts, []muster.Contact{want}) {
		t.Errorf("contacts %+v", got.Contacts)
	}
}

func (o *office) expects(t *testing.T, as turn) {
	name := "EXPECTED-" + as.name
	o.enter(as.role, "/counties/17031/edit")
	o.write("#list", name+", workstation\r")
	o.send(`form[action$="/expected"] button`)
	list, err := o.Expected(t.Context(), "17031")
	must(t, err)
	if !slices.ContainsFunc(list, func(e muster.ExpectedHost) bool { return e.Name == name && e.Profile == muster.Workstation }) {
		t.Errorf("expected are %+v", list)
	}
}

// asked is the request with a reason, as the store has it.
func (o *office) asked(t *testing.T, reason string) muster.Ask {
	t.Helper()
	var got struct{ Asks []muster.Ask }
	o.tell(t, "/api/v1/asks", &got)
	i := slices.IndexFunc(got.Asks, func(a muster.Ask) bool { return a.Reason == reason })
	if i < 0 {
		t.Fatalf("nobody asked because %s: %+v", reason, got.Asks)
	}
	return got.Asks[i]
}

func (o *office) asks(t *testing.T, as turn) {
	reason := "the vendor comes, " + as.name
	o.enter(as.role, "/exceptions?county=17031")
	o.press(`a[href^="/exceptions/ask"]`)
	o.Wait(`document.getElementById("reason") !== null && document.readyState === "complete"`)
	o.write("#control", kb.ArrowDown)
	o.write("#reason", reason)
	o.send(`form[action="/counties/17031/asks"] button`)
	o.Is(fmt.Sprintf(`document.querySelector("main").textContent.includes(%q)`, reason), nothingToChange)
	if a := o.asked(t, reason); a.State != muster.AskOpen || a.County != "17031" || a.By != "someone@example.gov" {
		t.Errorf("asked %+v", a)
	}
}

// answers one request with a yes, and another with a no and why.
func (o *office) answers(t *testing.T, as turn) {
	for state, why := range map[muster.AskState]string{muster.AskGranted: "", muster.AskDeclined: "it can wait"} {
		reason := fmt.Sprintf("to be %s, %s", state, as.name)
		id := o.request(t, reason)
		o.enter(as.role, "/exceptions")
		o.press(fmt.Sprintf(`details:has(form[action="/asks/%d/answer"]) summary`, id))
		o.write(fmt.Sprintf(`form[action="/asks/%d/answer"] textarea`, id), why)
		o.send(fmt.Sprintf(`form[action="/asks/%d/answer"] button[value=%q]`, id, state))
		o.Is(fmt.Sprintf(`document.querySelector("main").textContent.includes(%q)`, reason), fmt.Sprintf(`document.querySelector("form[action='/asks/%d/answer']") === null`, id))
		if a := o.asked(t, reason); a.State != state || a.Answer != why {
			t.Errorf("it is %+v", a)
		}
	}
}

// request a waiver, as a clerk does.
func (o *office) request(t *testing.T, reason string) int64 {
	t.Helper()
	id, err := o.Ask(t.Context(), muster.Ask{County: "17031", Control: "MVS-ENC-01", Reason: reason, Until: time.Now().AddDate(0, 1, 0)}, "clerk@example.gov")
	must(t, err)
	return id
}

func (o *office) publishes(t *testing.T, as turn) {
	file := filepath.Join(t.TempDir(), "policy.tar.gz")
	must(t, os.WriteFile(file, bundle(t, as.version), 0o600))
	o.enter(as.role, "/policies")
	o.choose(t, `#bundle`, file)
	o.press(`form[action="/policies"] button`)
	o.Wait(fmt.Sprintf(`location.pathname === "/policies/%d" && %s`, as.version, done))
	o.released(t, as.version, muster.RingCanary, true)
}

// released wants a release to be offered as far as a ring, or to nobody.
func (o *office) released(t *testing.T, version int64, ring muster.Ring, paused bool) {
	t.Helper()
	r, err := o.Release(t.Context(), version)
	must(t, err)
	if r.Ring != ring || r.Paused != paused {
		t.Errorf("version %d is offered to %s, paused %v", version, r.Ring, r.Paused)
	}
}

// promotes what was just published, to the canaries and then further.
func (o *office) promotes(t *testing.T, as turn) {
	o.enter(as.role, fmt.Sprintf("/policies/%d", as.version))
	for _, ring := range []muster.Ring{muster.RingCanary, muster.RingEarly} {
		o.send(fmt.Sprintf(`form[action="/policies/%d/promote"] button`, as.version))
		o.released(t, as.version, ring, false)
		o.Visit("/policies")
	}
}

func (o *office) pauses(t *testing.T, as turn) {
	o.enter(as.role, "/policies")
	o.send(fmt.Sprintf(`form[action="/policies/%d/pause"] button`, as.version))
	o.released(t, as.version, muster.RingEarly, true)
}

func (o *office) rings(t *testing.T, as turn) {
	member := muster.RingMember{County: "17089", Ring: muster.RingEarly}
	who := string(member.County)
	if !as.scripts {
		c := newComputer(t, "17031", "ringed").enroll(o, o.hostToken).send(o, muster.StatusPass)
		who, member = string(c.id), muster.RingMember{Host: c.id, Ring: muster.RingEarly}
	}
	o.enter(as.role, "/policies")
	o.write("#who", who)
	o.write("#ring", kb.ArrowDown)
	o.send(`form[action="/policies/rings"] button`)
	list, err := o.RingMembers(t.Context())
	must(t, err)
	if !slices.Contains(list, member) {
		t.Errorf("members are %+v", list)
	}
}

func (o *office) leaves(t *testing.T, as turn) {
	o.enter(as.role, "/")
	o.role = ""
	o.press(`form[action="/logout"] button`)
	const out = `document.querySelector("main")?.textContent.includes("Sign in") && document.querySelector("form[action='/logout']") === null`
	o.Wait(out)
	o.Visit("/exports")
	o.Is(out)
}
