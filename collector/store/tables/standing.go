package tables

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
)

// Set is a row of control_sets.
type Set struct {
	Digest   muster.Digest
	Controls []string
}

// parseSet reads the controls of a row of control_sets.
func parseSet(digest muster.Digest, controls string) *Set {
	s := &Set{Digest: digest}
	if controls != "" {
		s.Controls = strings.Split(controls, "\n")
	}
	return s
}

// String is the list as the row has it.
func (s *Set) String() string { return strings.Join(s.Controls, "\n") }

// has reports whether the verdicts are of these controls, in this order.
func (s *Set) has(verdicts []muster.Verdict) bool {
	if s == nil || len(s.Controls) != len(verdicts) {
		return false
	}
	for i := range verdicts {
		if s.Controls[i] != verdicts[i].Control {
			return false
		}
	}
	return true
}

// Standing is what a version has of each control of its set. The zero value is that of
// a host before its first report.
type Standing struct {
	Set      *Set
	Statuses []byte // a byte each, see status
	Since    []byte // sinceSize each
	Waivers  string
}

const (
	// waivedBit marks a waived fail or unknown.
	waivedBit = 4
	// sinceSize is that of two big-endian 32-bit numbers of seconds: since when by the
	// collector's clock, and by about_at.
	sinceSize = 8
)

// statusOf is the status in a byte of Standing.Statuses.
func statusOf(b byte) muster.Status { return muster.Status(b &^ waivedBit) }

// pack gives the standing of the verdicts, without Since. was is a set that they
// probably have.
func (d *DB) pack(was *Set, verdicts []muster.Verdict) (s Standing, err error) {
	s.Set, s.Statuses = was, make([]byte, len(verdicts))
	var waivers []byte
	for i := range verdicts {
		v := &verdicts[i]
		s.Statuses[i] = byte(v.Status)
		if v.Waiver == "" {
			continue
		}
		if strings.Contains(v.Waiver, "\n") {
			return s, fmt.Errorf("waiver id %q has two lines", v.Waiver)
		}
		if v.Status == muster.StatusFail || v.Status == muster.StatusUnknown {
			s.Statuses[i] |= waivedBit
		}
		if waivers != nil {
			waivers = append(waivers, '\n')
		}
		waivers = append(append(strconv.AppendInt(waivers, int64(i), 10), ' '), v.Waiver...)
	}
	s.Waivers = string(waivers)
	if was.has(verdicts) {
		return s, nil
	}
	set := &Set{Controls: make([]string, len(verdicts))}
	for i := range verdicts {
		if c := verdicts[i].Control; c == "" || strings.Contains(c, "\n") {
			return s, fmt.Errorf("control id %q is empty or has two lines", c)
		}
		set.Controls[i] = verdicts[i].Control
	}
	set.Digest = sha256.Sum256([]byte(set.String()))
	s.Set = d.sets.keep(set)
	return s, nil
}

// shows reports whether the version shows all that the report would make it show.
func (v *Version) shows(a *muster.Accepted, s Standing) bool {
	h := &a.Header
	return v.Set != nil && v.Set.Digest == s.Set.Digest && string(v.Statuses) == string(s.Statuses) && v.Waivers == s.Waivers &&
		v.Summary == a.Summary && v.GateFails == a.GateFails &&
		v.Hostname == h.Hostname && v.Agent == h.Agent && v.PolicyRevision == h.PolicyRevision && v.Policy == h.PolicyDigest
}

// take makes the version show the report, which came at stamp. former is that of the
// report before it in number.
func (v *Version) take(a *muster.Accepted, s Standing, line *Stored, former *Version, stamp int64) {
	h := &a.Header
	v.Seq, v.AboutAt, v.Hostname, v.Agent = line.Seq, line.AboutAt, h.Hostname, h.Agent
	v.PolicyRevision, v.Policy = h.PolicyRevision, h.PolicyDigest
	v.Summary, v.GateFails = a.Summary, a.GateFails
	v.Standing = s
	v.Since, v.Changes = since(&former.Standing, &s, stamp, line.AboutAt)
}

// since carries over when each status began, and counts those that changed and were
// there before.
func since(was, is *Standing, stamp, about int64) (out []byte, changes int) {
	out = make([]byte, 0, len(is.Statuses)*sinceSize)
	begin := binary.BigEndian.AppendUint32(nil, uint32(stamp/1e6))
	begin = binary.BigEndian.AppendUint32(begin, uint32(about/1e6))
	same := was.Set != nil && was.Set.Digest == is.Set.Digest
	index := map[string]int{} // of the controls that were there, where the sets differ
	if was.Set != nil && !same {
		for i, c := range was.Set.Controls {
			index[c] = i
		}
	}
	for i := range is.Statuses {
		j, there := i, same
		if !same {
			j, there = index[is.Set.Controls[i]]
			delete(index, is.Set.Controls[i])
		}
		switch {
		case !there:
			out = append(out, begin...)
		case statusOf(was.Statuses[j]) != statusOf(is.Statuses[i]):
			changes++
			out = append(out, begin...)
		default:
			out = append(out, was.Since[j*sinceSize:(j+1)*sinceSize]...)
		}
	}
	for _, j := range index { // what is left was removed
		if statusOf(was.Statuses[j]) != muster.StatusNotApplicable {
			changes++
		}
	}
	return out, changes
}
