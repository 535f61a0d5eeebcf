package muster

import (
	"fmt"
	"strings"
	"time"
)

// View is the instant that a question is about. The zero value asks about now.
type View struct {
	// At is the instant; zero means now.
	At time.Time
	// Known says by what knowledge; it matters only with At.
	Known Knowledge
}

// Knowledge by which a past instant is told. Reports of air-gapped hosts arrive
// weeks after they were made, so the two answers differ.
type Knowledge string

const (
	// KnownThen tells what the collector showed at that instant: hosts as they were
	// registered, and reports that had arrived.
	KnownThen Knowledge = ""
	// KnownNow tells what is known now about that instant: hosts as they are
	// registered now, and reports that were made by then, whenever they arrived.
	// Counts of counties and controls are as of the end of the last UTC day that had
	// ended by then. A host that had enrolled and made no report has Seq 0; LastSeen,
	// when its report came, may be after the instant; Missing is not told.
	KnownNow Knowledge = "now"
)

// Now reports whether the view is the present one.
func (v View) Now() bool { return v.At.IsZero() }

// ParseView reads ?as_of= and ?known=: a day (its end, UTC), an instant (RFC 3339) or
// "" for now; "then" (or "") or "now".
func ParseView(asOf, known string, now time.Time) (View, error) {
	var v View
	switch known {
	case "", "then":
	case "now":
		v.Known = KnownNow
	default:
		return v, fmt.Errorf("known %q: use then (as it was shown) or now (what is known now about it)", known)
	}
	if asOf == "" {
		if v.Known == KnownNow {
			return v, fmt.Errorf("known=now is about a past instant: add as_of, for example as_of=2026-11-03")
		}
		return View{}, nil
	}
	if day, err := time.Parse(time.DateOnly, asOf); err == nil {
		v.At = day.AddDate(0, 0, 1).Add(-time.Microsecond)
		if v.At.After(now) && !day.After(now) { // today
			v.At = now.UTC()
		}
	} else if v.At, err = time.Parse(time.RFC3339Nano, strings.ReplaceAll(asOf, " ", "+")); err != nil {
		return v, fmt.Errorf("as_of %q is neither a day (2026-11-03) nor an instant (2026-11-03T12:00:00Z)", asOf)
	}
	v.At = v.At.UTC().Truncate(time.Microsecond)
	if v.At.After(now) {
		return v, fmt.Errorf("as_of %q is in the future", asOf)
	}
	return v, nil
}

// HostQuery chooses hosts that are active, a page of them, by county and id.
type HostQuery struct {
	County County // "" means every county
	// Control: only hosts that it fails or is unknown on; each has its Finding.
	Control string
	// Policy: only hosts that judge by the policy of this digest. Unpublished: only those
	// that judge by one that is none of the releases.
	Policy      string
	Unpublished bool
	// Profile: only hosts of this kind.
	Profile Profile
	// After is the Next of the page before; Limit 0 means all.
	After string
	Limit int
}

// HostPage is a page of hosts. It may have fewer than Limit, or none, and a Next all
// the same; Next is "" at the end.
type HostPage struct {
	Hosts []HostStanding `json:"hosts"`
	Next  string         `json:"next,omitempty"`
}

// ReportStanding is what the collector keeps of a report for ever; the signed
// envelope itself it keeps for as long as Retain lets it.
type ReportStanding struct {
	Host   HostID `json:"host"`
	Seq    uint64 `json:"seq"`
	Digest Digest `json:"digest"`
	// ReceivedAt is the collector's clock, CollectedAt the host's.
	ReceivedAt  time.Time `json:"received_at"`
	CollectedAt time.Time `json:"collected_at"`
	// Late: one of a higher number had come before it.
	Late bool `json:"late,omitempty"`
	// Way that it came: WayUplink or WayCourier.
	Way string `json:"way"`
	// Evidence: the signed envelope is still there.
	Evidence bool `json:"evidence"`
}

// Ways to the state.
const (
	WayUplink  = "uplink"
	WayCourier = "courier"
)

// CountyControl counts a control's status in one county.
type CountyControl struct {
	County County `json:"county"`
	ControlStanding
}

// DayStanding is how a county, or with County "" the whole state, stood at the end of
// a UTC day, as it was shown then.
type DayStanding struct {
	Day time.Time `json:"day"` // its midnight, at which it begins
	CountyStanding
}

// ExpectedHost is a computer that a county says it has. One that no active host of
// the county is named like is missing.
type ExpectedHost struct {
	County  County  `json:"county"`
	Name    string  `json:"name"` // hostname; case does not matter
	Profile Profile `json:"profile,omitempty"`
	Note    string  `json:"note,omitempty"`
	// Since is when it was first expected, by the collector's clock.
	Since time.Time `json:"since"`
	// Host that it is; "" where it is missing.
	Host HostID `json:"host,omitempty"`
}

// Event is something that happened, for whoever wants to be told at once.
type Event struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	County County    `json:"county,omitempty"`
	Host   HostID    `json:"host,omitempty"`
	// Text says it in a sentence without names of people.
	Text string `json:"text"`
}

// Kinds of events.
const (
	EventPending   = "host_pending"     // a host waits for approval
	EventApproved  = "host_approved"    // it counts from now on
	EventReplaced  = "host_replaced"    // another took its place
	EventRetired   = "host_retired"     // it is no longer counted
	EventClone     = "clone_flagged"    // two computers may have one key
	EventFails     = "host_fails"       // a host met the baseline and does no more
	EventMeets     = "host_meets"       // a host did not meet the baseline and does now
	EventStale     = "host_stale"       // a host was silent for too long
	EventReturned  = "host_returned"    // a stale host reported again
	EventGap       = "reports_missing"  // numbers were jumped and no gap was declared
	EventPublished = "policy_published" // a policy bundle was published, promoted or paused
)

// EventKinds are all of them.
var EventKinds = []string{EventPending, EventApproved, EventReplaced, EventRetired, EventClone, EventFails,
	EventMeets, EventStale, EventReturned, EventGap, EventPublished}

// Delivery is an event on its way to a webhook.
type Delivery struct {
	Event
	Hook string `json:"hook"`
	// Attempts so far, and when the next one is due; zero after the last.
	Attempts int       `json:"attempts"`
	NextAt   time.Time `json:"next_at,omitzero"`
	// Done is when it was taken; zero where it was not, or not yet.
	Done time.Time `json:"done_at,omitzero"`
	// Status is the last HTTP status, 0 for none, and Error why it was not taken.
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
}
