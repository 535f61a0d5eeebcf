package tables

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/passmuster/muster"
)

// State of a host: what its row and its open version hold. Times are in microseconds,
// unless said.
type State struct {
	Host        muster.HostID
	ReplacedAt  int64 // seconds, by the replaced host's clock
	LastVersion int64 // the highest n of its versions, late ones included
	// The newest report, by number; zero before the first.
	Seq         uint64
	Digest      muster.Digest
	FirstSeen   int64
	LastSeen    int64
	CollectedAt int64 // seconds, by the host's clock
	AboutAt     int64
	Received    uint64
	Declared    uint64
	// StaleAt is the first instant at which it is stale.
	StaleAt int64
	// Open is the version that is shown. It is never changed once it is stored.
	Open *Version
}

// Missing counts the reports below the newest that never came nor were declared.
func (s *State) Missing() uint64 {
	if have := s.Received + s.Declared; have < s.Seq {
		return s.Seq - have
	}
	return 0
}

// counted reports whether the host is in any count but that of pending ones.
func (s *State) counted() bool {
	return s.Open.State == muster.HostActive && s.Open.ReplacedBy == ""
}

// Version is a row of versions.
type Version struct {
	Host        muster.HostID
	N           int64
	From, Until int64
	Registration
	Seq                    uint64
	AboutAt                int64
	Late                   bool
	PolicyRevision, Policy string // the latter is the digest
	Summary                muster.Summary
	GateFails              bool
	Changes                int
	Standing
}

// Registration is what a version has of a host that is not from a report, or not
// only.
type Registration struct {
	County     muster.County
	State      muster.HostState
	Profile    muster.Profile
	Platform   muster.Platform
	Hostname   string
	Demo       bool
	Agent      string
	Clone      muster.Clone
	ReplacedBy muster.HostID
}

// Stored is a line of reports.
type Stored struct {
	Host        muster.HostID
	Seq         uint64
	Digest      muster.Digest
	ReceivedAt  int64
	CollectedAt int64 // seconds, by the host's clock
	AboutAt     int64
	// Once it had come: the host's highest number, how many of its reports had come, and
	// how many were missing.
	Newest, Received, Missing uint64
	Version                   int64
	Way                       int
}

// late reports whether one of a higher number had come before.
func (l *Stored) late() bool { return l.Newest != l.Seq }

// Subject is a host of a batch, as it is stored.
type Subject struct {
	State
	// FirstAbout is from when on hindsight shows it. It is needed only of a replaced
	// host.
	FirstAbout int64
	// Lines are the stored reports that the batch needs, in any order: those below the
	// newest that it brings again, and of those that it brings late the one before and
	// the one after. Versions are those that the lines name, without Open.
	Lines    []Stored
	Versions []*Version
}

// Plan is what a transaction writes.
type Plan struct {
	// Results of Commit, one a report.
	Results []muster.Committed
	// Heard and Shown are the hosts that changed; of the former nothing by which lists
	// choose has.
	Heard, Shown []*State
	Closed       []Closing
	Versions     []*Version
	Sets         []*Set // of Versions; they may be stored already
	Reports      []Stored
	Evidence     []Evidence
	Silences     []Silence
	Events       []muster.Event
	Log          []muster.LogEntry
	// Retold are the days from which on hindsight has changed.
	Retold map[muster.County]int64
	// Counties are those of the hosts that changed.
	Counties map[muster.County]bool
	// Matching are hosts whose name, county or counting changed: Match looks which
	// expected hosts they are.
	Matching []*State

	now int64
}

// Closing ends a version that was stored before.
type Closing struct {
	Host     muster.HostID
	N, Until int64
}

// Evidence is a row of evidence.
type Evidence struct {
	Host muster.HostID
	*muster.StoredEnvelope
	Month int // goes before that of the envelope
}

// Silence is a row of silences.
type Silence struct {
	Host        muster.HostID
	From, Until int64
}

func newPlan(now int64) *Plan {
	return &Plan{now: now, Retold: map[muster.County]int64{}, Counties: map[muster.County]bool{}}
}

// subject is a host while its changes are planned.
type subject struct {
	State
	plan  *Plan
	was   State
	stamp int64
	// firstAbout as Subject has it.
	firstAbout int64
	lines      []Stored // by number
	versions   []*Version
}

// subject begins the changes of a host. done ends them.
func (p *Plan) subject(s *Subject) *subject {
	h := &subject{State: s.State, plan: p, was: s.State, firstAbout: s.FirstAbout,
		lines: s.Lines, versions: append(s.Versions, s.Open),
		// A clock that is set back makes no history go back.
		stamp: max(p.now, s.LastSeen, s.Open.From)}
	if s.Seq > 0 {
		h.lines = append(h.lines, Stored{Host: s.Host, Seq: s.Seq, Digest: s.Digest, ReceivedAt: s.LastSeen,
			CollectedAt: s.CollectedAt, AboutAt: s.AboutAt, Newest: s.Seq, Version: s.Open.N})
	}
	slices.SortFunc(h.lines, func(a, b Stored) int { return cmp.Compare(a.Seq, b.Seq) })
	h.lines = slices.CompactFunc(h.lines, func(a, b Stored) bool { return a.Seq == b.Seq })
	return h
}

// Plan tells what to write for the reports, in their order, at the Stamp. It needs the
// subject of each.
func (d *DB) Plan(stamp int64, subjects map[muster.HostID]*Subject, reports []muster.Accepted) (*Plan, error) {
	p := newPlan(stamp)
	hosts := make(map[muster.HostID]*subject, len(subjects))
	order := make([]*subject, 0, len(subjects))
	p.Results = make([]muster.Committed, len(reports))
	for i := range reports {
		a := &reports[i]
		h := hosts[a.Header.Host]
		if h == nil {
			s := subjects[a.Header.Host]
			if s == nil {
				return nil, fmt.Errorf("host %s is not enrolled", a.Header.Host)
			}
			h = p.subject(s)
			hosts[a.Header.Host], order = h, append(order, h)
		}
		var err error
		if p.Results[i], err = h.add(d, a); err != nil {
			return nil, fmt.Errorf("host %s report %d: %w", a.Header.Host, a.Header.Seq, err)
		}
	}
	for _, h := range order {
		h.done()
	}
	p.Sets = p.uniqueSets()
	return p, nil
}

// add plans one report.
func (h *subject) add(d *DB, a *muster.Accepted) (muster.Committed, error) {
	seq := a.Header.Seq
	at, stored := slices.BinarySearchFunc(h.lines, seq, func(l Stored, seq uint64) int { return cmp.Compare(l.Seq, seq) })
	switch {
	case stored && h.lines[at].Digest == a.Envelope.Digest:
		return muster.Committed{Outcome: muster.OutcomeDuplicate, ReceivedAt: clock(h.lines[at].ReceivedAt)}, nil
	case stored:
		h.flag(muster.CloneNumber)
		return muster.Committed{Outcome: muster.OutcomeConflict}, nil
	}
	var before, after *Stored
	if at > 0 {
		before = &h.lines[at-1]
	}
	if at < len(h.lines) {
		after = &h.lines[at]
	}
	line := Stored{Host: h.Host, Seq: seq, Digest: a.Envelope.Digest, ReceivedAt: h.stamp,
		CollectedAt: seconds(a.Header.CollectedAt), AboutAt: h.about(a, before, after), Newest: max(seq, h.Seq)}
	if a.Way == muster.WayCourier {
		line.Way = 1
	}
	var err error
	if line.late() {
		line.Version, err = h.late(d, a, &line, before)
	} else {
		line.Version, err = h.newest(d, a, &line)
	}
	if err != nil {
		return muster.Committed{}, err
	}
	from := uint64(0)
	if before != nil {
		from = before.Seq
	}
	h.Received++
	h.Declared += declared(a.Header.Gap, from, seq)
	line.Received, line.Missing = h.Received, h.Missing()
	h.retell(d, &line, before)
	h.lines = slices.Insert(h.lines, at, line)
	p := h.plan
	p.Reports = append(p.Reports, line)
	e := Evidence{Host: h.Host, StoredEnvelope: &a.Envelope, Month: a.Envelope.Month}
	if e.Month == 0 {
		e.Month = month(clock(h.stamp))
	}
	p.Evidence = append(p.Evidence, e)
	return muster.Committed{Outcome: muster.OutcomeStored, ReceivedAt: clock(h.stamp)}, nil
}

// retell notes from which past day on the report tells more than was known.
func (h *subject) retell(d *DB, line, before *Stored) {
	at := line.AboutAt
	if before != nil && before.Version == line.Version {
		// It says the same: only that the host was heard of is new.
		if before.AboutAt == line.AboutAt {
			return
		}
		at = max(at, before.AboutAt+d.StaleAfter.Of(h.Open.Profile).Microseconds())
	}
	if on := day(at); on < day(h.stamp) {
		h.plan.retold(h.Open.County, on)
	}
}

// about is when a report was made, as far as can be known.
func (h *subject) about(a *muster.Accepted, before, after *Stored) int64 {
	at := min(max(0, micros(a.Header.CollectedAt)), h.stamp)
	if after != nil {
		at = min(at, after.AboutAt)
	}
	if before != nil {
		at = max(at, before.AboutAt)
	}
	return at
}

// declared counts the numbers between two reports that the later one says were dropped.
func declared(gap []muster.SeqRange, from, to uint64) (n uint64) {
	for _, g := range gap {
		first, last := max(g.From, from+1), min(g.To, to-1)
		if first <= last {
			n += last - first + 1
			from = last
		}
	}
	return n
}

// newest takes up a report that is numbered above all others.
func (h *subject) newest(d *DB, a *muster.Accepted, line *Stored) (int64, error) {
	// The next number must follow the report that is kept, or two hosts share a key.
	if h.Seq > 0 && line.Seq == h.Seq+1 && a.Header.Prev != h.Digest {
		h.flag(muster.CloneChain)
	}
	open := h.Open
	verdicts, err := d.pack(open.Set, a.Verdicts)
	if err != nil {
		return 0, err
	}
	replaced := open.ReplacedBy
	if line.CollectedAt > h.ReplacedAt {
		replaced = ""
	}
	if !open.shows(a, verdicts) || replaced != open.ReplacedBy {
		v := h.next()
		v.ReplacedBy = replaced
		v.take(a, verdicts, line, open, h.stamp)
	}
	h.Seq, h.Digest, h.CollectedAt, h.AboutAt = line.Seq, line.Digest, line.CollectedAt, line.AboutAt
	if h.FirstSeen == 0 {
		h.FirstSeen = h.stamp
	}
	h.LastSeen = h.stamp
	h.stale(h.stamp + d.StaleAfter.Of(h.Open.Profile).Microseconds() + 1)
	return h.Open.N, nil
}

// late takes up a report that is numbered below another.
func (h *subject) late(d *DB, a *muster.Accepted, line *Stored, before *Stored) (int64, error) {
	former := &Version{}
	if before != nil {
		i := slices.IndexFunc(h.versions, func(v *Version) bool { return v.N == before.Version })
		if i < 0 {
			return 0, fmt.Errorf("its version %d is not there", before.Version)
		}
		former = h.versions[i]
	}
	verdicts, err := d.pack(former.Set, a.Verdicts)
	if err != nil {
		return 0, err
	}
	if before != nil && former.shows(a, verdicts) {
		return former.N, nil
	}
	v := *h.Open
	h.LastVersion++
	v.N, v.From, v.Until, v.Late = h.LastVersion, h.stamp, h.stamp, true
	v.take(a, verdicts, line, former, h.stamp)
	h.keep(&v)
	return v.N, nil
}

// next begins the version that follows the open one, which ends with it.
func (h *subject) next() *Version {
	if h.Open.N == 0 {
		// A new host has none.
	} else if h.Open.N <= h.was.LastVersion {
		h.plan.Closed = append(h.plan.Closed, Closing{h.Host, h.Open.N, h.stamp})
	} else {
		h.Open.Until = h.stamp
	}
	v := *h.Open
	h.LastVersion++
	v.N, v.From, v.Until, v.Seq, v.Late, v.Changes = h.LastVersion, h.stamp, Open, 0, false, 0
	h.Open = &v
	h.keep(&v)
	return &v
}

func (h *subject) keep(v *Version) {
	h.versions = append(h.versions, v)
	h.plan.Versions = append(h.plan.Versions, v)
}

// revise makes a version where the registration changes.
func (h *subject) revise(r Registration) {
	if r != h.Open.Registration {
		h.next().Registration = r
	}
}

// flag notes and logs the first thing that shows a copy.
func (h *subject) flag(c muster.Clone) {
	if h.Open.Clone != "" {
		return
	}
	h.next().Clone = c
	h.flagged(c)
}

func (h *subject) flagged(c muster.Clone) {
	h.plan.Log = append(h.plan.Log, muster.LogEntry{At: clock(h.stamp), Actor: "host", Action: "flag_clone",
		Object: fmt.Sprintf("%s by its %s", h.Host, c)})
	h.event(muster.EventClone, "another computer may have the key of "+h.name())
}

// stale sets from when on the host is stale, unless it is heard of before. A host that
// is stale now was so until now, whatever it is from now on.
func (h *subject) stale(at int64) {
	switch {
	case h.StaleAt > h.stamp:
		h.StaleAt = max(at, h.stamp)
	case at > h.stamp:
		if h.StaleAt < h.stamp {
			h.plan.Silences = append(h.plan.Silences, Silence{h.Host, h.StaleAt, h.stamp})
			if h.counted() && h.LastSeen == h.stamp {
				h.event(muster.EventReturned, h.name()+" reported again")
			}
		}
		h.StaleAt = at
	}
}

func (h *subject) event(kind, text string) {
	h.plan.Events = append(h.plan.Events, muster.Event{At: clock(h.stamp), Kind: kind, County: h.Open.County, Host: h.Host, Text: text})
}

func (h *subject) name() string {
	if h.Open.Hostname != "" {
		return h.Open.Hostname
	}
	return string(h.Host)
}

// done compares the host with what it was, once for all of its changes.
func (h *subject) done() {
	p, was, is := h.plan, h.was.Open, h.Open
	if h.Seq == h.was.Seq && h.Received == h.was.Received && is == was && h.StaleAt == h.was.StaleAt {
		return
	}
	state := h.State // a copy: a store may remember it, and must not remember all of h
	if h.chosen() == h.was.chosen() {
		p.Heard = append(p.Heard, &state)
	} else {
		p.Shown = append(p.Shown, &state)
	}
	p.Counties[is.County] = true
	counts, counted := h.counted(), h.was.counted()
	if is.County != was.County && was.N > 0 {
		p.Counties[was.County] = true
	}
	if counts && counted && was.Set != nil && is.Summary.MeetsBaseline != was.Summary.MeetsBaseline {
		if is.Summary.MeetsBaseline {
			h.event(muster.EventMeets, h.name()+" meets the baseline now")
		} else {
			h.event(muster.EventFails, h.name()+" does not meet the baseline any more")
		}
	}
	if n := h.Missing(); counts && n > h.was.Missing() {
		h.event(muster.EventGap, fmt.Sprintf("%s: %d of its reports never came and were not declared as dropped", h.name(), n))
	}
	if counts != counted || is.Hostname != was.Hostname || is.County != was.County {
		p.Matching = append(p.Matching, &state)
	}
	if on := day(h.firstAbout); h.firstAbout != 0 && on < day(h.stamp) && (counts != counted || is.State != was.State || is.County != was.County || is.Profile != was.Profile || is.Demo != was.Demo) {
		p.retold(was.County, on)
		p.retold(is.County, on)
	}
}

// chosen is what hosts has of a host beside Heard.
func (s *State) chosen() [8]any {
	v := s.Open
	return [8]any{day(s.StaleAt), s.ReplacedAt, v.County, v.State, v.Profile, v.Clone, v.ReplacedBy, v.Policy}
}

// retold notes that hindsight of the county has changed from the day on.
func (p *Plan) retold(county muster.County, day int64) {
	if was, ok := p.Retold[county]; !ok || day < was {
		p.Retold[county] = day
	}
}

// uniqueSets are those of the versions.
func (p *Plan) uniqueSets() []*Set {
	sets := map[muster.Digest]*Set{}
	for _, v := range p.Versions {
		if v.Set != nil {
			sets[v.Set.Digest] = v.Set
		}
	}
	// In one order, or two transactions could wait for each other.
	return slices.SortedFunc(maps.Values(sets), func(a, b *Set) int { return bytes.Compare(a.Digest[:], b.Digest[:]) })
}
