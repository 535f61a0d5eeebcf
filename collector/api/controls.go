package api

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// Controls counts controls, and says what they are.
type Controls struct {
	Controls []muster.ControlStanding `json:"controls"`
	// Catalogue is of the policy in force now.
	Catalogue []muster.Control `json:"catalogue"`
}

// ControlDetail is one control, and how it stands in each county.
type ControlDetail struct {
	// Control of the policy in force now; not there where only reports know it.
	Control  *muster.Control        `json:"control,omitempty"`
	Standing muster.ControlStanding `json:"standing"`
	Counties []muster.CountyControl `json:"counties"`
	// HostsURL is the list of hosts that do not meet it.
	HostsURL string `json:"hosts_url"`
}

// ControlCounties counts one control by county.
type ControlCounties struct {
	Counties []muster.CountyControl `json:"counties"`
}

// Waivers of the policy in force now.
type Waivers struct {
	Waivers []Waiver `json:"waivers"`
}

// Waiver is a signed, dated exception.
type Waiver struct {
	muster.Waiver
	// Holds: the instant that was asked about is between its dates.
	Holds bool `json:"holds"`
}

// Attestations of the policy in force now.
type Attestations struct {
	Attestations []Attestation `json:"attestations"`
}

// Attestation is a person's dated word.
type Attestation struct {
	muster.Attestation
	// Holds: the instant that was asked about is between its dates.
	Holds bool `json:"holds"`
}

func controlOperations() []operation {
	const control = "/api/v1/controls/{control}"
	scope := []param{byCounty, asOf, known}
	return []operation{
		list("/api/v1/controls", "listControls", "Counts of every control over active hosts that are not stale.", scope, (*call).controls),
		get(control, "getControl", "One control, its counts, and those of each county.", scope, (*call).oneControl),
		list(control+"/counties", "listControlCounties", "Counts of one control by county.", scope, (*call).controlCounties),
		list("/api/v1/findings", "listFindings", "All findings of a host, or the fails and unknowns of a county or of a control: say which.",
			[]param{{name: "host", about: "All findings of this host."}, byCounty,
				{name: "control", about: "Only findings of this control."}, asOf, known}, (*call).findings),
		list("/api/v1/transitions", "listTransitions", "The newest changes on active hosts, without first verdicts; for older ones ask with as_of of the last one's received_at.",
			[]param{byCounty, asOf, known, limited}, (*call).transitions),
		list("/api/v1/waivers", "listWaivers", "Waivers in the policy in force now.", []param{byCounty, asOf, known}, (*call).waivers),
		list("/api/v1/attestations", "listAttestations", "Attestations in the policy in force now.", []param{byCounty, asOf, known}, (*call).attestations),
	}
}

func (c *call) controls() (Controls, error) {
	standing, err := c.Store.Controls(c.Context(), c.view, c.county)
	slices.SortFunc(standing, func(a, b muster.ControlStanding) int { return cmp.Compare(a.Control, b.Control) })
	return Controls{notNil(standing), notNil(c.Catalogue())}, err
}

// catalogued finds a control in the policy in force now.
func (c *call) catalogued(id string) *muster.Control {
	all := c.Catalogue()
	if i := slices.IndexFunc(all, func(k muster.Control) bool { return k.ID == id }); i >= 0 {
		return &all[i]
	}
	return nil
}

func (c *call) controlCounties() (ControlCounties, error) {
	list, err := c.countsOf(c.PathValue("control"))
	return ControlCounties{notNil(list)}, err
}

// countsOf one control by county. One that neither the policy in force nor any report
// of the county that is asked for knows is an error that is fs.ErrNotExist.
func (c *call) countsOf(id string) ([]muster.CountyControl, error) {
	list, err := c.Store.ControlCounties(c.Context(), c.view, id)
	list = slices.DeleteFunc(list, func(k muster.CountyControl) bool { return c.county != "" && k.County != c.county })
	if err == nil && len(list) == 0 && c.catalogued(id) == nil {
		err = fs.ErrNotExist
	}
	slices.SortFunc(list, func(a, b muster.CountyControl) int { return cmp.Compare(a.County, b.County) })
	return list, err
}

func (c *call) oneControl() (ControlDetail, error) {
	counties, err := c.controlCounties()
	if err != nil {
		return ControlDetail{}, err
	}
	id := c.PathValue("control")
	d := ControlDetail{Control: c.catalogued(id), Counties: counties.Counties, Standing: muster.ControlStanding{Control: id}}
	for _, k := range counties.Counties {
		s := &d.Standing
		s.Pass, s.Fail, s.Unknown = s.Pass+k.Pass, s.Fail+k.Fail, s.Unknown+k.Unknown
		s.NotApplicable, s.Waived, s.FailCounties = s.NotApplicable+k.NotApplicable, s.Waived+k.Waived, s.FailCounties+k.FailCounties
	}
	c.query.Set("control", id)
	d.HostsURL = "/api/v1/hosts?" + c.query.Encode()
	return d, nil
}

func (c *call) findings() (Findings, error) {
	control := c.query.Get("control")
	switch {
	case c.query.Has("host"):
		return c.findingsOfHost(control)
	case c.query.Has("control"):
		if c.catalogued(control) == nil {
			if _, err := c.countsOf(control); errors.Is(err, fs.ErrNotExist) {
				return Findings{}, badf("no policy and no report has a control %q", control)
			} else if err != nil {
				return Findings{}, err
			}
		}
		page, err := c.Store.Hosts(c.Context(), c.view, muster.HostQuery{County: c.county, Control: control, After: c.after, Limit: c.limit})
		found := Findings{Findings: []muster.FindingStanding{}, More: More{Next: page.Next}}
		for _, h := range page.Hosts {
			if h.Finding != nil {
				found.Findings = append(found.Findings, *h.Finding)
			}
		}
		return found, err
	case c.county != "":
		all, err := c.Store.CountyFindings(c.Context(), c.view, c.county)
		return c.cut(all), err
	}
	return Findings{}, badf("say which: ?host=, ?county= or ?control=")
}

func (c *call) findingsOfHost(control string) (Findings, error) {
	id, err := muster.ParseHostID(c.query.Get("host"))
	if err != nil {
		return Findings{}, errBad{err}
	}
	h, err := c.Store.Host(c.Context(), c.view, id)
	if err != nil {
		return Findings{}, err
	}
	if c.county != "" && h.County != c.county {
		return Findings{}, fs.ErrNotExist
	}
	all, err := c.Store.HostFindings(c.Context(), c.view, id)
	return c.cut(slices.DeleteFunc(all, func(f muster.FindingStanding) bool { return control != "" && f.Control != control })), err
}

// cut gives a page of findings that were read at once.
func (c *call) cut(all []muster.FindingStanding) Findings {
	key := func(f muster.FindingStanding) string { return string(f.Host) + " " + f.Control }
	slices.SortFunc(all, func(a, b muster.FindingStanding) int { return strings.Compare(key(a), key(b)) })
	if c.after != "" {
		i, found := slices.BinarySearchFunc(all, c.after, func(f muster.FindingStanding, after string) int { return strings.Compare(key(f), after) })
		if found {
			i++
		}
		all = all[i:]
	}
	page := Findings{Findings: notNil(all)}
	if len(all) > c.limit {
		page.Findings = all[:c.limit]
		page.Next = key(all[c.limit-1])
	}
	return page
}

func (c *call) transitions() (Transitions, error) {
	list, err := c.Store.Changes(c.Context(), c.view, c.county, c.limit)
	return Transitions{notNil(list)}, err
}

// concerns reports whether what speaks of a county or a host, or of all, concerns the
// county that is asked for.
func (c *call) concerns(county muster.County, host muster.HostID) (bool, error) {
	if c.county == "" || county == c.county || county == "" && host == "" {
		return true, nil
	}
	if host == "" {
		return false, nil
	}
	h, err := c.Store.Host(c.Context(), muster.View{}, host)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return h.County == c.county, err
}

func (c *call) waivers() (Waivers, error) {
	found := Waivers{[]Waiver{}}
	for _, w := range c.Waivers() {
		ok, err := c.concerns(w.County, w.Host)
		if err != nil {
			return found, err
		}
		if ok {
			found.Waivers = append(found.Waivers, Waiver{w, c.between(w.Approved, w.Expires)})
		}
	}
	return found, nil
}

func (c *call) attestations() (Attestations, error) {
	found := Attestations{[]Attestation{}}
	for _, a := range c.Attestations() {
		ok, err := c.concerns(a.County, a.Host)
		if err != nil {
			return found, err
		}
		if ok {
			found.Attestations = append(found.Attestations, Attestation{a, c.between(a.On, a.Until)})
		}
	}
	return found, nil
}
