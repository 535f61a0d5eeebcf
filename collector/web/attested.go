package web

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// missingRow is a claim that nobody vouches for in a county where a control reads it.
type missingRow struct {
	Claim     string
	Of        muster.Control
	In        muster.County // that the page is about
	County    muster.County
	Computers int // on which the control fails or cannot tell
}

// lacking is a claim, and where nobody vouches for it.
type lacking struct {
	missingRow
	At []missingRow
}

// takesWord reports whether a control reads attestations.
func takesWord(c muster.Control) bool { return slices.Contains(c.Lists, "attestations") }

// reads reports whether a control may read a claim; where it is not known which, any.
func (s *server) reads(control, claim string) bool {
	claims, known := s.Claims[control]
	return takesWord(s.lookup(control)) && (!known || slices.Contains(claims, claim))
}

// words are the attestations that a control may read, or with "" all: of each claim and
// scope the one that holds longest, or held last. What ends first is first.
func (s *server) words(control string) []muster.Attestation {
	type about struct {
		claim  string
		county muster.County
		host   muster.HostID
	}
	list := slices.SortedFunc(slices.Values(s.Attestations), func(a, b muster.Attestation) int {
		holds := func(a muster.Attestation) string { return s.holds(a.On, a.Until) } // "" is first, then "ended"
		return cmp.Or(cmp.Compare(holds(a), holds(b)), b.Until.Compare(a.Until), cmp.Compare(a.ID, b.ID))
	})
	seen := map[about]bool{}
	list = slices.DeleteFunc(list, func(a muster.Attestation) bool {
		key := about{a.Claim, a.County, a.Host}
		old := seen[key]
		seen[key] = true
		return old || control != "" && !s.reads(control, a.Claim)
	})
	slices.SortStableFunc(list, func(a, b muster.Attestation) int { return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.ID, b.ID)) })
	return list
}

// attested are the attestations, and what is missing. Where one for everyone takes its place
// one that ended is not told, and none is due.
func (s *server) attested(ctx context.Context, p *exceptionsPage) error {
	words, wide := s.words(p.Control), s.wide()
	words = slices.DeleteFunc(words, func(a muster.Attestation) bool {
		return !wide[a.Claim].IsZero() && s.holds(a.On, a.Until) == "ended"
	})
	first, rest, err := concerning(ctx, s, p.About, words, aboutAttestation, exceptionsShown)
	if err != nil {
		return err
	}
	var renew strings.Builder
	p.Vouched.More = len(rest)
	for _, a := range first {
		row := s.attestation(a.Word, a.For)
		row.Due = row.Due && !wide[a.Word.Claim].After(a.Word.Until)
		p.Vouched.Rows = append(p.Vouched.Rows, row)
		if row.Overdue {
			p.Overdue++
		}
		if row.Overdue || row.Due {
			renew.WriteString(s.attestLines(row.Attestation))
		}
	}
	for _, a := range rest {
		if s.attestation(a, scope{}).Overdue {
			p.Overdue++
		}
	}
	missing, err := s.missing(ctx, p)
	if err != nil {
		return err
	}
	p.Missing.Rows = missing[:min(len(missing), exceptionsShown)]
	p.Missing.More = len(missing) - len(p.Missing.Rows)
	for _, m := range p.Missing.Rows {
		i := slices.IndexFunc(p.Lacking, func(l lacking) bool { return l.Claim == m.Claim && l.Of.ID == m.Of.ID })
		if i < 0 {
			i, p.Lacking = len(p.Lacking), append(p.Lacking, lacking{missingRow: m})
		}
		p.Lacking[i].At = append(p.Lacking[i].At, m)
		renew.WriteString(s.attestLines(muster.Attestation{Claim: m.Claim, County: m.County}))
	}
	p.Renew = renew.String()
	return nil
}

// wide is until when everyone has a claim attested.
func (s *server) wide() map[string]time.Time {
	until := map[string]time.Time{}
	for _, a := range s.Attestations {
		if a.County == "" && a.Host == "" && s.holds(a.On, a.Until) == "" && a.Until.After(until[a.Claim]) {
			until[a.Claim] = a.Until
		}
	}
	return until
}

// renewals are a county's attestations that are overdue or due soon.
func (s *server) renewals(county muster.County) (list []attestationRow) {
	wide := s.wide()
	for _, a := range s.words("") {
		row := s.attestation(a, scope{County: county})
		if a.County == county && a.Host == "" && (row.Overdue || row.Due) && !wide[a.Claim].After(a.Until) && len(list) < asksShown {
			list = append(list, row)
		}
	}
	return list
}

// missing are the claims that nobody vouches for, the one that most computers miss first.
func (s *server) missing(ctx context.Context, p *exceptionsPage) (list []missingRow, err error) {
	for _, c := range s.Catalogue {
		claims := s.Claims[c.ID]
		if p.Control != "" && c.ID != p.Control || claims == nil || !takesWord(c) {
			continue
		}
		var counties []muster.CountyControl
		if p.About == "" {
			counties, err = s.Reader.ControlCounties(ctx, s.view, c.ID)
		} else {
			var one muster.ControlStanding
			one, err = s.standsAt(ctx, s.view, p.About, c.ID)
			counties = []muster.CountyControl{{County: p.About, ControlStanding: one}}
		}
		if err != nil {
			return nil, err
		}
		for _, claim := range claims {
			for _, at := range counties {
				given := slices.ContainsFunc(s.Attestations, func(a muster.Attestation) bool {
					return a.Claim == claim && a.Host == "" && (a.County == "" || a.County == at.County)
				})
				if n := at.Fail + at.Unknown; n > 0 && !given {
					list = append(list, missingRow{claim, c, p.About, at.County, n})
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b missingRow) int {
		return cmp.Or(cmp.Compare(b.Computers, a.Computers), cmp.Compare(countyName(a.County), countyName(b.County)), cmp.Compare(a.Claim, b.Claim))
	})
	return list, nil
}

// attestLines are what a policy's attestations/data.yaml says where someone vouches again.
// The days are theirs to say: a policy without them is not signed.
func (s *server) attestLines(a muster.Attestation) string {
	whom, name := "", "all"
	if a.County != "" {
		whom, name = fmt.Sprintf("  county: %q\n", a.County), string(a.County)
	}
	if a.Host != "" {
		whom, name = whom+fmt.Sprintf("  host: %q\n", a.Host), string(a.Host)
	}
	claim := shown(a.Claim, 64)
	return fmt.Sprintf("- id: %s\n  claim: %s\n%s  by: %s # who vouches for it\n  on: \"\" # the day on which it was so\n  until: \"\" # the first day that it does not count\n",
		quoted(claim+"-"+name+"-"+s.Now().UTC().Format(time.DateOnly)), quoted(claim), whom, quoted(shown(a.By, 64)))
}
