package storybook

import (
	"fmt"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/fips"
)

// carry invents how the reports of election management systems came: on a stick, the
// receipts of every third not yet back.
func (b *Book) carry(now time.Time) {
	b.Reports, b.Steps = map[muster.HostID][]muster.ReportStanding{}, map[muster.HostID][]muster.CustodyEvent{}
	for i, h := range b.Fleet {
		if h.Profile != muster.EMS || h.State != muster.HostActive {
			continue
		}
		b.Reports[h.ID] = []muster.ReportStanding{{Host: h.ID, Seq: h.Seq, ReceivedAt: h.LastSeen, CollectedAt: h.CollectedAt, Way: muster.WayCourier, Evidence: true}}
		carrier := h.ID
		for _, o := range b.Fleet {
			if o.County == h.County && o.Profile == muster.Workstation && o.State == muster.HostActive {
				carrier = o.ID
				break
			}
		}
		step := func(act string, by string, at time.Time) {
			if !at.After(now) {
				b.Steps[h.ID] = append(b.Steps[h.ID], muster.CustodyEvent{At: at, Act: act, By: by, File: fmt.Sprintf("%016x", i+1), Host: h.ID, From: h.Seq - 3, To: h.Seq})
			}
		}
		step(muster.CustodyWrote, string(h.ID), h.CollectedAt.Add(4*time.Minute))
		step(muster.CustodyRelayed, string(carrier), h.LastSeen.Add(-time.Minute))
		step(muster.CustodyReceived, "State of Example", h.LastSeen)
		if i%3 != 0 {
			step(muster.CustodyReturned, string(h.ID), h.LastSeen.Add(26*time.Hour))
		}
	}
}

// excuse invents waivers for what is waived, and computers that a county expects.
func (b *Book) excuse(now time.Time) {
	day := now.UTC().Truncate(24 * time.Hour)
	for _, f := range b.Findings {
		if f.Waiver != "" && !slices.ContainsFunc(b.Waivers, func(w muster.Waiver) bool { return w.Control == f.Control }) {
			b.Waivers = append(b.Waivers, muster.Waiver{ID: f.Waiver, Control: f.Control, Reason: "The vendor's certified build needs it until the next release.",
				Approver: "officer@state.example", Approved: day.AddDate(0, 0, -40), Expires: day.AddDate(0, 1, 20)})
		}
	}
	first := fips.Counties("56")[0]
	b.Absent = []muster.ExpectedHost{
		{County: first, Name: "ALBANY-WS-11", Profile: muster.Workstation, Note: "early voting, stored in the vault", Since: now.AddDate(0, -1, -4)},
		{County: first, Name: "ALBANY-LT-02", Profile: muster.Workstation, Since: now.AddDate(0, 0, -9)},
	}
}
