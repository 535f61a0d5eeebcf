package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/passmuster/muster/collector/web/internal/browser"
)

// A form that the collector does not answer at once says so, and is sent once. What the
// page showed meanwhile is told to the page after it.
func TestAFormThatWaitsSaysSo(t *testing.T) {
	s, err := newStage(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			time.Sleep(3 * time.Second)
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	b := browser.Open(t, server.URL)
	b.Visit("/counties/56021/edit")
	b.Wait(`document.querySelector("footer button")?.textContent === "Keys"`) // the script has run
	browser.Value[bool](b, `(() => {
		const form = document.querySelector("form[action$='/contacts']"), button = form.querySelector("button"), said = document.querySelector("body > [role=status]");
		setInterval(() => {
			if (form.ariaBusy === "true" && button.disabled) sessionStorage.setItem("busy", button.textContent + " " + said.textContent);
		}, 50);
		setTimeout(() => form.requestSubmit(button));
		return true;
	})()`)
	b.Wait(`document.querySelector("h1").textContent === "This was not done"`)
	b.Is(`sessionStorage.getItem("busy") === "One moment… One moment. The collector is at work."`)
}
