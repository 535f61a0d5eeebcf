package main

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/passmuster/muster"
)

// TestTour opens every page as everyone.
func TestTour(t *testing.T) {
	var said strings.Builder
	if err := run(t.Context(), "", 0, true, &said); err != nil {
		t.Fatal(err)
	}
	t.Log(said.String())
}

// browser is a Chromium before the stage.
type browser struct {
	*testing.T
	*stage
	ctx  context.Context
	base string
}

func open(t *testing.T) *browser {
	t.Helper()
	s, err := newStage(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.live.Run(t.Context()) }()
	server := httptest.NewServer(s)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancelBrowser := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancelTab := chromedp.NewContext(ctx)
	ctx, cancelTime := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(func() {
		cancelTime()
		_ = chromedp.Cancel(ctx)
		cancelTab()
		cancelBrowser()
		close(s.changes)
		if err := <-done; err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return &browser{t, s, ctx, server.URL}
}

func (b *browser) visit(path string) {
	b.Helper()
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(1200, 900), chromedp.Navigate(b.base+path)); err != nil {
		b.Fatal(err)
	}
}

func value[T any](b *browser, script string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		b.Fatalf("%s: %v", script, err)
	}
	return v
}

// wait until a script is true.
func (b *browser) wait(script string) {
	b.Helper()
	for !value[bool](b, script) {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-b.ctx.Done():
			b.Fatalf("never: %s", script)
		}
	}
}

// is wants all of the scripts true.
func (b *browser) is(scripts ...string) {
	b.Helper()
	for _, script := range scripts {
		if !value[bool](b, script) {
			b.Errorf("not so: %s", script)
		}
	}
}

func (b *browser) press(keys string) {
	b.Helper()
	if err := chromedp.Do(b.ctx, chromedp.KeyEvent(keys)); err != nil {
		b.Fatal(err)
	}
}

// change turns the state, and waits until the page has said so.
func (b *browser) change() {
	b.Helper()
	value[bool](b, `document.querySelector("body > [role=status]").textContent = "", true`)
	county, err := b.turn()
	if err != nil {
		b.Fatal(err)
	}
	b.changes <- []muster.County{county}
	b.wait(`document.querySelector("body > [role=status]").textContent.startsWith("Updated just now: ")`)
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
	b.visit("/changes")
	b.wait(`document.getElementById("live").textContent === "Live"`)
	// Someone is about to follow a link, has opened something and typed something.
	value[bool](b, `(() => {
		const links = [...document.querySelectorAll("main a[href^='/hosts/']")];
		window.link = links[2];
		window.leads = link.href;
		link.focus();
		const make = (html) => document.querySelector("main").append(new DOMParser().parseFromString(html, "text/html").body.firstChild);
		make('<form id="mine"><input name="why"></form>');
		document.forms.mine.why.value = "half a sentence";
		window.scrollTo(0, 300);
		return true;
	})()`)
	b.change()
	b.is(`document.activeElement === link && link.href === leads`, `document.forms.mine.why.value === "half a sentence"`,
		`document.querySelectorAll(".fresh").length > 0`)
	if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](asServed, chromedp.EvalAwaitPromise)); err != nil || !ok {
		t.Errorf("the page is not what the collector serves: %v %v", ok, err)
	}
	// A form that nobody uses any more goes when the page has none.
	value[bool](b, `document.forms.mine.why.value = "", true`)
	b.change()
	b.is(`!document.forms.mine`, `document.activeElement === link && link.href === leads`)
}

func TestOpenedPartsStayOpen(t *testing.T) {
	b := open(t)
	b.visit("/")
	b.wait(`document.getElementById("live").textContent === "Live"`)
	value[bool](b, `(() => {
		for (const one of document.querySelectorAll("main details")) one.open = true;
		window.opened = [...document.querySelectorAll("main details")];
		return true;
	})()`)
	b.is(`opened.length > 0`)
	b.change()
	b.is(`opened.every((one) => one.isConnected && one.open)`)
}

func TestThePastIsNotLive(t *testing.T) {
	b := open(t)
	b.visit("/?as_of=" + time.Now().UTC().AddDate(0, 0, -7).Format(time.DateOnly))
	b.wait(`document.querySelector("footer button")?.textContent === "Keys"`) // the script has run
	b.is(`!document.getElementById("live")`, `!document.querySelector("[data-live]")`, `!document.querySelector("[data-now]")`)
}

func TestTimesGoOn(t *testing.T) {
	b := open(t)
	b.visit("/")
	b.wait(`document.querySelector("footer button")?.textContent === "Keys"`)
	b.is(`[...document.querySelectorAll("time")].every((one) => /^\d+ [A-Z][a-z]+ 20\d\d, \d\d:\d\d [A-Z]/.test(one.title))`)
}

func TestKeys(t *testing.T) {
	b := open(t)
	b.visit("/")
	b.wait(`document.querySelector("footer button")?.textContent === "Keys"`)
	b.press("?")
	b.is(`document.querySelector("dialog").open`, `document.querySelector("dialog").textContent.includes("Policies")`)
	b.press("\u001b")
	b.wait(`!document.querySelector("dialog").open`)
	b.press("/")
	b.is(`document.activeElement.id === "q"`)
	b.press("?g")
	b.is(`!document.querySelector("dialog").open`, `document.activeElement.value.endsWith("?g")`)
	value[bool](b, `document.activeElement.blur(), true`)
	b.press("gp")
	b.wait(`location.pathname === "/policies" && document.readyState === "complete"`)
	// Off, and off on the next page too.
	value[bool](b, `document.querySelector("footer button").click(), document.querySelector("dialog input").click(), document.querySelector("dialog form button").click(), true`)
	b.wait(`!document.querySelector("dialog").open`)
	b.visit("/")
	b.wait(`document.querySelector("footer button")?.textContent === "Keys"`)
	b.press("?")
	b.is(`!document.querySelector("dialog").open`)
}

func TestUploadShowsTheAnswer(t *testing.T) {
	b := open(t)
	b.visit("/policies")
	b.wait(`document.querySelector("footer button")?.textContent === "Keys"`)
	value[bool](b, `(() => {
		const html = '<form action="/courier" method="post" enctype="multipart/form-data" data-upload><input type="file" name="file"><button>Send</button></form>';
		document.querySelector("main").append(new DOMParser().parseFromString(html, "text/html").body.firstChild);
		const files = new DataTransfer();
		files.items.add(new File([new Uint8Array(3e6)], "stick.courier"));
		document.querySelector("[type=file]").files = files.files;
		document.querySelector("[data-upload] button").click();
		return true;
	})()`)
	b.wait(`document.querySelector("h1").textContent === "This was not done"`)
	b.is(`document.activeElement.id === "main"`, `document.title.startsWith("This was not done")`)
}
