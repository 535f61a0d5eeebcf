package muster

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
	"time"
)

// HostID names a host for ever: "h" and 26 lower-case base32 characters, the
// first 128 bits of SHA-256 over the host's public key (DER, SubjectPublicKeyInfo).
// The zero value is no host.
type HostID string

var hostEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewHostID derives the id from a public key in DER form.
func NewHostID(publicKeyDER []byte) HostID {
	sum := sha256.Sum256(publicKeyDER)
	return HostID("h" + strings.ToLower(hostEncoding.EncodeToString(sum[:16])))
}

// ParseHostID checks the form of an id that came from outside.
func ParseHostID(s string) (HostID, error) {
	if len(s) != 27 || s[0] != 'h' || strings.Trim(s[1:], "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return "", errors.New("host id is not h and 26 base32 characters")
	}
	return HostID(s), nil
}

// HostState says whether the state believes a host.
type HostState string

const (
	// HostPending is enrolled but not approved: its reports are kept and shown nowhere.
	HostPending HostState = "pending"
	// HostActive is approved; its reports count.
	HostActive HostState = "active"
	// HostRetired was turned away, or is no longer there: as pending, but nobody is
	// asked to approve it until it enrolls anew.
	HostRetired HostState = "retired"
)

// Host is one computer under the baseline, as it describes itself.
type Host struct {
	ID       HostID   `json:"id"`
	Hostname string   `json:"hostname"`
	County   County   `json:"county"`
	Profile  Profile  `json:"profile"`
	Platform Platform `json:"platform"`
	// Demo marks invented hosts, so that no page can pass them off as real.
	Demo bool `json:"demo,omitempty"`
}

// Enrollment is a host's statement about itself, signed with its host key.
// CBOR keys are part of the wire format.
type Enrollment struct {
	Schema    int       `cbor:"1,keyasint" json:"schema"` // 1
	PublicKey []byte    `cbor:"2,keyasint" json:"public_key"`
	Hostname  string    `cbor:"3,keyasint" json:"hostname"`
	County    County    `cbor:"4,keyasint" json:"county"`
	Profile   Profile   `cbor:"5,keyasint" json:"profile"`
	Platform  Platform  `cbor:"6,keyasint" json:"platform"`
	Agent     string    `cbor:"7,keyasint" json:"agent"`
	MadeAt    time.Time `cbor:"8,keyasint" json:"made_at"`
	Demo      bool      `cbor:"9,keyasint,omitempty" json:"demo,omitempty"`
	// Machine is a digest of what names the hardware, hex; "" where nothing does. A
	// new key on the same machine is one that was set up again; one key on two
	// machines is a copy.
	Machine string `cbor:"10,keyasint,omitempty" json:"machine,omitempty"`
}
