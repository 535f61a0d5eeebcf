package agent

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/agent/state"
)

// auditStatus is the name of the status file that an audit writes.
const auditStatus = "audit"

// AuditStatus is what the last audit left for `muster status`.
type AuditStatus struct {
	Schema    int              `json:"schema"` // 1
	AuditedAt time.Time        `json:"audited_at"`
	Host      string           `json:"host"`
	HostID    muster.HostID    `json:"host_id"`
	Profile   muster.Profile   `json:"profile"`
	Policy    muster.PolicyRef `json:"policy"`
	Summary   muster.Summary   `json:"summary"`
	// Report is the number of the last report that was kept.
	Report uint64 `json:"report"`
	// KeptAt is when it was kept, by this host's clock.
	KeptAt time.Time `json:"kept_at,omitzero"`
	// ReceiptAt is when this host last took a receipt, by its own clock; nil before the first.
	ReceiptAt *time.Time `json:"receipt_at"`
	// PolicyRefused says why the last policy that arrived was refused; "" where it was taken.
	PolicyRefused string `json:"policy_refused,omitempty"`
	// PolicyRefusedBy names the muster and the keys that refused it: under others it
	// may be good.
	PolicyRefusedBy string   `json:"policy_refused_by,omitempty"`
	Warnings        []string `json:"warnings,omitempty"`
	// Unkept are the audits whose report could not be kept, a sentence each, until
	// a report tells the state.
	Unkept []string `json:"unkept,omitempty"`
	// Outbox is how full it was after the audit; nil where it could not be read.
	Outbox *outbox.Depth `json:"outbox,omitempty"`
	// Dropped counts the reports that are lost and that the state does not know of yet.
	Dropped uint64 `json:"dropped,omitempty"`
	// CPUSeconds is the processor time that the audit took, TookSeconds how long it took.
	CPUSeconds  float64 `json:"cpu_seconds"`
	TookSeconds float64 `json:"took_seconds"`
}

// UplinkStatus is what this host reads of the status file that muster-uplink writes.
type UplinkStatus struct {
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	// State is whether the state believes this host; "" before the first contact.
	State muster.HostState `json:"state,omitempty"`
	// LastContact is zero before the first.
	LastContact time.Time `json:"last_contact,omitzero"`
	// Error of the newest try; "" where it went well.
	Error string `json:"error,omitempty"`
	// Waiting counts the reports without a receipt.
	Waiting int `json:"waiting"`
	// ClockSkewSeconds is this host's clock less the collector's.
	ClockSkewSeconds int `json:"clock_skew_seconds"`
	// Tailnet is nil where there is none.
	Tailnet *muster.TailnetStatus `json:"tailnet,omitempty"`
	// Refused are reports that the collector will not store, the newest first, and
	// RelayRefused sealed files of other hosts.
	Refused      []Refusal `json:"refused,omitempty"`
	RelayRefused []Refusal `json:"relay_refused,omitempty"`
}

// Refusal is something that the collector will not take.
type Refusal struct {
	Seq uint64 `json:"seq,omitempty"`
	// Code is the collector's; Reason, which can be missing, is for people.
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// clean makes the words of a program that muster does not trust fit for a terminal.
func (u *UplinkStatus) clean() {
	u.State, u.Error = muster.HostState(told(string(u.State))), told(u.Error)
	u.Waiting, u.ClockSkewSeconds = max(0, u.Waiting), min(max(u.ClockSkewSeconds, -maxSkew), maxSkew)
	for _, list := range [][]Refusal{u.Refused, u.RelayRefused} {
		for i := range list {
			list[i].Code, list[i].Reason = told(list[i].Code), told(cmp.Or(list[i].Reason, list[i].Code))
		}
	}
	if t := u.Tailnet; t != nil {
		t.State, t.Name, t.LoginURL = told(t.State), told(t.Name), told(t.LoginURL)
		t.Addresses, t.Problems = toldAll(t.Addresses), toldAll(t.Problems)
	}
}

// clean: before the first audit the uplink could have written this file, too.
func (a *AuditStatus) clean() {
	a.Host, a.HostID, a.PolicyRefused = told(a.Host), muster.HostID(told(string(a.HostID))), told(a.PolicyRefused)
	a.Warnings, a.Unkept = toldAll(a.Warnings), toldAll(a.Unkept)
}

// maxTold bounds each of the texts of a status file, in bytes, and maxTolds each list.
const (
	maxTold  = 400
	maxTolds = 20
	maxSkew  = 100 * 365 * 24 * 3600 // seconds
)

func told(s string) string { return short(printable(s), maxTold) }

func toldAll(list []string) []string {
	list = list[:min(len(list), maxTolds)]
	for i, s := range list {
		list[i] = told(s)
	}
	return list
}

// Status is where this host stands with its state.
type Status struct {
	StateDir string `json:"state_dir"`
	// Collector is its name for people, and County the host's; "" without a site file.
	Collector string        `json:"collector,omitempty"`
	County    muster.County `json:"county,omitempty"`
	// Audit is nil before the first.
	Audit *AuditStatus `json:"audit"`
	// Outbox is how full it is; nil where nobody knows.
	Outbox *outbox.Depth `json:"outbox"`
	// OutboxAsOf is when somebody with the rights last looked; zero means just now.
	OutboxAsOf time.Time    `json:"outbox_as_of,omitzero"`
	Policy     PolicyStatus `json:"policy"`
	// Uplink is nil where muster-uplink never ran.
	Uplink *UplinkStatus `json:"uplink"`
	// Services audit this computer by themselves; nil where nobody asked, or the
	// operating system cannot tell.
	Services []Service `json:"services,omitempty"`
	// Problems, the first to solve first; empty where all is well.
	Problems []Problem `json:"problems"`
}

// Delivered reports whether the state has the last report, by the word of
// muster-uplink: muster itself verifies the receipt at the next audit.
func (s *Status) Delivered() bool {
	a, u := s.Audit, s.Uplink
	return a != nil && a.Report > 0 && u != nil && u.Waiting == 0 && u.Error == "" &&
		!a.KeptAt.IsZero() && u.UpdatedAt.After(a.KeptAt) && // an audit of an earlier version does not say when
		!slices.ContainsFunc(u.Refused, func(r Refusal) bool { return r.Seq == a.Report })
}

// KnownHost is the id that the last audit left in the state folder; "" where none did.
func KnownHost(dir string) muster.HostID { return lastAudit(dir).HostID }

// lastAudit is what the last audit left; zero where it left nothing that can be read.
func lastAudit(dir string) AuditStatus {
	var audit AuditStatus
	folder, err := state.OpenReader(dir)
	if err != nil {
		return audit
	}
	if found, err := folder.ReadStatus(auditStatus, &audit); err != nil || !found {
		return AuditStatus{}
	}
	return audit
}

// PolicyStatus is the policy by which the next audit judges.
type PolicyStatus struct {
	Revision string `json:"revision"`
	Version  int64  `json:"version"`
	// Source says in a few words why it may judge, and how old it is.
	Source   string    `json:"source"`
	SignedBy string    `json:"signed_by,omitempty"`
	Created  time.Time `json:"created,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Stale    bool      `json:"stale"`
}

// Problem is what is wrong and what to do about it, each in a sentence.
type Problem struct {
	What string `json:"what"`
	Do   string `json:"do"`
}

// ReadStatus looks into the state folder and changes nothing. The error says
// that the folder cannot be read.
func ReadStatus(dir string, site *muster.Site, now time.Time) (*Status, error) {
	folder, err := state.OpenReader(dir)
	if err != nil {
		return nil, err
	}
	s := &Status{StateDir: folder.Dir(), Problems: []Problem{}}
	if site != nil {
		s.Collector, s.County = site.Name, site.County
	}
	var audit AuditStatus
	if found, err := folder.ReadStatus(auditStatus, &audit); err != nil {
		s.problem(told(err.Error()), "Run muster audit: it writes the file anew.")
	} else if found {
		s.Audit = &audit
		audit.clean()
	}
	var uplink UplinkStatus
	if found, err := folder.ReadStatus("uplink", &uplink); err != nil {
		s.problem(told(err.Error()), "Start muster-uplink again: it writes the file anew.")
	} else if found {
		s.Uplink = &uplink
		uplink.clean()
	}
	s.lookIntoOutbox(folder)
	policy, err := OpenPolicy(PolicyOptions{Site: site, StateDir: dir})
	if err != nil {
		return nil, err
	}
	s.Policy = PolicyStatus{policy.Revision, policy.Version, policy.Describe(now), policy.SignedBy, policy.Created, policy.Expires, policy.Stale(now)}
	for _, w := range policy.Warnings {
		s.problem(w, "muster-uplink fetches the state's policy again; without a network, bring it on a courier stick.")
	}
	s.judge(site, now)
	return s, nil
}

// lookIntoOutbox counts what waits. Who may not look is told what the last audit and
// the uplink have left in their status files.
func (s *Status) lookIntoOutbox(folder *state.Folder) {
	r, err := outbox.OpenReader(folder.OutboxDir())
	if err == nil {
		var d outbox.Depth
		if d, err = r.Depth(); err == nil {
			s.Outbox = &d
			return
		}
	}
	if !errors.Is(err, fs.ErrPermission) {
		s.problem(told(err.Error()), "Run muster audit: it makes the folder anew.")
		return
	}
	if s.Audit == nil || s.Audit.Outbox == nil {
		return
	}
	d := *s.Audit.Outbox
	s.Outbox, s.OutboxAsOf = &d, s.Audit.AuditedAt
	if u := s.Uplink; u != nil && u.UpdatedAt.After(s.OutboxAsOf) {
		d.Reports, d.Bytes, s.OutboxAsOf = u.Waiting, 0, u.UpdatedAt // it does not tell how many bytes
	}
}

func (s *Status) problem(what, do string) { s.Problems = append(s.Problems, Problem{what, do}) }
