package web

import (
	"context"
	"time"

	"github.com/passmuster/muster"
)

// Reader is what the pages need of a store. It is safe for concurrent use and
// changes nothing. Pending hosts appear in Pending alone, and in the counts
// that CountyStanding keeps of them. A list that is empty is no error.
type Reader interface {
	// Counties that have any host, pending and expected ones included, in any order.
	Counties(ctx context.Context, v muster.View) ([]muster.CountyStanding, error)
	// Controls counts every control that any active host was asked, in one county or
	// with "" in all, in any order.
	Controls(ctx context.Context, v muster.View, county muster.County) ([]muster.ControlStanding, error)
	// ControlCounties counts one control by county, or with "" every control, in any order.
	ControlCounties(ctx context.Context, v muster.View, control string) ([]muster.CountyControl, error)

	// Hosts is a page of active hosts.
	Hosts(ctx context.Context, v muster.View, q muster.HostQuery) (muster.HostPage, error)
	// Host returns an active host; any other is an error that is
	// fs.ErrNotExist.
	Host(ctx context.Context, v muster.View, id muster.HostID) (muster.HostStanding, error)
	// Find gives active hosts as they stand now, of a county or with "" all: those
	// whose name begins with the text first, then those whose name contains it or whose
	// id begins with it, each by name; at most limit.
	Find(ctx context.Context, county muster.County, text string, limit int) ([]muster.HostStanding, error)
	// HostFindings are all findings of the host, in any order.
	HostFindings(ctx context.Context, v muster.View, id muster.HostID) ([]muster.FindingStanding, error)
	// HostTransitions are the host's changes, newest first, at most limit.
	HostTransitions(ctx context.Context, v muster.View, id muster.HostID, limit int) ([]muster.Transition, error)
	// HostEvidence opens a report of the host: what each control showed, by control
	// id. One that was let go has none.
	HostEvidence(ctx context.Context, id muster.HostID, seq uint64) (map[string]muster.Evidence, error)
	// CountyFindings are the fails and unknowns, waived ones included, of the
	// county's active hosts, in any order.
	CountyFindings(ctx context.Context, v muster.View, county muster.County) ([]muster.FindingStanding, error)

	// Changes are the newest transitions of active hosts, newest first, at most limit,
	// without those that are First.
	Changes(ctx context.Context, v muster.View, county muster.County, limit int) ([]muster.Transition, error)
	// Quiet are the stale hosts, the longest silent first, at most limit.
	Quiet(ctx context.Context, v muster.View, county muster.County, limit int) ([]muster.HostStanding, error)
	// PendingPage are hosts that wait for approval, of a county or with "" all, the
	// longest waiting first: those that come after a host, with "" the first, at most
	// limit.
	PendingPage(ctx context.Context, county muster.County, after muster.HostID, limit int) ([]muster.HostStanding, error)
	// Expected are the county's expected hosts, by name.
	Expected(ctx context.Context, v muster.View, county muster.County) ([]muster.ExpectedHost, error)
	// Contacts of a county, in the order in which they were given.
	Contacts(ctx context.Context, county muster.County) ([]muster.Contact, error)
	// Asks is a page of requests for waivers.
	Asks(ctx context.Context, q muster.AskQuery) (muster.AskPage, error)
	// WaiverUse counts what each waiver excuses now, of a county or with "" of all, as
	// Controls counts what is waived; in any order.
	WaiverUse(ctx context.Context, county muster.County) ([]muster.WaiverUse, error)
	// HostsAmong are active hosts as they stand now, of a county or with "" of all, that
	// have one of the ids; in any order.
	HostsAmong(ctx context.Context, county muster.County, ids []muster.HostID) ([]muster.HostStanding, error)

	// Upload is what became of sealed files that the reader sent; what is kept no
	// longer, or was sent by someone else, is an error that is fs.ErrNotExist.
	Upload(ctx context.Context, id string) (muster.Upload, error)

	// Days are the roll-ups of a county, or with "" of the state, of the UTC days from
	// the one to the other, the oldest first. A day without one is left out.
	Days(ctx context.Context, county muster.County, from, to time.Time) ([]muster.DayStanding, error)
	// HostReports are newest first by number, below before (0 for all), at most limit.
	HostReports(ctx context.Context, id muster.HostID, before uint64, limit int) ([]muster.ReportStanding, error)
	// Custody are the steps of the host's reports on removable media.
	Custody(ctx context.Context, id muster.HostID) ([]muster.CustodyEvent, error)
	// Events are newest first, of a county or with "" all, those with a lower id than
	// before (0 for all), at most limit.
	Events(ctx context.Context, county muster.County, before int64, limit int) ([]muster.Event, error)
	// AuditLog is newest first, those with a lower id than before (0 for all), at most
	// limit.
	AuditLog(ctx context.Context, before int64, limit int) ([]muster.LogEntry, error)

	// Releases are all that were published, the highest version first.
	Releases(ctx context.Context) ([]muster.Release, error)
	RingMembers(ctx context.Context) ([]muster.RingMember, error)
	// PolicyUse counts active hosts by published policy and ring; those of all others
	// together.
	PolicyUse(ctx context.Context) ([]muster.PolicyUse, error)
	// PolicyEffect is what the policy changed on the hosts that judge by it, in the
	// controls that are known.
	PolicyEffect(ctx context.Context, policy string, known func(control string) bool) (muster.PolicyEffect, error)
}
