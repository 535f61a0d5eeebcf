package web

import (
	"context"
	"fmt"
	"strconv"
	"time"
	"unicode"

	"github.com/passmuster/muster"
)

// askRow is a request for a waiver.
type askRow struct {
	muster.Ask
	In    muster.County // that the page is about
	Of    muster.Control
	For   scope
	Asked moment
	Over  bool   // its last day has passed
	Lines string // of the policy that would grant it; "" where it is not granted
	Held  string // which policy holds such a waiver, a sentence
}

// unanswered are the requests without an answer, the oldest first.
func (s *server) unanswered(ctx context.Context, p *exceptionsPage) (err error) {
	page, err := s.Reader.Asks(ctx, muster.AskQuery{County: p.About, Control: p.Control, Open: true, After: p.After, Limit: exceptionsShown})
	if err != nil {
		return err
	}
	if page.Next > 0 {
		p.Next = p.at(p.Path, page.Next)
	}
	p.Open.More = page.Total - len(page.Asks)
	p.Open.Rows, err = s.requests(ctx, p, page.Asks)
	return err
}

// answered are the newest of the others. One that is granted has the lines that a policy
// needs for it.
func (s *server) answered(ctx context.Context, p *exceptionsPage) error {
	page, err := s.Reader.Asks(ctx, muster.AskQuery{County: p.About, Control: p.Control, Answered: true, Limit: exceptionsShown})
	if err != nil {
		return err
	}
	held, err := s.holder(ctx)
	if err != nil {
		return err
	}
	p.Answered.More = page.Total - len(page.Asks)
	p.Answered.Rows, err = s.requests(ctx, p, page.Asks)
	for i := range p.Answered.Rows {
		if row := &p.Answered.Rows[i]; row.State == muster.AskGranted {
			row.Lines, row.Held = waiverLines(row.Ask), held(row.Ask)
		}
	}
	return err
}

// requests are asks as rows.
func (s *server) requests(ctx context.Context, p *exceptionsPage, asks []muster.Ask) (rows []askRow, err error) {
	list, _, err := concerning(ctx, s, "", asks, func(a muster.Ask) (muster.County, muster.HostID) { return a.County, a.Host }, len(asks))
	for _, a := range list {
		rows = append(rows, askRow{Ask: a.Word, In: p.About, Of: s.lookup(a.Word.Control), For: a.For, Asked: moment{a.Word.At, s.Now()},
			Over: !s.Now().Before(afterDay(a.Word.Until))})
	}
	return rows, err
}

// afterDay is the first instant after a last day, UTC.
func afterDay(last time.Time) time.Time { return last.UTC().AddDate(0, 0, 1) }

// waiverLines are what a policy's waivers/data.yaml says where the request is granted. The
// day that it expires is the first on which it excuses nothing.
func waiverLines(a muster.Ask) string {
	whom := "  county: " + quoted(string(a.County))
	if a.Host != "" {
		whom = "  host: " + quoted(string(a.Host))
	}
	return fmt.Sprintf("- id: ASK-%d\n  control: %s\n%s\n  reason: %s\n  approver: %s\n  approved: %q\n  expires: %q # the first day that it does not count\n", a.ID,
		quoted(a.Control), whom, quoted(a.Reason), quoted(a.AnsweredBy), a.AnsweredAt.UTC().Format(time.DateOnly), afterDay(a.Until).Format(time.DateOnly))
}

// quoted is a text as YAML has it; what cannot be seen in it, or turns the order of what is
// beside it, is named.
func quoted(s string) string {
	if q := strconv.Quote(s); seen(q, len(q), unicode.MaxLatin1) == q {
		return q
	}
	return strconv.QuoteToASCII(s)
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
					return fmt.Sprintf("Version %d holds it as %s, until %s", version, coded(w.ID), lastDay(w.Expires))
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
