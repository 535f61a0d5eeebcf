package main

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web/internal/browser"
)

// TestTour opens every page as everyone.
func TestTour(t *testing.T) {
	var said strings.Builder
	if err := run(t.Context(), "", 0, true, &said); err != nil {
		t.Fatal(err)
	}
	t.Log(said.String())
}

// sight is a Chromium before the stage.
type sight struct {
	*browser.Tab
	*stage
}

func open(t *testing.T) *sight {
	t.Helper()
	s, err := newStage(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.live.Run(t.Context()) }()
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		close(s.changes)
		if err := <-done; err != nil {
			t.Error(err)
		}
		server.Close()
	})
	b := browser.Open(t, server.URL)
	b.Do(browser.Screen(1200, "light"))
	return &sight{b, s}
}

// listen opens a page and waits until it is live. Its pauses, which are for people, are
// short from then on.
func (b *sight) listen(path string) {
	b.Helper()
	b.Visit(path)
	b.Wait(`document.getElementById("live")?.textContent === "Live"`)
	browser.Value[bool](b.Tab, `(() => {
		const later = window.setTimeout;
		window.setTimeout = (what, pause, ...rest) => later(what, Math.min(pause, 50), ...rest);
		return true;
	})()`)
}

// change turns the state, and waits until the page has said so.
func (b *sight) change() {
	b.Helper()
	browser.Value[bool](b.Tab, `document.querySelector("body > [role=status]").textContent = "", true`)
	county, err := b.turn()
	if err != nil {
		b.Fatal(err)
	}
	b.changes <- []muster.County{county}
	b.Wait(`document.querySelector("body > [role=status]").textContent.startsWith("Updated just now: ")`)
}

// words of the page but those of times and of forms, and what they should be.
const asServed = `(async () => {
	const words = (main) => {
		for (const one of main.querySelectorAll("time, form")) one.remove();
		return main.textContent.replace(/\s+/g, " ").trim();
	};
	const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
	return words(document.getElementById("main").cloneNode(true)) === words(page.getElementById("main"));
})()`

func TestPagesAreLive(t *testing.T) {
	b := open(t)
	b.listen("/changes")
	// Someone is about to follow a link, has opened something and typed something.
	browser.Value[bool](b.Tab, `(() => {
		const links = [...document.querySelectorAll("main a[href^='/hosts/']")];
		window.link = links[2];
		window.leads = link.href;
		window.fresh = 0;
		const count = () => { fresh = Math.max(fresh, document.querySelectorAll(".fresh").length); };
		new MutationObserver(count).observe(document.body, { subtree: true, attributeFilter: ["class"] });
		link.focus();
		const make = (html) => document.querySelector("main").append(new DOMParser().parseFromString(html, "text/html").body.firstChild);
		make('<form id="mine"><input name="why"></form>');
		document.forms.mine.why.value = "half a sentence";
		window.scrollTo(0, 300);
		return true;
	})()`)
	b.change()
	b.Is(`document.activeElement === link && link.href === leads`, `document.forms.mine.why.value === "half a sentence"`,
		`fresh > 0`)
	if !browser.Value[bool](b.Tab, asServed) {
		t.Error("the page is not what the collector serves")
	}
	// A form that nobody uses any more goes when the page has none.
	browser.Value[bool](b.Tab, `document.forms.mine.why.value = "", true`)
	b.change()
	b.Is(`!document.forms.mine`, `document.activeElement === link && link.href === leads`)
}

func TestOpenedPartsStayOpen(t *testing.T) {
	b := open(t)
	b.listen("/")
	browser.Value[bool](b.Tab, `(() => {
		for (const one of document.querySelectorAll("main details")) one.open = true;
		window.opened = [...document.querySelectorAll("main details")];
		return true;
	})()`)
	b.Is(`opened.length > 0`)
	b.change()
	b.Is(`opened.every((one) => one.isConnected && one.open)`)
}

func TestThePastIsNotLive(t *testing.T) {
	b := open(t)
	b.Visit("/?as_of=" + time.Now().UTC().AddDate(0, 0, -7).Format(time.DateOnly))
	b.Wait(`document.querySelector("footer button")?.textContent === "Keys"`) // the script has run
	b.Is(`!document.getElementById("live")`, `!document.querySelector("[data-live]")`, `!document.querySelector("[data-now]")`)
}

func TestKeys(t *testing.T) {
	b := open(t)
	b.Visit("/")
	b.Wait(`document.querySelector("footer button")?.textContent === "Keys"`)
	b.Press("?")
	b.Is(`document.querySelector("dialog").open`, `document.querySelector("dialog").textContent.includes("Policies")`)
	b.Press("\u001b")
	b.Wait(`!document.querySelector("dialog").open`)
	b.Press("/")
	b.Is(`document.activeElement.id === "q"`)
	b.Press("?g")
	b.Is(`!document.querySelector("dialog").open`, `document.activeElement.value.endsWith("?g")`)
	browser.Value[bool](b.Tab, `document.activeElement.blur(), true`)
	b.Press("gp")
	b.Wait(`location.pathname === "/policies" && document.readyState === "complete"`)
	// Off, and off on the next page too.
	browser.Value[bool](b.Tab, `document.querySelector("footer button").click(), document.querySelector("dialog input").click(), document.querySelector("dialog form button").click(), true`)
	b.Wait(`!document.querySelector("dialog").open`)
	b.Visit("/")
	b.Wait(`document.querySelector("footer button")?.textContent === "Keys"`)
	b.Press("?")
	b.Is(`!document.querySelector("dialog").open`)
}

func TestUploadShowsTheAnswer(t *testing.T) {
	b := open(t)
	b.Visit("/policies")
	b.Wait(`document.querySelector("footer button")?.textContent === "Keys"`)
	browser.Value[bool](b.Tab, `(() => {
		const html = '<form action="/courier" method="post" enctype="multipart/form-data" data-upload><input type="file" name="file"><button>Send</button></form>';
		document.querySelector("main").append(new DOMParser().parseFromString(html, "text/html").body.firstChild);
		const files = new DataTransfer();
		files.items.add(new File([new Uint8Array(3e6)], "stick.courier"));
		document.querySelector("[type=file]").files = files.files;
		document.querySelector("[data-upload] button").click();
		return true;
	})()`)
	b.Wait(`document.querySelector("h1").textContent === "This was not done"`)
	b.Is(`document.activeElement.id === "main"`, `document.title.startsWith("This was not done")`)
	b.changes <- nil
	time.Sleep(2 * time.Second) // longer than the script waits before it asks again
	b.Is(`document.querySelector("h1").textContent === "This was not done"`)
}
