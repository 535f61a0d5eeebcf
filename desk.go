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

// AskQuery chooses requests for waivers, a page of them, the newest first.
type AskQuery struct {
	County  County // "" means every county
	Control string // "" means every control
	// Host: only those for it and those for all of a county; "" means any.
	Host HostID
	// Open: only those without an answer, the oldest first. Answered: only the others.
	Open, Answered bool
	// After is the Next of the page before; Limit 0 means all.
	After int64
	Limit int
}

// AskPage is a page of requests for waivers.
type AskPage struct {
	Asks []Ask
	// Total counts those of all pages. Next is 0 at the end.
	Total int
	Next  int64
}

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
