package muster

import "time"

// Attestation is a person's dated word for what no computer can show, such as
// that a restore was tested. It travels in the signed bundle.
type Attestation struct {
	ID     string `json:"id"`
	Claim  string `json:"claim"`            // "restore_tested"
	County County `json:"county,omitempty"` // "" means every county
	Host   HostID `json:"host,omitempty"`   // "" means every host
	// On is the day on which it was so, and By who says it.
	On time.Time `json:"on"`
	By string    `json:"by"`
	// Until is the day from which the word counts no more.
	Until time.Time `json:"until"`
	Note  string    `json:"note,omitempty"`
}

// Covers reports whether the attestation speaks for the host at now.
func (a Attestation) Covers(h Host, now time.Time) bool {
	return (a.County == "" || a.County == h.County) &&
		(a.Host == "" || a.Host == h.ID) &&
		!now.Before(a.On) && now.Before(a.Until)
}
