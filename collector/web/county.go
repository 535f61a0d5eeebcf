package web

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

const (
	// fixFirst is how many things a county is told to do first; Advice has words for them.
	fixFirst = 3
	// rowsShown is how many computers are on a page. A county that has fewer is told
	// whole, a larger one by its counts.
	rowsShown = 30
	// fixesTold and blindTold are how many fails, and what could not be checked, are told
	// with the computers and the advice; the others lead to the page of their control.
	fixesTold = 12
	blindTold = 4
	// absentShown is how many of the expected computers that are missing are named.
	absentShown = 20
	// asksShown is how many of the newest asks for a waiver are told, excusedShown how many
	// waived controls, each with so many of its waivers.
	asksShown    = 5
	excusedShown = 12
	waiversShown = 3
)

// A crowd is hosts of which a sentence can name but a few.
type crowd []muster.HostStanding

// Named are the hosts to name; More is how many remain.
func (c crowd) Named() []muster.HostStanding { return c[:min(len(c), 4)] }
func (c crowd) More() int                    { return len(c) - len(c.Named()) }

type hostRow struct {
	muster.HostStanding
	Standing standing
	Seen     moment
	Gating   int // critical and high controls that fail
	Other    int // the other fails
	Unsure   int // controls that could not be checked
}

// countyTold is what a county's pages have in common.
type countyTold struct {
	County muster.County
	State  string
	Then   bool // it is told as of a past instant
	tally
	CountedAt string // as of whose end the tally is; "" for the instant of the page
	Whole     bool   // Rows are all hosts of the county
	Rows      []hostRow
	next      string // of the page of hosts after these
	First     []task // what to do first
	Next      []task // what else to do
	Blind     []fix  // what could not be checked
	// Strange hosts fail controls that no policy has, or are unknown on them.
	Strange int
	// Waived are controls that waivers excuse.
	Waived   []excused
	Contacts []contact
	Trend    *trend
	invented invented
}

// excused is a control that is waived on hosts, and the waivers by which: the first of
// them, and how many more there are.
type excused struct {
	muster.Control
	County  muster.County
	Hosts   int
	Waivers []muster.Waiver
	More    int
}

// Excused are the waived controls to tell, and MoreExcused is how many remain.
func (p countyTold) Excused() []excused { return p.Waived[:min(len(p.Waived), excusedShown)] }
func (p countyTold) MoreExcused() int   { return len(p.Waived) - len(p.Excused()) }

type countyPage struct {
	*countyTold
	Again   bool           // a later page of the hosts, or of those of one kind, with nothing else
	Only    muster.Profile // that the hosts are of; "" for any
	Further string         // the address of the page after this one
	carriage
	Absent     []muster.ExpectedHost // expected, and never enrolled or gone
	MoreAbsent int
	Asks       []muster.Ask
	Renewals   []attestationRow // of the county, that are overdue or due soon
}

// Unheard is that instead, where no host is counted.
func (p countyTold) Unheard() string {
	now, then := "No computer of this county has reported yet.", "No computer of this county had reported then."
	if p.Pending > 0 {
		n := count(p.Pending, "computer")
		now, then = n+verb(p.Pending, " waits", " wait")+" for approval. No other has reported.", n+" waited for approval. No other had reported."
	}
	if p.Then {
		return then
	}
	return now
}

// Reasons: the waivers of any that is waived are known.
func (p countyTold) Reasons() bool {
	return slices.ContainsFunc(p.Waived, func(e excused) bool { return len(e.Waivers) > 0 })
}

// Advice is the sentence after the count of hosts.
func (p countyTold) Advice() string {
	told := func(now, then string) string {
		if p.Then {
			return then
		}
		return now
	}
	switch {
	case len(p.First) > 0:
		return []string{"One thing", "Two things", "Three things"}[len(p.First)-1] + told(" to fix first:", verb(len(p.First), " was", " were")+" to be fixed first:")
	case p.Meeting == p.Hosts && p.Missing > 0:
		return "But missing: " + count(p.Missing, "computer") + told(" that the county expects.", " that the county expected.")
	case p.Meeting == p.Hosts && len(p.Next)+len(p.Blind) == 0:
		return told("Nothing needs your attention today.", "Nothing needed attention.")
	case p.Meeting == p.Hosts:
		return told("Only smaller things remain.", "Only smaller things remained.")
	case p.Failing > 0:
		return told("What fails is in no policy of the state.", "What failed is in no policy of the state.")
	case p.Unknown > 0:
		return told("Nothing important is known to fail,", "Nothing important was known to fail,") + " but some of it could not be checked."
	case p.Hosts == 1:
		return told("It has not been heard from.", "It had not been heard from.")
	case p.Hosts-p.Meeting == 1:
		return told("The other has not been heard from.", "The other had not been heard from.")
	case p.Meeting == 0:
		return told("None of them has been heard from.", "None of them had been heard from.")
	}
	return told("The others have not been heard from.", "The others had not been heard from.")
}

func (s *server) county(ctx context.Context, r *http.Request) (*view, error) {
	county, err := countyOf(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	of := muster.HostQuery{County: county, Profile: muster.Profile(q.Get("profile")), After: q.Get("after"), Limit: rowsShown}
	if of.Profile != "" && of.Profile != muster.EMS && of.Profile != muster.Workstation {
		return nil, fmt.Errorf("computers of the kind %q: %w", of.Profile, fs.ErrNotExist)
	}
	t, err := s.countyTold(ctx, of)
	if err != nil {
		return nil, err
	}
	p := &countyPage{countyTold: t, Again: later(of), Only: of.Profile}
	if t.next != "" {
		q := url.Values{"after": {t.next}}
		if of.Profile != "" {
			q.Set("profile", string(of.Profile))
		}
		p.Further = "/counties/" + string(county) + "?" + q.Encode() + strings.Replace(suffix(s.view), "?", "&", 1) + "#computers"
	}
	v := &view{Title: countyName(county), Demo: t.invented, Page: p}
	if county != s.person.County() { // else it is where the reader's way begins
		v.Here = countyName(county)
	}
	if p.Again {
		return v, nil
	}
	if p.carriage, err = s.carriage(ctx, county, t.Rows, t.Whole); err != nil {
		return nil, err
	}
	if p.Missing > 0 {
		expected, err := s.Reader.Expected(ctx, s.view, county)
		if err != nil {
			return nil, err
		}
		p.Absent = slices.DeleteFunc(expected, func(e muster.ExpectedHost) bool { return e.Host != "" })
		p.MoreAbsent = max(0, len(p.Absent)-absentShown)
		p.Absent = p.Absent[:len(p.Absent)-p.MoreAbsent]
	}
	if s.view.Now() {
		asks, err := s.Reader.Asks(ctx, muster.AskQuery{County: county, Limit: asksShown})
		p.Asks, p.Renewals = asks.Asks, s.renewals(county)
		return v, err
	}
	return v, nil
}

// countyOf the address.
func countyOf(r *http.Request) (muster.County, error) {
	county, err := muster.ParseCounty(r.PathValue("county"))
	if err != nil {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return county, err
}

// later reports whether a query is for more than the first page of a county's hosts.
func later(q muster.HostQuery) bool { return q.After != "" || q.Profile != "" }

// countyTold reads how a county stands, with a page of its hosts.
func (s *server) countyTold(ctx context.Context, q muster.HostQuery) (*countyTold, error) {
	county := q.County
	t := &countyTold{County: county, State: stateName(county), Then: !s.view.Now()}
	page, err := s.hosts(ctx, q)
	if err != nil {
		return nil, err
	}
	counties, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(counties, func(c muster.CountyStanding) bool { return c.County == county }); i >= 0 {
		t.tally = tallyOf(counties[i])
		t.invented.county(counties[i])
	}
	if len(page.Hosts) == 0 && t.Hosts+t.Pending+t.Missing == 0 && countyName(county) == string(county) {
		return nil, fmt.Errorf("county %s: %w", county, fs.ErrNotExist)
	}
	t.next, t.Whole = page.Next, page.Next == "" && !later(q)
	if t.Whole {
		err = s.tellWhole(ctx, t, page.Hosts)
	} else {
		t.CountedAt = s.countedAt()
		err = s.tellPart(ctx, t, page.Hosts, !later(q))
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(t.Rows, func(a, b hostRow) int {
		return cmp.Or(cmp.Compare(a.Standing, b.Standing), cmp.Compare(b.Gating, a.Gating),
			cmp.Compare(b.Other+b.Unsure, a.Other+a.Unsure), cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.ID, b.ID))
	})
	if later(q) {
		return t, nil
	}
	if t.Trend, err = s.trend(ctx, county); err != nil {
		return nil, err
	}
	t.Contacts, err = s.contacts(ctx, county)
	return t, err
}

// tellWhole tells a county by its hosts.
func (s *server) tellWhole(ctx context.Context, t *countyTold, hosts []muster.HostStanding) error {
	findings, err := s.Reader.CountyFindings(ctx, s.view, t.County)
	if err != nil {
		return err
	}
	byHost := map[muster.HostID][]muster.FindingStanding{}
	for _, f := range findings {
		byHost[f.Host] = append(byHost[f.Host], f)
	}
	// By the hosts that are shown: the counts of a day may be older than they.
	t.tally, t.invented = tally{Pending: t.Pending, Missing: t.Missing}, invented{}
	waived := map[string]int{}
	for _, h := range hosts {
		row := s.hostRow(h, byHost[h.ID])
		t.Rows = append(t.Rows, row)
		t.invented.add(h.Demo)
		if row.Standing != standsReplaced {
			t.Hosts++
		}
		switch row.Standing {
		case standsMeeting:
			t.Meeting++
		case standsFailing:
			t.Failing++
		case standsStale:
			t.Stale++
		case standsUnknown:
			t.Unknown++
		}
		told := slices.DeleteFunc(byHost[h.ID], func(f muster.FindingStanding) bool { return !s.knows(f.Control) })
		if len(told) < len(byHost[h.ID]) && !h.Stale {
			t.Strange++
		}
		byHost[h.ID] = told
		for _, f := range told {
			if f.Waiver != "" && !h.Stale {
				waived[f.Control]++
			}
		}
	}
	fails, blind := s.fixes(t.Rows, byHost)
	t.plan(fails, blind)
	t.Waived = s.excused(t.County, t.Rows, waived)
	return nil
}

// tellPart tells a county by its counts; only some of its hosts are known. What to do is
// told where first is set.
func (s *server) tellPart(ctx context.Context, t *countyTold, hosts []muster.HostStanding, first bool) error {
	t.Rows = make([]hostRow, len(hosts))
	err := atOnce(len(hosts), func(i int) (err error) {
		var findings []muster.FindingStanding
		if sum := hosts[i].Summary; sum.Fail+sum.Unknown > 0 {
			findings, err = s.Reader.HostFindings(ctx, s.view, hosts[i].ID)
		}
		t.Rows[i] = s.hostRow(hosts[i], findings)
		return err
	})
	if err != nil || !first {
		return err
	}
	controls, err := s.Reader.Controls(ctx, s.view, t.County)
	if err != nil {
		return err
	}
	fails, blind, err := s.counted(ctx, t.County, controls)
	if err != nil {
		return err
	}
	t.plan(fails, blind)
	waived := map[string]int{}
	for _, c := range controls {
		if c.Waived > 0 {
			waived[c.Control] = c.Waived
		}
	}
	t.Waived = s.excused(t.County, t.Rows, waived)
	return nil
}

// plan what to do.
func (t *countyTold) plan(fails, blind []fix) {
	all := tasks(fails)
	first := 0
	for first < len(all) && first < fixFirst && all[first].Urgent > 0 {
		first++
	}
	t.First, t.Next, t.Blind = all[:first], all[first:], blind
	told := 0
	for n, task := range all {
		for i := range task.Fixes {
			brief := told >= fixesTold
			if n < first {
				brief = i >= fixesTold/fixFirst
			}
			if task.Fixes[i].Brief = brief; !brief {
				told++
			}
		}
	}
	for i := range blind {
		blind[i].Brief = i >= blindTold
	}
}

// excused are the waived controls, and the waivers that cover any of the hosts.
func (s *server) excused(county muster.County, rows []hostRow, waived map[string]int) (list []excused) {
	for id, n := range waived {
		e := excused{Control: s.lookup(id), County: county, Hosts: n}
		for _, w := range s.Waivers {
			if slices.ContainsFunc(rows, func(h hostRow) bool { return w.Covers(id, h.Host, s.Now()) }) {
				e.Waivers = append(e.Waivers, w)
			}
		}
		e.More = max(0, len(e.Waivers)-waiversShown)
		e.Waivers = e.Waivers[:len(e.Waivers)-e.More]
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b excused) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Hosts, a.Hosts), cmp.Compare(a.ID, b.ID))
	})
	return list
}

func (s *server) hostRow(h muster.HostStanding, findings []muster.FindingStanding) hostRow {
	row := hostRow{HostStanding: h, Standing: s.standingOf(h, findings), Seen: moment{h.LastSeen, s.Now()}}
	for _, f := range findings {
		switch {
		case f.Waiver != "":
		case f.Status == muster.StatusUnknown:
			row.Unsure++
		case f.Status == muster.StatusFail && s.lookup(f.Control).Severity.Gates():
			row.Gating++
		case f.Status == muster.StatusFail:
			row.Other++
		}
	}
	return row
}

// trail leads from the first page that the person may read to a page inside the county,
// or to the county itself where it is "".
func (s *server) trail(county muster.County) []link {
	home := link{"/", s.Name}
	if s.person.Role == "" {
		home = s.person.home()
	}
	trail := []link{{home.Href + suffix(s.view), home.Text}}
	if county != s.person.County() && county != "" {
		trail = append(trail, link{"/counties/" + string(county) + suffix(s.view), countyName(county)})
	}
	return trail
}
