package storetest

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

// A history is a random past of a few counties: what is done in it is the same for a
// seed, and whatever may befall a fleet does.
type history struct {
	*fixture
	*rand.Rand
	fleet []*member
	model model
}

// A member of the fleet, as it sees itself.
type member struct {
	id       muster.HostID
	said     muster.Enrolled
	saidAt   time.Time
	joined   time.Time
	policy   string
	verdicts []muster.Verdict
	seq      uint64   // the newest that was sent
	holes    []uint64 // numbers below it that were not
	sent     map[uint64]muster.Accepted
}

const (
	someHosts    = 7
	someControls = 6
)

var someCounties = []muster.County{"17001", "17031", "17043"}

func newHistory(f *fixture, seed uint64) *history {
	f.now = time.Date(2026, 9, 20, 8, 0, 0, 0, time.UTC)
	return &history{fixture: f, Rand: rand.New(rand.NewPCG(seed, 5)), model: model{}}
}

// step lets time pass and something happen, a few times; sometimes two things at one
// instant.
func (h *history) step() {
	h.Helper()
	h.pass()
	h.happen()
	for range h.IntN(3) {
		if h.IntN(4) > 0 {
			h.pass()
		}
		h.happen()
	}
}

// pass lets a moment pass, or a night, or so long that hosts fall silent; sometimes
// exactly until midnight, or until one that reported just now is not stale yet.
func (h *history) pass() {
	switch h.IntN(30) {
	case 0:
		h.now = h.now.Truncate(24 * time.Hour).Add(24 * time.Hour)
		return
	case 1:
		h.now = h.now.Add(muster.WorkstationStaleAfter)
		return
	}
	d := []time.Duration{time.Microsecond, time.Second, time.Minute, time.Hour, 12 * time.Hour, 3 * 24 * time.Hour, 9 * 24 * time.Hour}
	i := h.IntN(len(d))
	if h.IntN(6) > 0 {
		i = min(i, 4)
	}
	h.now = h.now.Add(time.Duration(1+h.IntN(3))*d[i] + time.Duration(1+h.IntN(999))*time.Microsecond)
}

func (h *history) happen() {
	h.Helper()
	what := h.IntN(100)
	if len(h.fleet) == 0 || what < 5 && len(h.fleet) < someHosts {
		h.join()
		return
	}
	m := h.fleet[h.IntN(len(h.fleet))]
	switch {
	case what < 11:
		h.speakAnew(m)
	case what < 18:
		h.try(h.approve(m.id))
	case what < 20:
		h.try(h.Retire(h.ctx, m.id, h.entry("retire", m.id)))
	case what < 22:
		must(h.T, h.ClearClone(h.ctx, m.id, h.entry("clear_clone", m.id)))
	case what < 23:
		h.try(h.RequestAudit(h.ctx, m.id, h.entry("request_audit", m.id)))
	case what < 27:
		h.expect()
	case what < 35:
		must(h.T, h.Rollup(h.ctx, h.now.Add(-[]time.Duration{0, time.Second, 2 * time.Minute, 30 * time.Hour}[h.IntN(4)])))
	case what < 36:
		get[int](h.T)(h.Retain(h.ctx, h.now.AddDate(0, -1, 0)))
	case what < 41:
		h.again(m)
	case what < 48:
		h.fillHole(m)
	case what < 56:
		h.courier(m)
	default: // several hosts report at once, or one of them several times
		var reports []muster.Accepted
		for range 1 + h.IntN(3) {
			m = h.fleet[h.IntN(len(h.fleet))]
			reports = append(reports, h.next(m, h.now.Add(-time.Duration(h.IntN(300))*time.Second), h.IntN(2)))
		}
		h.send(muster.OutcomeStored, reports...)
	}
}

// try is content with a host that is not there for this: one that was retired.
func (h *history) try(err error) {
	h.Helper()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.Fatal(err)
	}
}

// join enrolls a host; a few share a machine, so that some replace others.
func (h *history) join() {
	n := len(h.fleet)
	m := &member{id: HostID(n), joined: h.now, policy: "p1", sent: map[uint64]muster.Accepted{}}
	m.said = muster.Enrolled{
		Host: muster.Host{ID: m.id, Hostname: fmt.Sprint("pc", h.IntN(4)), County: someCounties[h.IntN(3)],
			Profile: []muster.Profile{muster.Workstation, muster.EMS}[h.IntN(2)], Platform: muster.Linux, Demo: h.IntN(5) == 0},
		PublicKey: []byte("key of " + m.id), Agent: "1",
		Machine: []string{"", "m1", "m2", fmt.Sprint("own", n)}[h.IntN(4)], Node: []string{"", fmt.Sprint("node", n), "shared"}[h.IntN(3)],
	}
	for i := range someControls {
		m.verdicts = append(m.verdicts, muster.Verdict{Control: fmt.Sprint("C", i), Status: muster.Status(h.IntN(4))})
	}
	h.fleet = append(h.fleet, m)
	h.say(m)
}

func (h *history) say(m *member) {
	m.saidAt = h.now.Truncate(time.Second)
	_, err := h.Enroll(h.ctx, m.said, h.IntN(4) > 0, m.saidAt)
	must(h.T, err)
}

// speakAnew: a host moves, is renamed, or says what it said.
func (h *history) speakAnew(m *member) {
	if !h.now.Truncate(time.Second).After(m.saidAt) {
		return // an older statement moves nothing
	}
	switch h.IntN(5) {
	case 0:
		m.said.County = someCounties[h.IntN(3)]
	case 1:
		m.said.Hostname = fmt.Sprint("PC", h.IntN(4))
	case 2:
		m.said.Node = fmt.Sprint("node", h.IntN(9))
	case 3:
		m.said.Profile = []muster.Profile{muster.Workstation, muster.EMS}[h.IntN(2)]
	}
	h.say(m)
}

func (h *history) expect() {
	var list []muster.ExpectedHost
	for i := range 5 {
		if h.IntN(2) == 0 {
			list = append(list, muster.ExpectedHost{Name: fmt.Sprint("pc", i), Note: fmt.Sprint(h.IntN(2))})
		}
	}
	county := someCounties[h.IntN(3)]
	must(h.T, h.Expect(h.ctx, county, list, h.entry("expect_hosts", county)))
}

// next makes the report that follows, with some verdicts changed. Sometimes it jumps a
// number or more, and says so or does not.
func (h *history) next(m *member, madeAt time.Time, changes int) muster.Accepted {
	m.seq++
	var gap []muster.SeqRange
	if h.IntN(6) == 0 {
		from, declared := m.seq, h.IntN(2) == 0
		m.seq += uint64(1 + h.IntN(3))
		if declared {
			gap = []muster.SeqRange{{From: from, To: m.seq - 1}}
		} else {
			for s := from; s < m.seq; s++ {
				m.holes = append(m.holes, s)
			}
		}
	}
	if h.IntN(15) == 0 {
		m.policy = fmt.Sprint("p", 1+h.IntN(3))
	}
	m.verdicts = slices.Clone(m.verdicts)
	for range changes * h.IntN(3) {
		v := &m.verdicts[h.IntN(len(m.verdicts))]
		v.Status, v.Waiver = muster.Status(h.IntN(4)), ""
		if h.IntN(3) == 0 {
			v.Waiver = fmt.Sprint("W", h.IntN(2))
		}
	}
	a := h.make(m, m.seq, madeAt)
	a.Header.Gap = gap
	return a
}

// make makes a report of what the host finds now; each policy leaves a control out.
func (h *history) make(m *member, seq uint64, madeAt time.Time) muster.Accepted {
	a := h.report(m.id, seq)
	a.Header.CollectedAt = madeAt.Truncate(time.Second)
	a.Header.Hostname, a.Header.PolicyDigest, a.Header.PolicyRevision = m.said.Hostname, m.policy, "of "+m.policy
	if h.IntN(40) == 0 && seq > 1 {
		a.Header.Prev[0]++
	}
	var findings []muster.Finding
	for i, v := range m.verdicts {
		if m.policy == fmt.Sprint("p", 1+i) {
			continue
		}
		finding := muster.Finding{Status: v.Status, Severity: severityOf(v.Control)}
		if v.Waiver != "" {
			finding.Waiver = &muster.Waiver{}
		}
		a.GateFails = a.GateFails || v.Status == fail && v.Waiver == "" && finding.Severity.Gates()
		a.Verdicts, findings = append(a.Verdicts, v), append(findings, finding)
	}
	a.Summary = muster.Summarize(findings)
	return a
}

func (h *history) send(want muster.StoreOutcome, reports ...muster.Accepted) {
	h.Helper()
	for i, c := range h.commit(want, reports...) {
		if a := reports[i]; c.Outcome == muster.OutcomeStored {
			h.model.take(a, c.ReceivedAt)
			h.fleet[slices.IndexFunc(h.fleet, func(m *member) bool { return m.id == a.Header.Host })].sent[a.Header.Seq] = a
		}
	}
}

// again sends a report twice, or another one with its number.
func (h *history) again(m *member) {
	if m.sent[m.seq].Header.Seq == 0 {
		return
	}
	a := m.sent[m.seq]
	if h.IntN(3) > 0 {
		h.send(muster.OutcomeDuplicate, a)
		return
	}
	a.Envelope.Digest[0]++
	h.send(muster.OutcomeConflict, a)
}

// fillHole sends a report that was overtaken.
func (h *history) fillHole(m *member) {
	if len(m.holes) == 0 {
		return
	}
	i := h.IntN(len(m.holes))
	seq := m.holes[i]
	m.holes = slices.Delete(m.holes, i, i+1)
	was := m.verdicts
	m.verdicts = slices.Clone(was)
	m.verdicts[h.IntN(len(was))].Status = muster.Status(h.IntN(4))
	a := h.make(m, seq, h.now.Add(-time.Duration(h.IntN(40*24))*time.Hour))
	m.verdicts = was
	h.send(muster.OutcomeStored, a)
}

// courier brings a box of reports that are weeks old, not always in order.
func (h *history) courier(m *member) {
	madeAt := h.now.Add(-time.Duration(h.IntN([]int{3, 30}[h.IntN(2)]*24)) * time.Hour)
	var reports []muster.Accepted
	for range 2 + h.IntN(4) {
		a := h.next(m, madeAt, h.IntN(2))
		a.Way = muster.WayCourier
		reports = append(reports, a)
		madeAt = madeAt.Add(time.Duration(h.IntN(48)) * time.Hour)
	}
	if h.IntN(3) == 0 {
		h.Shuffle(len(reports), func(i, j int) { reports[i], reports[j] = reports[j], reports[i] })
	}
	h.send(muster.OutcomeStored, reports...)
}
