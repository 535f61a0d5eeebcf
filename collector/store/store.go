// Package store says what the collector keeps and how it is asked: one
// interface for every database, and storetest as the suite that each must
// pass.
//
// What is kept: hosts and their keys, the current finding of every control,
// every transition for ever, the signed envelopes as evidence, published
// policy bundles, and an append-only audit log.
//
// Order is by number, not by arrival. A report numbered above the host's
// newest replaces its current findings and writes one transition for each
// status that changed. A report numbered below it came late: it is kept as
// evidence and receipted, and changes neither findings nor transitions.
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

// Store is safe for concurrent use. A nil error means durable: what a method
// wrote survives the loss of power. An error means that nothing was written.
// What does not exist is an error that is fs.ErrNotExist, a full disk one that
// is muster.ErrFull; an empty list is no error. Standing counts active hosts only.
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
	// becomes active there, until they report what they collected later.
	Enroll(ctx context.Context, e muster.Enrolled, approved bool, madeAt, at time.Time) (muster.HostState, error)
	// Approve makes a pending host active and logs who did it. An active host
	// stays active, and nothing is logged.
	Approve(ctx context.Context, id muster.HostID, actor string, at time.Time) error
	// RequestAudit notes that someone wants an audit of an active host, and logs e.
	RequestAudit(ctx context.Context, id muster.HostID, e muster.LogEntry) error
	// Commit stores the reports in one transaction, in their order, and returns
	// one result each. Every host must be enrolled. Storing again what is
	// stored gives a duplicate with the time of the first arrival.
	Commit(ctx context.Context, reports []muster.Accepted) ([]muster.Committed, error)
	// Publish keeps a release and logs who did it. A version that is not above
	// every other is an error that is fs.ErrExist.
	Publish(ctx context.Context, r muster.Release) error
	// Roll sets how far a release is offered, and logs e.
	Roll(ctx context.Context, version int64, ring muster.Ring, paused bool, e muster.LogEntry) error
	// SetRing puts a county or a host into a ring, or with no ring out of it,
	// and logs e.
	SetRing(ctx context.Context, m muster.RingMember, e muster.LogEntry) error
	// KeepCustody keeps the steps of enrolled hosts' reports on removable media, each
	// once; of each host the newest MaxCustody.
	KeepCustody(ctx context.Context, steps []muster.CustodyEvent) error
	// Log appends to the audit log.
	Log(ctx context.Context, e muster.LogEntry) error

	// Enrolled returns the host's key and what it said of itself.
	Enrolled(ctx context.Context, id muster.HostID) (muster.Enrolled, error)
	// Base finds an envelope by digest among the host's newest BaseWindow
	// reports, and what it takes to open it: see Envelope.
	Base(ctx context.Context, host muster.HostID, digest muster.Digest) ([]muster.StoredEnvelope, error)
	// Envelope returns the stored report first, then its base, then the base
	// of that, down to one that rests on no stored report. seq 0 is the newest.
	Envelope(ctx context.Context, host muster.HostID, seq uint64) ([]muster.StoredEnvelope, error)
	// Custody returns the steps of a host's reports, by file in the order in which
	// these came first, and by time within one.
	Custody(ctx context.Context, id muster.HostID) ([]muster.CustodyEvent, error)
	// Bundle returns the bytes of a release.
	Bundle(ctx context.Context, version int64) ([]byte, error)
	// AuditLog returns the newest entries first, at most limit.
	AuditLog(ctx context.Context, limit int) ([]muster.LogEntry, error)

	Close() error
}

// Reader tells where hosts, counties and controls stand now. Lists are in any
// order unless said. A replaced host is in Hosts, CountyHosts and Host, and in no
// count and no other list.
type Reader interface {
	// Counties that have any host, pending ones included.
	Counties(ctx context.Context) ([]muster.CountyStanding, error)
	// Hosts that are active, by id, after the one named, at most limit.
	Hosts(ctx context.Context, after muster.HostID, limit int) ([]muster.HostStanding, error)
	CountyHosts(ctx context.Context, county muster.County) ([]muster.HostStanding, error)
	// CountyFindings are the fails and unknowns of the county's active hosts.
	CountyFindings(ctx context.Context, county muster.County) ([]muster.FindingStanding, error)
	// Host returns an active host.
	Host(ctx context.Context, id muster.HostID) (muster.HostStanding, error)
	HostFindings(ctx context.Context, id muster.HostID) ([]muster.FindingStanding, error)
	// HostTransitions are newest first, at most limit.
	HostTransitions(ctx context.Context, id muster.HostID, limit int) ([]muster.Transition, error)
	Controls(ctx context.Context) ([]muster.ControlStanding, error)
	// ControlFindings are the fails and unknowns of the control.
	ControlFindings(ctx context.Context, control string) ([]muster.FindingStanding, error)
	// ControlHosts are the active hosts that ControlFindings speaks of.
	ControlHosts(ctx context.Context, control string) ([]muster.HostStanding, error)
	// Changes are the newest transitions of all active hosts, newest first,
	// without those that are First.
	Changes(ctx context.Context, limit int) ([]muster.Transition, error)
	// Quiet are the stale hosts, the longest silent first.
	Quiet(ctx context.Context, limit int) ([]muster.HostStanding, error)
	// Pending are the hosts that wait for approval, the longest waiting first.
	Pending(ctx context.Context) ([]muster.HostStanding, error)

	// Releases are all that were published, the highest version first, without
	// their bundles.
	Releases(ctx context.Context) ([]muster.Release, error)
	RingMembers(ctx context.Context) ([]muster.RingMember, error)
	// PolicyUse counts active hosts by policy and ring.
	PolicyUse(ctx context.Context) ([]muster.PolicyUse, error)
	// PolicyHosts are active hosts that judge by the policy, by county and id.
	PolicyHosts(ctx context.Context, policy string, limit int) ([]muster.HostStanding, error)
	// PolicyEffect is what the policy changed on the active hosts that judge by
	// it. The most frequent changes are first.
	PolicyEffect(ctx context.Context, policy string) (muster.PolicyEffect, error)
}
