package web

import (
	"fmt"
	"html/template"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/fips"
)

var words = template.FuncMap{
	"count":    count,
	"number":   number,
	"name":     func(s string) string { return shown(s, 64) },
	"by":       byWhom,
	"path":     url.PathEscape,
	"text":     func(s string) string { return shown(s, 1000) }, // the most that a county's reason may have
	"clone":    cloneWord,
	"claim":    func(s string) string { return shown(strings.ReplaceAll(s, "_", " "), 64) },
	"county":   countyName,
	"field":    field,
	"platform": platformName,
	"version":  func() string { return muster.Version },
	"profile":  profileName,
	"role":     roleWord,
	"until":    lastDay,
}

// silences are the words for how long a host may be silent.
func silences(of muster.Silences) template.FuncMap {
	return template.FuncMap{"silence": func(p muster.Profile) string {
		d := of.Of(p)
		if d%(24*time.Hour) != 0 {
			return count(int(d.Hours()), "hour")
		}
		return count(int(d.Hours()/24), "day")
	}}
}

// moment is a time as seen from another.
type moment struct{ At, Now time.Time }

func (m moment) Machine() string { return m.At.UTC().Format(time.RFC3339) }
func (m moment) Exact() string   { return m.At.UTC().Format("2 January 2006, 15:04 UTC") }

func (m moment) Brief() string { return m.At.UTC().Format("2 Jan 2006, 15:04 UTC") }

// Second is the exact one, for who points at a time.
func (m moment) Second() string { return m.At.UTC().Format("2 January 2006, 15:04:05 UTC") }

// Ago is the distance in the one unit that matters.
func (m moment) Ago() string {
	d := m.Now.Sub(m.At)
	switch {
	case d < -time.Minute:
		return "in " + span(-d)
	case d < time.Minute:
		return "just now"
	}
	return span(d) + " ago"
}

// Before is Ago on a page about the past, whose instant it is counted from.
func (m moment) Before() string {
	d := m.Now.Sub(m.At)
	switch {
	case d < -time.Minute:
		return span(-d) + " later"
	case d < time.Minute:
		return "just then"
	}
	return span(d) + " before"
}

// span is a duration of a minute or more in one unit.
func span(d time.Duration) string {
	days := int(d.Hours() / 24)
	switch {
	case d < time.Hour:
		return count(int(d.Minutes()), "minute")
	case days < 2:
		return count(int(d.Hours()), "hour")
	case days < 60:
		return count(days, "day")
	case days < 730:
		return count(days/30, "month")
	}
	return count(days/365, "year")
}

// count is "1 computer", "1,204 computers", "2 counties".
func count(n int, noun string) string {
	if n != 1 {
		if stem, ok := strings.CutSuffix(noun, "ty"); ok {
			noun = stem + "tie"
		}
		noun += "s"
	}
	return number(n) + " " + noun
}

// number groups digits by three.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// shown makes a text from a host safe to read: invisible characters, with which
// a name can pretend to be another, become visible, and what is longer than
// limit runes is cut and said to be.
func shown(s string, limit int) string { return seen(s, limit, unicode.MaxRune) }

// coded is shown for what is a word in ASCII unless someone invents it, and stands among
// other words: what could turn their order is named, as every other character is.
func coded(s string) string { return seen(s, 64, unicode.MaxASCII) }

func seen(s string, limit int, last rune) string {
	const most = 3 // marks on one letter
	var b strings.Builder
	n, marks := 0, 0
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if n++; n > limit {
			continue
		}
		if marks++; !unicode.Is(unicode.M, r) {
			marks = 0
		}
		switch {
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case !unicode.IsPrint(r), r > last, marks > most, r == '\u2800',
			unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		default:
			b.WriteRune(r)
		}
	}
	if n > limit {
		fmt.Fprintf(&b, "… (%s more)", count(n-limit, "character"))
	}
	return b.String()
}

// field is a text as it is, to be changed, without what no text has.
func field(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

func countyName(c muster.County) string {
	name, _ := fips.County(c)
	return name
}

func stateName(c muster.County) string {
	_, state := fips.County(c)
	return state
}

func platformName(p muster.Platform) string {
	switch p {
	case muster.Windows:
		return "Windows"
	case muster.Linux:
		return "Linux"
	}
	return coded(string(p))
}

func profileName(p muster.Profile) string {
	switch p {
	case muster.Workstation:
		return "Workstation"
	case muster.EMS:
		return "Election management system"
	}
	return coded(string(p))
}

// A standing is how a host stands against the baseline, worst first.
type standing uint8

const (
	standsFailing standing = iota
	standsUnknown
	standsStale
	standsMeeting
	standsReplaced // counted nowhere
)

// Mark names the icon and the colour.
func (s standing) Mark() string { return []string{"fail", "unknown", "stale", "pass", "none"}[s] }

// Word is what a person reads beside the icon.
func (s standing) Word() string {
	return []string{"Does not meet", "Cannot tell", "Not heard from", "Meets", "Replaced"}[s]
}

// cloneWord says what shows that two computers have one key.
func cloneWord(c muster.Clone) string {
	switch c {
	case muster.CloneChain:
		return "A report does not follow the one before it."
	case muster.CloneMachine:
		return "It reported from two machines. A new mainboard would look the same."
	case muster.CloneNode:
		return "It went back to a place in the network that it had left, as two computers do that take turns."
	}
	return "Two different reports came with one number."
}

// mark is a finding's status with a waiver counted in.
type mark struct{ Mark, Word string }

func markOf(s muster.Status, waiver string) mark {
	switch {
	case waiver != "" && (s == muster.StatusFail || s == muster.StatusUnknown):
		return mark{"waived", "Waived"}
	case s == muster.StatusPass:
		return mark{"pass", "Passes"}
	case s == muster.StatusFail:
		return mark{"fail", "Fails"}
	case s == muster.StatusNotApplicable:
		return mark{"none", "Does not apply"}
	}
	return mark{"unknown", "Could not be checked"}
}

// standingOf judges by the summary, and by the findings why it is not met.
func (s *server) standingOf(h muster.HostStanding, findings []muster.FindingStanding) standing {
	switch {
	case h.ReplacedBy != "":
		return standsReplaced
	case h.Stale:
		return standsStale
	case h.Meets():
		return standsMeeting
	}
	for _, f := range findings {
		if f.Status == muster.StatusFail && f.Waiver == "" && s.lookup(f.Control).Severity.Gates() {
			return standsFailing
		}
	}
	return standsUnknown
}

// lookup finds a control of the catalogue. One that is not there could matter
// most, so it is taken as critical.
func (s *server) lookup(id string) muster.Control {
	if c, ok := s.controls[id]; ok {
		return c
	}
	return muster.Control{ID: id, Title: "Control " + coded(id) + ", which is not in the current policy", Severity: muster.SeverityCritical}
}

// A requirement is a standard and the ids in it that a control answers.
type requirement struct {
	Standard string
	IDs      []string
}

func requirements(c muster.Control) []requirement {
	list := make([]requirement, 0, len(c.Maps))
	for key, ids := range c.Maps {
		list = append(list, requirement{muster.StandardName(key), ids})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Standard < list[j].Standard })
	return list
}

// invented counts the demo hosts, or counties, behind a page.
type invented struct{ demo, all int }

func (i *invented) add(demo bool) {
	i.all++
	if demo {
		i.demo++
	}
}

func (i *invented) county(c muster.CountyStanding) {
	i.all += c.Hosts + c.Pending
	i.demo += c.Invented
}

// counties counts those of a page about one county, or with "" about all.
func (i *invented) counties(list []muster.CountyStanding, about muster.County) {
	for _, c := range list {
		if about == "" || c.County == about {
			i.county(c)
		}
	}
}

// All: the banner says it, and no mark beside each name has to.
func (i invented) All() bool { return i.demo > 0 && i.demo == i.all }

// Note is the banner's text, "" where nothing is invented.
func (i invented) Note() string {
	switch {
	case i.demo == 0:
		return ""
	case i.All():
		return "Demo: these computers are invented."
	}
	return "Demo: some of these computers are invented. They are marked demo."
}
