package muster

import "time"

// Contact is a person or a desk of a county, for whoever must call it.
type Contact struct {
	Name  string `json:"name"`
	Duty  string `json:"duty,omitempty"` // "election administrator", "IT contractor, weekdays"
	Phone string `json:"phone,omitempty"`
	Email string `json:"email,omitempty"`
}

// AskState is what became of an Ask.
type AskState string

const (
	AskOpen     AskState = "open"
	AskGranted  AskState = "granted"  // it takes effect with the policy that holds the waiver
	AskDeclined AskState = "declined" // and why is in Answer
)

// Ask is a request for a waiver. It excuses nothing: only a waiver in a signed policy
// does.
type Ask struct {
	ID     int64  `json:"id"`
	County County `json:"county"`
	// Host that it is for; "" for every host of the county.
	Host    HostID `json:"host,omitempty"`
	Control string `json:"control"`
	Reason  string `json:"reason"`
	// Until is the last day that it is asked for, UTC.
	Until time.Time `json:"until"`
	// By and At: who asked, and when by the collector's clock.
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	State AskState  `json:"state"`
	// Answer of AnsweredBy, a sentence; empty and zero while it is open.
	Answer     string    `json:"answer,omitempty"`
	AnsweredBy string    `json:"answered_by,omitempty"`
	AnsweredAt time.Time `json:"answered_at,omitzero"`
}
