package browser_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/browser"
)

// The ways that people go, each in a real collector with a real browser and no mouse.
func TestWays(t *testing.T) {
	o := open(t)
	here := newComputer(t, "17031", "counting-pc").enroll(o, o.hostToken).send(o, muster.StatusFail)
	newComputer(t, "17089", "elsewhere-pc").enroll(o, o.hostToken).send(o, muster.StatusPass)
	newComputer(t, "17031", "waiting-pc").enroll(o, "").send(o, muster.StatusPass)
	o.publish(t, 7)
	for _, scripts := range []bool{true, false} {
		o.Scripts(scripts)
		t.Run(fmt.Sprintf("scripts %v", scripts), func(t *testing.T) {
			o.way(t, "a viewer is shown no forms", func(t *testing.T) { o.reads(t, here) })
			o.way(t, "an operator approves", func(t *testing.T) { o.approves(t, newComputer(t, "17031", "new-pc"), scripts) })
			o.way(t, "an operator uploads", func(t *testing.T) { o.uploads(t, newComputer(t, "17031", "far-pc"), scripts) })
			o.way(t, "the officer promotes", func(t *testing.T) { o.promotes(t, 7) })
			o.way(t, "a clerk stays at home", o.staysHome)
			o.way(t, "a clerk asks and the officer grants", func(t *testing.T) { o.asks(t, fmt.Sprintf("the vendor comes, %v", scripts)) })
			o.way(t, "a search", func(t *testing.T) { o.searches(t, here, scripts) })
			o.way(t, "the past and back", o.looksBack)
		})
	}
}

// way runs a part of the test.
func (o *office) way(t *testing.T, name string, walk func(*testing.T)) {
	t.Run(name, func(part *testing.T) {
		o.As(part)
		defer o.As(t)
		walk(part)
	})
}

// sound looks at a page that only a form leads to; once is enough, with scripts.
func (o *office) sound(scripts bool) {
	if scripts {
		o.Sound()
		o.Do(browser.Screen(1440, "light"))
	}
}

// nothingToChange on a page: there is no form but one that asks for a waiver, which
// everyone may who reads.
const nothingToChange = `document.querySelectorAll("main form[method=post]:not([action$='/asks'])").length === 0`

// answered with a page and not with what is wrong.
const answered = `performance.getEntriesByType("navigation")[0].responseStatus === 200`

func (o *office) reads(t *testing.T, c *computer) {
	o.enter(muster.RoleViewer, "/")
	fill := strings.NewReplacer("GET ", "", "{$}", "", "{county}", string(c.county), "{host}", string(c.id), "{control}", "MVS-ENC-01", "{version}", "7")
	pages := 0
	for _, pattern := range web.Patterns() {
		path := fill.Replace(pattern)
		if path == "/live" || path == "/static/" || strings.ContainsRune(path, '{') || !door.May(muster.RoleViewer, pattern) {
			continue
		}
		pages++
		o.Visit(path)
		o.Is(answered, nothingToChange)
	}
	t.Logf("%d pages", pages)
}

func (o *office) approves(t *testing.T, c *computer, scripts bool) {
	c.enroll(o, "").send(o, muster.StatusPass)
	o.enter(muster.RoleOperator, "/")
	o.TabTo(`nav a[href="/pending"]`)
	o.Press("\r")
	o.Wait(`location.pathname === "/pending" && document.readyState === "complete"`)
	o.TabTo(fmt.Sprintf(`button[formaction="/hosts/%s/approve"]`, c.id))
	o.Press("\r")
	o.Wait(`document.querySelector("main .done") !== null`)
	o.sound(scripts)
	o.Visit("/hosts/" + string(c.id))
	o.Is(fmt.Sprintf(`document.querySelector("h1").textContent.includes(%q)`, c.name))
}

func (o *office) promotes(t *testing.T, version int64) {
	before, err := o.Release(t.Context(), version)
	must(t, err)
	o.enter(muster.RoleCISO, "/policies")
	o.TabTo(fmt.Sprintf(`form[action="/policies/%d/promote"] button`, version))
	o.Press("\r")
	o.Wait(`document.querySelector("main .done") !== null`)
	after, err := o.Release(t.Context(), version)
	must(t, err)
	if after.Ring == before.Ring {
		t.Errorf("version %d is still offered to %s", version, after.Ring)
	}
}

func (o *office) uploads(t *testing.T, c *computer, scripts bool) {
	file := c.sealed(o)
	o.enter(muster.RoleOperator, "/courier")
	_, err := chromedp.Call(o.Ctx, page.SetInterceptFileChooserDialog, page.SetInterceptFileChooserDialogParams{Enabled: true})
	must(t, err)
	o.TabTo(`input[type=file]`)
	chosen, err := chromedp.Run(o.Ctx, chromedp.WaitEvent(page.FileChooserOpened, nil, chromedp.KeyEvent("\r")))
	must(t, err)
	_, err = chromedp.Call(o.Ctx, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{file}, BackendNodeID: chosen.BackendNodeID})
	must(t, err)
	o.TabTo(`form[action="/courier"] button`)
	o.Press("\r")
	o.Wait(`document.querySelector("h1").textContent.includes("taken in")`)
	o.TabTo(`a[href^="/courier/returns/"]`)
	o.sound(scripts)
	waits, err := o.Pending(t.Context(), c.county)
	must(t, err)
	if !slices.ContainsFunc(waits, func(h muster.HostStanding) bool { return h.ID == c.id }) {
		t.Errorf("it does not wait for approval: %+v", waits)
	}
	must(t, o.Approve(t.Context(), c.id, "console"))
}

func (o *office) staysHome(t *testing.T) {
	o.enter("county:17031", "/")
	o.Is(`location.pathname === "/counties/17031"`, `document.querySelector("h1").textContent.includes("Cook County")`)
	for _, path := range []string{"/", "/changes", "/quiet", "/exports", "/search?q=pc"} {
		o.Visit(path)
		o.Is(`!document.documentElement.outerHTML.includes("elsewhere-pc") && !document.documentElement.outerHTML.includes("17089")`,
			answered, nothingToChange)
	}
	for _, path := range []string{"/counties/17089", "/policies", "/log", "/people"} {
		o.Visit(path)
		o.Is(`document.querySelector("h1").textContent === "There is nothing here"`)
	}
}

func (o *office) asks(t *testing.T, reason string) {
	o.enter("county:17031", "/exceptions?county=17031")
	o.TabTo(`a[href^="/exceptions/ask"]`)
	o.Press("\r")
	o.Wait(`document.getElementById("reason") !== null && document.readyState === "complete"`)
	o.TabTo("#control")
	o.Press(kb.ArrowDown)
	o.TabTo("#reason")
	o.Press(reason)
	o.TabTo(`form[action="/counties/17031/asks"] button`)
	o.Press("\r")
	said := fmt.Sprintf(`document.querySelector("main .done") !== null && document.querySelector("main").textContent.includes(%q)`, reason)
	o.Wait(said)
	o.Is(nothingToChange)
	o.enter(muster.RoleCISO, "/exceptions")
	o.TabTo(".requests summary")
	o.Press("\r")
	o.TabTo(`button[value="granted"]`)
	o.Press("\r")
	o.Wait(said)
	o.Is(`document.querySelector("form[action$='/answer']") === null`)
}

func (o *office) searches(t *testing.T, c *computer, scripts bool) {
	o.enter(muster.RoleViewer, "/")
	if scripts {
		o.Wait(`document.querySelector("footer button") !== null`)
		o.Press("/")
	} else {
		o.Is(`document.querySelector("footer button") === null`) // scripts are really off
		o.TabTo("#q")
	}
	o.Press("counting\r")
	o.Wait(`location.pathname !== "/" && document.readyState === "complete"`)
	o.Is(fmt.Sprintf(`document.querySelector("main").textContent.includes(%q)`, c.name))
}

func (o *office) looksBack(t *testing.T) {
	o.enter(muster.RoleViewer, "/")
	o.TabTo(".picker summary")
	o.Press("\r")
	o.TabTo(".picker .often button")
	o.Press("\r")
	o.Wait(`location.search.includes("as_of=") && document.querySelector("aside.past") !== null`)
	o.TabTo("aside.past a")
	o.Press("\r")
	o.Wait(`location.pathname === "/" && !location.search && document.querySelector("aside.past") === null && document.querySelector("h1") !== null`)
}

// What the door tells people is sound, and a telephone's menu opens with keys.
func TestDoorAndMenu(t *testing.T) {
	o := open(t)
	for path, says := range map[string]string{"/": "Sign in", "/login": "Your role does not reach this far", "/login/callback": "sign"} {
		o.Visit(path)
		o.Is(fmt.Sprintf(`document.querySelector("main").textContent.includes(%q)`, says))
		o.Sound()
	}
	o.enter("county:17031", "/")
	o.Do(browser.Screen(320, "light"))
	o.TabTo("button.menu")
	o.Press("\r")
	o.Is(`document.getElementById("menu").matches(":popover-open")`)
	for _, v := range o.Check() {
		t.Errorf("the open menu: %s", v)
	}
	o.TabTo(`nav a[href="/exports"]`)
	o.Press("\r")
	o.Wait(`location.pathname === "/exports" && document.querySelector("h1") !== null`)
}

// A report changes the page that someone looks at.
func TestPagesChangeByThemselves(t *testing.T) {
	o := open(t)
	c := newComputer(t, "17031", "counting-pc").enroll(o, o.hostToken).send(o, muster.StatusFail)
	o.enter(muster.RoleViewer, "/")
	o.Wait(`document.getElementById("live").textContent === "Live"`)
	o.Is(`(window.here = true)`, `document.querySelector("h1").textContent.startsWith("0 of 1 computer")`)
	c.send(o, muster.StatusPass)
	o.Wait(`document.querySelector("h1").textContent.startsWith("1 of 1 computer")`)
	o.Is(`window.here`)
}
