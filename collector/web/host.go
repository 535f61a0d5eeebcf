package web

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

const (
	transitionsShown = 200
	eventsShown      = 6
	evidenceShown    = 50
	// clockSlack is how far a host's clock may differ before it is worth a word.
	clockSlack = 2 * time.Minute
)

type hostFinding struct {
	muster.Control
	Host     muster.HostID
	County   muster.County
	Mark     mark
	Waiver   string
	Excuse   *muster.Waiver // of that id; nil where the policy in force does not hold it
	Since    moment
	Evidence muster.Evidence
	More     int  // pieces of evidence that are not shown
	Askable  bool // a waiver can be asked for
}

// A hostPart is a group of findings with a heading of its own.
type hostPart struct {
	ID, Heading, Lead string
	Findings          []hostFinding
	Folded            bool
}

// An event is what changed with one report.
type event struct {
	Seq   uint64
	At    moment
	First string // the first verdicts, counted
	Turns []turn
}

type turn struct {
	muster.Control
	County   muster.County
	From, To mark
}

// follows is how the policy that judged stands to those that its ring is offered.
type follows struct {
	Ring  muster.Ring
	Has   *muster.Release // nil for one that was not published here
	Offer *muster.Release // nil where nothing is offered
	Wait  bool            // the offer is newer, and not taken yet
}

type hostPage struct {
	hostRow
	Reason    string // one sentence: why it stands so
	FirstSeen moment
	Asked     *moment // when someone asked for an audit that has not come yet
	Clock     string
	Parts     []hostPart
	Events    []event
	Earlier   bool     // older events are not shown
	Unread    bool     // the evidence could not be read
	Follows   *follows // nil in the past, and before the first report
	Reports   *hostReports
	Files     []sealed
	MoreFiles int
	// UnreadFiles: where the files have been could not be read.
	UnreadFiles bool
	vouched
	Again bool // a later page of the reports, with nothing else
}

// Gaps is how many reports never came and were not declared as dropped.
func (p hostPage) Gaps() int { return int(p.Missing) }

// Recent and Older events.
func (p hostPage) Recent() []event { return p.Events[:min(len(p.Events), eventsShown)] }
func (p hostPage) Older() []event  { return p.Events[len(p.Recent()):] }

func (s *server) host(ctx context.Context, r *http.Request) (*view, error) {
	id, err := muster.ParseHostID(r.PathValue("host"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	before, err := beforeOf(r)
	if err != nil {
		return nil, err
	}
	h, err := s.Reader.Host(ctx, s.view, id)
	if err != nil {
		return nil, err
	}
	name := shown(h.Hostname, 64)
	p := &hostPage{Again: before > 0}
	v := &view{Title: name, Trail: s.trail(h.County), Here: name, About: h.County, Page: p}
	v.Demo.add(h.Demo)
	steps, unread := s.steps(ctx, h.ID)
	if p.Reports, err = s.reports(ctx, h, before, steps); err != nil {
		return nil, err
	}
	if p.Again {
		p.HostStanding = h
		return v, nil
	}
	if p.Files, p.MoreFiles, err = s.files(ctx, h.ID, steps); err != nil {
		return nil, err
	}
	p.UnreadFiles = unread
	return v, s.hostTold(ctx, h, p)
}

// hostTold reads what a host's page tells beside its reports.
func (s *server) hostTold(ctx context.Context, h muster.HostStanding, p *hostPage) error {
	findings, err := s.Reader.HostFindings(ctx, s.view, h.ID)
	if err != nil {
		return err
	}
	var evidence map[string]muster.Evidence
	if h.Seq > 0 {
		var unread error
		if evidence, unread = s.Reader.HostEvidence(ctx, h.ID, h.Seq); unread != nil { // the verdicts are worth showing without it
			p.Unread = true
			s.Logger.ErrorContext(ctx, "evidence not read", "host", h.ID, "error", unread)
		}
	}
	transitions, err := s.Reader.HostTransitions(ctx, s.view, h.ID, transitionsShown)
	if err != nil {
		return err
	}
	p.hostRow, p.FirstSeen, p.Clock = s.hostRow(h, findings), moment{h.FirstSeen, s.Now()}, clockWord(h)
	p.Parts = s.hostParts(h.Host, findings, evidence)
	p.Events, p.Earlier = s.events(h.County, transitions), len(transitions) == transitionsShown
	// By the collector's clock: the host's may be anything.
	if !h.AuditWanted.IsZero() && !h.LastSeen.After(h.AuditWanted) {
		p.Asked = &moment{h.AuditWanted, s.Now()}
	}
	p.Reason = hostReason(p, !s.view.Now())
	if p.Follows, err = s.follows(ctx, h); err != nil {
		return err
	}
	p.vouched, err = s.vouchedOn(ctx, h, findings)
	return err
}

// follows tells which policy the host has, of those that were published.
func (s *server) follows(ctx context.Context, h muster.HostStanding) (*follows, error) {
	if h.Seq == 0 || !s.view.Now() {
		return nil, nil
	}
	releases, err := s.Reader.Releases(ctx)
	if err != nil {
		return nil, err
	}
	members, err := s.Reader.RingMembers(ctx)
	if err != nil {
		return nil, err
	}
	f := &follows{Ring: muster.RingOf(members, h.ID, h.County)}
	offer, wait := muster.Offer(releases, f.Ring, h.PolicyDigest)
	if f.Wait = wait; offer.Version > 0 {
		f.Offer = &offer
	}
	if i := slices.IndexFunc(releases, func(r muster.Release) bool { return r.Policy == h.PolicyDigest }); i >= 0 {
		f.Has = &releases[i]
	}
	return f, nil
}

// hostReason says why it stands so, or with then, why it stood so.
func hostReason(p *hostPage, then bool) string {
	told := func(now, past string) string {
		if then {
			return past
		}
		return now
	}
	switch {
	case p.Standing == standsReplaced:
		return "This computer was set up again, and reports under another id since. What stands below is how it was before, and counts nowhere."
	case p.Seq == 0:
		return told("It is enrolled and approved, and its first report has not come yet.", "It was enrolled and approved, and its first report had not come.")
	case p.Standing == standsStale:
		return told("Its last report came "+p.Seen.Ago()+". What stands below was true then and may have changed, so it does not count as meeting the baseline.",
			"Its last report had come "+p.Seen.Before()+". What stands below may have changed since, so it did not count as meeting the baseline.")
	case p.Standing == standsMeeting && p.Other+p.Unsure == 0:
		return told("Everything that was checked is in order.", "Everything that was checked was in order.")
	case p.Standing == standsMeeting:
		return told("Nothing that matters most is missing. Smaller things remain.", "Nothing that matters most was missing. Smaller things remained.")
	case p.Standing == standsFailing:
		return count(p.Gating, "control") + " of critical or high severity " + told(verb(p.Gating, "fails.", "fail.")+" Start with the first below.", "failed.")
	}
	return told("Nothing that matters most is known to fail, but some of it could not be checked. Until it is, the computer does not count as meeting the baseline.",
		"Nothing that matters most was known to fail, but some of it could not be checked, so the computer did not count as meeting the baseline.")
}

func verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// clockWord compares the host's clock with the report's arrival. A report may
// lie in the outbox for days, so only a clock that is ahead is certain.
func clockWord(h muster.HostStanding) string {
	if h.Seq == 0 {
		return ""
	}
	d := h.LastSeen.Sub(h.CollectedAt)
	switch {
	case d < -clockSlack:
		return "At least " + span(-d) + " ahead of the collector's"
	case d > clockSlack:
		return "Right, or up to " + span(d) + " behind: so long its newest report took"
	}
	return "Agrees with the collector's"
}

func (s *server) hostParts(h muster.Host, findings []muster.FindingStanding, evidence map[string]muster.Evidence) []hostPart {
	parts := []hostPart{
		{ID: "first", Heading: "Fix first", Lead: "These keep the computer from meeting the baseline."},
		{ID: "blind", Heading: "Find out", Lead: "These matter as much, and could not be checked."},
		{ID: "next", Heading: "Then", Lead: "Less urgent; the baseline does not depend on them."},
		{ID: "waived", Heading: "Waived", Lead: "Excused for a limited time by a signed exception."},
		{ID: "passing", Heading: "In order", Folded: true},
		{ID: "outside", Heading: "Does not apply", Folded: true},
	}
	for _, f := range findings {
		c, e := s.lookup(f.Control), evidence[f.Control]
		c.Remedy = c.RemedyOn(h.Platform)
		hf := hostFinding{Control: c, Host: h.ID, County: h.County, Mark: markOf(f.Status, f.Waiver), Waiver: f.Waiver, Since: moment{f.Since, s.Now()}, Evidence: e}
		if i := slices.IndexFunc(s.Waivers, func(w muster.Waiver) bool { return w.ID == f.Waiver && w.Covers(f.Control, h, s.Now()) }); i >= 0 {
			hf.Excuse = &s.Waivers[i]
		}
		_, known := s.controls[f.Control]
		hf.Askable = known && s.view.Now() && h.ID != "" && (hf.Mark.Mark == "fail" || hf.Mark.Mark == "unknown")
		if n := len(e.Violations); n > evidenceShown {
			hf.More = n - evidenceShown
			hf.Evidence.Violations = e.Violations[:evidenceShown]
		}
		var i int
		switch {
		case hf.Mark.Mark == "pass":
			i = 4
		case hf.Mark.Mark == "none":
			i = 5
		case hf.Mark.Mark == "waived":
			i = 3
		case !c.Severity.Gates():
			i = 2
		case hf.Mark.Mark == "unknown":
			i = 1
		}
		parts[i].Findings = append(parts[i].Findings, hf)
	}
	for _, p := range parts {
		slices.SortFunc(p.Findings, func(a, b hostFinding) int {
			return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Mark.Mark, b.Mark.Mark), cmp.Compare(a.ID, b.ID))
		})
	}
	return slices.DeleteFunc(parts, func(p hostPart) bool { return len(p.Findings) == 0 })
}

// events joins the transitions of one report.
func (s *server) events(county muster.County, transitions []muster.Transition) []event {
	var list []event
	first := map[uint64]map[muster.Status]int{}
	for _, t := range transitions {
		if len(list) == 0 || list[len(list)-1].Seq != t.Seq {
			list = append(list, event{Seq: t.Seq, At: moment{t.ReceivedAt, s.Now()}})
		}
		e := &list[len(list)-1]
		if t.First {
			if first[t.Seq] == nil {
				first[t.Seq] = map[muster.Status]int{}
			}
			first[t.Seq][t.To]++
			continue
		}
		e.Turns = append(e.Turns, turn{s.lookup(t.Control), county, markOf(t.From, ""), markOf(t.To, "")})
	}
	for i := range list {
		var parts []string
		for _, c := range []struct {
			to        muster.Status
			one, many string
		}{
			{muster.StatusFail, "fails", "fail"}, {muster.StatusUnknown, "could not be checked", "could not be checked"},
			{muster.StatusPass, "passes", "pass"}, {muster.StatusNotApplicable, "does not apply", "do not apply"},
		} {
			if n := first[list[i].Seq][c.to]; n > 0 {
				parts = append(parts, number(n)+" "+verb(n, c.one, c.many))
			}
		}
		list[i].First = strings.Join(parts, ", ")
	}
	return list
}
