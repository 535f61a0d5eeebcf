package muster

import "time"

// Upload is what became of the sealed files that a person sent at once.
type Upload struct {
	At    time.Time    `json:"at"` // by the collector's clock
	Files []SealedFile `json:"files"`
}

// SealedFile is what became of one sealed file, and of the reports in it.
type SealedFile struct {
	Name string `json:"name"` // as it was sent
	// Host whose reports it holds, and whether the collector believes that host; "" where
	// the file could not be opened.
	Host  HostID    `json:"host,omitempty"`
	State HostState `json:"state,omitempty"`
	// Problem with the whole file, by a stable code or UploadEnded, and for people; ""
	// where nothing was wrong. What is in Fates was taken all the same.
	Problem string `json:"problem,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Reports that it was to hold, and what became of those that were whole.
	Reports int          `json:"reports,omitempty"`
	Fates   []ReportFate `json:"fates,omitempty"`
	// Policy: the return file brings a new one.
	Policy bool `json:"policy,omitempty"`
	// Return names the return file for whoever sent this; "" where there is none.
	Return string `json:"return,omitempty"`
}

// UploadEnded is the Problem of an Upload of which the rest did not come.
const UploadEnded = "upload_ended"

// Got is how many reports were whole.
func (f *SealedFile) Got() (n int) {
	for _, fate := range f.Fates {
		n += fate.Reports
	}
	return n
}

// ReportFate is what became of some reports of a file, by a stable code.
type ReportFate struct {
	Code    string `json:"code"`
	Reason  string `json:"reason,omitempty"` // of the first, where it was refused
	Reports int    `json:"reports"`
	// Ranges of their numbers, from the one to the other, in the file's order; the
	// first MaxRanges.
	Ranges [][2]uint64 `json:"ranges"`
}

// MaxRanges bounds the Ranges of a ReportFate.
const MaxRanges = 20

// Fate counts a report that follows those before.
func (f *SealedFile) Fate(seq uint64, code, reason string) {
	i := 0
	for ; i < len(f.Fates) && f.Fates[i].Code != code; i++ {
	}
	if i == len(f.Fates) {
		f.Fates = append(f.Fates, ReportFate{Code: code, Reason: reason})
	}
	fate := &f.Fates[i]
	fate.Reports++
	if n := len(fate.Ranges); n > 0 && fate.Ranges[n-1][1]+1 == seq {
		fate.Ranges[n-1][1] = seq
	} else if n < MaxRanges {
		fate.Ranges = append(fate.Ranges, [2]uint64{seq, seq})
	}
}
