package muster

import "time"

// FactStatus says how the asking of one fact ended. The zero value is
// FactUnavailable: a fact that was never asked is not there.
// JSON: "unavailable", "ok", "denied", "error", "timeout".
type FactStatus uint8

// Do not reorder: the numbers travel in reports.
const (
	// FactUnavailable: no engine here has the table.
	FactUnavailable FactStatus = iota
	// FactOK: the rows are what the host says, possibly none.
	FactOK
	// FactDenied: the reading needs rights that this process lacks.
	FactDenied
	// FactError: the statement or the table failed.
	FactError
	// FactTimeout: the answer did not come in time.
	FactTimeout
)

var factStatusNames = []string{"unavailable", "ok", "denied", "error", "timeout"}

func (s FactStatus) String() string {
	if int(s) < len(factStatusNames) {
		return factStatusNames[s]
	}
	return factStatusNames[FactUnavailable]
}

// MarshalText writes the JSON name of the status.
func (s FactStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the JSON name of a status and refuses any other word.
func (s *FactStatus) UnmarshalText(b []byte) error {
	i, err := index("fact status", factStatusNames, string(b))
	*s = FactStatus(i)
	return err
}

// Fact is a named question in SQL over osquery's tables, one statement per
// platform. A platform without a statement does not have the fact.
type Fact struct {
	Name string              `json:"name"`
	SQL  map[Platform]string `json:"sql"`
}

// Row is one row of an answer: column name to value, every value a string,
// as osquery gives them. NULL is "".
type Row map[string]string

// FactResult is the answer to one fact on one host.
type FactResult struct {
	Name   string     `json:"name"`
	Status FactStatus `json:"status"`
	// Reason says in one sentence why the status is not ok; "" where it is.
	Reason string `json:"reason,omitempty"`
	// Engine that answered: "builtin", "osquery" or "recorded"; "" where none did.
	Engine   string        `json:"engine,omitempty"`
	Rows     []Row         `json:"rows,omitempty"`
	Duration time.Duration `json:"-"`
}
