package muster

import "time"

// Control is one requirement of the baseline, as its Rego annotations tell it.
// controls.json in a bundle is a list of these.
type Control struct {
	ID    string `json:"id"`    // "MVS-ENC-01"
	Title string `json:"title"` // a sentence that is true when the control passes
	Why   string `json:"why"`
	// Package is the Rego package, for example "muster.controls.enc_01".
	Package   string     `json:"package"`
	Severity  Severity   `json:"severity"`
	Profiles  []Profile  `json:"profiles"`
	Platforms []Platform `json:"platforms"`
	// Facts are required: each entry is met when any one of its names is ok.
	Facts [][]string `json:"facts"`
	// Also names facts that help: without them a violation still fails the
	// control, but the absence of violations is unknown.
	Also []string `json:"also,omitempty"`
	// Lists names the dated lists that the control reads; a missing or stale
	// one makes it unknown.
	Lists []string `json:"lists,omitempty"`
	// Maps standard to requirement ids, for example "cis": ["3.6"].
	Maps   map[string][]string `json:"maps,omitempty"`
	Remedy string              `json:"remedy"`
	// Remedies stand in for Remedy on platforms where it reads differently.
	Remedies map[Platform]string `json:"remedies,omitempty"`
}

// RemedyOn tells what to do on the platform.
func (c Control) RemedyOn(p Platform) string {
	if r := c.Remedies[p]; r != "" {
		return r
	}
	return c.Remedy
}

// StandardName tells which standard a key of Maps stands for; a key that is not
// known is its own name.
func StandardName(key string) string {
	switch key {
	case "cis":
		return "CIS Controls 8.1"
	case "cpg1":
		return "CISA performance goals 1.0.1"
	case "cpg2":
		return "CISA performance goals 2.0"
	case "csf":
		return "NIST Cybersecurity Framework 2.0"
	case "nist":
		return "NIST SP 800-53 r5"
	case "vvsg":
		return "VVSG 2.0"
	case "belfer":
		return "Belfer Center election playbook"
	}
	return key
}

// Violation is one piece of evidence that a control is not met. All three are
// short texts for people.
type Violation struct {
	Subject string `json:"subject" cbor:"1,keyasint"`
	Found   string `json:"found" cbor:"2,keyasint"`
	Want    string `json:"want" cbor:"3,keyasint"`
}

// Finding is a control's outcome on one host. The zero value is unknown.
type Finding struct {
	Control  string   `json:"control"`
	Title    string   `json:"title"`
	Severity Severity `json:"severity"`
	Status   Status   `json:"status"`
	// Waiver that covers a fail or an unknown; nil where none does.
	Waiver *Waiver `json:"waiver"`
	// Reason says why the status is unknown or not applicable; "" otherwise.
	Reason     string      `json:"reason"`
	Violations []Violation `json:"violations"`
	Notes      []string    `json:"notes"`
	Remedy     string      `json:"remedy"`
	// Facts the control asked for, in order.
	Facts []string `json:"facts"`
}

// Waiver is a signed, dated exception that travels in the bundle. After
// Expires the fail is a fail again.
type Waiver struct {
	ID       string    `json:"id"`
	Control  string    `json:"control"`
	County   County    `json:"county,omitempty"` // "" means every county
	Host     HostID    `json:"host,omitempty"`   // "" means every host
	Reason   string    `json:"reason"`
	Approver string    `json:"approver"`
	Approved time.Time `json:"approved"`
	Expires  time.Time `json:"expires"`
}

// WaiverUse counts the fails and unknowns of a control that a waiver excuses, by the
// waiver's id in the reports.
type WaiverUse struct {
	Waiver, Control string
	Findings        int
}

// Covers reports whether the waiver excuses the control on the host at now.
func (w Waiver) Covers(control string, h Host, now time.Time) bool {
	return w.Control == control &&
		(w.County == "" || w.County == h.County) &&
		(w.Host == "" || w.Host == h.ID) &&
		!now.Before(w.Approved) && now.Before(w.Expires)
}
