package muster

import (
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Role is what a person or a script may do at the collector.
type Role string

const (
	RoleViewer   Role = "viewer"
	RoleOperator Role = "operator"
	RoleCISO     Role = "ciso"
)

// CountyRole may read what concerns one county, and nothing else.
func CountyRole(c County) Role { return Role("county:" + string(c)) }

// County is the county of a CountyRole; ok is false for another role.
func (r Role) County() (c County, ok bool) {
	fips, ok := strings.CutPrefix(string(r), "county:")
	if !ok {
		return "", false
	}
	c, err := ParseCounty(fips)
	return c, err == nil
}

// Peer is who is at the other end of a request, as the tailnet or a token tells.
// The zero value is a stranger.
type Peer struct {
	// Node is the stable id of the tailnet node; "" on loopback.
	Node string
	// Name of the node, and Login of who is signed in to it, for people; "" for a
	// tagged node.
	Name  string
	Login string
	// Local: it is on this computer and knows the token, so it may speak for
	// every county.
	Local bool
	// Counties whose hosts it may speak for, by its tags tag:county-<fips>.
	Counties []County
	// Roles by the tailnet's grants.
	Roles []Role
}

// SpeaksFor reports whether the peer may enroll and report hosts of the county
// without a person's approval.
func (p Peer) SpeaksFor(c County) bool { return p.Local || slices.Contains(p.Counties, c) }

// TailnetStatus is where a node stands with its tailnet.
type TailnetStatus struct {
	// State is "running", "starting", "needs_login", "expired" or "stopped".
	State string `json:"state"`
	// Name and Addresses of this node in the tailnet; empty before it joined.
	Name      string   `json:"name,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
	// LoginURL is where a person lets the node in; "" where none is asked for.
	LoginURL string `json:"login_url,omitempty"`
	// KeyExpires is when the node must sign in again; zero for never.
	KeyExpires time.Time `json:"key_expires,omitzero"`
	// Problems in the tailnet's words; empty where all is well.
	Problems []string `json:"problems,omitempty"`
}

// What the uplink's own problems of a tailnet begin with.
const (
	TailnetUnapproved = "an administrator of the tailnet must approve this node"
	TailnetSignedOut  = "the node is not signed in to the tailnet"
	TailnetExpired    = "the node's key has expired"
)

// Acts of custody.
const (
	CustodyWrote    = "wrote"    // the host sealed the reports
	CustodyRelayed  = "relayed"  // a connected computer sent them on
	CustodyReceived = "received" // the collector took them
	CustodyReturned = "returned" // the host took the receipts
)

// CustodyEvent is one step of a report on removable media: which computer wrote,
// relayed or received it, and when by whose clock.
type CustodyEvent struct {
	At  time.Time `cbor:"1,keyasint" json:"at"`
	Act string    `cbor:"2,keyasint" json:"act"`
	// By is a host id or, for the collector, its name.
	By string `cbor:"3,keyasint" json:"by"`
	// File is the SHA-256 of the sealed file, its first 16 hex digits.
	File string `cbor:"4,keyasint" json:"file"`
	// Host whose reports they are, From to To.
	Host HostID `cbor:"5,keyasint" json:"host"`
	From uint64 `cbor:"6,keyasint" json:"from_seq"`
	To   uint64 `cbor:"7,keyasint" json:"to_seq"`
}

// Sane reports whether the step has the form of one; it proves nothing.
func (e *CustodyEvent) Sane() bool {
	acts := []string{CustodyWrote, CustodyRelayed, CustodyReceived, CustodyReturned}
	_, err := ParseHostID(string(e.Host))
	return err == nil && slices.Contains(acts, e.Act) && e.By != "" && len(e.By) <= 255 && utf8.ValidString(e.By) &&
		!strings.ContainsFunc(e.By, unicode.IsControl) && len(e.File) == 16 && strings.Trim(e.File, "0123456789abcdef") == "" &&
		e.From > 0 && e.From <= e.To && e.To <= math.MaxInt64
}
