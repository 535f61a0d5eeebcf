package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

const (
	counties = 102 // as many as Illinois has
	dayLong  = 24 * time.Hour
	// Of the history: one host in ten is on courier, one in thirty was silent for weeks at
	// some time, one in fifty still is; a report in ten differs from the one before.
	courierEvery, silentEvery, goneEvery, changeEvery = 10, 30, 50, 10
	courierDays                                       = 30
)

// history is a state's: every host reports once a day. It gives the rows of a store.
type history struct {
	hosts, days int
	start       time.Time // a midnight
	set         []byte
	ids         []muster.HostID
	sums        [2][]sum // by knowledge: county × instant
	published   []store.Row
}

// apart is how far the roll-ups are from each other that a store keeps for ever, by
// knowledge.
var apart = [2]time.Duration{6 * time.Hour, dayLong}

// instants are how many of them there are, and at the end of each.
func (h *history) instants(k int) int { return h.days * int(dayLong/apart[k]) }
func (h *history) at(k, i int) int64 {
	return h.start.Add(time.Duration(i+1)*apart[k]).UnixMicro() - 1
}

// sum is a county at an instant.
type sum struct {
	hosts, meeting, failing, unknown, stale int
	controls                                [controls][4]int32
	quiet                                   []string // in hindsight
}

func newHistory(hosts, days int) (h *history, err error) {
	h = &history{hosts: hosts, days: days, start: time.Date(2025, 10, 1, 0, 0, 0, 0, time.UTC)}
	names := make([]string, controls)
	for i := range names {
		names[i] = control(i)
	}
	set := sha256.Sum256([]byte(strings.Join(names, "\n")))
	h.set = set[:]
	for n := range hosts {
		h.ids = append(h.ids, muster.NewHostID(fmt.Append(nil, "load ", n)))
	}
	slices.Sort(h.ids) // as the tables are, which makes them sooner
	for k := range h.sums {
		h.sums[k] = make([]sum, counties*h.instants(k))
	}
	h.published, err = h.releases()
	return h, err
}

// now is when it ends: the morning after the last day.
func (h *history) now() time.Time { return h.start.Add(time.Duration(h.days)*dayLong + 9*time.Hour) }

var columns = map[string][]string{
	"control_sets": strings.Fields(`digest controls`),
	"hosts": strings.Fields(`id public_key enrolled_at made_at waits node left_nodes machine replaced_at audit_wanted version county state
		profile clone replaced_by policy_digest seq digest first_seen last_seen collected_at about_at received declared stale_at stale_day`),
	"versions": strings.Fields(`host n from_at until_at county state profile platform hostname demo agent clone replaced_by seq about_at late
		policy policy_digest pass fail unknown not_applicable waived meets gate_fails changes control_set statuses since waivers`),
	"reports":   strings.Fields(`host seq digest received_at collected_at about_at newest received missing version way`),
	"residents": strings.Fields(`county host`),
	"silences":  strings.Fields(`host from_at until_at`),
	"rings":     strings.Fields(`county host ring`),
	"policies":  strings.Fields(`version revision digest contents ring paused actor published_at bundle`),
	"rollups":   strings.Fields(`county known at hosts meeting failing unknown stale pending missing invented controls quiet`),
}

func row(table string, values ...any) store.Row {
	return store.Row{Table: table, Columns: columns[table], Values: values}
}

// version is one under way: its row is complete once it is known until when.
type version struct {
	n, from, about, seq int64
	statuses            []byte
	since               []byte
	changes             int64
}

// rows gives every row, a table after the other where the tables are large.
func (h *history) rows() iter.Seq[store.Row] {
	return func(yield func(store.Row) bool) {
		names := make([]string, controls)
		for i := range names {
			names[i] = control(i)
		}
		if !yield(row("control_sets", h.set, strings.Join(names, "\n"))) {
			return
		}
		// Each table is made by the same walk once more: it is cheaper than to keep it.
		for _, table := range []string{"hosts", "residents", "versions", "reports", "silences"} {
			for n := range h.hosts {
				if !h.host(n, table, yield) {
					return
				}
			}
		}
		for n := range h.hosts {
			if canary(n) && !yield(row("rings", "", string(h.ids[n]), string(muster.RingCanary))) {
				return
			}
		}
		for _, r := range h.published {
			if !yield(r) {
				return
			}
		}
		for k, known := range []muster.Knowledge{muster.KnownThen, muster.KnownNow} {
			for i := range h.instants(k) {
				at := h.at(k, i)
				var all sum
				for c := range counties {
					s := &h.sums[k][c*h.instants(k)+i]
					var lines strings.Builder
					for i, n := range s.controls {
						fmt.Fprintln(&lines, control(i), n[muster.StatusPass], n[muster.StatusFail], n[muster.StatusUnknown], n[muster.StatusNotApplicable], 0)
					}
					if !yield(s.row(string(county(c)), known, at, lines.String())) {
						return
					}
					all.hosts, all.meeting, all.failing = all.hosts+s.hosts, all.meeting+s.meeting, all.failing+s.failing
					all.unknown, all.stale = all.unknown+s.unknown, all.stale+s.stale
				}
				if !yield(all.row("", known, at, "")) {
					return
				}
			}
		}
	}
}

func (s *sum) row(county string, known muster.Knowledge, at int64, controls string) store.Row {
	return row("rollups", county, string(known), at, int64(s.hosts), int64(s.meeting), int64(s.failing), int64(s.unknown), int64(s.stale),
		int64(0), int64(0), int64(0), controls, strings.Join(s.quiet[:min(len(s.quiet), 200)], ""))
}

// host walks through one host's days and gives its rows of one table; with "versions"
// it also counts it.
func (h *history) host(n int, table string, yield func(store.Row) bool) bool {
	random := rand.New(rand.NewPCG(uint64(n), 7))
	id, where, profile, way := string(h.ids[n]), string(county(n)), muster.Workstation, int64(0)
	if n%courierEvery == 0 {
		profile, way = muster.EMS, 1
	}
	last := h.days // its last day
	if n%goneEvery == 1 {
		last -= min(60, h.days/2)
	}
	silentFrom, silentUntil := h.days+1, 0
	if n%silentEvery == 2 {
		silentFrom = random.IntN(max(1, h.days-30))
		silentUntil = silentFrom + 15
	}
	offset := time.Duration(random.IntN(20*3600))*time.Second + 2*time.Hour
	digest := make([]byte, 32)
	var versions []version
	var arrivals, abouts []int64
	var received, seen, collected, stale, seq int64
	enrolled := h.start.Add(time.Hour).UnixMicro()
	for day := range last {
		if day >= silentFrom && day < silentUntil {
			continue
		}
		made := h.start.Add(time.Duration(day)*dayLong + offset)
		arrival := made.Add(2 * time.Second)
		if way == 1 { // with all others of its month, at its county's time
			journey := ((day+n%courierDays)/courierDays+1)*courierDays - n%courierDays
			arrival = h.start.Add(time.Duration(min(journey, last))*dayLong + offset + time.Minute)
			if !arrival.Before(h.now()) {
				arrival = h.now().Add(-time.Hour)
			}
		}
		seq++
		at, about := arrival.UnixMicro(), made.UnixMicro()
		if stale != 0 && at > stale && table == "silences" {
			if !yield(row("silences", id, stale, at)) {
				return false
			}
		}
		if seq == 1 || random.IntN(changeEvery) == 0 {
			v := version{n: int64(len(versions) + 2), from: at, about: about, seq: seq}
			if seq == 1 {
				v.statuses, v.since = make([]byte, controls), make([]byte, 8*controls)
				for c := range controls {
					v.statuses[c] = byte(status(n, c, 0))
					moved(v.since[8*c:], at, about)
				}
			} else {
				before := versions[len(versions)-1]
				v.statuses, v.since = append([]byte(nil), before.statuses...), append([]byte(nil), before.since...)
				for range 1 + random.IntN(3) {
					c := random.IntN(controls)
					// Mostly it is mended again.
					to := byte(muster.StatusPass)
					if v.statuses[c] == to {
						to = byte(status(n, c, random.IntN(8)))
					}
					if v.statuses[c] != to {
						v.statuses[c] = to
						v.changes++
						moved(v.since[8*c:], at, about)
					}
				}
			}
			versions = append(versions, v)
		}
		received, seen, collected = received+1, at, about
		arrivals, abouts = append(arrivals, at), append(abouts, about)
		stale = at + profile.StaleAfter().Microseconds()
		if table == "reports" {
			binary.BigEndian.PutUint64(digest, uint64(n))
			binary.BigEndian.PutUint64(digest[8:], uint64(seq))
			if !yield(row("reports", id, seq, append([]byte(nil), digest...), at, made.Unix(), about,
				seq, seq, int64(0), int64(len(versions)+1), way)) {
				return false
			}
		}
	}
	switch table {
	case "hosts":
		return yield(row("hosts", id, []byte("key of "+id), enrolled, enrolled/1e6, "", "", "", "", int64(0), int64(0), int64(len(versions)+1), where,
			"active", string(profile), "", "", h.policy(n, versions[len(versions)-1]), seq, digest, versions[0].from, seen, collected/1e6, collected, received, int64(0),
			stale, stale/dayLong.Microseconds()))
	case "residents":
		return yield(row("residents", where, id))
	case "versions":
		after := profile.StaleAfter().Microseconds()
		h.count(0, n, enrolled, after, arrivals, versions, func(v version) int64 { return v.from })
		h.count(1, n, enrolled, after, abouts, versions, func(v version) int64 { return v.about })
		return h.versions(n, id, where, profile, enrolled, versions, yield)
	}
	return true
}

// count puts a host into every sum of a knowledge. heard are when it was heard of, and
// from when each version is.
func (h *history) count(k, n int, enrolled, after int64, heard []int64, versions []version, from func(version) int64) {
	v, i := -1, -1
	var s summary
	for instant := range h.instants(k) {
		end := h.at(k, instant)
		for i+1 < len(heard) && heard[i+1] <= end {
			i++
		}
		for v+1 < len(versions) && from(versions[v+1]) <= end {
			v++
			s = summarize(versions[v].statuses)
		}
		last := enrolled
		if i >= 0 {
			last = heard[i]
		}
		to := &h.sums[k][n%counties*h.instants(k)+instant]
		to.hosts++
		switch {
		case last+after < end:
			to.stale++
			if k == 1 {
				to.quiet = append(to.quiet, fmt.Sprintln(h.ids[n], last))
			}
			continue
		case v < 0:
			to.unknown++
			continue
		case s.meets():
			to.meeting++
		case s.fails():
			to.failing++
		default:
			to.unknown++
		}
		for c, status := range versions[v].statuses {
			to.controls[c][status]++
		}
	}
}

func moved(since []byte, at, about int64) {
	binary.BigEndian.PutUint32(since, uint32(at/1e6))
	binary.BigEndian.PutUint32(since[4:], uint32(about/1e6))
}

const open = 1<<63 - 1

func (h *history) versions(n int, id, where string, profile muster.Profile, enrolled int64, versions []version, yield func(store.Row) bool) bool {
	empty := []byte{}
	give := func(v version, until int64, policy string, s summary) bool {
		return yield(row("versions", id, v.n, v.from, until, where, "active", string(profile), "windows", hostname(n), int64(0), "1", "", "", v.seq, v.about,
			int64(0), policy, policy, int64(s[muster.StatusPass]), int64(s[muster.StatusFail]), int64(s[muster.StatusUnknown]), int64(s[muster.StatusNotApplicable]),
			int64(0), b2i(s.meets()), b2i(s.fails()), v.changes, v.set(h.set), v.statuses, v.since, ""))
	}
	if !give(version{n: 1, from: enrolled, statuses: empty, since: empty}, versions[0].from, "", summary{}) {
		return false
	}
	for i, v := range versions {
		until := int64(open)
		if i+1 < len(versions) {
			until = versions[i+1].from
		}
		if !give(v, until, h.policy(n, v), summarize(v.statuses)) {
			return false
		}
	}
	return true
}

func (v version) set(digest []byte) []byte {
	if v.seq == 0 {
		return []byte{}
	}
	return digest
}

// summary counts statuses. The first ten controls are critical or high.
type summary [5]int

func summarize(statuses []byte) (s summary) {
	for c, status := range statuses {
		s[status]++
		if c < 10 && (muster.Status(status) == muster.StatusFail || muster.Status(status) == muster.StatusUnknown) {
			s[4] |= 1 << min(int(status), 2)
		}
	}
	return s
}

func (s summary) meets() bool { return s[4] == 0 }
func (s summary) fails() bool { return s[4]&(1<<muster.StatusFail) != 0 }

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
