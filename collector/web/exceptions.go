package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
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
	About           muster.County // "" for all
	Open, Answered  []askRow
	Soon, Now, Past []waivedRow
	Vouched         []attestedRow  // what is overdue first, then what ends next
	Excused         int            // findings, by all waivers
	More            map[string]int // what is not listed, by the list
	Many            bool           // requests wait that were not read
}

// Waived is how many waivers are in force.
func (p exceptionsPage) Waived() int {
	return len(p.Soon) + len(p.Now) + p.More["soon"] + p.More["now"]
}

// Ended is how many waivers are there that ended.
func (p exceptionsPage) Ended() int { return len(p.Past) + p.More["past"] }

// Waiting is how many requests have no answer.
func (p exceptionsPage) Waiting() int { return len(p.Open) + p.More["open"] }

// waivedRow is a waiver, and what it does now.
type waivedRow struct {
	waiverRow
	In      muster.County // that the page is about
	Of      muster.Control
	Excuses int     // findings of the control that are waived in its scope now
	Only    []int64 // the versions that hold it, where others that are offered do not
}

type attestedRow struct {
	attestationRow
	Overdue, Due bool
}

type askRow struct {
	muster.Ask
	In    muster.County // that the page is about
	Of    muster.Control
	For   scope
	Asked moment
	Lines string // of the policy that would grant it; "" where it is not granted
	Held  string // which policy holds such a waiver, a sentence
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
	p := &exceptionsPage{filter: s.filter("/exceptions", county, counties), About: county, More: map[string]int{}}
	v := &view{Title: "Exceptions", Trail: s.trail(county), Here: "Exceptions", About: county, Page: p}
	v.Demo.counties(counties, county)
	if err := s.waivers(ctx, p, county); err != nil {
		return nil, err
	}
	if err := s.attested(ctx, p, county); err != nil {
		return nil, err
	}
	return v, s.asks(ctx, p, county)
}

// waivers are those of the policies that are offered, what ends first at the top.
func (s *server) waivers(ctx context.Context, p *exceptionsPage, county muster.County) error {
	now := s.Now()
	list := slices.SortedFunc(slices.Values(s.Waivers), func(a, b muster.Waiver) int {
		if a, b := a.Expires, b.Expires; !now.Before(a) && !now.Before(b) {
			return b.Compare(a) // of those that ended the last is first
		}
		return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.ID, b.ID))
	})
	excused := s.excusing(ctx)
	for _, w := range list {
		into, name := &p.Now, "now"
		switch {
		case !now.Before(w.Expires):
			into, name = &p.Past, "past"
		case w.Expires.Sub(now) <= endsSoon:
			into, name = &p.Soon, "soon"
		}
		if len(*into) == exceptionsShown && county == "" {
			p.More[name]++ // its host need not be read
			continue
		}
		to, concerns, err := s.scope(ctx, county, w.County, w.Host)
		switch {
		case err != nil:
			return err
		case !concerns:
			continue
		case len(*into) == exceptionsShown:
			p.More[name]++
			continue
		}
		row := waivedRow{waiverRow: waiverRow{Waiver: w, For: to, Ends: moment{w.Expires, now}}, In: county, Of: s.lookup(w.Control), Only: s.only(w.ID)}
		if name != "past" {
			if row.Excuses, err = excused(w, county); err != nil {
				return err
			}
		}
		*into = append(*into, row)
	}
	controls, err := s.Reader.Controls(ctx, s.view, county)
	for _, c := range controls {
		p.Excused += c.Waived
	}
	return err
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

// excusing counts the findings of a waiver's control that are waived in its scope, within
// a county or with "" anywhere. Each county and host is read once.
func (s *server) excusing(ctx context.Context) func(muster.Waiver, muster.County) (int, error) {
	counties := map[muster.County][]muster.ControlStanding{}
	return func(w muster.Waiver, within muster.County) (n int, err error) {
		if w.Host != "" {
			findings, err := s.Reader.HostFindings(ctx, s.view, w.Host)
			for _, f := range findings {
				if f.Control == w.Control && f.Waiver == w.ID {
					n++
				}
			}
			return n, err
		}
		county := cmp.Or(w.County, within)
		if _, ok := counties[county]; !ok {
			if counties[county], err = s.Reader.Controls(ctx, s.view, county); err != nil {
				return 0, err
			}
		}
		for _, c := range counties[county] {
			if c.Control == w.Control {
				n = c.Waived
			}
		}
		return n, nil
	}
}

// attested are the newest attestations of each claim and scope.
func (s *server) attested(ctx context.Context, p *exceptionsPage, county muster.County) error {
	now := s.Now()
	type about struct {
		claim  string
		county muster.County
		host   muster.HostID
	}
	newest := map[about]muster.Attestation{}
	for _, a := range s.Attestations {
		key := about{a.Claim, a.County, a.Host}
		if old, ok := newest[key]; !ok || a.Until.After(old.Until) {
			newest[key] = a
		}
	}
	list := make([]muster.Attestation, 0, len(newest))
	for _, a := range newest {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b muster.Attestation) int { return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.ID, b.ID)) })
	for _, a := range list {
		if len(p.Vouched) == exceptionsShown && county == "" {
			p.More["vouched"]++
			continue
		}
		to, concerns, err := s.scope(ctx, county, a.County, a.Host)
		switch {
		case err != nil:
			return err
		case concerns && len(p.Vouched) == exceptionsShown:
			p.More["vouched"]++
		case concerns:
			left := a.Until.Sub(now)
			p.Vouched = append(p.Vouched, attestedRow{s.attestation(a, to), left <= 0, left > 0 && left <= endsSoon})
		}
	}
	return nil
}

// Overdue counts attestations whose time is over.
func (p exceptionsPage) Overdue() (n int) {
	for _, a := range p.Vouched {
		if a.Overdue {
			n++
		}
	}
	return n
}

// asks are the requests for waivers: those that wait, and the newest that are answered.
func (s *server) asks(ctx context.Context, p *exceptionsPage, county muster.County) error {
	open, err := s.Reader.Asks(ctx, county, true, asksRead)
	if err != nil {
		return err
	}
	all, err := s.Reader.Asks(ctx, county, false, asksRead)
	if err != nil {
		return err
	}
	held, err := s.holder(ctx)
	if err != nil {
		return err
	}
	p.More["open"], p.Many = max(0, len(open)-exceptionsShown), len(open) == asksRead
	all = slices.DeleteFunc(slices.Clone(all), func(a muster.Ask) bool { return a.State == muster.AskOpen })
	for _, a := range slices.Concat(open[:min(len(open), exceptionsShown)], all[:min(len(all), exceptionsShown)]) {
		to, _, err := s.scope(ctx, "", a.County, a.Host)
		if err != nil {
			return err
		}
		row := askRow{Ask: a, In: county, Of: s.lookup(a.Control), For: to, Asked: moment{a.At, s.Now()}}
		if a.State == muster.AskGranted {
			row.Lines, row.Held = waiverLines(a), held(a)
		}
		if a.State == muster.AskOpen {
			p.Open = append(p.Open, row)
		} else {
			p.Answered = append(p.Answered, row)
		}
	}
	return nil
}

// waiverLines are what a policy's waivers/data.yaml says where the request is granted. The
// day that it expires is the first on which it excuses nothing.
func waiverLines(a muster.Ask) string {
	whom := fmt.Sprintf("  county: %q\n", a.County)
	if a.Host != "" {
		whom = fmt.Sprintf("  host: %q\n", a.Host)
	}
	return fmt.Sprintf("- id: ASK-%d\n  control: %q\n%s  reason: %q\n  approver: %q\n  approved: %q\n  expires: %q\n", a.ID, a.Control, whom, a.Reason, a.AnsweredBy,
		a.AnsweredAt.UTC().Format(time.DateOnly), a.Until.UTC().AddDate(0, 0, 1).Format(time.DateOnly))
}

// holder tells whether the policy that a request's computers are offered holds a waiver
// for it, or another that is offered does.
func (s *server) holder(ctx context.Context) (func(muster.Ask) string, error) {
	releases, err := s.Reader.Releases(ctx)
	if err != nil {
		return nil, err
	}
	members, err := s.Reader.RingMembers(ctx)
	if err != nil {
		return nil, err
	}
	return func(a muster.Ask) string {
		whom := muster.Host{ID: a.Host, County: a.County}
		in := func(version int64) string {
			for _, w := range s.Held[version] {
				if w.Covers(a.Control, whom, s.Now()) {
					return fmt.Sprintf("Version %d holds it as %s, until %s", version, shown(w.ID, 64), w.Expires.UTC().Format("2 January 2006"))
				}
			}
			return ""
		}
		mine, _ := muster.Offer(releases, muster.RingOf(members, a.Host, a.County), "")
		if says := in(mine.Version); says != "" {
			return "In force. " + says + "."
		}
		for _, r := range releases {
			if says := in(r.Version); says != "" {
				return fmt.Sprintf("Not in force here yet. %s, and is offered as far as ring %s.", says, r.Ring)
			}
		}
		return ""
	}, nil
}
