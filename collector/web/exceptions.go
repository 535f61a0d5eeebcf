package web

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// How much the page of exceptions lists of each kind, and when what ends is told first.
const (
	exceptionsShown = 25
	endsSoon        = 30 * 24 * time.Hour
)

// exceptionsPage is what is excused, what people vouch for, and what is asked for.
type exceptionsPage struct {
	filter
	About                  muster.County   // "" for all
	Only                   *muster.Control // nil for all
	Open, Answered         part[askRow]
	After                  int64                // the request that those which wait come after, on a page of its own
	Next                   string               // the address of the requests that wait after these
	Soon, Now, Later, Past part[waivedRow]      // by when they end; later ones begin
	Vouched                part[attestationRow] // what is overdue first, then what ends next
	Overdue                int                  // of these
	Missing                part[missingRow]     // what nobody vouches for
	Lacking                []lacking            // the rows of these by what it is
	Renew                  string               // lines of a policy for what is overdue, due or missing
	Excused, Elsewhere     int                  // findings; of these those that no waiver here excuses
}

// part is some of a list.
type part[T any] struct {
	Rows    []T
	More    int // that are not among the rows
	Excused int // findings, by those
}

// All counts the list.
func (p part[T]) All() int { return len(p.Rows) + p.More }

// Waived is how many waivers are in force.
func (p exceptionsPage) Waived() int { return p.Soon.All() + p.Now.All() }

// AskFor is the address of the form that asks for a waiver of what the page is about, and
// First that of the page from its beginning.
func (p exceptionsPage) AskFor() string { return p.at("/exceptions/ask", 0) }
func (p exceptionsPage) First() string  { return p.at(p.Path, 0) }

func (p exceptionsPage) at(path string, after int64) string {
	q := url.Values{}
	for name, value := range map[string]string{"county": p.Chosen, "control": p.Control, "after": strconv.FormatInt(after, 10)} {
		if value != "" && value != "0" {
			q.Set(name, value)
		}
	}
	return strings.TrimSuffix(path+"?"+q.Encode(), "?")
}

// waivedRow is a waiver, and what it does now.
type waivedRow struct {
	waiverRow
	In      muster.County // that the page is about
	Of      muster.Control
	Excuses int     // findings that are waived by it
	Only    []int64 // the versions that hold it, where others that are offered do not
}

func (s *server) exceptions(ctx context.Context, r *http.Request) (*view, error) {
	county, err := s.chosen(r)
	if err != nil {
		return nil, err
	}
	counties, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	p := &exceptionsPage{filter: s.filter("/exceptions", county, counties), About: county}
	for _, c := range s.Catalogue {
		p.Catalogue = append(p.Catalogue, link{c.ID, c.Title})
	}
	slices.SortFunc(p.Catalogue, func(a, b link) int { return strings.Compare(a.Text, b.Text) })
	q := r.URL.Query()
	if p.Control = q.Get("control"); p.Control != "" {
		c, ok := s.controls[p.Control]
		if !ok {
			return nil, fmt.Errorf("control %q: %w", p.Control, fs.ErrNotExist)
		}
		p.Only = &c
	}
	if q.Has("after") {
		if p.After, err = strconv.ParseInt(q.Get("after"), 10, 64); err != nil || p.After < 1 {
			return nil, fmt.Errorf("requests after %q: %w", q.Get("after"), fs.ErrNotExist)
		}
	}
	v := &view{Title: "Exceptions", Trail: s.trail(county), Here: "Exceptions", About: county, Page: p}
	v.Demo.counties(counties, county)
	if err := s.unanswered(ctx, p); err != nil || p.After > 0 {
		return v, err
	}
	if err := s.waivers(ctx, p); err != nil {
		return nil, err
	}
	if err := s.attested(ctx, p); err != nil {
		return nil, err
	}
	return v, s.answered(ctx, p)
}

// waivers are those of the policies that are offered, what ends first at the top.
func (s *server) waivers(ctx context.Context, p *exceptionsPage) error {
	type use struct{ waiver, control string }
	uses := map[use]int{}
	list, err := s.Reader.WaiverUse(ctx, p.About)
	if err != nil {
		return err
	}
	for _, u := range list {
		if s.knows(u.Control) && (p.Control == "" || u.Control == p.Control) {
			uses[use{u.Waiver, u.Control}] += u.Findings
			p.Excused += u.Findings
		}
	}
	p.Elsewhere = p.Excused
	now, words := s.Now(), map[*part[waivedRow]][]muster.Waiver{}
	for _, w := range s.Waivers {
		into := &p.Now
		switch s.holds(w.Approved, w.Expires) {
		case "ended":
			into = &p.Past
		case "not yet":
			into = &p.Later
		default:
			if w.Expires.Sub(now) <= endsSoon {
				into = &p.Soon
			}
		}
		if p.Control == "" || w.Control == p.Control {
			words[into] = append(words[into], w)
		}
	}
	for into, list := range words {
		slices.SortFunc(list, func(a, b muster.Waiver) int { return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.ID, b.ID)) })
		if into == &p.Past {
			slices.Reverse(list)
		}
		first, rest, err := concerning(ctx, s, p.About, list, aboutWaiver, exceptionsShown)
		if err != nil {
			return err
		}
		for _, w := range first {
			row := waivedRow{waiverRow: waiverRow{Waiver: w.Word, For: w.For, Ends: moment{w.Word.Expires, now}}, In: p.About, Of: s.lookup(w.Word.Control),
				Excuses: uses[use{w.Word.ID, w.Word.Control}], Only: s.only(w.Word.ID)}
			into.Rows = append(into.Rows, row)
			p.Elsewhere -= row.Excuses
		}
		into.More = len(rest)
		for _, w := range rest {
			into.Excused += uses[use{w.ID, w.Control}]
		}
		p.Elsewhere -= into.Excused
	}
	return nil
}

// only are the versions that hold a waiver, where not all do that are offered.
func (s *server) only(id string) (versions []int64) {
	for version, held := range s.Held {
		if slices.ContainsFunc(held, func(w muster.Waiver) bool { return w.ID == id }) {
			versions = append(versions, version)
		}
	}
	if len(versions) == len(s.Held) {
		return nil
	}
	slices.Sort(versions)
	return versions
}
