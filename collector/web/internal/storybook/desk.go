package storybook

import (
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/fips"
)

// desk invents contacts of two counties, and requests for waivers: two are open.
func (b *Book) desk(now time.Time) {
	counties := fips.Counties("56")
	b.People = map[muster.County][]muster.Contact{
		counties[0]: {
			{Name: "Dana Whitfield", Duty: "County clerk", Phone: "+1 307 555 0142", Email: "clerk@albany.example"},
			{Name: "Luis Ortega", Duty: "IT contractor, weekdays 8 to 5", Phone: "+1 307 555 0177", Email: "luis@prairie-it.example"},
			{Name: "Courthouse security desk", Duty: "nights and weekends", Phone: "+1 307 555 0100"},
		},
		counties[2]: {{Name: "Ruth Nakai", Duty: "Deputy clerk, elections", Phone: "+1 307 555 0163", Email: "elections@campbell.example"}},
	}
	day := now.UTC().Truncate(24 * time.Hour)
	host := func(county muster.County) muster.HostID {
		for _, h := range b.Fleet {
			if h.County == county && h.State == muster.HostActive {
				return h.ID
			}
		}
		return ""
	}
	b.Asked = []muster.Ask{
		{ID: 4, County: counties[2], Host: host(counties[2]), Control: "MVS-UPD-01", By: "elections@campbell.example", At: now.Add(-5 * time.Hour),
			Reason: "The ballot printer's driver needs this version. The vendor comes on the 12th to move it to a supported one.", Until: day.AddDate(0, 0, 21), State: muster.AskOpen},
		{ID: 3, County: counties[0], Control: "MVS-LOG-02", By: "clerk@albany.example", At: now.Add(-50 * time.Hour),
			Reason: "Larger logs fill the small disks of our old computers. New ones are ordered.", Until: day.AddDate(0, 2, 0), State: muster.AskOpen},
		{ID: 2, County: counties[0], Host: host(counties[0]), Control: "MVS-BAK-02", By: "clerk@albany.example", At: now.AddDate(0, 0, -16),
			Reason: "The computer at the counter keeps no files.", Until: day.AddDate(0, 1, 14), State: muster.AskGranted,
			Answer: "Granted until the new image is out.", AnsweredBy: "officer@state.example", AnsweredAt: now.AddDate(0, 0, -14)},
		{ID: 1, County: counties[4], Control: "MVS-ACC-01", By: "clerk@converse.example", At: now.AddDate(0, 0, -40),
			Reason: "Staff find the screen lock annoying.", Until: day.AddDate(0, 6, 0), State: muster.AskDeclined,
			Answer: "The counter is open to the public. Ten minutes is long enough for a pause.", AnsweredBy: "officer@state.example", AnsweredAt: now.AddDate(0, 0, -38)},
	}
}
