// Package schedule is when a host is audited by itself: the numbers, for systemd's
// timers and for the loop of the Windows service, which keeps them itself.
package schedule

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

const (
	// Every is the time between two audits.
	Every = time.Hour
	// Splay is how far after the hour the audits of many hosts spread.
	Splay = 15 * time.Minute
	// AfterStart is how long after the computer starts the first audit waits, so
	// that its services have started, and StartSplay how far many hosts then spread.
	AfterStart = 2 * time.Minute
	StartSplay = time.Minute
	// Gap is the least time between two audits, whoever asks: the uplink can ask
	// without end, and each audit is one more report.
	Gap = 5 * time.Minute
	// Look is how often the Windows service looks for a request.
	Look = 3 * time.Second
	// Limit is how long one audit may take before it is ended.
	Limit = 20 * time.Minute
)

// Next is the first planned audit after the last one: once an hour, as long after
// the hour as the host's name gives, and always the same.
func Next(last time.Time, host string) time.Time {
	late := share(host, Splay)
	return last.Add(-late).Truncate(Every).Add(Every + late)
}

// First is when the first audit is due after a start.
func First(start time.Time, host string) time.Time {
	return start.Add(AfterStart + share(host, StartSplay))
}

// share is the part of span that falls to the host.
func share(host string, span time.Duration) time.Duration {
	sum := sha256.Sum256([]byte(host))
	return time.Duration(binary.BigEndian.Uint64(sum[:]) % uint64(span))
}

// Wait is how long an audit has to wait for the gap after the last one; a clock
// that was set back makes nobody wait longer.
func Wait(last, now time.Time) time.Duration {
	since := now.Sub(last)
	if last.IsZero() || since < 0 {
		return 0
	}
	return max(0, Gap-since)
}

// Due reports whether the planned audit is due; also where the clock was set back
// so far that the plan is none any more.
func Due(next, now time.Time) bool { return !now.Before(next) || next.Sub(now) > Every }
