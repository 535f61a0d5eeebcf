package web

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/passmuster/muster"
	diff "github.com/passmuster/muster/policies/changes"
)

// MostChanges bounds what Options.Diff tells.
const MostChanges = 10_000

// How much the page of a release shows: hosts that run it, things that it changes, lines
// of one and of all of them, characters of a text, and versions to compare it with.
const (
	releaseHosts    = 20
	thingsShown     = 60
	linesShown      = 12
	allLinesShown   = 150
	textShown       = 300
	versionsOffered = 30
)

// releasePage is one release: whether to go on with it, what it changes, and what it did.
type releasePage struct {
	releaseRow
	Hosts []muster.HostStanding // that run it, the first of them
	More  int                   // hosts that are not named
	// From is the version that it is compared with; 0 is the baseline that computers have
	// from the start.
	From      int64
	FromFor   muster.Ring // whose offer From is without this release; "" where it was chosen
	Versions  []int64     // to compare it with
	Diff      *comparison // nil where it could not be made
	Back      int64       // the version to go back to; 0 is the baseline from the start
	NextFree  int64       // the lowest version that can be published
	History   []deed
	Unsettled bool // there may be more of it
}

// deed is what someone did with the release.
type deed struct {
	At    moment
	Words string
	Actor string
}

func (s *server) release(ctx context.Context, r *http.Request) (*view, error) {
	releases, use, _, err := s.rollout(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(releases, func(one muster.Release) bool { return strconv.FormatInt(one.Version, 10) == r.PathValue("version") })
	if i < 0 {
		return nil, fmt.Errorf("policy version: %w", fs.ErrNotExist)
	}
	p := &releasePage{releaseRow: s.row(releases[i], releases, use), NextFree: releases[0].Version + 1}
	if err := s.effect(ctx, &p.releaseRow); err != nil {
		return nil, err
	}
	lower := releases[i+1:]
	p.against(lower)
	p.Back = p.Version // an earlier one is what one goes back to
	if p.Live {
		before, _ := muster.Offer(lower, p.Ring, "")
		p.Back = before.Version
	}
	for _, one := range lower[:min(len(lower), versionsOffered)] {
		p.Versions = append(p.Versions, one.Version)
	}
	if chosen := r.URL.Query().Get("from"); chosen != "" {
		from, err := strconv.ParseInt(chosen, 10, 64)
		if err != nil || from != 0 && !slices.ContainsFunc(lower, func(one muster.Release) bool { return one.Version == from }) {
			return nil, fmt.Errorf("earlier policy version: %w", fs.ErrNotExist)
		}
		p.From, p.FromFor = from, ""
	}
	if s.Diff != nil {
		list, err := s.Diff(ctx, p.From, p.Version)
		if err != nil {
			s.Logger.WarnContext(ctx, "policies not compared", "from", p.From, "to", p.Version, "error", err)
		} else {
			p.Diff = s.comparison(list)
		}
	}
	page, err := s.Reader.Hosts(ctx, muster.View{}, muster.HostQuery{Policy: p.Policy, Limit: releaseHosts})
	if err != nil {
		return nil, err
	}
	p.Hosts, p.More = page.Hosts, max(0, p.Running-len(page.Hosts))
	if p.History, p.Unsettled, err = s.deedsOf(ctx, p.Release); err != nil {
		return nil, err
	}
	v := &view{Title: fmt.Sprintf("Policy version %d", p.Version), Trail: append(s.trail(""), link{"/policies", "Policies"}),
		Here: fmt.Sprintf("Version %d", p.Version), Page: p}
	counties, err := s.Reader.Counties(ctx, muster.View{})
	v.Demo.counties(counties, "")
	return v, err
}

// against chooses what a release is compared with: what computers have without it that
// take it next, or took it last.
func (p *releasePage) against(lower []muster.Release) {
	ring := p.Ring
	if !p.Paused {
		ring = cmp.Or(p.Next, p.Ring)
	}
	if base, ok := muster.Offer(lower, ring, ""); ok {
		p.From = base.Version
	}
	if p.Live {
		p.FromFor = ring
	}
}

// deedsOf are what was done with a release, the newest first; unsettled where the log
// has more after it than is looked through.
func (s *server) deedsOf(ctx context.Context, r muster.Release) (list []deed, unsettled bool, err error) {
	about := fmt.Sprintf("version %d (", r.Version)
	for before, read := int64(0), 0; read < logSought; {
		entries, err := s.Reader.AuditLog(ctx, before, logRead)
		if err != nil {
			return nil, false, err
		}
		for _, e := range entries {
			before = e.ID
			words := map[string]string{"publish_policy": "Published", "promote_policy": "Offered", "pause_policy": "Paused"}[e.Action]
			if words == "" || !strings.HasPrefix(e.Object, about) {
				continue
			}
			if _, to, ok := strings.Cut(e.Object, ") to "); ok && e.Action != "pause_policy" {
				words += " to ring " + shown(to, 64)
			} else if _, rest, ok := strings.Cut(e.Object, "), "); ok {
				words += ", " + shown(rest, 64)
			}
			list = append(list, deed{moment{e.At, s.Now()}, words, e.Actor})
			if e.Action == "publish_policy" {
				return list, false, nil
			}
		}
		if read += len(entries); len(entries) < logRead {
			return list, false, nil
		}
	}
	return list, true, nil
}

// comparison tells in words what a release changes.
type comparison struct {
	Summary string // "New: 1 control. Changed: 2 lists."
	Parts   []comparedPart
	More    int // changes that are not told
	Most    int // how many were looked at, where there may be others; else 0
}

// comparedPart are the things of one kind.
type comparedPart struct {
	Kind, Title string
	Things      []comparedThing
}

// comparedThing is a control, a list, a waiver.
type comparedThing struct {
	Name, Title, Word string // Word: "New", "Removed", "Changed"
	Severity          string // of a control that is new or removed
	Lines             []comparedLine
}

// comparedLine is something about it. Code is shown as it is written.
type comparedLine struct {
	What, Old, New string
	Code           bool
}

// Long texts stand below each other.
func (l comparedLine) Long() bool { return l.Old != "" && l.New != "" && len(l.Old)+len(l.New) > 90 }

// kinds of what changes: a heading, and one of them.
func kinds() map[string][2]string {
	return map[string][2]string{
		diff.KindRelease: {"The release itself", ""}, diff.KindControl: {"Controls", "control"}, diff.KindFact: {"Questions to computers", "question"},
		diff.KindHelper: {"Rules that controls share", "shared rule"}, diff.KindList: {"Lists", "list"}, diff.KindWaiver: {"Waivers", "waiver"},
		diff.KindAttestation: {"Attestations", "attestation"}, diff.KindData: {"Other data", ""},
	}
}

func (s *server) comparison(list []diff.Change) *comparison {
	c := &comparison{}
	if len(list) >= MostChanges {
		c.Most = len(list)
	}
	things, lines := 0, 0
	var last diff.Change
	for _, one := range list {
		if one.Kind == diff.KindRelease && (one.What == "version" || one.What == "revision") {
			continue // the page says so anyway
		}
		if one.Kind != last.Kind {
			c.Parts = append(c.Parts, comparedPart{Kind: one.Kind, Title: kinds()[one.Kind][0]})
		}
		part := &c.Parts[len(c.Parts)-1]
		if one.Kind != last.Kind || one.Name != last.Name {
			part.Things = append(part.Things, s.thing(one))
		}
		last = one
		thing := &part.Things[len(part.Things)-1]
		if line, ok := lineOf(one); ok && (len(thing.Lines) == linesShown || lines == allLinesShown) {
			c.More++
		} else if ok {
			thing.Lines = append(thing.Lines, line)
			lines++
		}
	}
	c.Summary = summarize(c.Parts)
	for i := range c.Parts {
		all := c.Parts[i].Things
		order := []string{"New", "Removed", "Changed"}
		slices.SortStableFunc(all, func(a, b comparedThing) int { return slices.Index(order, a.Word) - slices.Index(order, b.Word) })
		room := min(len(all), thingsShown-things)
		things += room
		c.More += len(all) - room
		c.Parts[i].Things = all[:room]
	}
	c.Parts = slices.DeleteFunc(c.Parts, func(p comparedPart) bool { return len(p.Things) == 0 })
	return c
}

// thing is what a change is about.
func (s *server) thing(c diff.Change) comparedThing {
	t, control := comparedThing{Name: c.Name, Word: "Changed"}, c.Kind == diff.KindControl
	switch c.What {
	case "added":
		t.Word = "New"
	case "removed":
		t.Word = "Removed"
	}
	if control && t.Word != "Changed" {
		t.Severity, t.Title, _ = strings.Cut(shown(c.Old+c.New, 200), ": ")
	} else if control {
		t.Title = s.controls[c.Name].Title
	}
	if c.Kind == diff.KindRelease {
		t.Word = ""
	}
	return t
}

// aspects of things in words for people; others are their own.
func aspects() map[string]string {
	return map[string]string{"why": "Why it matters", "profiles": "Applies to", "platforms": "Systems", "facts": "Questions that it needs",
		"facts that help": "Questions that help it", "remedy": "What to do", "remedies by platform": "What to do, by system", "min agent": "Needs Muster",
		"expires": "Ends", "approver": "Approved by", "until": "Until", "dated": "As of"}
}

// lineOf tells one aspect. What is new or gone by its name alone has none.
func lineOf(c diff.Change) (line comparedLine, ok bool) {
	line = comparedLine{What: aspects()[c.What], Old: shown(spoken(c.Old), textShown), New: shown(spoken(c.New), textShown)}
	if line.What == "" {
		first, n := utf8.DecodeRuneInString(c.What)
		line.What = coded(string(unicode.ToUpper(first)) + c.What[n:])
	}
	switch {
	case c.What == "added" || c.What == "removed":
		if c.Kind == diff.KindControl || c.Old+c.New == "" {
			return line, false
		}
		line.What = ""
		if c.Kind == diff.KindList {
			line.What = "As of"
		}
	case c.Kind == diff.KindFact || c.Kind == diff.KindHelper || c.What == "rule":
		line.Code, line.Old, line.New = true, listing(c.Old), listing(c.New)
	}
	return line, true
}

// spoken turns what is JSON in a change into words.
func spoken(text string) string {
	if text == "" || text[0] != '[' && text[0] != '{' {
		return text
	}
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	return say(v, ", ")
}

// say joins what a list or an object holds; a list in a list is a choice.
func say(v any, between string) string {
	var words []string
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			words = append(words, say(one, " or "))
		}
	case map[string]any:
		for name, one := range v {
			if said := say(one, ", "); said != "" {
				words = append(words, name+": "+said)
			}
		}
		slices.Sort(words)
		between = "; "
	case string:
		return cmp.Or(map[string]string{"workstation": "workstations", "ems": "election management systems", "windows": "Windows", "linux": "Linux"}[v], v)
	default:
		return fmt.Sprint(v)
	}
	return strings.Join(words, between)
}

// listing is code, its lines kept and made safe to read.
func listing(text string) string {
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(text, "\t", "  ")) {
		lines = append(lines, shown(strings.TrimRight(line, " \r\n"), 200))
	}
	if more := len(lines) - linesShown; more > 0 {
		lines = append(lines[:linesShown], fmt.Sprintf("… (%s more)", count(more, "line")))
	}
	return strings.Join(lines, "\n")
}

// summarize counts what changes.
func summarize(parts []comparedPart) string {
	var all []string
	for _, word := range []string{"New", "Removed", "Changed"} {
		var some []string
		for _, p := range parts {
			n := 0
			for _, t := range p.Things {
				if t.Word == word {
					n++
				}
			}
			if noun := kinds()[p.Kind][1]; n > 0 && noun != "" {
				some = append(some, count(n, noun))
			}
		}
		if some != nil {
			all = append(all, word+": "+strings.Join(some, ", ")+".")
		}
	}
	return strings.Join(all, " ")
}
