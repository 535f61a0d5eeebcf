package web

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// A county that does not fit on one page of computers is told by its counts; of that many
// controls the hosts that fail are then named, and that many are read for it.
const (
	fixesNamed = 3
	hostsNamed = 12
)

// A cohort is hosts of which some are known.
type cohort struct {
	Known crowd
	All   int
}

// Named are the hosts to name; More is how many remain.
func (c cohort) Named() []muster.HostStanding { return c.Known.Named() }
func (c cohort) More() int                    { return c.All - len(c.Named()) }

// An advice is what to do, on one platform where others are told something else.
type advice struct {
	On   muster.Platform
	Text string
}

// A fix is one control that is not met, and the hosts it concerns.
type fix struct {
	muster.Control
	County muster.County
	Mark   mark
	Hosts  cohort
	Advice []advice
	Again  bool // the advice stands above already
	Brief  bool // its hosts and its advice stand elsewhere
}

// A task is one thing to do that clears all findings of its fixes.
type task struct {
	Name  string // what to do, where it is about several controls
	Fixes []fix  // the most severe first
	Hosts cohort
	// AtLeast: more hosts than Hosts.All may need it.
	AtLeast        bool
	Clears, Urgent int // findings, and those of critical or high severity
}

// Gating and Lesser are its fixes by whether the baseline depends on them.
func (t task) Gating() []fix { return t.Fixes[:t.lesser()] }
func (t task) Lesser() []fix { return t.Fixes[t.lesser():] }

// Brief is a task of which only the name is told.
func (t task) Brief() bool { return t.Fixes[0].Brief }

func (t task) lesser() int {
	i := slices.IndexFunc(t.Fixes, func(f fix) bool { return !f.Severity.Gates() })
	if i < 0 {
		i = len(t.Fixes)
	}
	return i
}

// theme is what to do about several controls of one topic, by the middle of their ids;
// "" where that says nothing.
func theme(control string) string {
	_, topic, _ := strings.Cut(control, "-")
	topic, _, _ = strings.Cut(topic, "-")
	return map[string]string{
		"ACC":  "Put accounts and sign-in in order",
		"AIR":  "Cut the computer off from other networks",
		"APP":  "Clear out what should not run",
		"AV":   "Mend the antivirus",
		"BAK":  "Make backups",
		"BOOT": "Protect how the computer starts",
		"EMS":  "Go through the election system with its vendor",
		"LOG":  "Put logs and the clock in order",
		"MED":  "Secure USB sticks and other media",
		"NET":  "Close what is open to the network",
		"UPD":  "Bring everything up to date",
	}[topic]
}

// tasks join fixes of one topic, and those with the same advice. The one that clears most
// of what matters comes first.
func tasks(fixes []fix) []task {
	var list []task
	at := map[string]int{}
	for _, f := range fixes {
		name := theme(f.ID)
		keys := []string{cmp.Or(name, f.ID)}
		for _, a := range f.Advice {
			keys = append(keys, a.Text)
		}
		i := -1
		for _, key := range keys {
			if n, ok := at[key]; ok && i < 0 {
				i = n
			}
		}
		if i < 0 {
			i = len(list)
			at[keys[0]] = i
			list = append(list, task{Name: name})
		}
		for _, text := range keys[1:] {
			at[text] = i
		}
		list[i].add(f)
	}
	for i := range list {
		list[i].order()
	}
	slices.SortStableFunc(list, func(a, b task) int {
		return cmp.Or(cmp.Compare(b.Urgent, a.Urgent), cmp.Compare(b.Fixes[0].Severity, a.Fixes[0].Severity), cmp.Compare(b.Clears, a.Clears))
	})
	return list
}

func (t *task) add(f fix) {
	t.Fixes = append(t.Fixes, f)
	t.Clears += f.Hosts.All
	if f.Severity.Gates() {
		t.Urgent += f.Hosts.All
	}
	for _, h := range f.Hosts.Known {
		if !slices.ContainsFunc(t.Hosts.Known, func(o muster.HostStanding) bool { return o.ID == h.ID }) {
			t.Hosts.Known = append(t.Hosts.Known, h)
		}
	}
	t.Hosts.All = max(t.Hosts.All, f.Hosts.All, len(t.Hosts.Known))
}

// order puts the most severe first, and says an advice once.
func (t *task) order() {
	slices.SortStableFunc(t.Fixes, urgent)
	t.AtLeast = len(t.Fixes) > 1 && slices.ContainsFunc(t.Fixes, func(f fix) bool { return len(f.Hosts.Known) < f.Hosts.All })
	if len(t.Fixes) == 1 {
		t.Name = ""
	}
	seen := map[string]bool{}
	for i, f := range t.Fixes {
		t.Fixes[i].Again = len(f.Advice) > 0
		for _, a := range f.Advice {
			t.Fixes[i].Again = t.Fixes[i].Again && seen[a.Text]
			seen[a.Text] = true
		}
	}
	t.Name = cmp.Or(t.Name, t.Fixes[0].Title)
}

func urgent(a, b fix) int {
	return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Hosts.All, a.Hosts.All), cmp.Compare(a.ID, b.ID))
}

// fixes groups what is not met by control, the most severe first. Stale hosts are left
// out: what they said may be long mended.
func (s *server) fixes(rows []hostRow, findings map[muster.HostID][]muster.FindingStanding) (fails, blind []fix) {
	at := map[mark]map[string]int{}
	add := func(list *[]fix, f muster.FindingStanding, h muster.HostStanding) {
		m := markOf(f.Status, "")
		if at[m] == nil {
			at[m] = map[string]int{}
		}
		i, ok := at[m][f.Control]
		if !ok {
			i = len(*list)
			at[m][f.Control] = i
			*list = append(*list, fix{Control: s.lookup(f.Control), County: h.County, Mark: m})
		}
		hosts := &(*list)[i].Hosts
		hosts.Known, hosts.All = append(hosts.Known, h), hosts.All+1
	}
	for _, row := range rows {
		if row.Stale {
			continue
		}
		for _, f := range findings[row.ID] {
			switch {
			case f.Waiver != "":
			case f.Status == muster.StatusFail:
				add(&fails, f, row.HostStanding)
			case f.Status == muster.StatusUnknown:
				add(&blind, f, row.HostStanding)
			}
		}
	}
	return advised(fails), advised(blind)
}

// counted are fixes of a county with many hosts, some of which it names.
func (s *server) counted(ctx context.Context, county muster.County, controls []muster.ControlStanding) (fails, blind []fix, err error) {
	for _, c := range controls {
		if c.Fail > 0 {
			fails = append(fails, fix{Control: s.lookup(c.Control), County: county, Mark: markOf(muster.StatusFail, ""), Hosts: cohort{All: c.Fail}})
		}
		if c.Unknown > 0 {
			blind = append(blind, fix{Control: s.lookup(c.Control), County: county, Mark: markOf(muster.StatusUnknown, ""), Hosts: cohort{All: c.Unknown}})
		}
	}
	fails, blind = advised(fails), advised(blind)
	err = atOnce(min(len(fails), fixesNamed), func(i int) error {
		f := &fails[i]
		page, err := s.Reader.Hosts(ctx, s.view, muster.HostQuery{County: county, Control: f.ID, Limit: hostsNamed})
		for _, h := range page.Hosts {
			if !h.Stale && h.Finding.Status == muster.StatusFail && h.Finding.Waiver == "" && len(f.Hosts.Known) < f.Hosts.All {
				f.Hosts.Known = append(f.Hosts.Known, h)
			}
		}
		return err
	})
	return fails, blind, err
}

// advised gives each fix the advice for the hosts that it concerns, or where not all of
// them are known for every platform, and orders them.
func advised(fixes []fix) []fix {
	for i := range fixes {
		f := &fixes[i]
		platforms := map[muster.Platform]bool{}
		for _, h := range f.Hosts.Known {
			platforms[h.Platform] = true
		}
		if len(f.Hosts.Known) < f.Hosts.All {
			for _, p := range f.Platforms {
				platforms[p] = true
			}
		}
		told := map[string][]muster.Platform{}
		var texts []string
		for _, p := range []muster.Platform{muster.Windows, muster.Linux} {
			if text := f.RemedyOn(p); platforms[p] && text != "" {
				if told[text] == nil {
					texts = append(texts, text)
				}
				told[text] = append(told[text], p)
			}
		}
		if texts == nil && f.Remedy != "" {
			texts = []string{f.Remedy}
		}
		for _, text := range texts {
			a := advice{Text: text}
			if len(texts) > 1 {
				a.On = told[text][0]
			}
			f.Advice = append(f.Advice, a)
		}
	}
	slices.SortFunc(fixes, urgent)
	return fixes
}
