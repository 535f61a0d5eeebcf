package muster

import "time"

// AuditSchema is the number of the JSON form of Audit, stable from 1 on.
const AuditSchema = 1

// Audit is the whole answer of one audit, and what `muster audit --output
// json` prints.
type Audit struct {
	Schema    int       `json:"schema"` // AuditSchema
	Host      string    `json:"host"`   // the host's own name
	HostID    HostID    `json:"host_id,omitempty"`
	Profile   Profile   `json:"profile"`
	Platform  Platform  `json:"platform"`
	AuditedAt time.Time `json:"audited_at"`
	Policy    PolicyRef `json:"policy"`
	Summary   Summary   `json:"summary"`
	Findings  []Finding `json:"findings"`
}

// PolicyRef says which bundle judged.
type PolicyRef struct {
	Revision string `json:"revision"`
	// Version counts up; 0 for the baseline that ships with muster and for a folder.
	Version int64 `json:"version,omitempty"`
	// Digest is the lower-case hex SHA-256 over the bundle's files.
	Digest string `json:"digest"`
	// Signed: the signature was verified against a key that this host trusts.
	Signed bool `json:"signed"`
	// SignedBy is the id of that key: 16 hex digits of its SHA-256.
	SignedBy string `json:"signed_by,omitempty"`
	// Stale: the bundle is past its date. It still judges.
	Stale bool `json:"stale"`
}

// Summary counts findings. Waived fails and unknowns are counted in Waived
// and not in Fail or Unknown.
type Summary struct {
	Pass          int `json:"pass"`
	Fail          int `json:"fail"`
	Unknown       int `json:"unknown"`
	NotApplicable int `json:"not_applicable"`
	Waived        int `json:"waived"`
	// MeetsBaseline: no critical or high control fails or is unknown without a waiver.
	MeetsBaseline bool `json:"meets_baseline"`
}

// Summarize counts the findings. No findings at all do not meet the baseline.
func Summarize(findings []Finding) Summary {
	s := Summary{MeetsBaseline: len(findings) > 0}
	for _, f := range findings {
		unmet := f.Status == StatusFail || f.Status == StatusUnknown
		switch {
		case f.Status == StatusPass:
			s.Pass++
		case f.Status == StatusNotApplicable:
			s.NotApplicable++
		case unmet && f.Waiver != nil:
			s.Waived++
		case f.Status == StatusFail:
			s.Fail++
		default:
			s.Unknown++
		}
		if unmet && f.Waiver == nil && f.Severity.Gates() {
			s.MeetsBaseline = false
		}
	}
	return s
}

// Score is pass ÷ (pass + fail) in percent, waived and unknown left out; ok is
// false where nothing passed or failed.
func (s Summary) Score() (percent float64, ok bool) {
	if s.Pass+s.Fail == 0 {
		return 0, false
	}
	return 100 * float64(s.Pass) / float64(s.Pass+s.Fail), true
}
