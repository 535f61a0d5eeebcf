// Package problem is how every HTTP answer of the collector says that something is
// wrong: problem+json (RFC 9457) with a code that stays.
package problem

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
)

// Type is the media type of the answer.
const Type = "application/problem+json"

// Who is turned away for want of room is told to wait for so long: at random, so that
// those that came together do not come back together.
const (
	retryLeast = 5 // seconds
	retryMost  = 15
)

// Problem is the answer.
type Problem struct {
	// Title is the name of the HTTP status.
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Code is a stable word for programs.
	Code string `json:"code"`
	// Detail is a sentence for people; it may change.
	Detail string `json:"detail,omitempty"`
}

// Write answers with a problem. code is stable, detail is for people.
func Write(w http.ResponseWriter, status int, code, detail string) {
	b, err := json.Marshal(Problem{http.StatusText(status), status, code, detail})
	if err != nil {
		status = http.StatusInternalServerError
	}
	h := w.Header()
	h.Set("Content-Type", Type)
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(retryLeast+rand.IntN(retryMost-retryLeast+1)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that has gone needs no answer
}
