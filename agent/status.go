package agent

import (
	"errors"
	"fmt"
	"io/fs"
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
	// ReceiptAt is when this host last took a receipt, by its own clock; nil before the first.
	ReceiptAt *time.Time `json:"receipt_at"`
	// PolicyRefused says why the last policy that arrived was refused; "" where it was taken.
	PolicyRefused string `json:"policy_refused,omitempty"`
	// PolicyRefusedBy names the muster and the keys that refused it: under others it
	// may be good.
	PolicyRefusedBy string   `json:"policy_refused_by,omitempty"`
	Warnings        []string `json:"warnings,omitempty"`
}

// UplinkStatus is what this host reads of the status file that muster-uplink writes.
type UplinkStatus struct {
	// State is whether the state believes this host; "" before the first contact.
	State muster.HostState `json:"state,omitempty"`
	// LastContact is zero before the first.
	LastContact time.Time `json:"last_contact,omitzero"`
	// Error of the newest try; "" where it went well.
	Error string `json:"error,omitempty"`
	// Refused are reports that the collector will not store, the newest first.
	Refused []struct {
		Seq    uint64 `json:"seq"`
		Reason string `json:"reason,omitempty"`
	} `json:"refused,omitempty"`
}

// clean makes the words of a program that muster does not trust fit for a terminal.
func (u *UplinkStatus) clean() {
	u.State, u.Error = muster.HostState(printable(string(u.State))), printable(u.Error)
	for i := range u.Refused {
		u.Refused[i].Reason = printable(u.Refused[i].Reason)
	}
}

// Status is where this host stands with its state.
type Status struct {
	StateDir string `json:"state_dir"`
	// Collector is its name for people, and County the host's; "" without a site file.
	Collector string        `json:"collector,omitempty"`
	County    muster.County `json:"county,omitempty"`
	// Audit is nil before the first.
	Audit *AuditStatus `json:"audit"`
	// Outbox is nil where only the administrator may look into it.
	Outbox *outbox.Depth `json:"outbox"`
	Policy PolicyStatus  `json:"policy"`
	// Uplink is nil where muster-uplink never ran.
	Uplink *UplinkStatus `json:"uplink"`
	// Problems, the first to solve first; empty where all is well.
	Problems []Problem `json:"problems"`
}

// KnownHost is the id that the last audit left in the state folder; "" where none did.
func KnownHost(dir string) muster.HostID {
	folder, err := state.OpenReader(dir)
	if err != nil {
		return ""
	}
	var audit AuditStatus
	if found, err := folder.ReadStatus(auditStatus, &audit); err != nil || !found {
		return ""
	}
	return audit.HostID
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

// unreceipted is how many reports may wait before somebody should look.
const unreceipted = 48

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
		s.problem(err.Error(), "Run muster audit: it writes the file anew.")
	} else if found {
		s.Audit = &audit
	}
	var uplink UplinkStatus
	if found, err := folder.ReadStatus("uplink", &uplink); err != nil {
		s.problem(err.Error(), "Start muster-uplink again: it writes the file anew.")
	} else if found {
		s.Uplink = &uplink
		uplink.clean()
	}
	switch d, err := depth(folder); {
	case err == nil:
		s.Outbox = &d
	case errors.Is(err, fs.ErrPermission):
		s.problem("Which reports wait is for the administrator's eyes only.", "Run muster status as administrator.")
	default:
		s.problem(err.Error(), "Run muster audit: it makes the folder anew.")
	}
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

func depth(folder *state.Folder) (outbox.Depth, error) {
	r, err := outbox.OpenReader(folder.OutboxDir())
	if err != nil {
		return outbox.Depth{}, err
	}
	return r.Depth()
}

func (s *Status) problem(what, do string) { s.Problems = append(s.Problems, Problem{what, do}) }

func (s *Status) judge(site *muster.Site, now time.Time) {
	if site == nil {
		s.problem("There is no site file, so the reports go nowhere.", "Ask your state for it, and install it.")
	}
	s.judgeAudit(now)
	s.judgeMail(site != nil)
	if s.Policy.Stale {
		s.problem("The policy is past its date, "+s.Policy.Expires.UTC().Format("2 January 2006")+". It still judges.", "Ask your state for a newer one.")
	}
}

func (s *Status) judgeAudit(now time.Time) {
	a := s.Audit
	if a == nil || a.AuditedAt.IsZero() {
		s.problem("This computer was never audited.", "Run muster audit as administrator.")
		return
	}
	switch age := now.Sub(a.AuditedAt); {
	case age > a.Profile.StaleAfter():
		s.problem(fmt.Sprintf("The last audit is %d days old; the state shows this computer as stale.", int(age.Hours()/24)),
			"Run muster audit as administrator, and check that its timer is on.")
	case age < -time.Hour:
		s.problem("The last audit lies in the future: the clock was set back.", "Set the clock. The order of the reports does not depend on it.")
	}
	if a.PolicyRefused != "" {
		s.problem("The last policy that arrived was refused: "+a.PolicyRefused, "Put right what it says, or ask your state for another one. The one before judges meanwhile.")
	}
}

func (s *Status) judgeMail(site bool) {
	if d := s.Outbox; d != nil {
		if site && d.Reports > unreceipted {
			s.problem(fmt.Sprintf("%d reports wait for a receipt.", d.Reports), "Check that muster-uplink runs and reaches "+s.Collector+", or use a courier stick.")
		}
		if d.Corrupt > 0 {
			s.problem(fmt.Sprintf("%d damaged reports were set aside in %s.", d.Corrupt, s.StateDir), "Check the disk. The state sees the gap; keep the files for whoever asks.")
		}
	}
	u := s.Uplink
	if u == nil {
		return
	}
	if u.State == muster.HostPending {
		s.problem("The state has not approved this computer yet.", "Tell your state its name and host id. Its reports are stored meanwhile.")
	}
	if u.Error != "" {
		s.problem("The uplink has trouble: "+u.Error, "Check the network. No report is lost meanwhile.")
	}
	if len(u.Refused) > 0 {
		s.problem(fmt.Sprintf("The state refused reports, the newest being %d: %s", u.Refused[0].Seq, u.Refused[0].Reason), "Ask your state what to do about it.")
	}
}
