package storybook

import (
	"slices"
	"time"

	"github.com/passmuster/muster"
)

// Turn has one host report now that a control went the other way, each n another one,
// and tells its county.
func (b *Book) Turn(n int, now time.Time) muster.County {
	hosts := b.active(func(h muster.HostStanding) bool { return !h.Stale && h.ReplacedBy == "" })
	at := slices.IndexFunc(b.Fleet, func(h muster.HostStanding) bool { return h.ID == hosts[n*37%len(hosts)].ID })
	h := &b.Fleet[at]
	h.LastSeen, h.CollectedAt, h.Seq = now, now, h.Seq+1
	b.Reports[h.ID] = slices.Insert(b.Reports[h.ID], 0, muster.ReportStanding{Host: h.ID, Seq: h.Seq, Way: muster.WayUplink, Evidence: true, ReceivedAt: now, CollectedAt: now})
	var all []muster.Finding
	turned := false
	for i := range b.Findings {
		f := &b.Findings[i]
		if f.Host != h.ID {
			continue
		}
		judged := f.Status == muster.StatusPass || f.Status == muster.StatusFail && f.Waiver == ""
		if judged && !turned && (n+i)%5 == 0 {
			turned = true
			t := muster.Transition{Host: h.ID, Hostname: h.Hostname, County: h.County, Control: f.Control, From: f.Status, Seq: h.Seq, CollectedAt: now, ReceivedAt: now}
			if f.Status, f.Since = muster.StatusFail, now; t.From == muster.StatusFail {
				f.Status = muster.StatusPass
			}
			t.To = f.Status
			b.Transitions = slices.Insert(b.Transitions, 0, t)
			b.Evidence[h.ID][f.Control] = shows(f.Control, f.Status)
		}
		one := muster.Finding{Control: f.Control, Severity: b.severity(f.Control), Status: f.Status}
		if f.Waiver != "" {
			one.Waiver = &muster.Waiver{ID: f.Waiver}
		}
		all = append(all, one)
	}
	h.Summary = muster.Summarize(all)
	return h.County
}

// shows is what a control finds where it has that status.
func shows(control string, status muster.Status) (e muster.Evidence) {
	for _, t := range tales() {
		if t.ID == control && status == muster.StatusFail {
			e.Violations = t.evidence
		}
	}
	return e
}
