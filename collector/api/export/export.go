// Package export tells where hosts stand in the words of other systems: OSCAL
// assessment results for auditors, OCSF compliance findings for a SIEM.
//
// Both are of one instant, are streamed a county at a time, and name things by UUIDs
// that are made of what they name: the same view gives the same document. A stale
// host's verdicts are told as unknown, as everywhere.
package export

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// Source tells where things stand; collector/store has one.
type Source interface {
	Counties(ctx context.Context, v muster.View) ([]muster.CountyStanding, error)
	Controls(ctx context.Context, v muster.View, county muster.County) ([]muster.ControlStanding, error)
	Hosts(ctx context.Context, v muster.View, q muster.HostQuery) (muster.HostPage, error)
	HostFindings(ctx context.Context, v muster.View, id muster.HostID) ([]muster.FindingStanding, error)
	CountyFindings(ctx context.Context, v muster.View, county muster.County) ([]muster.FindingStanding, error)
}

// Scope is what is exported.
type Scope struct {
	// Site is the collector's name for people.
	Site string
	// County, or "" for the state.
	County muster.County
	// View must be of an instant: the zero view would be another one for each page.
	View muster.View
	// Catalogue tells what the controls are.
	Catalogue []muster.Control
}

// hostPage is how many hosts are read at once.
const hostPage = 1000

// uuid is a name-based one, of SHA-256 instead of the SHA-1 that version 5 has.
func uuid(parts ...string) string {
	h := sha256.New()
	for _, p := range append([]string{"muster"}, parts...) {
		fmt.Fprintf(h, "%d %s ", len(p), p)
	}
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x50, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// control tells what a control is; one that the catalogue lacks has its id as title.
func (s Scope) control(id string) muster.Control {
	if i := slices.IndexFunc(s.Catalogue, func(c muster.Control) bool { return c.ID == id }); i >= 0 {
		return s.Catalogue[i]
	}
	return muster.Control{ID: id, Title: id, Severity: muster.SeverityCritical}
}

// name of what is exported, for people.
func (s Scope) name() string {
	if s.County != "" {
		return oneLine(s.Site) + ", county " + string(s.County)
	}
	return oneLine(s.Site)
}

// eachCounty gives the hosts of each county that has any, but replaced ones.
func eachCounty(ctx context.Context, src Source, s Scope, do func(county muster.County, hosts []muster.HostStanding) error) error {
	var group []muster.HostStanding
	end := func() error {
		if len(group) == 0 {
			return nil
		}
		defer func() { group = group[:0] }()
		return do(group[0].County, group)
	}
	q := muster.HostQuery{County: s.County, Limit: hostPage}
	for {
		page, err := src.Hosts(ctx, s.View, q)
		if err != nil {
			return err
		}
		for _, h := range page.Hosts {
			if h.ReplacedBy != "" {
				continue
			}
			if len(group) > 0 && group[0].County != h.County {
				if err := end(); err != nil {
					return err
				}
			}
			group = append(group, h)
		}
		if page.Next == "" {
			return end()
		}
		q.After = page.Next
	}
}

// heard reports whether the host's verdicts count.
func heard(h muster.HostStanding) bool { return !h.Stale && h.Seq > 0 }

// silence says why they do not.
func silence(h muster.HostStanding) string {
	if h.Seq == 0 {
		return "No report of it has come yet."
	}
	return "Not heard from since " + day(h.LastSeen) + ": its verdicts count no more."
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// oneLine makes a text that has no line breaks and no spaces around it, nor none at all.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if s == "" {
		return "unnamed"
	}
	return s
}

// sane is the first of the times that no broken clock has set; they are written with
// four digits for the year.
func sane(times ...time.Time) time.Time {
	for _, t := range times {
		if y := t.UTC().Year(); y >= 1970 && y < 3000 {
			return t.UTC()
		}
	}
	return time.Unix(0, 0).UTC()
}

// byHost orders findings so that the same view gives the same document.
func byHost(a, b muster.FindingStanding) int {
	if c := strings.Compare(string(a.Host), string(b.Host)); c != 0 {
		return c
	}
	return strings.Compare(a.Control, b.Control)
}
