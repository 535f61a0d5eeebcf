package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/passmuster/muster"
)

// A main loop that stands still ends the program, so that it is started anew; one
// that moves does not, nor does a stop.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &postman{started: time.Now()}
		ctx, stop := context.WithCancel(t.Context())
		ended, said := make(chan error, 1), make(chan error, 1)
		go func() { said <- p.watch(ctx, ended) }()
		for range 100 {
			time.Sleep(stuckAfter / 2)
			p.alive()
		}
		synctest.Wait()
		if len(said) != 0 {
			t.Fatal(<-said)
		}
		time.Sleep(2 * stuckAfter)
		if err := <-said; err == nil || !strings.Contains(err.Error(), "nothing has moved") {
			t.Errorf("said %v", err)
		}
		p.alive()
		go func() { said <- p.watch(ctx, ended) }()
		ended <- errors.New("broken")
		if err := <-said; err == nil || err.Error() != "broken" {
			t.Errorf("said %v", err)
		}
		<-ended
		go func() { said <- p.watch(ctx, ended) }()
		stop()
		if err := <-said; err != nil {
			t.Errorf("said %v", err)
		}
	})
}

func TestOnTailnet(t *testing.T) {
	for _, c := range []struct {
		site muster.Site
		want bool
	}{
		{muster.Site{Collector: "http://127.0.0.1:8443"}, false},
		{muster.Site{Collector: "http://[::1]:8443"}, false},
		{muster.Site{Collector: "http://localhost:8443", ControlURL: "https://headscale.example"}, true},
		{muster.Site{Collector: "http://muster-collector"}, true},
		{muster.Site{Collector: "http://100.64.0.1:8443"}, true},
	} {
		if got := onTailnet(&c.site); got != c.want {
			t.Errorf("%+v: %v", c.site, got)
		}
	}
}

func TestNodeName(t *testing.T) {
	for host, want := range map[string]string{
		"PC-12": "muster-pc-12", "pc.county.example": "muster-pc", "größe_1": "muster-gr--e-1", "": "muster",
		strings.Repeat("x", 80): "muster-" + strings.Repeat("x", 56),
	} {
		got := nodeName(host)
		if got != want || len(got) > 63 || strings.ContainsFunc(got, func(r rune) bool { return r > unicode.MaxASCII }) {
			t.Errorf("%q: %q", host, got)
		}
	}
}
