package storybook

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/passmuster/muster"
)

// report invents the line of each of a host's newest reports, the newest first: every
// seventh host lost some on the way, and of every fifth one came late.
func (b *Book) report(n int, h *muster.HostStanding) {
	const kept, lines = 30, 45
	every, lag := 61*time.Minute, h.LastSeen.Sub(h.CollectedAt)
	way := muster.WayUplink
	if h.Profile == muster.EMS {
		every, way = 6*24*time.Hour+5*time.Hour, muster.WayCourier
	}
	list := make([]muster.ReportStanding, 0, lines)
	for i := range min(lines, h.Seq) {
		if n%7 == 3 && i >= 4 && i < 7 {
			h.Missing++
			continue
		}
		r := muster.ReportStanding{Host: h.ID, Seq: h.Seq - i, Way: way, Evidence: i < kept,
			Digest: sha256.Sum256(fmt.Append(nil, h.ID, h.Seq-i)), CollectedAt: h.CollectedAt.Add(-time.Duration(i) * every)}
		r.ReceivedAt = r.CollectedAt.Add(lag + time.Duration(i*i%17)*time.Second)
		if n%5 == 1 && i == 2 {
			r.ReceivedAt, r.Late = r.ReceivedAt.Add(every+9*time.Minute), true
		}
		list = append(list, r)
	}
	b.Reports[h.ID] = list
}
