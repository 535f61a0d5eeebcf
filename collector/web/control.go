package web

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// How many hosts a control page names, in how many counties. It reads some more of
// each, of which stale ones are left out.
const (
	hostsPerCounty = 20
	hostsRead      = 100
	countiesNamed  = 12
)

// A place is a county where a control is not met.
type place struct {
	County       muster.County
	Fail, Unsure int
	Hosts        []placedHost
	More         int // hosts that are not named
}

type placedHost struct {
	muster.HostStanding
	Mark  mark
	Since moment
}

type controlPage struct {
	muster.Control
	Known        bool // the control is in the catalogue
	Standing     muster.ControlStanding
	Requirements []requirement
	Checks       []check
	Places       []place
	Silent       int // stale hosts, left out
}

// Named is how many places name their hosts; Unnamed says that there are more.
func (controlPage) Named() int      { return countiesNamed }
func (p controlPage) Unnamed() bool { return len(p.Places) > countiesNamed }

// A check is what hosts of one platform are asked.
type check struct {
	Platform  muster.Platform
	Questions []question
}

type question struct{ Fact, SQL string }

// checks lists the facts of a control with a statement for each platform.
func (s *server) checks(c muster.Control) (list []check) {
	for _, p := range c.Platforms {
		on := check{Platform: p}
		seen := map[string]bool{}
		for _, name := range append(slices.Concat(c.Facts...), c.Also...) {
			if sql := s.Facts[name].SQL[p]; sql != "" && !seen[name] {
				seen[name] = true
				on.Questions = append(on.Questions, question{name, strings.TrimSpace(sql)})
			}
		}
		if on.Questions != nil {
			list = append(list, on)
		}
	}
	return list
}

// Asked is the number of hosts that the control applies to.
func (p controlPage) Asked() int {
	return p.Standing.Pass + p.Standing.Fail + p.Standing.Unknown + p.Standing.Waived
}

// Bar shows the standing as segments.
func (p controlPage) Bar() []segment {
	return tally{Hosts: p.Asked() - p.Standing.Waived, Meeting: p.Standing.Pass, Failing: p.Standing.Fail, Unknown: p.Standing.Unknown}.Bar()
}

func (s *server) control(ctx context.Context, r *http.Request) (*view, error) {
	id := r.PathValue("control")
	controls, err := s.Reader.Controls(ctx, s.view, "")
	if err != nil {
		return nil, err
	}
	counties, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(controls, func(c muster.ControlStanding) bool { return c.Control == id })
	c, known := s.controls[id]
	if i < 0 && !known {
		return nil, fmt.Errorf("control: %w", fs.ErrNotExist)
	}
	if !known {
		c = s.lookup(id)
	}
	p := &controlPage{Control: c, Known: known, Standing: muster.ControlStanding{Control: id}, Requirements: requirements(c), Checks: s.checks(c)}
	if i >= 0 {
		p.Standing = controls[i]
	}
	if p.Places, err = s.places(ctx, id); err != nil {
		return nil, err
	}
	v := &view{Title: shown(c.Title, 120), Trail: s.trail(""), Here: shown(id, 64), Page: p}
	for _, c := range counties {
		v.Demo.county(c)
		p.Silent += c.Stale
	}
	return v, nil
}

// places are the counties where the control is not met, the one with most fails first.
// The first of them name hosts; stale ones are left out.
func (s *server) places(ctx context.Context, control string) ([]place, error) {
	counties, err := s.Reader.ControlCounties(ctx, s.view, control)
	if err != nil {
		return nil, err
	}
	var list []place
	for _, c := range counties {
		if n := c.Fail + c.Unknown + c.Waived; n > 0 {
			list = append(list, place{County: c.County, Fail: c.Fail, Unsure: c.Unknown, More: n})
		}
	}
	slices.SortFunc(list, func(a, b place) int {
		return cmp.Or(cmp.Compare(b.Fail, a.Fail), cmp.Compare(b.Unsure, a.Unsure), cmp.Compare(countyName(a.County), countyName(b.County)))
	})
	for i := range list[:min(len(list), countiesNamed)] {
		p := &list[i]
		if p.Hosts, err = s.placed(ctx, p.County, control); err != nil {
			return nil, err
		}
		p.Hosts = p.Hosts[:min(len(p.Hosts), hostsPerCounty)]
		p.More = max(0, p.More-len(p.Hosts))
	}
	return list, nil
}

// placed are hosts of the county on which the control is not met, those that fail first.
func (s *server) placed(ctx context.Context, county muster.County, control string) (list []placedHost, err error) {
	page, err := s.Reader.Hosts(ctx, s.view, muster.HostQuery{County: county, Control: control, Limit: hostsRead})
	if err != nil {
		return nil, err
	}
	for _, h := range page.Hosts {
		if !h.Stale && h.ReplacedBy == "" {
			list = append(list, placedHost{h, markOf(h.Finding.Status, h.Finding.Waiver), moment{h.Finding.Since, s.Now()}})
		}
	}
	slices.SortFunc(list, func(a, b placedHost) int {
		return cmp.Or(cmp.Compare(a.Mark.Mark, b.Mark.Mark), cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}
