package tables

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// memory is what a store keeps of one host, written as the plans say.
type memory struct {
	testing.TB
	now      time.Time
	state    State
	lines    map[uint64]Stored
	verdicts map[uint64][]muster.Verdict // of the stored reports
	versions map[int64]*Version
	silences []Silence
	events   []string
}

const hostOfTest = muster.HostID("haaaaaaaaaaaaaaaaaaaaaaaaaa")

func newMemory(t testing.TB) *memory {
	m := &memory{TB: t, now: time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC),
		lines: map[uint64]Stored{}, verdicts: map[uint64][]muster.Verdict{}, versions: map[int64]*Version{}}
	v := &Version{Host: hostOfTest, N: 1, From: micros(m.now), Until: Open, Registration: Registration{County: "17031",
		State: muster.HostActive, Profile: muster.Workstation, Hostname: "pc", Agent: "1"}}
	m.versions[1] = v
	m.state = State{Host: hostOfTest, LastVersion: 1, Open: v, StaleAt: micros(m.now.Add(muster.WorkstationStaleAfter)) + 1}
	return m
}

// commit plans the reports and takes up what is planned.
func (m *memory) commit(reports ...muster.Accepted) *Plan {
	m.Helper()
	d := &DB{Options: store.Options{Now: func() time.Time { return m.now }}}
	s := &Subject{State: m.state, Lines: slices.Collect(maps.Values(m.lines)), Versions: slices.Collect(maps.Values(m.versions))}
	p, err := d.Plan(d.stamp(), map[muster.HostID]*Subject{hostOfTest: s}, reports)
	if err != nil {
		m.Fatal(err)
	}
	for _, c := range p.Closed {
		v := *m.versions[c.N] // those that are stored are never changed but here
		if v.Until != Open {
			m.Fatalf("version %d ends twice", c.N)
		}
		v.Until = c.Until
		m.versions[c.N] = &v
	}
	for _, v := range p.Versions {
		if m.versions[v.N] != nil {
			m.Fatalf("version %d is written twice", v.N)
		}
		m.versions[v.N] = v
	}
	for i, r := range p.Reports {
		if _, there := m.lines[r.Seq]; there {
			m.Fatalf("report %d is stored twice", r.Seq)
		}
		m.lines[r.Seq] = r
		if p.Evidence[i].Seq != r.Seq {
			m.Fatalf("the evidence of report %d is that of %d", r.Seq, p.Evidence[i].Seq)
		}
	}
	for i, c := range p.Results {
		if c.Outcome == muster.OutcomeStored {
			m.verdicts[reports[i].Header.Seq] = reports[i].Verdicts
		}
	}
	for _, s := range slices.Concat(p.Heard, p.Shown) {
		m.state = *s
	}
	m.silences = append(m.silences, p.Silences...)
	m.events = m.events[:0]
	for _, e := range p.Events {
		m.events = append(m.events, e.Kind)
	}
	return p
}

// report of the host, numbered seq, made at made: a status for each of C1, C2, …
func (m *memory) report(seq uint64, made time.Time, statuses ...muster.Status) muster.Accepted {
	a := muster.Accepted{
		Header:   muster.Header{Host: hostOfTest, Seq: seq, Hostname: "pc", Agent: "1", CollectedAt: made},
		Envelope: muster.StoredEnvelope{Seq: seq, Digest: muster.Digest{byte(seq), byte(seq >> 8)}},
	}
	if seq > 1 {
		a.Header.Prev = muster.Digest{byte(seq - 1), byte((seq - 1) >> 8)}
	}
	var findings []muster.Finding
	for i, s := range statuses {
		a.Verdicts = append(a.Verdicts, muster.Verdict{Control: fmt.Sprint("C", i+1), Status: s})
		findings = append(findings, muster.Finding{Status: s, Severity: muster.SeverityHigh})
	}
	a.Summary = muster.Summarize(findings)
	return a
}

const (
	pass = muster.StatusPass
	fail = muster.StatusFail
)

// check holds the host against what is true of every history.
func (m *memory) check() {
	m.Helper()
	var newest uint64
	if len(m.lines) > 0 {
		newest = slices.Max(slices.Collect(maps.Keys(m.lines)))
	}
	if m.state.Seq != newest || m.state.Received != uint64(len(m.lines)) {
		m.Fatalf("%d reports up to %d, but the host has %d up to %d", len(m.lines), newest, m.state.Received, m.state.Seq)
	}
	var about int64
	for _, seq := range slices.Sorted(maps.Keys(m.lines)) {
		l := m.lines[seq]
		if l.AboutAt < about || l.AboutAt > l.ReceivedAt {
			m.Fatalf("report %d is about %d, the one before about %d, and it came at %d", seq, l.AboutAt, about, l.ReceivedAt)
		}
		about = l.AboutAt
		v := m.versions[l.Version]
		if v == nil {
			m.Fatalf("report %d names version %d, which is not there", seq, l.Version)
		}
		m.same(fmt.Sprint("report ", seq), v, m.verdicts[seq])
	}
	if newest > 0 {
		m.same("the open version", m.state.Open, m.verdicts[newest])
	}
	// What is shown follows one upon another without a hole.
	var end int64
	for _, n := range slices.Sorted(maps.Keys(m.versions)) {
		v := m.versions[n]
		switch {
		case v.Late && v.From != v.Until:
			m.Fatalf("version %d came late and is shown", n)
		case v.Late:
			continue
		case end != 0 && v.From != end:
			m.Fatalf("version %d begins at %d, and the one before ends at %d", n, v.From, end)
		}
		end = v.Until
	}
	if end != Open || m.versions[m.state.Open.N].Until != Open {
		m.Fatalf("no version is open")
	}
	for i, s := range m.silences {
		if s.From >= s.Until || i > 0 && s.From < m.silences[i-1].Until {
			m.Fatalf("silences: %+v", m.silences)
		}
	}
}

func (m *memory) same(what string, v *Version, want []muster.Verdict) {
	m.Helper()
	if v.Set == nil || len(v.Set.Controls) != len(want) || len(v.Since) != sinceSize*len(want) {
		m.Fatalf("%s: version %d has %v, want %v", what, v.N, v.Standing, want)
	}
	for i, w := range want {
		if v.Set.Controls[i] != w.Control || statusOf(v.Statuses[i]) != w.Status {
			m.Fatalf("%s: control %s is %d, want %d", what, v.Set.Controls[i], v.Statuses[i], w.Status)
		}
	}
}

func TestUnchangedReportsMakeNoVersion(t *testing.T) {
	m := newMemory(t)
	m.commit(m.report(1, m.now, pass, fail))
	m.now = m.now.Add(time.Hour)
	if p := m.commit(m.report(2, m.now, pass, fail)); len(p.Versions) != 0 || len(p.Heard) != 1 || len(p.Reports) != 1 {
		t.Errorf("planned %+v", p)
	}
	m.check()
	waived := m.report(3, m.now, pass, fail)
	waived.Verdicts[1].Waiver = "W1"
	if p := m.commit(waived); len(p.Versions) != 1 || p.Versions[0].Changes != 0 || p.Versions[0].Waivers != "1 W1" {
		t.Errorf("a waiver shows and is no change: %+v", p.Versions)
	}
	m.check()
}

// Several reports of one commit: those between are shown at no instant.
func TestOneCommit(t *testing.T) {
	m := newMemory(t)
	start := m.now
	m.now = m.now.Add(30 * 24 * time.Hour)
	p := m.commit(m.report(1, start.Add(time.Hour), pass), m.report(2, start.Add(2*time.Hour), fail), m.report(3, start.Add(3*time.Hour), pass))
	m.check()
	if len(p.Versions) != 3 || p.Versions[0].From != p.Versions[0].Until || p.Versions[2].Until != Open {
		t.Errorf("versions: %+v", p.Versions)
	}
	if p.Retold["17031"] != day(micros(start)) {
		t.Errorf("retold: %v", p.Retold)
	}
	if len(m.silences) != 1 || m.silences[0].From != micros(start.Add(muster.WorkstationStaleAfter))+1 || m.silences[0].Until != micros(m.now) {
		t.Errorf("silences: %+v", m.silences)
	}
	if !slices.Equal(m.events, []string{muster.EventReturned}) {
		t.Errorf("events: %q", m.events)
	}
}

func TestEvents(t *testing.T) {
	m := newMemory(t)
	for _, c := range []struct {
		seq    uint64
		status muster.Status
		gap    []muster.SeqRange
		want   []string
	}{
		{seq: 1, status: fail},
		{seq: 2, status: pass, want: []string{muster.EventMeets}},
		{seq: 3, status: fail, want: []string{muster.EventFails}},
		{seq: 6, status: fail, gap: []muster.SeqRange{{From: 4, To: 5}}},
		{seq: 9, status: fail, gap: []muster.SeqRange{{From: 1, To: 7}}, want: []string{muster.EventGap}},
		{seq: 8, status: fail}, // it came after all
	} {
		r := m.report(c.seq, m.now, c.status)
		r.Header.Gap = c.gap
		if c.seq == 9 || c.seq == 6 {
			r.Header.Prev = muster.Digest{1}
		}
		m.commit(r)
		if !slices.Equal(m.events, c.want) {
			t.Errorf("report %d: events %q, want %q", c.seq, m.events, c.want)
		}
		m.now = m.now.Add(time.Minute)
	}
	if m.state.Missing() != 0 {
		t.Errorf("%d are missing", m.state.Missing())
	}
	m.check()
}

func TestDeclared(t *testing.T) {
	for _, c := range []struct {
		gap      []muster.SeqRange
		from, to uint64
		want     uint64
	}{
		{nil, 1, 9, 0},
		{[]muster.SeqRange{{From: 2, To: 3}, {From: 5, To: 5}}, 1, 9, 3},
		{[]muster.SeqRange{{From: 0, To: 1<<64 - 1}}, 1, 9, 7},
		{[]muster.SeqRange{{From: 2, To: 5}, {From: 3, To: 4}, {From: 2, To: 5}}, 1, 9, 4},
		{[]muster.SeqRange{{From: 5, To: 2}}, 1, 9, 0},
		{[]muster.SeqRange{{From: 1, To: 9}}, 3, 4, 0},
	} {
		if got := declared(c.gap, c.from, c.to); got != c.want {
			t.Errorf("%v between %d and %d: %d, want %d", c.gap, c.from, c.to, got, c.want)
		}
	}
}

// A control that is removed and one that comes: the others keep since when they are so.
func TestControlsChange(t *testing.T) {
	m := newMemory(t)
	m.commit(m.report(1, m.now, pass, fail, pass))
	began := m.now
	m.now = m.now.Add(time.Hour)
	r := m.report(2, m.now, pass, pass)
	r.Verdicts[0].Control, r.Verdicts[1].Control = "C3", "C9"
	p := m.commit(r)
	if v := p.Versions[0]; v.Changes != 2 || string(v.Since[:4]) != string(m.versions[2].Since[:4]) || string(v.Since[8:12]) == string(v.Since[:4]) {
		t.Errorf("since %s: %+v", began, v)
	}
	m.check()
}

// FuzzPlan: whatever is reported, in whatever order and however it is cut into commits,
// the history is whole, and the newest report by number is what shows.
func FuzzPlan(f *testing.F) {
	f.Add([]byte{1, 0, 2, 1, 3, 2, 0x82, 1, 2, 1, 0x45, 9, 4, 3})
	f.Add([]byte{0x89, 200, 8, 255, 7, 0, 0x88, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMemory(t)
		var batch []muster.Accepted
		for len(b) >= 2 && len(m.lines) < 64 {
			how, what := b[0], b[1]
			b = b[2:]
			seq := uint64(how&0x1f) + 1
			made := m.now.Add(time.Duration(int(what)-128) * 6 * time.Hour)
			statuses := []muster.Status{muster.Status(what & 3), muster.Status(what >> 2 & 3), muster.Status(what >> 4 & 3)}[:1+what%3]
			r := m.report(seq, made, statuses...)
			if how&0x20 != 0 {
				r.Envelope.Digest[31] = what // perhaps another report of that number
			}
			batch = append(batch, r)
			if how&0x40 != 0 {
				m.now = m.now.Add(time.Duration(what) * time.Hour)
			}
			if how&0x80 != 0 {
				m.commit(batch...)
				m.check()
				batch = nil
			}
		}
		m.commit(batch...)
		m.check()
		again := m.commit(batch...)
		for i, c := range again.Results {
			if c.Outcome == muster.OutcomeStored {
				t.Fatalf("report %d is stored again", batch[i].Header.Seq)
			}
		}
	})
}

// What a late report retells, hindsight has not told yet.
func TestRetold(t *testing.T) {
	const dayLong = 24 * time.Hour
	m := newMemory(t)
	start := m.now
	for _, c := range []struct {
		what  string
		after time.Duration // since the start, it comes
		made  time.Duration
		seq   uint64
		is    muster.Status
		day   int // since the start; -1: nothing is retold
	}{
		{"at once", 0, 0, 1, pass, -1},
		{"the same, late in the evening, after midnight", 13 * time.Hour, 11 * time.Hour, 2, pass, -1},
		{"another status", 37 * time.Hour, 35 * time.Hour, 3, fail, 1},
		{"the same after long silence", 30 * dayLong, 20 * dayLong, 4, fail, 20},
		{"the same, of a clock that stands still", 40 * dayLong, 20 * dayLong, 5, fail, -1},
		{"a stick that was forgotten", 41 * dayLong, 35 * dayLong, 9, pass, 35},
		{"one before it", 42 * dayLong, 34 * dayLong, 8, pass, 34},
	} {
		m.now = start.Add(c.after)
		p := m.commit(m.report(c.seq, start.Add(c.made), c.is))
		m.check()
		got, ok := p.Retold["17031"]
		if want := day(micros(start)) + int64(c.day); ok != (c.day >= 0) || ok && got != want {
			t.Errorf("%s: retold from day %d on (%v), want %d", c.what, got-day(micros(start)), ok, c.day)
		}
	}
}

// Two commits that bring the same new policies write their control sets in one order.
func TestSetsInOrder(t *testing.T) {
	p := &Plan{}
	for n := range byte(16) {
		p.Versions = append(p.Versions, &Version{Standing: Standing{Set: &Set{Digest: muster.Digest{n * 37}}}})
	}
	if sets := p.uniqueSets(); len(sets) != 16 || !slices.IsSortedFunc(sets, func(a, b *Set) int { return bytes.Compare(a.Digest[:], b.Digest[:]) }) {
		t.Errorf("%d sets, not in the order of their digests", len(sets))
	}
}
