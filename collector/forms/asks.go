package forms

import (
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// ask asks for a waiver for the county of the address, or for one of its computers.
func (s *server) ask(r *http.Request) (string, error) {
	county, err := muster.ParseCounty(r.PathValue("county"))
	if err != nil {
		return "", errEntered{err}
	}
	if err := entered(r); err != nil {
		return "", err
	}
	a := muster.Ask{County: county, Host: muster.HostID(r.PostForm.Get("host")), Control: r.PostForm.Get("control"), Reason: r.PostForm.Get("reason")}
	if a.Until, err = time.Parse(time.DateOnly, strings.TrimSpace(r.PostForm.Get("until"))); err != nil {
		return "", enteredf("its last day %q is no day: write 2026-11-30", r.PostForm.Get("until"))
	}
	_, err = s.Act.Ask(r.Context(), a, s.Actor(r))
	return exceptions(county, "ask"), err
}

// answer grants or declines a request for a waiver.
func (s *server) answer(r *http.Request) (string, error) {
	id, err := strconv.ParseInt(r.PathValue("ask"), 10, 64)
	if err != nil {
		return "", fs.ErrNotExist
	}
	if err := entered(r); err != nil {
		return "", err
	}
	state := muster.AskState(r.PostForm.Get("state"))
	county, _ := muster.ParseCounty(r.PostForm.Get("county")) // "" leads to the page of all
	return exceptions(county, string(state)), s.Act.Answer(r.Context(), id, state, r.PostForm.Get("answer"), s.Actor(r))
}

// exceptions is the page of a county, or of all, which says what was done.
func exceptions(county muster.County, done string) string {
	q := url.Values{"done": {done}}
	if county != "" {
		q.Set("county", string(county))
	}
	return "/exceptions?" + q.Encode()
}
