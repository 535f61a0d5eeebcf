package web

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// pendingShown is how many waiting hosts a page shows; one form approves as many.
const pendingShown = 100

type pendingPage struct {
	filter
	Forms    bool // the reader may approve
	Operator bool // the reader reads the state
	State    string
	Total    int
	After    muster.HostID // the page goes on after it; "" for the first
	Next     string
	Rows     []waiting
	// Left are those that were not approved with the others: they still wait, or are
	// not there any more.
	Left []left
	// County that the page is about, and its contacts; "" for all.
	County   muster.County
	Contacts []contact
}

// waiting is a host that waits for approval.
type waiting struct {
	muster.HostStanding
	Since  moment
	Seen   moment // its newest report
	Reason reason
	// Before is the host that it replaces; nil where there is none, or none with a page.
	Before *muster.HostStanding
	Listed presence
	Call   *contact // someone of its county with a phone
}

type left struct {
	ID    muster.HostID
	Name  string
	Waits bool
}

// reason why a host waits. Closer: it was known before, or something else speaks against
// it, so that it wants a closer look.
type reason struct {
	Closer     bool
	Word, Look string
}

func reasonOf(waits string) reason {
	switch waits {
	case muster.WaitsNew, "":
		return reason{Word: "New here"}
	case muster.WaitsMoved:
		return reason{true, "Comes from another place in the network", "It was approved before, from another node of the tailnet. Ask whether someone signed it in anew."}
	case muster.WaitsOther:
		return reason{true, "Says another county or kind than before", "It was approved before. Ask whether it was moved, or is used for something else now."}
	case muster.WaitsHeld:
		return reason{true, "Comes from where another computer is", "The node of the tailnet or the machine belongs to a computer that is approved. Ask whether that one was set up anew. If it was not, this one pretends."}
	case muster.WaitsRetired:
		return reason{true, "Was turned away or retired before", "It has asked again. Ask why it is back."}
	}
	return reason{true, strings.ToUpper(waits[:1]) + waits[1:], ""}
}

// presence says whether a county's list of expected hosts names a host.
type presence uint8

const (
	noList presence = iota
	listed
	unlisted
	otherKind // it is there as another kind
)

// Word is what a person reads, and Mark whether it speaks for the host.
func (l presence) Word() string {
	return []string{"The county has no list of its computers", "On the county's list", "Not on the county's list", "On the county's list as another kind"}[l]
}
func (l presence) Mark() string { return []string{"none", "pass", "unknown", "unknown"}[l] }

// deskOf is what is known of a county beside its hosts.
type deskOf struct {
	expected []muster.ExpectedHost
	call     *contact
}

func (d deskOf) lists(h muster.HostStanding) presence {
	if len(d.expected) == 0 {
		return noList
	}
	i := slices.IndexFunc(d.expected, func(e muster.ExpectedHost) bool { return strings.EqualFold(e.Name, h.Hostname) })
	switch {
	case i < 0:
		return unlisted
	case d.expected[i].Profile != "" && d.expected[i].Profile != h.Profile:
		return otherKind
	}
	return listed
}

func (s *server) pending(ctx context.Context, r *http.Request) (*view, error) {
	county, err := s.chosen(r)
	if err != nil {
		return nil, err
	}
	counties, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	p := &pendingPage{County: county, filter: s.filter("/pending", county, counties), Forms: s.may(s.person.Role, "POST /hosts/{host}/approve"),
		Operator: s.person.Role != "", State: s.Name}
	if p.After, err = muster.ParseHostID(q.Get("after")); err != nil {
		p.After = ""
	}
	shown, err := s.Reader.PendingPage(ctx, county, p.After, pendingShown+1)
	if err != nil {
		return nil, err
	}
	if len(shown) > pendingShown {
		shown = shown[:pendingShown]
		p.Next = "/pending?" + url.Values{"county": {string(county)}, "after": {string(shown[len(shown)-1].ID)}}.Encode()
	}
	for _, c := range counties {
		if county == "" || c.County == county {
			p.Total += c.Pending
		}
	}
	for _, id := range q["left"][:min(len(q["left"]), pendingShown)] {
		if id, err := muster.ParseHostID(id); err == nil {
			one := left{ID: id}
			if i := slices.IndexFunc(shown, func(h muster.HostStanding) bool { return h.ID == id }); i >= 0 {
				one.Name, one.Waits = shown[i].Hostname, true
			}
			p.Left = append(p.Left, one)
		}
	}
	if county != "" {
		if p.Contacts, err = s.contacts(ctx, county); err != nil {
			return nil, err
		}
	}
	v := &view{Title: "Waiting for approval", Trail: s.trail(county), Here: "Waiting", Page: p}
	return v, s.waiting(ctx, p, shown, v)
}

// waiting tells of each host what helps to judge it.
func (s *server) waiting(ctx context.Context, p *pendingPage, shown []muster.HostStanding, v *view) error {
	desks := map[muster.County]deskOf{}
	for _, h := range shown {
		v.Demo.add(h.Demo)
		desk, ok := desks[h.County]
		if !ok {
			var err error
			if desk, err = s.desk(ctx, h.County); err != nil {
				return err
			}
			desks[h.County] = desk
		}
		row := waiting{HostStanding: h, Since: moment{h.FirstSeen, s.Now()}, Seen: moment{h.LastSeen, s.Now()},
			Reason: reasonOf(h.Waits), Listed: desk.lists(h), Call: desk.call}
		if h.Replaces != "" {
			before, err := s.Reader.Host(ctx, s.view, h.Replaces)
			switch {
			case err == nil:
				row.Before = &before
			case !errors.Is(err, fs.ErrNotExist):
				return err
			}
		}
		p.Rows = append(p.Rows, row)
	}
	return nil
}

func (s *server) desk(ctx context.Context, county muster.County) (d deskOf, err error) {
	people, err := s.contacts(ctx, county)
	if err != nil {
		return d, err
	}
	if i := slices.IndexFunc(people, func(c contact) bool { return c.Phone != "" }); i >= 0 {
		d.call = &people[i]
	}
	d.expected, err = s.Reader.Expected(ctx, s.view, county)
	return d, err
}

// Groups of the host id, as it is read aloud.
func (w waiting) Groups() []string { return groups(w.ID) }

func groups(id muster.HostID) (list []string) {
	for part := range slices.Chunk([]byte(id), 4) {
		list = append(list, string(part))
	}
	return list
}
