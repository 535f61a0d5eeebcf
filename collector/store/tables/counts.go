package tables

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// counts of one control: pass, fail, unknown, not applicable, waived.
type counts [5]int

// kind is the place in counts of a byte of versions.statuses.
var kind = [8]int{muster.StatusUnknown: 2, muster.StatusPass: 0, muster.StatusFail: 1, muster.StatusNotApplicable: 3,
	waivedBit: 4, waivedBit + 1: 4, waivedBit + 2: 4, waivedBit + 3: 4}

// tally counts hosts and their controls by county.
type tally struct {
	names    []string         // of the controls, in the order of their counts
	index    map[string]int   // where each of them is
	sets     map[string][]int // where those of a control set are, in its order
	counties map[muster.County]*sum
}

// sum is what a tally has of a county; counts are of the first of its names.
type sum struct {
	muster.CountyStanding
	counts []counts
}

func newTally() *tally {
	return &tally{index: map[string]int{}, sets: map[string][]int{}, counties: map[muster.County]*sum{}}
}

// clone is a tally that can be changed without the other.
func (t *tally) clone() *tally {
	c := &tally{slices.Clone(t.names), maps.Clone(t.index), maps.Clone(t.sets), make(map[muster.County]*sum, len(t.counties))}
	for county, s := range t.counties {
		c.counties[county] = &sum{s.CountyStanding, slices.Clone(s.counts)}
	}
	return c
}

func (t *tally) county(c muster.County) *sum {
	s := t.counties[c]
	if s == nil {
		s = &sum{CountyStanding: muster.CountyStanding{County: c}}
		t.counties[c] = s
	}
	return s
}

// place of a control among the counts.
func (t *tally) place(control string) int {
	n, ok := t.index[control]
	if !ok {
		n = len(t.names)
		t.names, t.index[control] = append(t.names, control), n
	}
	return n
}

// at is a county's count at a place.
func (s *sum) at(place int) *counts {
	if place >= len(s.counts) {
		s.counts = append(s.counts, make([]counts, place+1-len(s.counts))...)
	}
	return &s.counts[place]
}

// each gives the counts of a county's controls that are not all zero.
func (t *tally) each(s *sum) iter.Seq2[string, counts] {
	return func(yield func(string, counts) bool) {
		for n, c := range s.counts {
			if c != (counts{}) && !yield(t.names[n], c) {
				return
			}
		}
	}
}

// standing is as much of a host as it takes to count it.
type standing struct {
	county                                    muster.County
	counts, active, demo, stale, meets, gates bool
	set                                       string
	statuses                                  []byte
}

// add counts a host n times.
func (t *tally) add(s *standing, names []string, n int) error {
	if !s.counts {
		return nil
	}
	c := t.county(s.county)
	if s.demo {
		c.Invented += n
	}
	if !s.active {
		c.Pending += n
		return nil
	}
	c.Hosts += n
	switch {
	case s.stale:
		c.Stale += n
		return nil
	case s.meets:
		c.Meeting += n
	case s.gates:
		c.Failing += n
	default:
		c.Unknown += n
	}
	if len(s.statuses) != len(names) {
		return fmt.Errorf("a host of county %s has %d statuses of %d controls", s.county, len(s.statuses), len(names))
	}
	places, ok := t.sets[s.set]
	if !ok {
		for _, control := range names {
			places = append(places, t.place(control))
		}
		t.sets[s.set] = places
	}
	for i, b := range s.statuses {
		c.at(places[i])[kind[b&7]] += n
	}
	return nil
}

// standing is the SQL for what scan reads, of the version under an alias, with its verdicts
// under another. Either may be missing.
func (q *question) standing(v, w string) string {
	return fmt.Sprintf(`coalesce(%[1]s.county, ''), coalesce(%[1]s.state <> 'retired' AND %[1]s.replaced_by = '', false),
		coalesce(%[1]s.state = 'active', false), coalesce(%[1]s.demo, 0), %[3]s, coalesce(%[2]s.meets, 0), coalesce(%[2]s.gate_fails, 0),
		%[2]s.control_set, %[2]s.statuses`, v, w, q.stale())
}

// columns of a standing; set is its set.
func (s *standing) columns(set *[]byte) []any {
	return []any{&s.county, &s.counts, &s.active, &s.demo, &s.stale, &s.meets, &s.gates, set, &s.statuses}
}

// tell counts hosts n times each.
func (d *DB) tell(ctx context.Context, q Querier, t *tally, list []standing, n int) error {
	for k := range list {
		names, err := d.names(ctx, q, list[k].set)
		if err == nil {
			err = t.add(&list[k], names, n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// count adds all hosts, or a county's, as they stand at the instant.
func (d *DB) count(ctx context.Context, q Querier, t *tally, i instant, county muster.County) error {
	ask := d.ask(i)
	w := "v"
	if i.hindsight {
		w = "w"
	}
	list, err := rows(ctx, q, func(r *sql.Rows) (s standing, err error) {
		var set []byte
		err = r.Scan(s.columns(&set)...)
		s.set = string(set)
		return s, err
	}, `SELECT `+ask.standing("v", w)+ask.from(ask.everyone(county), false), ask.args...)
	if err != nil {
		return err
	}
	return d.tell(ctx, q, t, list, 1)
}

// turn makes of counts as of one instant those as of another, by the hosts that may stand
// otherwise. Both are as it was shown.
func (d *DB) turn(ctx context.Context, q Querier, t *tally, from, to instant) error {
	ask := d.ask(from)
	query := ask.standing("a", "a")
	was := ask.version("a") + " AND a.from_at <= " + ask.arg(from.at)
	ask.instant = to
	query += ", " + ask.standing("b", "b")
	is := ask.version("b") + " AND b.from_at <= " + ask.arg(to.at)
	of := ask.changed(from)
	var before, after []standing
	_, err := rows(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var a, b standing
		var of, set []byte
		err := r.Scan(append(a.columns(&of), b.columns(&set)...)...)
		a.set, b.set = string(of), string(set)
		before, after = append(before, a), append(after, b)
		return struct{}{}, err
	}, `SELECT `+query+` FROM `+of.tables+` LEFT JOIN versions a ON `+was+` LEFT JOIN versions b ON `+is+` WHERE `+of.where, ask.args...)
	if err == nil {
		err = d.tell(ctx, q, t, before, -1)
	}
	if err == nil {
		err = d.tell(ctx, q, t, after, 1)
	}
	return err
}

// changed are the hosts that may stand otherwise than at another instant.
func (q *question) changed(other instant) source {
	low, high := min(q.clock, other.clock), max(q.clock, other.clock)
	return these(fmt.Sprintf(`SELECT host FROM versions WHERE from_at > %[1]s AND from_at <= %[2]s AND from_at < until_at
		UNION ALL SELECT host FROM silences WHERE from_at BETWEEN %[3]s AND %[4]s
		UNION ALL SELECT host FROM silences WHERE until_at BETWEEN %[3]s AND %[4]s
		UNION ALL SELECT id FROM hosts WHERE stale_day BETWEEN %[5]s AND %[6]s AND stale_at BETWEEN %[3]s AND %[4]s`,
		q.arg(min(q.at, other.at)), q.arg(max(q.at, other.at)), q.arg(low), q.arg(high), q.arg(day(low)), q.arg(day(high))))
}

// counted is how everything stands at the view's instant, or in hindsight perhaps no more
// than one county. It is not to be changed.
func (d *DB) counted(ctx context.Context, what string, v muster.View, county muster.County) (t *tally, err error) {
	i := d.instant(v)
	if !i.hindsight {
		if t = d.past.get(d.stamp(), i.at); t != nil {
			return t, nil
		}
	}
	err = d.Snapshot(ctx, what, func(q Querier) error {
		t, err = d.tally(ctx, q, i, county)
		return err
	})
	return t, err
}

// tally is counted for who has a snapshot.
func (d *DB) tally(ctx context.Context, q Querier, i instant, county muster.County) (*tally, error) {
	if i.hindsight {
		return d.hindsight(ctx, q, i, county)
	}
	now := d.stamp()
	if t := d.past.get(now, i.at); t != nil {
		return t, nil
	}
	t, err := d.countAt(ctx, q, i)
	if err == nil {
		err = d.missing(ctx, q, t, i)
	}
	if err == nil && i.at < now-settled && len(t.counties) > 0 { // what is empty may be filled by Load
		d.past.keep(i.at, t)
	}
	return t, err
}

// maxAway is how far away a roll-up is of use: over a longer time most hosts change.
const maxAway = 3 * dayMicros

// countAt counts hosts by the nearest roll-up and what changed since or until then.
func (d *DB) countAt(ctx context.Context, q Querier, i instant) (*tally, error) {
	var before, after int64
	if err := q.QueryRowContext(ctx, `SELECT coalesce(max(at), 0) FROM rollups WHERE county = '' AND known = '' AND at <= $1`, i.at).Scan(&before); err != nil {
		return nil, err
	}
	if err := q.QueryRowContext(ctx, `SELECT coalesce(min(at), 0) FROM rollups WHERE county = '' AND known = '' AND at > $1`, i.at).Scan(&after); err != nil {
		return nil, err
	}
	nearest := before
	if after != 0 && (before == 0 || after-i.at < i.at-before) {
		nearest = after
	}
	if nearest == 0 || max(nearest-i.clock, i.clock-nearest) > maxAway {
		t := newTally()
		return t, d.count(ctx, q, t, i, "")
	}
	rolled := d.past.get(d.stamp(), nearest)
	if rolled == nil {
		rolled = newTally()
		if err := d.load(ctx, q, rolled, "", nearest, ""); err != nil {
			return nil, err
		}
		d.past.keep(nearest, rolled)
	}
	t := rolled.clone()
	if nearest == i.at {
		return t, nil
	}
	return t, d.turn(ctx, q, t, then(nearest), i)
}

// missing counts the expected hosts that are not there.
func (d *DB) missing(ctx context.Context, q Querier, t *tally, i instant) error {
	for _, c := range t.counties {
		c.Missing = 0
	}
	ask := d.ask(i)
	query := `SELECT e.county, count(*) FROM expected e WHERE e.host = '' AND ` + ask.shown("e")
	if i.hindsight {
		query += ` AND e.since <= ` + ask.arg(i.clock)
	}
	_, err := rows(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var county muster.County
		var n int
		err := r.Scan(&county, &n)
		t.county(county).Missing = n
		return struct{}{}, err
	}, query+` GROUP BY e.county`, ask.args...)
	return err
}

// load adds what the roll-ups of an instant counted, or that of one county.
func (d *DB) load(ctx context.Context, q Querier, t *tally, known muster.Knowledge, at int64, county muster.County) error {
	where, args := `county <> ''`, []any{string(known), at}
	if county != "" {
		where, args = `county = $3`, append(args, string(county))
	}
	_, err := rows(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var c muster.CountyStanding
		var controls string
		if err := r.Scan(append(countColumns(&c), &controls)...); err != nil {
			return struct{}{}, err
		}
		s := t.county(c.County)
		s.CountyStanding = c
		return struct{}{}, t.parse(s, controls)
	}, `SELECT county, hosts, meeting, failing, unknown, stale, pending, missing, invented, controls
		FROM rollups WHERE known = $1 AND at = $2 AND `+where, args...)
	return err
}

// countColumns are where county to invented of a roll-up are scanned to.
func countColumns(c *muster.CountyStanding) []any {
	return []any{&c.County, &c.Hosts, &c.Meeting, &c.Failing, &c.Unknown, &c.Stale, &c.Pending, &c.Missing, &c.Invented}
}

// parse reads the counts of a roll-up's controls: a line each, the id and five numbers.
func (t *tally) parse(s *sum, lines string) error {
	for l := range strings.Lines(lines) {
		f := strings.Fields(l)
		if len(f) != 6 {
			return fmt.Errorf("roll-up of county %s: line %q is not a control and five numbers", s.County, l)
		}
		n := s.at(t.place(f[0]))
		for k := range n {
			v, err := strconv.Atoi(f[k+1])
			if err != nil {
				return fmt.Errorf("roll-up of county %s: line %q: %w", s.County, l, err)
			}
			n[k] += v
		}
	}
	return nil
}

// text is a county's controls, as parse reads them.
func (t *tally) text(county muster.County) string {
	var b strings.Builder
	for control, n := range t.each(t.county(county)) {
		fmt.Fprintln(&b, control, n[0], n[1], n[2], n[3], n[4])
	}
	return b.String()
}

func (n counts) standing(control string) muster.ControlStanding {
	c := muster.ControlStanding{Control: control, Pass: n[0], Fail: n[1], Unknown: n[2], NotApplicable: n[3], Waived: n[4]}
	if c.Fail > 0 {
		c.FailCounties = 1
	}
	return c
}

// Counties that have any host. In hindsight it is as of the end of the last UTC day
// that ended by then, and as new as the last Rollup.
func (d *DB) Counties(ctx context.Context, v muster.View) ([]muster.CountyStanding, error) {
	t, err := d.counted(ctx, "read counties", v, "")
	if err != nil {
		return nil, err
	}
	var list []muster.CountyStanding
	for county, c := range t.counties {
		if c.CountyStanding != (muster.CountyStanding{County: county}) {
			list = append(list, c.CountyStanding)
		}
	}
	return list, nil
}

// Controls counts controls in one county, or in all. In hindsight see Counties.
func (d *DB) Controls(ctx context.Context, v muster.View, county muster.County) ([]muster.ControlStanding, error) {
	t, err := d.counted(ctx, "read controls", v, county)
	if err != nil {
		return nil, err
	}
	sums := make([]muster.ControlStanding, len(t.names))
	for n := range sums {
		sums[n].Control = t.names[n]
	}
	for c, s := range t.counties {
		if county != "" && c != county {
			continue
		}
		for control, n := range t.each(s) {
			sums[t.index[control]].Add(n.standing(control))
		}
	}
	return slices.DeleteFunc(sums, func(c muster.ControlStanding) bool { return c == muster.ControlStanding{Control: c.Control} }), nil
}

// ControlCounties counts one control by county, or with "" every one. In hindsight see
// Counties.
func (d *DB) ControlCounties(ctx context.Context, v muster.View, control string) ([]muster.CountyControl, error) {
	t, err := d.counted(ctx, "read counties of "+control, v, "")
	if err != nil {
		return nil, err
	}
	var list []muster.CountyControl
	for county, s := range t.counties {
		for id, n := range t.each(s) {
			if control == "" || id == control {
				list = append(list, muster.CountyControl{County: county, ControlStanding: n.standing(id)})
			}
		}
	}
	return list, nil
}

// Days are the roll-ups of a county, or with "" of the state, the oldest first.
func (d *DB) Days(ctx context.Context, county muster.County, from, to time.Time) ([]muster.DayStanding, error) {
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (s muster.DayStanding, err error) {
		var at int64
		err = r.Scan(append(countColumns(&s.CountyStanding), &at)...)
		s.Day = clock(at + 1 - dayMicros)
		return s, err
	}, `SELECT county, hosts, meeting, failing, unknown, stale, pending, missing, invented, at
		FROM rollups WHERE county = $1 AND known = '' AND at >= $2 AND at < $3 AND (at + 1) % $4 = 0 ORDER BY at`,
		string(county), day(from.UnixMicro())*dayMicros, (day(to.UnixMicro())+1)*dayMicros, dayMicros)
	return list, d.Wrap("read days", err)
}
