// Package muster holds the words of Muster as plain types: what a host is
// asked, what it answered, and what it tells the state. Every other package
// speaks in these types; this one imports only the standard library.
//
// JSON and CBOR shapes given here are promises: fields are added, never
// renamed or given another meaning. Times are UTC; durations in JSON end in
// their unit (_seconds, _ms).
package muster

import (
	"fmt"
	"strings"
)

// Version is the release of these programs, stamped by the linker
// (-X github.com/passmuster/muster.Version=1.2.3).
var Version = "0.0.0-dev"

// Status is a control's outcome on one host. The zero value is StatusUnknown,
// so that nothing forgotten can pass. JSON: "unknown", "pass", "fail",
// "not_applicable". CBOR: the integer; the order is part of the wire format.
type Status uint8

// Do not reorder: the numbers travel in reports and rest in databases.
const (
	StatusUnknown Status = iota
	StatusPass
	StatusFail
	StatusNotApplicable
)

var statusNames = []string{"unknown", "pass", "fail", "not_applicable"}

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return statusNames[StatusUnknown]
}

// MarshalText writes the JSON name of the status.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the JSON name of a status and refuses any other word.
func (s *Status) UnmarshalText(b []byte) error {
	i, err := index("status", statusNames, string(b))
	*s = Status(i)
	return err
}

// Severity says how much a failing control matters. The zero value is
// SeverityLow. JSON: "low", "medium", "high", "critical".
type Severity uint8

const (
	SeverityLow Severity = iota
	SeverityMedium
	SeverityHigh
	SeverityCritical
)

var severityNames = []string{"low", "medium", "high", "critical"}

func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return severityNames[SeverityCritical]
}

// MarshalText writes the JSON name of the severity.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the JSON name of a severity and refuses any other word.
func (s *Severity) UnmarshalText(b []byte) error {
	i, err := index("severity", severityNames, string(b))
	*s = Severity(i)
	return err
}

// Gates reports whether an unmet control of this severity keeps a host from
// meeting the baseline.
func (s Severity) Gates() bool { return s >= SeverityHigh }

// Profile is what kind of host this is. There is no default: an empty profile
// is refused wherever it matters.
type Profile string

const (
	// Workstation is a county office computer.
	Workstation Profile = "workstation"
	// EMS is an election management system host, air-gapped.
	EMS Profile = "ems"
)

// ParseProfile reads "workstation" or "ems".
func ParseProfile(s string) (Profile, error) {
	switch p := Profile(s); p {
	case Workstation, EMS:
		return p, nil
	}
	return "", fmt.Errorf("profile %q is not known: use workstation or ems", s)
}

// Platform is the operating system family: "windows" or "linux", as in GOOS.
type Platform string

const (
	Windows Platform = "windows"
	Linux   Platform = "linux"
)

// County is a jurisdiction, keyed by its five-digit FIPS code, for example
// "17031". The first two digits are the state. The zero value is no county.
type County string

// ParseCounty checks that s is five digits.
func ParseCounty(s string) (County, error) {
	if len(s) != 5 || strings.Trim(s, "0123456789") != "" {
		return "", fmt.Errorf("county %q is not a five-digit FIPS code, for example 17031", s)
	}
	return County(s), nil
}

// State is the two-digit FIPS code of the county's state, or "" where the
// county is not set.
func (c County) State() string {
	if len(c) < 2 {
		return ""
	}
	return string(c[:2])
}

func index(kind string, names []string, s string) (int, error) {
	for i, n := range names {
		if n == s {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%s %q is not known: use one of %s", kind, s, strings.Join(names, ", "))
}
