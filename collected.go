package muster

import (
	"errors"
	"time"
)

// ErrFull says that there is no room to write: the disk is full. Keep the
// report and try again later.
var ErrFull = errors.New("no room left in the store")

// ErrPending says that too many hosts wait for approval already. Approve some.
var ErrPending = errors.New("too many hosts wait for approval")

// Enrolled is a host and the key that signs its reports.
type Enrolled struct {
	Host
	// PublicKey is P-256, DER (SubjectPublicKeyInfo).
	PublicKey []byte
	Agent     string
	State     HostState
	// Node of the tailnet that it enrolled from; "" for none.
	Node string
	// Machine as Enrollment has it.
	Machine string
}

// Accepted is a verified report, ready to be stored.
type Accepted struct {
	Header   Header
	Verdicts []Verdict
	Envelope StoredEnvelope
	// Summary of the verdicts, and whether a critical or high control fails
	// without a waiver.
	Summary   Summary
	GateFails bool
	// Way that it came: WayUplink or WayCourier.
	Way string
}

// StoredEnvelope is a signed report as it rests in a store: one zstd frame
// that gives back the signed bytes exactly.
type StoredEnvelope struct {
	Seq uint64
	// Digest of the signed bytes.
	Digest Digest
	// Base is the digest of what Body was compressed against; BaseSeq is the
	// number of that report of the same host, or 0 for the sample.
	Base    Digest
	BaseSeq uint64
	// Depth is how many stored reports must be opened before this one.
	Depth int
	// Month, as 202611, with which it is let go. One that rests on a stored report has
	// that one's month, so that no report outlives what it takes to open it.
	Month int
	// Size of the signed bytes.
	Size uint32
	Body []byte
}

// Committed is what became of one report.
type Committed struct {
	Outcome StoreOutcome
	// ReceivedAt is when the report was first stored, by the collector's clock, to the
	// microsecond; zero for a conflict.
	ReceivedAt time.Time
}

// StoreOutcome of storing a report. The zero value stored nothing.
type StoreOutcome uint8

const (
	// OutcomeConflict: another report has this number. Only the host's flag
	// was stored.
	OutcomeConflict StoreOutcome = iota
	// OutcomeStored: it was new.
	OutcomeStored
	// OutcomeDuplicate: the same report was stored before.
	OutcomeDuplicate
)

// LogEntry is one line of the collector's audit log.
type LogEntry struct {
	ID int64     `json:"id"` // counts up
	At time.Time `json:"at"`
	// Actor is who did it: "console", "link", "token", a login.
	Actor string `json:"actor"`
	// Action is a stable word: "start", "login", "approve", "publish_policy",
	// "promote_policy", "pause_policy", "set_ring", "request_audit", "rebind_host",
	// "flag_clone", "replace_host", "hold_host", "retire", "clear_clone", "expect_hosts",
	// "export", "logout", "rotate_key", "backup".
	Action string `json:"action"`
	// Object is what it was done to: a host id, a policy revision.
	Object string `json:"object,omitempty"`
}
