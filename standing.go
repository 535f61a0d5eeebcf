package muster

import "time"

// How long a host may be silent before it is stale. A stale host never counts
// as meeting the baseline.
const (
	WorkstationStaleAfter = 7 * 24 * time.Hour
	EMSStaleAfter         = 45 * 24 * time.Hour
)

// StaleAfter is how long a host of the profile may be silent.
func (p Profile) StaleAfter() time.Duration {
	if p == EMS {
		return EMSStaleAfter
	}
	return WorkstationStaleAfter
}

// Silences are how long hosts may be silent, by profile; one that is not there has
// Profile.StaleAfter.
type Silences map[Profile]time.Duration

// Of a profile.
func (s Silences) Of(p Profile) time.Duration {
	if d, ok := s[p]; ok {
		return d
	}
	return p.StaleAfter()
}

// HostStanding is where one host stands, as the collector knows it.
type HostStanding struct {
	Host
	State HostState `json:"state"`
	// Summary of the newest report; zero before the first.
	Summary Summary `json:"summary"`
	Seq     uint64  `json:"seq"` // of the newest report
	// FirstSeen and LastSeen are the collector's clock; LastSeen is the newest
	// report's arrival. Zero before the first report.
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	// CollectedAt is the host's clock in its newest report.
	CollectedAt time.Time `json:"collected_at"`
	Agent       string    `json:"agent"`
	// PolicyRevision and PolicyDigest of the policy that judged that report.
	PolicyRevision string `json:"policy_revision"`
	PolicyDigest   string `json:"policy_digest"`
	// Stale: silent for longer than its profile may be.
	Stale bool `json:"stale"`
	// Conflict: two computers may have this host's key; perhaps a cloned disk.
	// ConflictReason says what shows it.
	Conflict       bool  `json:"conflict,omitempty"`
	ConflictReason Clone `json:"conflict_reason,omitempty"`
	// Replaces is a host of the same county that had the same machine before it was
	// set up again; ReplacedBy is the other end. A replaced host is counted nowhere,
	// unless it reports again.
	Replaces   HostID `json:"replaces,omitempty"`
	ReplacedBy HostID `json:"replaced_by,omitempty"`
	// AuditWanted is when someone last asked for an audit, by the collector's clock;
	// zero for never.
	AuditWanted time.Time `json:"audit_wanted,omitzero"`
	// Waits says why a pending host waits for approval: WaitsNew or another.
	Waits string `json:"waits,omitempty"`
	// Missing counts the reports below Seq that never came and that the host did not
	// declare as dropped.
	Missing uint64 `json:"missing_reports,omitempty"`
	// Finding of HostQuery.Control; nil where none was asked for.
	Finding *FindingStanding `json:"finding,omitempty"`
}

// Why a pending host waits for approval.
const (
	WaitsNew     = "nobody has approved it yet"
	WaitsMoved   = "it comes from another node of the tailnet than before"
	WaitsOther   = "it names another county or profile than before"
	WaitsHeld    = "it comes from the node or the machine of another host"
	WaitsRetired = "it was retired and has enrolled anew"
)

// Clone is what shows that two computers have one key; "" where nothing does.
type Clone string

const (
	// CloneNumber: two different reports came with one number.
	CloneNumber Clone = "number"
	// CloneChain: a report does not follow the one that has the number before.
	CloneChain Clone = "chain"
	// CloneMachine: the key enrolled from two machines.
	CloneMachine Clone = "machine"
	// CloneNode: the key came back from a node of the tailnet that it had left.
	CloneNode Clone = "node"
)

// Meets reports whether the host counts as meeting the baseline now.
func (h HostStanding) Meets() bool {
	return h.State == HostActive && !h.Stale && h.Summary.MeetsBaseline
}

// CountyStanding counts a county's active hosts. Meeting + Failing + Unknown +
// Stale = Hosts: a stale host is counted as stale only; one that does not meet
// the baseline is Failing where a critical or high control fails, else Unknown.
type CountyStanding struct {
	County  County `json:"county"`
	Hosts   int    `json:"hosts"`
	Meeting int    `json:"meeting"`
	Failing int    `json:"failing"`
	Unknown int    `json:"unknown"`
	Stale   int    `json:"stale"`
	// Pending hosts wait for approval and are counted nowhere else.
	Pending int `json:"pending"`
	// Missing counts expected hosts that never enrolled, or are gone; they are
	// counted nowhere else.
	Missing int `json:"missing,omitempty"`
	// Invented counts those of Hosts and Pending that are demo data.
	Invented int `json:"invented,omitempty"`
}

// Add adds the counts of another county, or of several.
func (c *CountyStanding) Add(o CountyStanding) {
	c.Hosts += o.Hosts
	c.Meeting += o.Meeting
	c.Failing += o.Failing
	c.Unknown += o.Unknown
	c.Stale += o.Stale
	c.Pending += o.Pending
	c.Missing += o.Missing
	c.Invented += o.Invented
}

// ControlStanding counts a control's status over active hosts that are not stale.
type ControlStanding struct {
	Control       string `json:"control"`
	Pass          int    `json:"pass"`
	Fail          int    `json:"fail"`
	Unknown       int    `json:"unknown"`
	NotApplicable int    `json:"not_applicable"`
	Waived        int    `json:"waived"`
	// FailCounties is the number of counties with at least one unwaived fail.
	FailCounties int `json:"fail_counties"`
}

// Add adds the counts of another county.
func (c *ControlStanding) Add(o ControlStanding) {
	c.Pass += o.Pass
	c.Fail += o.Fail
	c.Unknown += o.Unknown
	c.NotApplicable += o.NotApplicable
	c.Waived += o.Waived
	c.FailCounties += o.FailCounties
}

// FindingStanding is a control's current status on one host.
type FindingStanding struct {
	Host    HostID `json:"host"`
	Control string `json:"control"`
	Status  Status `json:"status"`
	Waiver  string `json:"waiver,omitempty"` // waiver id
	// Since is when the status last changed: by the collector's clock, or in a view
	// with KnownNow by the host's as far as that can be.
	Since time.Time `json:"since"`
}

// Transition is one change of a control's status on one host. First says that
// there was no status before; From is then unknown.
type Transition struct {
	Host     HostID `json:"host"`
	Hostname string `json:"hostname,omitempty"`
	County   County `json:"county,omitempty"`
	Control  string `json:"control"`
	From     Status `json:"from"`
	To       Status `json:"to"`
	First    bool   `json:"first,omitempty"`
	Seq      uint64 `json:"seq"`
	// CollectedAt is the host's clock, ReceivedAt the collector's.
	CollectedAt time.Time `json:"collected_at"`
	ReceivedAt  time.Time `json:"received_at"`
}
