package browser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/browser"
)

// The ways that people go, each in a real collector with a real browser and no mouse.
func TestWays(t *testing.T) {
	o := open(t)
	here := newComputer(t, "17031", "counting-pc").enroll(o, o.hostToken).copied(o).send(o, muster.StatusFail)
	newComputer(t, "17089", "elsewhere-pc").enroll(o, o.hostToken).send(o, muster.StatusPass)
	newComputer(t, "17031", "waiting-pc").enroll(o, "").send(o, muster.StatusPass)
	_, err := o.Publish(t.Context(), bundle(t, 7), muster.RingCanary, "console")
	must(t, err)
	o.request(t, "until the new ones come")
	for _, scripts := range []bool{true, false} {
		o.Scripts(scripts)
		t.Run(fmt.Sprintf("scripts %v", scripts), func(t *testing.T) {
			for _, role := range []muster.Role{muster.RoleViewer, muster.RoleOperator, muster.RoleCISO, clerk} {
				o.way(t, string(role)+" reads", func(t *testing.T) { o.reads(t, role, here) })
			}
			o.use(t, scripts)
			o.way(t, "a clerk stays at home", o.staysHome)
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

// refused with a page that has the way on.
const refused = `[403, 404].includes(performance.getEntriesByType("navigation")[0].responseStatus) &&
	document.querySelector("main .problem h1") !== null && document.querySelector("nav.places a") !== null`

// sendsTo are the addresses of the forms on a page.
const sendsTo = `[...document.querySelectorAll("form[method=post]")].flatMap((one) =>
	[one.action, ...[...one.querySelectorAll("[formaction]")].map((button) => button.formAction)])`

// notPages are patterns of which there is no page.
var notPages = map[string]string{
	"GET /static/": "files, which every page asks for",
	"GET /live":    "a stream, of which TestPagesChangeByThemselves tells",
}

// reads opens every page: those that the role may see are answered, and have together the
// forms that it may use and no other; the rest is refused.
func (o *office) reads(t *testing.T, role muster.Role, c *computer) {
	of := role
	if _, ok := role.County(); ok {
		of = ""
	}
	fill := strings.NewReplacer("GET ", "", "{$}", "", "{county}", string(c.county), "{host}", string(c.id), "{control}", "MVS-ENC-01", "{version}", "7",
		"/exceptions/ask", "/exceptions/ask?county="+string(c.county))
	seen := map[string]bool{}
	o.enter(role, "/")
	for _, pattern := range web.Patterns() {
		if notPages[pattern] != "" {
			continue
		}
		path := fill.Replace(pattern)
		if strings.ContainsRune(path, '{') {
			t.Errorf("nothing is known to fill in for a page of %s", pattern)
			continue
		}
		o.Visit(path)
		if !door.May(of, pattern) {
			o.Is(refused)
			continue
		}
		o.Is(answered)
		for _, to := range browser.Value[[]string](o.Tab, sendsTo) {
			seen[patternOf(to)] = true
		}
	}
	for _, pattern := range formPatterns() {
		if may := door.May(of, pattern); may != seen[pattern] {
			t.Errorf("%s: may use it %v, is shown it %v", pattern, may, seen[pattern])
		}
	}
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
