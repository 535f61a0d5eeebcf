package web

import (
	"context"

	"github.com/passmuster/muster"
)

// carriersShown is how many election management systems tell how their reports came.
const carriersShown = 6

// carried is how the newest report of an election management system came.
type carried struct {
	muster.HostStanding
	Seen  moment
	Stick bool   // it came on removable media
	Due   moment // when the next must have come, or the host is stale
	// Steps of the newest file on removable media.
	Steps []custody
	// Back: its receipts are on the host again.
	Back bool
}

// custody is one step of a file on removable media, by the clock of whose step it was.
type custody struct {
	Word string
	At   moment
}

// carried tells it of the first of the hosts; more says that there are others among them.
func (s *server) carried(ctx context.Context, rows []hostRow) (list []carried, more bool, err error) {
	for _, h := range rows {
		if h.Profile != muster.EMS || h.Standing == standsReplaced {
			continue
		}
		if len(list) == carriersShown {
			return list, true, nil
		}
		c := carried{HostStanding: h.HostStanding, Seen: h.Seen}
		if h.Seq > 0 {
			c.Due = moment{h.LastSeen.Add(s.StaleAfter.Of(h.Profile)), s.Now()}
			reports, err := s.Reader.HostReports(ctx, h.ID, h.Seq+1, 1)
			if err != nil {
				return nil, false, err
			}
			c.Stick = len(reports) > 0 && reports[0].Way == muster.WayCourier
		}
		if c.Stick {
			if err = s.custody(ctx, &c); err != nil {
				return nil, false, err
			}
		}
		list = append(list, c)
	}
	return list, false, nil
}

// custody tells the steps of the newest file that the collector had at the view's instant.
func (s *server) custody(ctx context.Context, c *carried) error {
	steps, err := s.Reader.Custody(ctx, c.ID)
	if err != nil {
		return err
	}
	file := ""
	for _, e := range steps {
		if e.From <= c.Seq && !e.At.After(s.Now()) {
			file = e.File
		}
	}
	for _, e := range steps {
		if e.File == file && !e.At.After(s.Now()) {
			c.Steps = append(c.Steps, custody{custodyWord(e.Act), moment{e.At, s.Now()}})
			c.Back = c.Back || e.Act == muster.CustodyReturned
		}
	}
	return nil
}

func custodyWord(act string) string {
	return map[string]string{
		muster.CustodyWrote:    "Written to the stick",
		muster.CustodyRelayed:  "Sent on by a connected computer",
		muster.CustodyReceived: "Taken in by the state",
		muster.CustodyReturned: "Receipts back on the computer",
	}[act]
}
