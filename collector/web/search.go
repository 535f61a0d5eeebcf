package web

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/fips"
)

// How much a search shows of each kind.
const (
	foundHosts    = 20
	foundOthers   = 10
	shortestFind  = 2 // runes
	longestSought = 200
)

// foundHost is a computer, and how it stands.
type foundHost struct {
	muster.HostStanding
	Standing standing
	Seen     moment
}

type searchPage struct {
	Text     string        // what was searched for; "" for nothing
	County   muster.County // that it is about; "" for all
	Short    bool          // too short to be searched for
	Hosts    []foundHost
	Counties []muster.County
	Controls []muster.Control
	// More than are shown, of each kind.
	MoreHosts, MoreCounties, MoreControls bool
}

// Found counts what is shown.
func (p searchPage) Found() int { return len(p.Hosts) + len(p.Counties) + len(p.Controls) }

func (s *server) search(ctx context.Context, r *http.Request) (*view, error) {
	q := r.URL.Query()
	text := strings.Join(strings.Fields(q.Get("q")), " ")
	county := muster.County(q.Get("county"))
	page := searchPage{Text: text, County: county}
	v := &view{Title: "Search", Here: "Search", Find: text}
	switch n := utf8.RuneCountInString(text); {
	case n < shortestFind || n > longestSought:
		page.Short = n > 0
		v.Page = page
		return v, nil
	}
	to, err := s.exactly(ctx, text, county)
	if err != nil || to != "" {
		return &view{Go: to}, err
	}
	hosts, err := s.Reader.Find(ctx, county, text, foundHosts+1)
	if err != nil {
		return nil, err
	}
	hosts, page.MoreHosts = first(hosts, foundHosts)
	for _, h := range hosts {
		found := foundHost{HostStanding: h, Seen: moment{h.LastSeen, s.Now()}}
		var findings []muster.FindingStanding
		if !h.Stale && !h.Meets() {
			if findings, err = s.Reader.HostFindings(ctx, s.view, h.ID); err != nil {
				return nil, err
			}
		}
		found.Standing = s.standingOf(h, findings)
		page.Hosts = append(page.Hosts, found)
		v.Demo.add(h.Demo)
	}
	counties, err := s.countiesLike(ctx, text, county)
	if err != nil {
		return nil, err
	}
	page.Counties, page.MoreCounties = first(counties, foundOthers)
	page.Controls, page.MoreControls = first(s.controlsLike(text), foundOthers)
	v.Page = page
	return v, nil
}

// exactly is the page of what has the text as its id, code or name of a control; "" for
// none.
func (s *server) exactly(ctx context.Context, text string, county muster.County) (string, error) {
	if c, err := muster.ParseCounty(text); err == nil && countyName(c) != text && (county == "" || c == county) && (s.State == "" || c.State() == s.State) {
		return "/counties/" + text, nil
	}
	for id := range s.controls {
		if strings.EqualFold(id, text) {
			return "/controls/" + url.PathEscape(id) + suffixOf(s.person.Role, county, s.view), nil
		}
	}
	id, err := muster.ParseHostID(strings.ToLower(text))
	if err != nil {
		return "", nil
	}
	h, err := s.Reader.Host(ctx, s.view, id)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && county != "" && h.County != county:
		return "", nil
	case err != nil:
		return "", err
	}
	return "/hosts/" + string(id), nil
}

// countiesLike are those of the state, or the one, that have the text in their name,
// those that begin with it first.
func (s *server) countiesLike(ctx context.Context, text string, only muster.County) ([]muster.County, error) {
	list := []muster.County{only}
	if only == "" {
		state := s.State
		if state == "" {
			all, err := s.Reader.Counties(ctx, s.view)
			if err != nil {
				return nil, err
			}
			rows := make([]countyRow, len(all))
			for i, c := range all {
				rows[i].County = c.County
			}
			state = mostOf(rows)
		}
		list = fips.Counties(state)
	}
	return like(list, text, func(c muster.County) (string, string) { return countyName(c), "" }), nil
}

// controlsLike have every word of the text in their id, title or reason, those that
// have them in id or title first.
func (s *server) controlsLike(text string) []muster.Control {
	return like(s.Catalogue, text, func(c muster.Control) (string, string) { return c.ID + " " + c.Title, c.Why })
}

// like keeps what has every word of the text: those whose name begins with the text
// first, then those that have it all in their name, then the rest; each by name.
func like[T any](list []T, text string, of func(T) (name, about string)) []T {
	text = plain(text)
	rank := func(one T) int {
		name, about := of(one)
		name, about = plain(name), plain(about)
		rank := 1
		for _, word := range strings.Fields(text) {
			switch {
			case strings.Contains(name, word):
			case strings.Contains(about, word):
				rank = 2
			default:
				return 3
			}
		}
		if strings.HasPrefix(name, text) {
			return 0
		}
		return rank
	}
	list = slices.DeleteFunc(slices.Clone(list), func(one T) bool { return rank(one) == 3 })
	slices.SortStableFunc(list, func(a, b T) int {
		nameA, _ := of(a)
		nameB, _ := of(b)
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(nameA, nameB))
	})
	return list
}

// plain is a text as people type it: small letters, without accents.
func plain(s string) string {
	return strings.NewReplacer("á", "a", "é", "e", "í", "i", "ó", "o", "ú", "u", "ü", "u", "ñ", "n").Replace(strings.ToLower(s))
}

// first n of a list, and whether there are more.
func first[T any](list []T, n int) ([]T, bool) { return list[:min(n, len(list))], len(list) > n }
