package web

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// How many reports a page of them has, and how many files of sticks are told.
const (
	reportsShown = 20
	filesShown   = 5
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

// reports before a number, or with 0 the newest that a view shows.
func (s *server) reports(ctx context.Context, h muster.HostStanding, before uint64) (*hostReports, error) {
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
}

type sealedStep struct {
	custody
	// By whom: the host itself where it is nil and Name is "", another one, or by name.
	Host *muster.HostStanding
	Name string
}

// files are those with the host's reports, the newest first, and how many more there are.
func (s *server) files(ctx context.Context, id muster.HostID) (list []sealed, more int, err error) {
	steps, err := s.Reader.Custody(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	if !s.view.Now() {
		steps = slices.DeleteFunc(slices.Clone(steps), func(e muster.CustodyEvent) bool { return e.At.After(s.view.At) })
	}
	var files []string
	for _, e := range slices.Backward(steps) {
		if !slices.Contains(files, e.File) {
			files = append(files, e.File)
		}
	}
	more = max(0, len(files)-filesShown)
	for _, file := range files[:len(files)-more] {
		one := sealed{File: file}
		for _, e := range steps {
			if e.File != file {
				continue
			}
			step := sealedStep{custody: custody{custodyWord(e.Act), moment{e.At, s.Now()}}}
			if step.Host, step.Name, err = s.carrier(ctx, e.By, id); err != nil {
				return nil, 0, err
			}
			one.From, one.To, one.Steps = e.From, e.To, append(one.Steps, step)
		}
		list = append(list, one)
	}
	return list, more, nil
}

// carrier is whoever did a step with a file of the host.
func (s *server) carrier(ctx context.Context, by string, id muster.HostID) (*muster.HostStanding, string, error) {
	other, err := muster.ParseHostID(by)
	switch {
	case err != nil:
		return nil, by, nil
	case other == id:
		return nil, "", nil
	}
	h, err := s.readable(ctx, other)
	if h == nil {
		return nil, "another computer", err
	}
	return h, "", err
}

// readable is an active host as it is now; nil where there is none, or where the person
// may not read it.
func (s *server) readable(ctx context.Context, id muster.HostID) (*muster.HostStanding, error) {
	h, err := s.Reader.Host(ctx, muster.View{}, id)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !s.person.reads(h.County) {
		return nil, nil
	}
	return &h, err
}
