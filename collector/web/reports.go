package web

import (
	"context"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// How many reports a page of them has, how many files of sticks are told, and how many
// steps of each.
const (
	reportsShown = 20
	filesShown   = 5
	stepsShown   = 12
)

// hostReports are the newest reports of a host, or those before a number.
type hostReports struct {
	Host  muster.HostID
	Rows  []reportRow
	Older uint64 // the page after this one is before it; 0 for none
	// Before the number that was asked for; 0 for the newest.
	Before uint64
	Then   bool // of a past instant: what came since is not there
	// Declared: the host said of every number that never came that it let it go.
	Declared bool
}

type reportRow struct {
	muster.ReportStanding
	Received, Made moment
	// Prev is the report before this one; nil where that is the first, or not there.
	Prev *muster.ReportStanding
	// Back is when the computer had the receipt, by its clock; nil where that is not known.
	Back *moment
	// Gap is the numbers between this report and the one before it that never came; nil
	// for none.
	Gap *muster.SeqRange
}

// took is how long the report was on its way, by two clocks.
func (r reportRow) took() time.Duration { return r.ReceivedAt.Sub(r.CollectedAt) }

// Came says by which way.
func (r reportRow) Came() string {
	if r.Way == muster.WayCourier {
		return "on a stick"
	}
	return "over the network"
}

// Lag says how long it was on its way.
func (r reportRow) Lag() string {
	switch d := r.took(); {
	case d < -clockSlack:
		return "clock ahead"
	case d < time.Minute:
		return "at once"
	default:
		return span(d)
	}
}

// reports before a number, or with 0 the newest that a view shows. The steps are of the
// files in which they came.
func (s *server) reports(ctx context.Context, h muster.HostStanding, before uint64, steps []muster.CustodyEvent) (*hostReports, error) {
	p := &hostReports{Host: h.ID, Before: before, Then: !s.view.Now(), Declared: s.view.Now() && h.Missing == 0}
	if before == 0 || before > h.Seq {
		before = h.Seq + 1
	}
	list, err := s.Reader.HostReports(ctx, h.ID, before, reportsShown+1)
	if err != nil {
		return nil, err
	}
	whole := len(list) <= reportsShown
	if !whole {
		p.Older = list[reportsShown-1].Seq
	}
	if p.Then && s.view.Known == muster.KnownThen {
		list = slices.DeleteFunc(list, func(r muster.ReportStanding) bool { return r.ReceivedAt.After(s.view.At) })
	}
	for i, r := range list[:min(len(list), reportsShown)] {
		row := reportRow{ReportStanding: r, Received: moment{r.ReceivedAt, s.Now()}, Made: moment{r.CollectedAt, s.Now()}}
		next := uint64(0)
		switch {
		case i+1 < len(list):
			next = list[i+1].Seq
		case !whole || s.person.Role == "": // what a county may not see of a host's past did come
			next = r.Seq - 1
		}
		if next+1 < r.Seq {
			row.Gap = &muster.SeqRange{From: next + 1, To: r.Seq - 1}
		} else if i+1 < len(list) {
			row.Prev = &list[i+1]
		}
		for _, e := range steps {
			if e.Act == muster.CustodyReturned && e.From <= r.Seq && r.Seq <= e.To && row.Back == nil {
				row.Back = &moment{e.At, s.Now()}
			}
		}
		p.Rows = append(p.Rows, row)
	}
	return p, nil
}

// beforeOf is the number that a page of reports is asked to be before; 0 for none.
func beforeOf(r *http.Request) (uint64, error) {
	text := r.URL.Query().Get("before")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 {
		return 0, fs.ErrNotExist
	}
	return n, nil
}

// Way says how the newest report came, and the others of the page; "" without any.
func (p *hostReports) Way() string {
	if len(p.Rows) == 0 {
		return ""
	}
	newest := p.Rows[0]
	says := "It came " + newest.Came()
	switch lag := newest.Lag(); lag {
	case "at once":
		says += " as soon as it was made."
	case "clock ahead":
		says += " and is dated later than that."
	default:
		says += " " + lag + " after it was made."
	}
	slowest, other := newest, 0
	for _, r := range p.Rows {
		if r.Way != newest.Way {
			other++
		}
		if r.took() > slowest.took() {
			slowest = r
		}
	}
	var rest []string
	if lag := slowest.Lag(); lag != newest.Lag() && lag != "at once" {
		rest = append(rest, "the slowest took "+lag)
	}
	if other > 0 {
		rest = append(rest, number(other)+" came another way")
	}
	if rest != nil {
		says += " Of the last " + number(len(p.Rows)) + ", " + strings.Join(rest, " and ") + "."
	}
	return says
}

// sealed is a file on removable media, and where it has been.
type sealed struct {
	File     string
	From, To uint64
	Steps    []sealedStep
	More     int // steps that are not shown
}

type sealedStep struct {
	custody
	// By whom: the host itself where it is nil and Name is "", another one, or by name.
	Host *muster.HostStanding
	Name string
}

// files are those of the steps, the newest first, and how many more there are.
func (s *server) files(ctx context.Context, id muster.HostID, steps []muster.CustodyEvent) (list []sealed, more int, err error) {
	of := map[string][]muster.CustodyEvent{}
	var files []string
	for _, e := range slices.Backward(steps) {
		if of[e.File] == nil {
			files = append(files, e.File)
		}
		of[e.File] = append(of[e.File], e)
	}
	more = max(0, len(files)-filesShown)
	files = files[:len(files)-more]
	for _, file := range files {
		slices.Reverse(of[file])
		one := sealed{File: file}
		of[file], one.More = fewer(of[file])
		list = append(list, one)
	}
	carriers, err := s.carriers(ctx, of, files)
	for i := range list {
		one := &list[i]
		for _, e := range of[one.File] {
			step := sealedStep{custody: custody{custodyWord(e.Act), moment{e.At, s.Now()}}}
			switch by, named := muster.ParseHostID(e.By); {
			case named != nil:
				step.Name = e.By
			case by == id:
			case carriers[by] != nil:
				step.Host = carriers[by]
			default:
				step.Name = "another computer"
			}
			if one.To == 0 || e.Act == muster.CustodyReceived {
				one.From, one.To = e.From, e.To
			}
			one.Steps = append(one.Steps, step)
		}
	}
	return list, more, err
}

// carriers are the active hosts, as they are now, that did a step and that the person may read.
func (s *server) carriers(ctx context.Context, of map[string][]muster.CustodyEvent, files []string) (map[muster.HostID]*muster.HostStanding, error) {
	var ids []muster.HostID
	for _, file := range files {
		for _, e := range of[file] {
			if id, err := muster.ParseHostID(e.By); err == nil && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	hosts, err := s.Reader.HostsAmong(ctx, "", ids)
	carriers := map[muster.HostID]*muster.HostStanding{}
	for i := range hosts {
		if s.person.reads(hosts[i].County) {
			carriers[hosts[i].ID] = &hosts[i]
		}
	}
	return carriers, err
}
