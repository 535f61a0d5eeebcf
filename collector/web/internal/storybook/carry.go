package storybook

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/fips"
)

// carry invents how reports came: those of election management systems on a stick, the
// receipts of every third not yet back.
func (b *Book) carry(now time.Time) {
	b.Reports, b.Steps = map[muster.HostID][]muster.ReportStanding{}, map[muster.HostID][]muster.CustodyEvent{}
	for i := range b.Fleet {
		if h := &b.Fleet[i]; h.State == muster.HostActive {
			b.report(i, h)
			h.Conflict = i == 30 // as the log tells
		}
		h := b.Fleet[i]
		if h.Profile != muster.EMS || h.State != muster.HostActive {
			continue
		}
		carrier := h.ID
		for _, o := range b.Fleet {
			if o.County == h.County && o.Profile == muster.Workstation && o.State == muster.HostActive {
				carrier = o.ID
				break
			}
		}
		step := func(back int, act string, by string, at time.Time) {
			if first := h.Seq - uint64(4*back) - 3; !at.After(now) {
				b.Steps[h.ID] = append(b.Steps[h.ID], muster.CustodyEvent{At: at, Act: act, By: by, File: fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i, back)))[:16], Host: h.ID, From: first, To: first + 3})
			}
		}
		for _, back := range []int{1, 0} {
			ago := -time.Duration(back) * 26 * 24 * time.Hour
			step(back, muster.CustodyWrote, string(h.ID), h.CollectedAt.Add(ago+4*time.Minute))
			step(back, muster.CustodyRelayed, string(carrier), h.LastSeen.Add(ago-time.Minute))
			step(back, muster.CustodyReceived, "State of Example", h.LastSeen.Add(ago))
			if i%3 != 0 || back > 0 {
				step(back, muster.CustodyReturned, string(h.ID), h.LastSeen.Add(ago+26*time.Hour))
			}
		}
	}
}

// excuse invents waivers for what is waived, and computers that a county expects. One
// control takes people's word.
func (b *Book) excuse(now time.Time) {
	day := now.UTC().Truncate(24 * time.Hour)
	for _, f := range b.Findings {
		if f.Waiver != "" && !slices.ContainsFunc(b.Waivers, func(w muster.Waiver) bool { return w.Control == f.Control }) {
			b.Waivers = append(b.Waivers, muster.Waiver{ID: f.Waiver, Control: f.Control, Reason: "The vendor's certified build needs it until the next release.",
				Approver: "officer@state.example", Approved: day.AddDate(0, 0, -40), Expires: day.AddDate(0, 1, 20)})
		}
	}
	first := fips.Counties("56")[0]
	for i := range b.Catalogue {
		if b.Catalogue[i].ID == "MVS-BAK-01" {
			b.Catalogue[i].Lists = []string{"attestations"}
		}
	}
	b.Absent = []muster.ExpectedHost{
		{County: first, Name: "ALBANY-WS-11", Profile: muster.Workstation, Note: "early voting, stored in the vault", Since: now.AddDate(0, -1, -4)},
		{County: first, Name: "ALBANY-LT-02", Profile: muster.Workstation, Since: now.AddDate(0, 0, -9)},
	}
}
