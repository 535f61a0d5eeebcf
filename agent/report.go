package agent

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/passmuster/muster"
)

// Bounds of what one control may put into a report, in bytes, so that a report
// of a hundred controls stays below what the collector takes. The answer on
// the terminal is not cut.
const (
	maxEvidence = 6 << 10
	maxText     = 1 << 10
)

// NewReport tells the state what the audit found. The caller numbers it.
func NewReport(a *muster.Audit, county muster.County, bootID string, results map[string]muster.FactResult) *muster.Report {
	r := &muster.Report{
		Header: muster.Header{
			Schema: muster.ReportSchema, Host: a.HostID, BootID: bootID,
			Profile: a.Profile, Platform: a.Platform, County: county, Hostname: short(a.Host, 255),
			PolicyRevision: a.Policy.Revision, PolicyDigest: a.Policy.Digest,
			CollectedAt: a.AuditedAt.UTC().Truncate(time.Second), Agent: muster.Version,
		},
		Detail: muster.Detail{Evidence: map[string]muster.Evidence{}},
	}
	asked := map[string]bool{}
	for _, f := range a.Findings {
		v := muster.Verdict{Control: f.Control, Status: f.Status}
		if f.Waiver != nil {
			v.Waiver = f.Waiver.ID
		}
		r.Verdicts = append(r.Verdicts, v)
		if f.Reason != "" || len(f.Violations) > 0 || len(f.Notes) > 0 {
			r.Detail.Evidence[f.Control] = evidence(f)
		}
		for _, name := range f.Facts {
			if res, ok := results[name]; ok && res.Status != muster.FactOK && !asked[name] {
				r.Detail.FailedFacts = append(r.Detail.FailedFacts, muster.FailedFact{Name: name, Status: res.Status, Reason: short(res.Reason, maxText)})
			}
			asked[name] = true
		}
	}
	return r
}

// evidence is what a finding shows, within the bounds, with the number of what
// was left out.
func evidence(f muster.Finding) muster.Evidence {
	e := muster.Evidence{Reason: short(f.Reason, maxText)}
	size := len(e.Reason)
	fits := func(texts ...string) bool {
		size += len(strings.Join(texts, ""))
		return size <= maxEvidence
	}
	for i, v := range f.Violations {
		v = muster.Violation{Subject: short(v.Subject, maxText), Found: short(v.Found, maxText), Want: short(v.Want, maxText)}
		if !fits(v.Subject, v.Found, v.Want) {
			e.Notes = append(e.Notes, fmt.Sprintf("%d more violations are not in this report", len(f.Violations)-i))
			return e
		}
		e.Violations = append(e.Violations, v)
	}
	for i, n := range f.Notes {
		n = short(n, maxText)
		if !fits(n) {
			e.Notes = append(e.Notes, fmt.Sprintf("%d more notes are not in this report", len(f.Notes)-i))
			return e
		}
		e.Notes = append(e.Notes, n)
	}
	return e
}

// short makes text of the host fit for CBOR: valid UTF-8, at most n bytes.
func short(s string, n int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= n {
		return s
	}
	cut := n - len("…")
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
