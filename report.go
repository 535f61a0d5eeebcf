package muster

import (
	"encoding/hex"
	"fmt"
	"time"
)

// ReportSchema is the number of the report format that this code writes.
const ReportSchema = 1

// Digest is a SHA-256.
type Digest [32]byte

// IsZero reports whether the digest is not set.
func (d Digest) IsZero() bool { return d == Digest{} }

// String is lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText writes the digest as String does.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads 64 hex digits.
func (d *Digest) UnmarshalText(b []byte) error {
	if len(b) != 2*len(d) {
		return fmt.Errorf("digest of %d characters: want %d", len(b), 2*len(d))
	}
	if _, err := hex.Decode(d[:], b); err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	return nil
}

// Report is every finding of one audit, numbered and chained to the one
// before. internal/wire encodes and signs it.
type Report struct {
	Header   Header    `json:"header"`
	Verdicts []Verdict `json:"verdicts"`
	Detail   Detail    `json:"detail"`
}

// Header says who was audited, when, by which policy. CBOR keys are part of
// the wire format.
type Header struct {
	Schema int    `cbor:"1,keyasint" json:"schema"` // ReportSchema
	Host   HostID `cbor:"2,keyasint" json:"host"`
	// Seq counts this host's reports from 1.
	Seq uint64 `cbor:"3,keyasint" json:"seq"`
	// Prev is the digest of the envelope numbered Seq-1; zero for the first.
	Prev     Digest   `cbor:"4,keyasint" json:"prev"`
	BootID   string   `cbor:"5,keyasint" json:"boot_id"`
	Profile  Profile  `cbor:"6,keyasint" json:"profile"`
	Platform Platform `cbor:"7,keyasint" json:"platform"`
	County   County   `cbor:"8,keyasint" json:"county"`
	Hostname string   `cbor:"9,keyasint" json:"hostname"`
	// PolicyRevision and PolicyDigest name the bundle that judged.
	PolicyRevision string `cbor:"10,keyasint" json:"policy_revision"`
	PolicyDigest   string `cbor:"11,keyasint" json:"policy_digest"`
	// CollectedAt is the host's own clock, whole seconds.
	CollectedAt time.Time `cbor:"12,keyasint" json:"collected_at"`
	Agent       string    `cbor:"13,keyasint" json:"agent"`
	// Gap lists the reports that the host dropped since the one before.
	Gap []SeqRange `cbor:"14,keyasint,omitempty" json:"gap,omitempty"`
}

// SeqRange is a run of sequence numbers, both ends included.
type SeqRange struct {
	_    struct{} `cbor:",toarray"`
	From uint64   `json:"from"`
	To   uint64   `json:"to"`
}

// Verdict is what the collector needs of a finding at ingest. CBOR: an array.
type Verdict struct {
	_       struct{} `cbor:",toarray"`
	Control string   `json:"control"`
	Status  Status   `json:"status"`
	// Waiver is the id of the waiver that covers it, or "".
	Waiver string `json:"waiver,omitempty"`
	// Evidence is the first 8 bytes of SHA-256 over the control's encoded
	// evidence: a cheap sign of change, not a proof (the signature is).
	Evidence []byte `json:"evidence,omitempty"`
}

// Detail is the part of a report that the collector stores as opaque bytes and
// opens only when someone looks.
type Detail struct {
	// Evidence by control; controls without any are left out.
	Evidence    map[string]Evidence `cbor:"1,keyasint" json:"evidence"`
	Signals     []Signal            `cbor:"2,keyasint,omitempty" json:"signals,omitempty"`
	FailedFacts []FailedFact        `cbor:"3,keyasint,omitempty" json:"failed_facts,omitempty"`
	// Custody of this host's earlier reports, as the courier brought it back since
	// the report before.
	Custody []CustodyEvent `cbor:"4,keyasint,omitempty" json:"custody,omitempty"`
	// Notices say, a sentence each, what went wrong with this host's earlier
	// reports: one was damaged on its disk, or an audit could not keep its own.
	Notices []string `cbor:"5,keyasint,omitempty" json:"notices,omitempty"`
}

// Evidence is what a control chose to show.
type Evidence struct {
	Reason     string      `cbor:"1,keyasint,omitempty" json:"reason,omitempty"`
	Violations []Violation `cbor:"2,keyasint,omitempty" json:"violations,omitempty"`
	Notes      []string    `cbor:"3,keyasint,omitempty" json:"notes,omitempty"`
}

// FailedFact names a fact that was not ok, and why.
type FailedFact struct {
	Name   string     `cbor:"1,keyasint" json:"name"`
	Status FactStatus `cbor:"2,keyasint" json:"status"`
	Reason string     `cbor:"3,keyasint,omitempty" json:"reason,omitempty"`
}

// Signal is an observation that is no verdict: it never changes a score.
type Signal struct {
	Kind string    `cbor:"1,keyasint" json:"kind"` // "S1" … "S13", baseline section 3
	At   time.Time `cbor:"2,keyasint" json:"at"`
	Text string    `cbor:"3,keyasint" json:"text"`
}

// Receipt is the collector's signed word that it has stored a report. Only a
// receipt empties the outbox.
type Receipt struct {
	Schema int    `cbor:"1,keyasint" json:"schema"` // 1
	Host   HostID `cbor:"2,keyasint" json:"host"`
	Seq    uint64 `cbor:"3,keyasint" json:"seq"`
	// Digest of the stored envelope.
	Digest Digest `cbor:"4,keyasint" json:"digest"`
	// ReceivedAt is the collector's clock, whole seconds.
	ReceivedAt time.Time `cbor:"5,keyasint" json:"received_at"`
}
