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

// hostsPerCounty is how many hosts a control page names in each county.
const hostsPerCounty = 20

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
	controls, err := s.Reader.Controls(ctx)
	if err != nil {
		return nil, err
	}
	counties, err := s.Reader.Counties(ctx)
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
	findings, err := s.Reader.ControlFindings(ctx, id)
	if err != nil {
		return nil, err
	}
	hosts, err := s.Reader.ControlHosts(ctx, id)
	if err != nil {
		return nil, err
	}
	v := &view{Title: shown(c.Title, 120), Trail: s.trail(""), Here: shown(id, 64), Page: p}
	for _, c := range counties {
		v.Demo.county(c)
	}
	p.Places, p.Silent = s.places(findings, hosts)
	return v, nil
}

// places groups the hosts by county, the county with most fails first. It
// leaves out the stale ones and counts them as silent.
func (s *server) places(findings []muster.FindingStanding, hosts []muster.HostStanding) (list []place, silent int) {
	byID := make(map[muster.HostID]muster.HostStanding, len(hosts))
	for _, h := range hosts {
		byID[h.ID] = h
	}
	at := map[muster.County]int{}
	for _, f := range findings {
		h, ok := byID[f.Host]
		if !ok {
			continue // it came between the two readings
		}
		if h.Stale {
			silent++
			continue
		}
		i, ok := at[h.County]
		if !ok {
			i = len(list)
			at[h.County] = i
			list = append(list, place{County: h.County})
		}
		m := markOf(f.Status, f.Waiver)
		switch m.Mark {
		case "fail":
			list[i].Fail++
		case "unknown":
			list[i].Unsure++
		}
		list[i].Hosts = append(list[i].Hosts, placedHost{h, m, moment{f.Since, s.Now()}})
	}
	for i := range list {
		hosts := list[i].Hosts
		slices.SortFunc(hosts, func(a, b placedHost) int {
			return cmp.Or(cmp.Compare(a.Mark.Mark, b.Mark.Mark), cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.ID, b.ID))
		})
		list[i].More = max(0, len(hosts)-hostsPerCounty)
		list[i].Hosts = hosts[:len(hosts)-list[i].More]
	}
	slices.SortFunc(list, func(a, b place) int {
		return cmp.Or(cmp.Compare(b.Fail, a.Fail), cmp.Compare(b.Unsure, a.Unsure), cmp.Compare(countyName(a.County), countyName(b.County)))
	})
	return list, silent
}
