package storybook

import (
	"context"
	"io/fs"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

// Records are what a store keeps of what happened; lists are the newest first but Daily.
type Records struct {
	Daily    map[muster.County][]muster.DayStanding // "" is the state
	Reports  map[muster.HostID][]muster.ReportStanding
	Steps    map[muster.HostID][]muster.CustodyEvent
	Happened []muster.Event
	Logged   []muster.LogEntry
	People   map[muster.County][]muster.Contact
	Asked    []muster.Ask
	Uploads  map[string]muster.Upload
}

// Days from the one to the other.
func (r *Records) Days(_ context.Context, county muster.County, from, to time.Time) (list []muster.DayStanding, err error) {
	for _, d := range r.Daily[county] {
		if !d.Day.Before(from.Truncate(24*time.Hour)) && !d.Day.After(to) {
			list = append(list, d)
		}
	}
	return list, nil
}

// HostReports below a number.
func (r *Records) HostReports(_ context.Context, id muster.HostID, before uint64, limit int) (list []muster.ReportStanding, err error) {
	for _, one := range r.Reports[id] {
		if (before == 0 || one.Seq < before) && len(list) < limit {
			list = append(list, one)
		}
	}
	return list, nil
}

// Custody of a host's reports.
func (r *Records) Custody(_ context.Context, id muster.HostID) ([]muster.CustodyEvent, error) {
	return r.Steps[id], nil
}

// Events of a county, below an id.
func (r *Records) Events(_ context.Context, county muster.County, before int64, limit int) (list []muster.Event, err error) {
	for _, e := range r.Happened {
		if (county == "" || e.County == county) && (before == 0 || e.ID < before) && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, nil
}

// AuditLog below an id.
func (r *Records) AuditLog(_ context.Context, before int64, limit int) (list []muster.LogEntry, err error) {
	for _, e := range r.Logged {
		if (before == 0 || e.ID < before) && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, nil
}

// Contacts of a county.
func (r *Records) Contacts(_ context.Context, county muster.County) ([]muster.Contact, error) {
	return r.People[county], nil
}

// Asks is a page of requests.
func (r *Records) Asks(_ context.Context, q muster.AskQuery) (page muster.AskPage, err error) {
	list := slices.Clone(r.Asked)
	if q.Open {
		slices.Reverse(list)
	}
	for _, a := range list {
		open := a.State == muster.AskOpen
		if q.County != "" && a.County != q.County || q.Control != "" && a.Control != q.Control || q.Host != "" && a.Host != "" && a.Host != q.Host ||
			q.Open && !open || q.Answered && open {
			continue
		}
		page.Total++
		if q.After > 0 && (q.Open && a.ID <= q.After || !q.Open && a.ID >= q.After) {
			continue
		}
		if q.Limit > 0 && len(page.Asks) == q.Limit {
			page.Next = page.Asks[q.Limit-1].ID
			continue
		}
		page.Asks = append(page.Asks, a)
	}
	return page, nil
}

// Upload is what became of sealed files.
func (r *Records) Upload(_ context.Context, id string) (muster.Upload, error) {
	u, ok := r.Uploads[id]
	if !ok {
		return u, fs.ErrNotExist
	}
	return u, nil
}
