package storybook

import (
	"fmt"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/fips"
)

// wait has hosts wait for approval for every reason, and an upload come from a stick.
func (b *Book) wait(now time.Time) {
	counties := fips.Counties("56")
	base := muster.HostStanding{State: muster.HostPending, Agent: "0.1.0"}
	for i, h := range []struct {
		name    string
		county  muster.County
		profile muster.Profile
		ago     time.Duration
		waits   string
	}{
		{"ALBANY-WS-09", counties[0], muster.Workstation, 3 * time.Hour, muster.WaitsNew},
		{"ALBANY-EMS", counties[0], muster.EMS, 26 * time.Hour, muster.WaitsMoved},
		{"CAMPBELL-FRONTDESK", counties[2], muster.Workstation, 40 * time.Minute, muster.WaitsHeld},
		{"CONVERSE-WS-03", counties[4], muster.Workstation, 9 * 24 * time.Hour, muster.WaitsOther},
		{"DESKTOP-7GK2L0Q", counties[4], muster.Workstation, 75 * time.Hour, muster.WaitsRetired},
	} {
		one := base
		one.Host = muster.Host{ID: muster.NewHostID(fmt.Appendf(nil, "waiting %d", i)), Hostname: h.name, County: h.county, Profile: h.profile, Platform: muster.Windows, Demo: true}
		one.FirstSeen, one.Waits = now.Add(-h.ago), h.waits
		if i != 2 {
			one.Seq, one.LastSeen = 4, now.Add(-h.ago/9)
		}
		if h.waits == muster.WaitsMoved {
			at := slices.IndexFunc(b.Fleet, func(f muster.HostStanding) bool { return f.County == h.county && f.Profile == muster.EMS })
			one.Replaces = b.Fleet[at].ID
		}
		b.Fleet = append(b.Fleet, one)
	}
	b.Absent = append(b.Absent, muster.ExpectedHost{County: counties[0], Name: "ALBANY-WS-09", Profile: muster.Workstation, Since: now.AddDate(0, 0, -20)})

	ems := b.active(func(h muster.HostStanding) bool { return h.Profile == muster.EMS })
	file := func(i int, from, to uint64) muster.SealedFile {
		return muster.SealedFile{Name: fmt.Sprintf("%s-%d-%d-%08x.courier", ems[i].ID, from, to, 0x2c9f81+i), Host: ems[i].ID, State: muster.HostActive, Reports: int(to - from + 1)}
	}
	whole, cut, stranger := file(0, 412, 431), file(1, 88, 97), file(2, 1, 6)
	whole.Return, whole.Policy = "whole", true
	whole.Fates = []muster.ReportFate{{Code: "duplicate", Reports: 3, Ranges: [][2]uint64{{412, 414}}}, {Code: "stored", Reports: 17, Ranges: [][2]uint64{{415, 431}}}}
	cut.Problem, cut.Return = "cut_off", "cut"
	cut.Fates = []muster.ReportFate{{Code: "stored", Reports: 5, Ranges: [][2]uint64{{88, 91}, {93, 93}}}, {Code: "bad_signature", Reason: "the signature does not fit the host's key", Reports: 1, Ranges: [][2]uint64{{92, 92}}}}
	stranger.Host, stranger.State, stranger.Return = b.Fleet[len(b.Fleet)-1].ID, muster.HostPending, "stranger"
	stranger.Fates = []muster.ReportFate{{Code: "stored", Reports: 6, Ranges: [][2]uint64{{1, 6}}}}
	b.Uploads = map[string]muster.Upload{"example": {At: now.Add(-2 * time.Minute), Files: []muster.SealedFile{whole, cut, stranger,
		{Name: "other-state.courier", Problem: "other_collector", Reason: "it is sealed to another collector"}, {Name: "Minutes of the board.pdf", Problem: "cut_off", Reason: "the file is cut off or damaged"}}}}
}
