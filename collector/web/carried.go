package web

import (
	"context"
	"slices"

	"github.com/passmuster/muster"
)

// carriersShown is how many election management systems tell how their reports came, and
// carriersCounted how many are counted.
const (
	carriersShown   = 6
	carriersCounted = 100
)

// carried is how the newest report of an election management system came.
type carried struct {
	muster.HostStanding
	Seen  moment
	Stick bool   // it came on removable media
	Due   moment // when the next must have come, or the host is stale
	// Steps of the newest file on removable media.
	Steps  []custody
	More   int  // steps that are not shown
	Unread bool // they could not be read
	// Back: its receipts are on the host again.
	Back bool
}

// custody is one step of a file on removable media, by the clock of whose step it was.
type custody struct {
	Word string
	At   moment
}

// carriage is how the reports of a county's election management systems came.
type carriage struct {
	Carried []carried
	More    int  // others, that are not shown
	AtLeast bool // and there are more of them
}

// carriage tells it of the first, those that were not heard from before the others. The
// hosts are all of the county where whole is set.
func (s *server) carriage(ctx context.Context, county muster.County, rows []hostRow, whole bool) (p carriage, err error) {
	var hosts []muster.HostStanding
	if whole {
		for _, h := range rows {
			if h.Profile == muster.EMS {
				hosts = append(hosts, h.HostStanding)
			}
		}
	} else {
		page, err := s.hosts(ctx, muster.HostQuery{County: county, Profile: muster.EMS, Limit: carriersCounted})
		if err != nil {
			return p, err
		}
		hosts, p.AtLeast = page.Hosts, page.Next != ""
	}
	hosts = slices.DeleteFunc(hosts, func(h muster.HostStanding) bool { return h.ReplacedBy != "" })
	late := func(h muster.HostStanding) int {
		if h.Stale {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(hosts, func(a, b muster.HostStanding) int { return late(a) - late(b) })
	p.More = max(0, len(hosts)-carriersShown)
	for _, h := range hosts[:len(hosts)-p.More] {
		c := carried{HostStanding: h, Seen: moment{h.LastSeen, s.Now()}}
		if h.Seq > 0 {
			c.Due = moment{h.LastSeen.Add(s.StaleAfter.Of(h.Profile)), s.Now()}
			reports, err := s.Reader.HostReports(ctx, h.ID, h.Seq+1, 1)
			if err != nil {
				return p, err
			}
			c.Stick = len(reports) > 0 && reports[0].Way == muster.WayCourier
		}
		if c.Stick {
			s.tellWay(ctx, &c)
		}
		p.Carried = append(p.Carried, c)
	}
	return p, nil
}

// hosts is a page that is full where there are as many: the store may look at only some of
// those that a query could mean.
func (s *server) hosts(ctx context.Context, q muster.HostQuery) (page muster.HostPage, err error) {
	for limit := q.Limit; len(page.Hosts) < limit; q.After = page.Next {
		q.Limit = limit - len(page.Hosts)
		more, err := s.Reader.Hosts(ctx, s.view, q)
		if err != nil {
			return page, err
		}
		page.Hosts, page.Next = append(page.Hosts, more.Hosts...), more.Next
		if page.Next == "" {
			break
		}
	}
	return page, nil
}

// steps of a host's sealed files that the view shows. Those that cannot be read cost no page.
func (s *server) steps(ctx context.Context, id muster.HostID) (steps []muster.CustodyEvent, unread bool) {
	all, err := s.Reader.Custody(ctx, id)
	if err != nil {
		s.Logger.ErrorContext(ctx, "custody not read", "host", id, "error", err)
		return nil, true
	}
	if s.view.Now() {
		return all, false
	}
	came := map[string]bool{}
	var last muster.CustodyEvent // file that came
	for _, e := range all {
		if e.Act == muster.CustodyReceived && !e.At.After(s.view.At) {
			came[e.File] = true
			if !e.At.Before(last.At) {
				last = e
			}
		}
	}
	for _, e := range all {
		told := came[e.File]
		if e.Act == muster.CustodyReturned { // which the next file told
			told = e.File != last.File && !e.At.After(last.At)
		}
		if !e.At.After(s.view.At) && (told || s.view.Known == muster.KnownNow) {
			steps = append(steps, e)
		}
	}
	return steps, false
}

// fewer are the steps that are shown of a file, and how many are not. What a stick says of
// a file hides nothing that the collector did with it.
func fewer(steps []muster.CustodyEvent) (list []muster.CustodyEvent, more int) {
	own := func(e muster.CustodyEvent) bool { return e.Act == muster.CustodyReceived }
	others := stepsShown
	for _, e := range steps {
		if own(e) {
			others--
		}
	}
	list = slices.DeleteFunc(slices.Clone(steps), func(e muster.CustodyEvent) bool {
		if !own(e) {
			others--
		}
		return !own(e) && others < 0
	})
	list = list[max(0, len(list)-stepsShown):]
	return list, len(steps) - len(list)
}

// tellWay tells the steps of the newest file.
func (s *server) tellWay(ctx context.Context, c *carried) {
	var steps, of []muster.CustodyEvent
	steps, c.Unread = s.steps(ctx, c.ID)
	file := ""
	for _, e := range steps {
		if e.From <= c.Seq {
			file = e.File
		}
	}
	for _, e := range steps {
		if e.File == file {
			of = append(of, e)
			c.Back = c.Back || e.Act == muster.CustodyReturned
		}
	}
	of, c.More = fewer(of)
	for _, e := range of {
		c.Steps = append(c.Steps, custody{custodyWord(e.Act), moment{e.At, s.Now()}})
	}
}

func custodyWord(act string) string {
	return map[string]string{
		muster.CustodyWrote:    "Written to the stick",
		muster.CustodyRelayed:  "Sent on by a connected computer",
		muster.CustodyReceived: "Taken in by the state",
		muster.CustodyReturned: "Receipts back on the computer",
	}[act]
}
