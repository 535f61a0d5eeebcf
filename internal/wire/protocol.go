package wire

import (
	"time"

	"github.com/passmuster/muster"
)

// Content types of the host API. Bodies are CBOR; a batch is a CBOR sequence
// (RFC 8742).
const (
	TypeCBOR = "application/cbor"
	TypeSeq  = "application/cbor-seq"
	TypeCOSE = "application/cose; cose-type=cose-sign1"
	// TypeCourier is a sealed courier file, or the return file that answers it.
	TypeCourier = "application/vnd.muster.courier"
)

// Frame is one report on its way: a compressed envelope and what it takes to
// open it. CBOR: an array.
type Frame struct {
	_    struct{} `cbor:",toarray"`
	Host muster.HostID
	Seq  uint64
	// Base is the digest of the bytes that Body was compressed against: the
	// envelope of an earlier report of this host that the collector has
	// receipted, or SampleDigest.
	Base muster.Digest
	// Size is the length of the envelope in bytes, before compression.
	Size uint32
	// Body is one zstd frame.
	Body []byte
}

// Code is the stable outcome of one report of a batch.
type Code string

const (
	// CodeStored: the report is stored; Receipt is set.
	CodeStored Code = "stored"
	// CodeDuplicate: it was stored before; Receipt is set again.
	CodeDuplicate Code = "duplicate"
	// CodeNeedBase: the collector lacks Base; send again against the sample.
	CodeNeedBase Code = "need_base"
	// CodeUnknownHost: enroll first.
	CodeUnknownHost Code = "unknown_host"
	// CodePending: the host waits for approval and has stored all that it may;
	// keep the report and send it again.
	CodePending Code = "pending"
	// CodeBusy: the collector has taken more of this host than it takes at once; keep
	// the report and send it again.
	CodeBusy Code = "busy"
	// CodeFutureSchema: the host is newer than the collector. Keep the report, and send
	// it again once the collector was updated.
	CodeFutureSchema Code = "future_schema"
	// CodeBadSignature, CodeMalformed, CodeTooLarge, CodeWrongCounty and CodeConflict
	// (another report has this number: a cloned host) are final: sending again
	// changes nothing. The host keeps the report all the same. A code that is not
	// known counts as one of these.
	CodeBadSignature Code = "bad_signature"
	CodeMalformed    Code = "malformed"
	CodeTooLarge     Code = "too_large"
	CodeWrongCounty  Code = "wrong_county"
	CodeConflict     Code = "conflict"
)

// Outcome of one report of a batch, in the batch's order.
type Outcome struct {
	Host muster.HostID `cbor:"1,keyasint" json:"host"`
	Seq  uint64        `cbor:"2,keyasint" json:"seq"`
	Code Code          `cbor:"3,keyasint" json:"code"`
	// Reason for people, where the code is a refusal.
	Reason string `cbor:"4,keyasint,omitempty" json:"reason,omitempty"`
	// Receipt is a COSE_Sign1 over muster.Receipt, or nil.
	Receipt []byte `cbor:"5,keyasint,omitempty" json:"-"`
}

// EnrollAnswer answers POST /v1/enroll.
type EnrollAnswer struct {
	State muster.HostState `cbor:"1,keyasint" json:"state"`
}

// Checkin is the body of POST /v1/checkin: a hint, never a verdict. It is sent
// some 300 times a day, so that what is empty or was said before is left out.
type Checkin struct {
	Host        muster.HostID `cbor:"1,keyasint" json:"host"`
	OutboxDepth int           `cbor:"2,keyasint,omitempty" json:"outbox_depth"`
	// Policy is the digest of the bundle that judges; zero where none is known.
	Policy muster.Digest `cbor:"3,keyasint,omitzero" json:"policy_digest"`
	// Uplink is its version and Now its clock, in the first check-in of a process.
	Uplink string    `cbor:"4,keyasint,omitempty" json:"uplink,omitempty"`
	Now    time.Time `cbor:"5,keyasint,omitzero" json:"now,omitzero"`
}

// PolicyDigest is Policy as reports and releases name it: hex, "" where none is known.
func (c Checkin) PolicyDigest() string {
	if c.Policy.IsZero() {
		return ""
	}
	return c.Policy.String()
}

// CheckinAnswer tells the host what the collector would like.
type CheckinAnswer struct {
	// PolicyETag of the bundle for this host, as GET /v1/policy gives it; "" where
	// none is published, or the host judges by it.
	PolicyETag string `cbor:"1,keyasint,omitempty" json:"policy_etag"`
	AuditNow   bool   `cbor:"2,keyasint,omitempty" json:"audit_now"`
	// NextSeconds until the next check-in, before jitter.
	NextSeconds int       `cbor:"3,keyasint,omitempty" json:"next_seconds"`
	Now         time.Time `cbor:"4,keyasint" json:"now"`
}
