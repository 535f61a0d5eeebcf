package api

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strconv"

	"github.com/passmuster/muster"
)

// Hosts is a list of hosts.
type Hosts struct {
	Hosts []muster.HostStanding `json:"hosts"`
	More
}

// AllHosts is a list of hosts that has no pages.
type AllHosts struct {
	Hosts []muster.HostStanding `json:"hosts"`
}

// HostDetail is where one host stands, and how it came there.
type HostDetail struct {
	muster.HostStanding
	Findings []muster.FindingStanding `json:"findings"`
	// Transitions are the newest, newest first.
	Transitions []muster.Transition `json:"transitions"`
	// Custody of its sealed files, as each place on their way has said.
	Custody []muster.CustodyEvent `json:"custody"`
}

// Findings are controls' statuses on hosts.
type Findings struct {
	Findings []muster.FindingStanding `json:"findings"`
	More
}

// Transitions are newest first.
type Transitions struct {
	Transitions []muster.Transition `json:"transitions"`
}

// Reports of a host, the highest number first.
type Reports struct {
	Reports []muster.ReportStanding `json:"reports"`
	More
}

// detailTransitions is how many a host's own answer has.
const detailTransitions = 1000

func hostOperations() []operation {
	const host = "/api/v1/hosts/{host}"
	view := []param{asOf, known}
	ops := []operation{
		list("/api/v1/hosts", "listHosts", "Active hosts by county and id.", []param{byCounty,
			{name: "control", about: "Only hosts that fail this control or are unknown on it; each has its finding."},
			{name: "policy", about: "Only hosts whose newest report was judged by the policy of this digest."}, asOf, known}, (*call).hosts),
		get(host, "getHost", "Where an active host stands, its findings, its newest transitions, and the custody of its sealed files.", view, (*call).oneHost),
		list(host+"/findings", "listHostFindings", "Every finding of a host.", view, (*call).hostFindings),
		list(host+"/transitions", "listHostTransitions", "The newest transitions of a host; for older ones ask with as_of of the last one's received_at.",
			[]param{asOf, known, limited}, (*call).hostTransitions),
		list(host+"/reports", "listHostReports", "What is kept for ever of a host's reports.", nil, (*call).hostReports),
		{method: http.MethodGet, path: host + "/reports/{seq}", id: "getHostReport", status: http.StatusOK,
			about: "The signed report as the host sent it (COSE_Sign1), as long as evidence is kept.",
			gives: []content{{media: typeCOSE}}, serve: (*call).report},
		list("/api/v1/pending", "listPending", "Hosts that wait for approval, the longest waiting first.", []param{byCounty}, (*call).pending),
		list("/api/v1/stale", "listStale", "Hosts that were silent for too long, the longest silent first.", []param{byCounty, asOf, known, limited}, (*call).stale),
	}
	act := func(verb, id, about string, otherwise muster.HostState, do func(Act) hostAct) {
		ops = append(ops, change(http.MethodPost, host+"/"+verb, id, about, http.StatusOK, func(c *call, _ http.ResponseWriter) (muster.HostStanding, error) {
			id, err := muster.ParseHostID(c.PathValue("host"))
			if err != nil {
				return muster.HostStanding{}, fs.ErrNotExist
			}
			if err := do(c.Act)(c.Context(), id, c.Actor(c.Request)); err != nil {
				return muster.HostStanding{}, err
			}
			h, err := c.Store.Host(c.Context(), muster.View{}, id)
			if errors.Is(err, fs.ErrNotExist) { // it is not an active one
				return muster.HostStanding{Host: muster.Host{ID: id}, State: otherwise}, nil
			}
			return h, err
		}))
	}
	act("approve", "approveHost", "Makes a pending host active.", muster.HostActive, func(a Act) hostAct { return a.Approve })
	act("retire", "retireHost", "Takes a pending or active host out of every list and count.", muster.HostRetired, func(a Act) hostAct { return a.Retire })
	act("clear-clone", "clearClone", "Forgets what shows that a host was copied.", muster.HostPending, func(a Act) hostAct { return a.ClearClone })
	act("audit", "requestAudit", "Asks an active host for an audit soon.", muster.HostActive, func(a Act) hostAct { return a.RequestAudit })
	return ops
}

const typeCOSE = "application/cose"

// hostAct is one of Act that does something to a host.
type hostAct func(ctx context.Context, id muster.HostID, actor string) error

func (c *call) hosts() (Hosts, error) {
	page, err := c.Store.Hosts(c.Context(), c.view, muster.HostQuery{County: c.county, Control: c.query.Get("control"),
		Policy: c.query.Get("policy"), After: c.after, Limit: c.limit})
	return Hosts{notNil(page.Hosts), More{Next: page.Next}}, err
}

// host of the path, which must be an active one.
func (c *call) host() (muster.HostStanding, error) {
	id, err := muster.ParseHostID(c.PathValue("host"))
	if err != nil {
		return muster.HostStanding{}, errBad{err}
	}
	return c.Store.Host(c.Context(), c.view, id)
}

// findingsOf a host by control.
func (c *call) findingsOf(id muster.HostID) ([]muster.FindingStanding, error) {
	list, err := c.Store.HostFindings(c.Context(), c.view, id)
	slices.SortFunc(list, func(a, b muster.FindingStanding) int { return cmp.Compare(a.Control, b.Control) })
	return list, err
}

func (c *call) oneHost() (HostDetail, error) {
	h, err := c.host()
	if err != nil {
		return HostDetail{}, err
	}
	findings, err := c.findingsOf(h.ID)
	if err != nil {
		return HostDetail{}, err
	}
	custody, err := c.Store.Custody(c.Context(), h.ID)
	if err != nil {
		return HostDetail{}, err
	}
	transitions, err := c.Store.HostTransitions(c.Context(), c.view, h.ID, detailTransitions)
	return HostDetail{h, notNil(findings), notNil(transitions), notNil(custody)}, err
}

// AllFindings are all of one host.
type AllFindings struct {
	Findings []muster.FindingStanding `json:"findings"`
}

func (c *call) hostFindings() (AllFindings, error) {
	h, err := c.host()
	if err != nil {
		return AllFindings{}, err
	}
	findings, err := c.findingsOf(h.ID)
	return AllFindings{notNil(findings)}, err
}

func (c *call) hostTransitions() (Transitions, error) {
	h, err := c.host()
	if err != nil {
		return Transitions{}, err
	}
	list, err := c.Store.HostTransitions(c.Context(), c.view, h.ID, c.limit)
	return Transitions{notNil(list)}, err
}

func (c *call) hostReports() (Reports, error) {
	h, err := c.host()
	if err != nil {
		return Reports{}, err
	}
	before, err := c.number()
	if err != nil {
		return Reports{}, err
	}
	list, err := c.Store.HostReports(c.Context(), h.ID, before, c.limit)
	page := Reports{Reports: notNil(list)}
	if len(list) == c.limit {
		page.Next = strconv.FormatUint(list[len(list)-1].Seq, 10)
	}
	return page, err
}

// number that a page is after; 0 for the first.
func (c *call) number() (uint64, error) {
	if c.after == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(c.after, 10, 63)
	if err != nil || n == 0 {
		return 0, badf("after is not the next of a page")
	}
	return n, nil
}

// report gives a signed report, byte for byte.
func (c *call) report(w http.ResponseWriter) error {
	h, err := c.host()
	if err != nil {
		return err
	}
	seq, err := strconv.ParseUint(c.PathValue("seq"), 10, 63)
	if err != nil || seq == 0 {
		return errBad{errors.New("the report is not a number from 1")}
	}
	chain, err := c.Store.Envelope(c.Context(), h.ID, seq)
	if err != nil {
		return err
	}
	signed, err := c.Open(h.ID, chain)
	if err != nil {
		return err
	}
	if err := c.export(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeCOSE)
	w.Header().Set("Content-Disposition", `attachment; filename="`+string(h.ID)+"-"+strconv.FormatUint(seq, 10)+`.cose"`)
	serveBytes(w, c.Request, signed)
	return nil
}

func (c *call) pending() (AllHosts, error) {
	hosts, err := c.Store.Pending(c.Context(), c.county)
	return AllHosts{notNil(hosts)}, err
}

func (c *call) stale() (AllHosts, error) {
	hosts, err := c.Store.Quiet(c.Context(), c.view, c.county, c.limit)
	return AllHosts{notNil(hosts)}, err
}
