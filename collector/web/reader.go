package web

import (
	"context"

	"github.com/passmuster/muster"
)

// Reader is what the pages need of a store. It is safe for concurrent use and
// changes nothing. Pending hosts appear in Pending alone, and in the counts
// that CountyStanding keeps of them. A list that is empty is no error.
type Reader interface {
	// Counties that have any host, pending ones included, in any order.
	Counties(ctx context.Context) ([]muster.CountyStanding, error)
	// CountyHosts are the county's active hosts, in any order.
	CountyHosts(ctx context.Context, county muster.County) ([]muster.HostStanding, error)
	// CountyFindings are the fails and unknowns, waived ones included, of the
	// county's active hosts, in any order.
	CountyFindings(ctx context.Context, county muster.County) ([]muster.FindingStanding, error)

	// Host returns an active host; any other is an error that is
	// fs.ErrNotExist.
	Host(ctx context.Context, id muster.HostID) (muster.HostStanding, error)
	// HostFindings are all current findings of the host, in any order.
	HostFindings(ctx context.Context, id muster.HostID) ([]muster.FindingStanding, error)
	// HostTransitions are the host's changes, newest first, at most limit.
	HostTransitions(ctx context.Context, id muster.HostID, limit int) ([]muster.Transition, error)
	// HostEvidence opens the host's newest report: what each control showed,
	// by control id. A host without a report has none.
	HostEvidence(ctx context.Context, id muster.HostID) (map[string]muster.Evidence, error)

	// Controls counts every control that any active host was asked, in any order.
	Controls(ctx context.Context) ([]muster.ControlStanding, error)
	// ControlFindings are the fails and unknowns, waived ones included, of the
	// control on active hosts, in any order.
	ControlFindings(ctx context.Context, control string) ([]muster.FindingStanding, error)
	// ControlHosts are the active hosts that ControlFindings speaks of, in any order.
	ControlHosts(ctx context.Context, control string) ([]muster.HostStanding, error)

	// Changes are the newest transitions of active hosts in the whole state,
	// newest first, at most limit, without those that are First.
	Changes(ctx context.Context, limit int) ([]muster.Transition, error)
	// Quiet are the stale hosts, the longest silent first, at most limit.
	Quiet(ctx context.Context, limit int) ([]muster.HostStanding, error)
	// Pending are the hosts that wait for approval, the longest waiting first.
	Pending(ctx context.Context) ([]muster.HostStanding, error)

	// Releases are all that were published, the highest version first.
	Releases(ctx context.Context) ([]muster.Release, error)
	RingMembers(ctx context.Context) ([]muster.RingMember, error)
	// PolicyUse counts active hosts by policy and ring.
	PolicyUse(ctx context.Context) ([]muster.PolicyUse, error)
	// PolicyHosts are active hosts that judge by the policy, at most limit.
	PolicyHosts(ctx context.Context, policy string, limit int) ([]muster.HostStanding, error)
	// PolicyEffect is what the policy changed on the hosts that judge by it.
	PolicyEffect(ctx context.Context, policy string) (muster.PolicyEffect, error)
}
