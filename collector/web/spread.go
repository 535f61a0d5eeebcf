package web

import (
	"cmp"
	"math"
	"slices"

	"github.com/passmuster/muster"
)

// How much the overview shows of what spreads, and in how many counties more hosts than a
// day before must fail a control for that.
const (
	spreadShown    = 3
	spreadNamed    = 3
	spreadCounties = 2
)

// spread is a control that more hosts fail than a day before, in several counties.
type spread struct {
	muster.Control
	Hosts    int     // more that fail it, in these counties
	Counties []risen // the most first
}

// Named are the counties to name; More is how many remain.
func (s spread) Named() []risen { return s.Counties[:min(len(s.Counties), spreadNamed)] }
func (s spread) More() int      { return len(s.Counties) - len(s.Named()) }

// risen is a county of which more hosts fail a control.
type risen struct {
	County muster.County
	Hosts  int
	over   float64 // hosts that fail it beyond the share of a day before
}

// moved is how a control went: the counties where more hosts fail it, and how many hosts
// those of all counties are over the share of a day before, and under it. Of each county
// one host at most is in over and under.
type moved struct {
	up                    []risen
	over, under           float64
	hostsOver, hostsUnder float64
}

// spread finds the controls that more hosts fail in several counties than then.
func (p *overviewPage) spread(s *server, now, then []muster.CountyControl) {
	type place struct {
		control string
		county  muster.County
	}
	was := make(map[place]*muster.ControlStanding, len(then))
	for i, c := range then {
		was[place{c.Control, c.County}] = &then[i].ControlStanding
	}
	controls, counties := map[string]*moved{}, map[muster.County]bool{}
	for _, c := range now {
		before := was[place{c.Control, c.County}]
		if before == nil || asked(*before) == 0 {
			continue
		}
		m := controls[c.Control]
		if m == nil {
			m = &moved{}
			controls[c.Control] = m
		}
		counties[c.County] = true
		more, over := c.Fail-before.Fail, float64(c.Fail)-float64(before.Fail*asked(c.ControlStanding))/float64(asked(*before))
		m.over, m.hostsOver = m.over+min(max(over, 0), 1), m.hostsOver+max(over, 0)
		m.under, m.hostsUnder = m.under+min(max(-over, 0), 1), m.hostsUnder+max(-over, 0)
		if more > 0 && over >= .5 {
			m.up = append(m.up, risen{c.County, more, over})
		}
	}
	// Of many hosts some come to fail every day, and as many are mended: what goes both ways
	// is what chance does to a control, in the state and to the hosts of one county.
	var usual, usualHosts float64
	for _, m := range controls {
		usual += 2 * min(m.over, m.under) / float64(len(controls))
		usualHosts += 2 * min(m.hostsOver, m.hostsUnder) / float64(len(controls)*len(counties))
	}
	var rows []spread
	for control, m := range controls {
		if m.over-m.under < 1+3*math.Sqrt(usual) {
			m.up = slices.DeleteFunc(m.up, func(c risen) bool { return c.over < 1+4*math.Sqrt(usualHosts) })
		}
		if len(m.up) < spreadCounties {
			continue
		}
		slices.SortFunc(m.up, func(a, b risen) int {
			return cmp.Or(cmp.Compare(b.Hosts, a.Hosts), cmp.Compare(a.County, b.County))
		})
		one := spread{Control: s.lookup(control), Counties: m.up}
		for _, c := range m.up {
			one.Hosts += c.Hosts
		}
		rows = append(rows, one)
	}
	slices.SortFunc(rows, func(a, b spread) int {
		return cmp.Or(cmp.Compare(b.Hosts, a.Hosts), cmp.Compare(len(b.Counties), len(a.Counties)),
			cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.ID, b.ID))
	})
	p.Spread = fewOf(rows, spreadShown)
}
