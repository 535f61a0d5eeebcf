// Package store says what the collector keeps and how it is asked: one
// interface for every database, and storetest as the suite that each must
// pass.
//
// What is kept: hosts and their keys; every version of what a view shows of a host,
// for ever; one line for every report, for ever; the signed envelopes as evidence, for
// as long as Retain lets them; daily roll-ups; published policy bundles; and an
// append-only audit log.
//
// Order is by number, not by arrival. A report numbered above the host's newest
// makes a new version of it where anything that is shown differs. A report numbered
// below it came late: it is kept and receipted, and shown only in hindsight, by a view
// with muster.KnownNow. A version is never changed, so that a view of a past instant
// is the one that was shown then.
package store

import (
	"context"
	"time"

	"github.com/passmuster/muster"
)

// BaseWindow is how many of a host's newest reports can serve as a base.
const BaseWindow = 256

// MaxPending bounds the hosts that wait for approval, because anyone who
// reaches the collector can ask.
const MaxPending = 10_000

// MaxCustody bounds the steps that are kept of one host.
const MaxCustody = 4096

// MaxExpected bounds the computers that one county expects.
const MaxExpected = 20_000

// MaxContacts bounds the contacts of one county.
const MaxContacts = 20

// MaxAsks bounds the requests for a waiver of one county that wait for an answer.
const MaxAsks = 50

// Options of every store.
type Options struct {
	// Now is the clock; nil means time.Now. Several collectors before one database
	// need clocks that agree to a few seconds.
	Now func() time.Time
	// StaleAfter is how long a host may be silent.
	StaleAfter muster.Silences
}

// Store is safe for concurrent use, by several processes too. A nil error means
// durable: what a method wrote survives the loss of power. An error means that nothing
// was written, except where the connection was lost during a commit. What does not
// exist is an error that is fs.ErrNotExist, a full disk one that is muster.ErrFull; an
// empty list is no error. Standing counts active hosts only. Whatever takes a
// muster.LogEntry logs it in the same transaction.
type Store interface {
	Reader

	// Enroll keeps what a host says about itself, by its clock at madeAt, and
	// returns its state: active where approved is set, or where it was active
	// with the same county and profile; else pending. A statement that is not
	// newer than the one kept can approve and changes nothing else; one that
	// names another county or profile is an error that is fs.ErrExist. More
	// than MaxPending waiting hosts are muster.ErrPending.
	//
	// What Binding says of its node and machine is kept in any case, and logged. A
	// host that comes from another node than before must be approved for it, and a
	// new one waits whatever approved says where its node is that of another active
	// host, or where it comes without a node from the machine of one that has one.
	// Active hosts of the county on the same machine are replaced by one that
	// becomes active there, until they report what they collected later. HostStanding's
	// Waits says why a host waits.
	Enroll(ctx context.Context, e muster.Enrolled, approved bool, madeAt time.Time) (muster.HostState, error)
	// Approve makes a pending host active and logs who did it. An active host
	// stays active, and nothing is logged.
	Approve(ctx context.Context, id muster.HostID, e muster.LogEntry) error
	// Retire takes a pending or active host out of every list and count, until it
	// enrolls with a newer statement, which waits for approval.
	Retire(ctx context.Context, id muster.HostID, e muster.LogEntry) error
	// ClearClone forgets what shows that a host was copied.
	ClearClone(ctx context.Context, id muster.HostID, e muster.LogEntry) error
	// RequestAudit notes that someone wants an audit of an active host.
	RequestAudit(ctx context.Context, id muster.HostID, e muster.LogEntry) error
	// Commit stores the reports in one transaction, in their order, and returns
	// one result each. Every host must be enrolled. Storing again what is
	// stored gives a duplicate with the time of the first arrival.
	Commit(ctx context.Context, reports []muster.Accepted) ([]muster.Committed, error)
	// Publish keeps a release and logs who did it. A version that is not above
	// every other is an error that is fs.ErrExist.
	Publish(ctx context.Context, r muster.Release) error
	// Roll sets how far a release is offered.
	Roll(ctx context.Context, version int64, ring muster.Ring, paused bool, e muster.LogEntry) error
	// SetRing puts a county or a host into a ring, or with no ring out of it.
	SetRing(ctx context.Context, m muster.RingMember, e muster.LogEntry) error
	// KeepCustody keeps the steps of enrolled hosts' reports on removable media, each
	// once; of each host the newest MaxCustody.
	KeepCustody(ctx context.Context, steps []muster.CustodyEvent) error
	// Expect makes the list the county's expected hosts; those that were expected
	// before keep their Since. More than MaxExpected are an error.
	Expect(ctx context.Context, county muster.County, list []muster.ExpectedHost, e muster.LogEntry) error
	// SetContacts makes the list the county's contacts.
	SetContacts(ctx context.Context, county muster.County, list []muster.Contact, e muster.LogEntry) error
	// Ask keeps an open request for a waiver, made by the actor of the entry, and
	// returns its number. Where MaxAsks of the county are open it is an error that is
	// fs.ErrExist.
	Ask(ctx context.Context, a muster.Ask, e muster.LogEntry) (id int64, err error)
	// Answer answers an open request by the actor of the entry. One that is answered is
	// an error that is fs.ErrExist.
	Answer(ctx context.Context, id int64, state muster.AskState, answer string, e muster.LogEntry) error
	// Log appends to the audit log.
	Log(ctx context.Context, e muster.LogEntry) error

	// Enrolled returns the host's key and what it said of itself.
	Enrolled(ctx context.Context, id muster.HostID) (muster.Enrolled, error)
	// Moved is when the host was last registered in another county than now; zero where
	// it never was.
	Moved(ctx context.Context, id muster.HostID) (time.Time, error)
	// Base finds an envelope by digest among the host's newest BaseWindow
	// reports, and what it takes to open it: see Envelope.
	Base(ctx context.Context, host muster.HostID, digest muster.Digest) ([]muster.StoredEnvelope, error)
	// Envelope returns the stored report first, then its base, then the base
	// of that, down to one that rests on no stored report. seq 0 is the newest. One
	// that was let go is an error that is fs.ErrNotExist.
	Envelope(ctx context.Context, host muster.HostID, seq uint64) ([]muster.StoredEnvelope, error)
	// Custody returns the steps of a host's reports, by file in the order in which
	// these came first, and by time within one.
	Custody(ctx context.Context, id muster.HostID) ([]muster.CustodyEvent, error)
	// AskOf returns a request for a waiver.
	AskOf(ctx context.Context, id int64) (muster.Ask, error)
	// Bundle returns the bytes of a release.
	Bundle(ctx context.Context, version int64) ([]byte, error)
	// AuditLog returns the newest entries first, those with a lower id than before (0
	// for all), at most limit.
	AuditLog(ctx context.Context, before int64, limit int) ([]muster.LogEntry, error)

	// PutTicket keeps a secret's digest and what it opens, until it is out of date.
	PutTicket(ctx context.Context, t Ticket) error
	// Ticket returns one that is not out of date. Take also removes it; of several
	// that take at once one gets it.
	Ticket(ctx context.Context, kind string, digest muster.Digest, take bool) (Ticket, error)

	// Distribute makes a Delivery of each event that none was made of yet, to every
	// hook that hooks names for it.
	Distribute(ctx context.Context, hooks func(muster.Event) []string) error
	// Due are deliveries whose NextAt has come, the oldest first, at most limit of each hook.
	Due(ctx context.Context, limit int) ([]muster.Delivery, error)
	// Delivered keeps what became of an attempt.
	Delivered(ctx context.Context, d muster.Delivery) error
	// Deliveries returns the newest first, of one hook or with "" of all.
	Deliveries(ctx context.Context, hook string, limit int) ([]muster.Delivery, error)

	// Rollup keeps how every county and control stands at the end of each UTC day, and
	// at some instants within it, that came before at and has no roll-up yet, keeps one as of at, from which
	// views of the present are made sooner, and mends the days that late reports
	// told more about. It never changes what a view answers, except that one with
	// KnownNow of a county or the state is as of the end of the day before, and as
	// new as the last Rollup. at must be so long ago that all of before is committed.
	// Some event kinds, such as EventStale, are noted here.
	Rollup(ctx context.Context, at time.Time) error
	// Retain lets go of the evidence of the months that ended before cutoff, of
	// tickets that are out of date, and of deliveries that ended before cutoff.
	Retain(ctx context.Context, cutoff time.Time) (envelopes int, err error)
	// Once runs do unless another process runs a job of that name now; ran says so.
	Once(ctx context.Context, job string, do func(context.Context) error) (ran bool, err error)
	// Watch tells what changed, whichever process changed it, until ctx ends: the
	// counties that changes were in, or none where anything may have changed. One that
	// does not listen misses some, and is told so by one without counties.
	Watch(ctx context.Context) <-chan []muster.County
	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
	// About tells what the store is, for people: database, version, size.
	About(ctx context.Context) (About, error)

	// Dump gives every row of every table as they were at one instant; Load puts them
	// into an empty store, of whichever database. next returns io.EOF after the last.
	Dump(ctx context.Context, row func(Row) error) error
	Load(ctx context.Context, next func() (Row, error)) error

	Close() error
}

// Row of a table: what its columns hold is nil, int64, string or []byte.
type Row struct {
	Table   string
	Columns []string
	Values  []any
}

// Ticket is a secret that was given to someone: a link, a session.
type Ticket struct {
	Kind   string
	Digest muster.Digest // SHA-256 of the secret
	Value  []byte
	Until  time.Time
}

// About a store.
type About struct {
	Database string    `json:"database"` // "SQLite 3.53.0", "PostgreSQL 15.18"
	Schema   int64     `json:"schema"`
	Bytes    int64     `json:"bytes"` // on disk
	Now      time.Time `json:"now"`   // by the database's clock
}

// Reader tells where hosts, counties and controls stand, at the instant of a view.
// Lists are in any order unless said. A replaced host is in Hosts, Find and Host,
// and in no count and no other list.
type Reader interface {
	// Counties that have any host, pending ones and expected ones included.
	Counties(ctx context.Context, v muster.View) ([]muster.CountyStanding, error)
	// Controls counts controls in one county, or with "" in all.
	Controls(ctx context.Context, v muster.View, county muster.County) ([]muster.ControlStanding, error)
	// ControlCounties counts one control by county, or with "" every control.
	ControlCounties(ctx context.Context, v muster.View, control string) ([]muster.CountyControl, error)
	// Days are the roll-ups of a county, or with "" of the state, of the days from
	// the one to the other, the oldest first. A day without one is left out.
	Days(ctx context.Context, county muster.County, from, to time.Time) ([]muster.DayStanding, error)

	Hosts(ctx context.Context, v muster.View, q muster.HostQuery) (muster.HostPage, error)
	// Find gives active hosts, of a county or with "" all, as they stand now: those
	// whose name begins with the text, by name, then those whose name contains it or
	// whose id begins with it, by name; at most limit. Case does not matter, and no
	// letter of the text means another. A replaced host is found as well.
	Find(ctx context.Context, county muster.County, text string, limit int) ([]muster.HostStanding, error)
	// Host returns an active host.
	Host(ctx context.Context, v muster.View, id muster.HostID) (muster.HostStanding, error)
	HostFindings(ctx context.Context, v muster.View, id muster.HostID) ([]muster.FindingStanding, error)
	// CountyFindings are the fails and unknowns of the county's active hosts.
	CountyFindings(ctx context.Context, v muster.View, county muster.County) ([]muster.FindingStanding, error)
	// HostTransitions are newest first, at most limit.
	HostTransitions(ctx context.Context, v muster.View, id muster.HostID, limit int) ([]muster.Transition, error)
	// HostReports are newest first by number, below before (0 for all), at most limit.
	HostReports(ctx context.Context, id muster.HostID, before uint64, limit int) ([]muster.ReportStanding, error)
	// Changes are the newest transitions of all active hosts, or of a county's, newest
	// first, without those that are First.
	Changes(ctx context.Context, v muster.View, county muster.County, limit int) ([]muster.Transition, error)
	// Quiet are the stale hosts, or a county's, the longest silent first. With KnownNow
	// those of all counties are as of the end of the day before, as counts are.
	Quiet(ctx context.Context, v muster.View, county muster.County, limit int) ([]muster.HostStanding, error)
	// Pending are the hosts that wait for approval, or a county's, the longest waiting
	// first.
	Pending(ctx context.Context, county muster.County) ([]muster.HostStanding, error)
	// PendingPage is a page of Pending: those that come after a host, with "" the
	// first, at most limit.
	PendingPage(ctx context.Context, county muster.County, after muster.HostID, limit int) ([]muster.HostStanding, error)
	// Expected are a county's expected hosts, or with "" all, by county and name.
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
	// Events are newest first, of a county or with "" all, those with a lower id than
	// before (0 for all), at most limit.
	Events(ctx context.Context, county muster.County, before int64, limit int) ([]muster.Event, error)

	// Releases are all that were published, the highest version first, without
	// their bundles.
	Releases(ctx context.Context) ([]muster.Release, error)
	RingMembers(ctx context.Context) ([]muster.RingMember, error)
	// PolicyUse counts active hosts by published policy and ring; those of all others
	// together.
	PolicyUse(ctx context.Context) ([]muster.PolicyUse, error)
	// PolicyEffect is what the policy changed on the active hosts that judge by
	// it, or where they are thousands on some of them, of every county. The most
	// frequent changes are first. Only those of controls that are known are told: hosts
	// may name any.
	PolicyEffect(ctx context.Context, policy string, known func(control string) bool) (muster.PolicyEffect, error)
}
