package tables

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// counts of one control: pass, fail, unknown, not applicable, waived.
type counts [5]int

// place in counts of a byte of versions.statuses.
var place = [8]int{muster.StatusUnknown: 2, muster.StatusPass: 0, muster.StatusFail: 1, muster.StatusNotApplicable: 3,
	waivedBit: 4, waivedBit + 1: 4, waivedBit + 2: 4, waivedBit + 3: 4}

// tally counts hosts and, where controls is set, their controls.
type tally struct {
	controls bool
	counties map[muster.County]*muster.CountyStanding
	counts   map[muster.County]map[string]*counts
	// lines are counts in the order of a control set.
	lines map[line][]*counts
}

type line struct {
	county muster.County
	set    string
}

func newTally(controls bool) *tally {
	return &tally{controls, map[muster.County]*muster.CountyStanding{}, map[muster.County]map[string]*counts{}, map[line][]*counts{}}
}

func (t *tally) county(c muster.County) *muster.CountyStanding {
	s := t.counties[c]
	if s == nil {
		s = &muster.CountyStanding{County: c}
		t.counties[c], t.counts[c] = s, map[string]*counts{}
	}
	return s
}

func (t *tally) control(c muster.County, control string) *counts {
	t.county(c)
	n := t.counts[c][control]
	if n == nil {
		n = &counts{}
		t.counts[c][control] = n
	}
	return n
}

// standing is as much of a host as it takes to count it.
type standing struct {
	county                           muster.County
	active, demo, stale, meets, gate bool
	set                              string
	statuses                         []byte
}

// add counts a host n times.
func (t *tally) add(s *standing, names []string, n int) error {
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
	case s.gate:
		c.Failing += n
	default:
		c.Unknown += n
	}
	if t.controls && len(s.statuses) != len(names) {
		return fmt.Errorf("a host of county %s has %d statuses of %d controls", s.county, len(s.statuses), len(names))
	}
	at := line{s.county, s.set}
	lines, ok := t.lines[at]
	if !ok {
		for _, control := range names {
			lines = append(lines, t.control(s.county, control))
		}
		t.lines[at] = lines
	}
	for i, b := range s.statuses {
		lines[i][place[b&7]] += n
	}
	return nil
}

// count adds the hosts of a source, n times each, as they stand at the instant.
func (d *DB) count(ctx context.Context, q Querier, t *tally, i instant, n int, of func(*question) source) error {
	ask := d.ask(i)
	columns := `v.county, v.state = 'active', v.demo, ` + ask.stale() + `, `
	if i.hindsight {
		columns += `coalesce(w.meets, 0), coalesce(w.gate_fails, 0)`
	} else {
		columns += `v.meets, v.gate_fails`
	}
	if t.controls {
		columns += `, ` + ask.verdicts("control_set", "statuses")
	} else {
		columns += `, '', ''`
	}
	list, err := rows(ctx, q, func(r *sql.Rows) (s standing, err error) {
		var county string
		var set []byte
		err = r.Scan(&county, &s.active, &s.demo, &s.stale, &s.meets, &s.gate, &set, &s.statuses)
		s.county, s.set = muster.County(county), string(set)
		return s, err
	}, `SELECT `+columns+ask.from(of(ask), false)+` AND v.state <> 'retired' AND v.replaced_by = ''`, ask.args...)
	if err != nil {
		return err
	}
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

// everyone is question.everyone, for count.
func everyone(county muster.County) func(*question) source {
	return func(ask *question) source { return ask.everyone(county) }
}

// changed are the hosts that may stand otherwise at the one instant than at the other.
func changed(a, b instant) func(*question) source {
	return func(ask *question) source {
		low, high := min(a.clock, b.clock), max(a.clock, b.clock)
		return these(fmt.Sprintf(`SELECT host FROM versions WHERE from_at > %[1]s AND from_at <= %[2]s AND from_at < until_at
			UNION ALL SELECT host FROM silences WHERE from_at BETWEEN %[3]s AND %[4]s
			UNION ALL SELECT host FROM silences WHERE until_at BETWEEN %[3]s AND %[4]s
			UNION ALL SELECT id FROM hosts WHERE stale_day BETWEEN %[5]s AND %[6]s AND stale_at BETWEEN %[3]s AND %[4]s`,
			ask.arg(min(a.at, b.at)), ask.arg(max(a.at, b.at)), ask.arg(low), ask.arg(high), ask.arg(day(low)), ask.arg(day(high))))
	}
}

// tally counts how everything stands at the view's instant, or one county and the others in part.
func (d *DB) tally(ctx context.Context, q Querier, v muster.View, controls bool, county muster.County) (*tally, error) {
	i := d.instant(v)
	if i.hindsight {
		return d.hindsight(ctx, q, i, controls, county)
	}
	t := newTally(controls)
	if err := d.countAt(ctx, q, t, i, county); err != nil {
		return nil, err
	}
	return t, d.missing(ctx, q, t, i)
}

// maxAway is how far away a roll-up is of use: over a longer time most hosts change.
const maxAway = 3 * dayMicros

// countAt counts hosts by the nearest roll-up and what changed since or until then. With
// a county the others are not whole.
func (d *DB) countAt(ctx context.Context, q Querier, t *tally, i instant, county muster.County) error {
	var before, after int64
	if err := q.QueryRowContext(ctx, `SELECT coalesce(max(at), 0) FROM rollups WHERE county = '' AND known = '' AND at <= $1`, i.at).Scan(&before); err != nil {
		return err
	}
	if err := q.QueryRowContext(ctx, `SELECT coalesce(min(at), 0) FROM rollups WHERE county = '' AND known = '' AND at > $1`, i.at).Scan(&after); err != nil {
		return err
	}
	nearest := before
	if after != 0 && (before == 0 || after-i.at < i.at-before) {
		nearest = after
	}
	if nearest == 0 || max(nearest-i.clock, i.clock-nearest) > maxAway {
		return d.count(ctx, q, t, i, 1, everyone(county))
	}
	if err := d.load(ctx, q, t, "", nearest, county); err != nil {
		return err
	}
	if nearest == i.at {
		return nil
	}
	base := then(nearest)
	if err := d.count(ctx, q, t, base, -1, changed(base, i)); err != nil {
		return err
	}
	return d.count(ctx, q, t, i, 1, changed(base, i))
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
	columns := `''`
	if t.controls {
		columns = `controls`
	}
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
		*t.county(c.County) = c
		return struct{}{}, t.parse(c.County, controls)
	}, `SELECT county, hosts, meeting, failing, unknown, stale, pending, missing, invented, `+columns+`
		FROM rollups WHERE known = $1 AND at = $2 AND `+where, args...)
	return err
}

// countColumns are where county to invented of a roll-up are scanned to.
func countColumns(c *muster.CountyStanding) []any {
	return []any{&c.County, &c.Hosts, &c.Meeting, &c.Failing, &c.Unknown, &c.Stale, &c.Pending, &c.Missing, &c.Invented}
}

// parse reads the counts of a roll-up's controls: a line each, the id and five numbers.
func (t *tally) parse(county muster.County, lines string) error {
	for l := range strings.Lines(lines) {
		f := strings.Fields(l)
		if len(f) != 6 {
			return fmt.Errorf("roll-up of county %s: line %q is not a control and five numbers", county, l)
		}
		n := t.control(county, f[0])
		for k := range n {
			v, err := strconv.Atoi(f[k+1])
			if err != nil {
				return fmt.Errorf("roll-up of county %s: line %q: %w", county, l, err)
			}
			n[k] += v
		}
	}
	return nil
}

// text is a county's controls, as parse reads them.
func (t *tally) text(county muster.County) string {
	var b strings.Builder
	for control, n := range t.counts[county] {
		if *n != (counts{}) {
			fmt.Fprintln(&b, control, n[0], n[1], n[2], n[3], n[4])
		}
	}
	return b.String()
}

func (n *counts) standing(control string) muster.ControlStanding {
	c := muster.ControlStanding{Control: control, Pass: n[0], Fail: n[1], Unknown: n[2], NotApplicable: n[3], Waived: n[4]}
	if c.Fail > 0 {
		c.FailCounties = 1
	}
	return c
}

// Counties that have any host. In hindsight it is as of the end of the last UTC day
// that ended by then, and as new as the last Rollup.
func (d *DB) Counties(ctx context.Context, v muster.View) ([]muster.CountyStanding, error) {
	var list []muster.CountyStanding
	err := d.Snapshot(ctx, "read counties", func(q Querier) error {
		t, err := d.tally(ctx, q, v, false, "")
		if err != nil {
			return err
		}
		for county, c := range t.counties {
			if *c != (muster.CountyStanding{County: county}) {
				list = append(list, *c)
			}
		}
		return nil
	})
	return list, err
}

// Controls counts controls in one county, or in all. In hindsight see Counties.
func (d *DB) Controls(ctx context.Context, v muster.View, county muster.County) ([]muster.ControlStanding, error) {
	sums := map[string]*muster.ControlStanding{}
	err := d.Snapshot(ctx, "read controls", func(q Querier) error {
		t, err := d.tally(ctx, q, v, true, county)
		if err != nil {
			return err
		}
		for c, controls := range t.counts {
			for control, n := range controls {
				if county != "" && c != county || *n == (counts{}) {
					continue
				}
				sum := sums[control]
				if sum == nil {
					sum = &muster.ControlStanding{Control: control}
					sums[control] = sum
				}
				one := n.standing(control)
				sum.Pass += one.Pass
				sum.Fail += one.Fail
				sum.Unknown += one.Unknown
				sum.NotApplicable += one.NotApplicable
				sum.Waived += one.Waived
				sum.FailCounties += one.FailCounties
			}
		}
		return nil
	})
	list := make([]muster.ControlStanding, 0, len(sums))
	for _, c := range sums {
		list = append(list, *c)
	}
	return list, err
}

// ControlCounties counts one control by county. In hindsight see Counties.
func (d *DB) ControlCounties(ctx context.Context, v muster.View, control string) ([]muster.CountyControl, error) {
	var list []muster.CountyControl
	err := d.Snapshot(ctx, "read counties of "+control, func(q Querier) error {
		t, err := d.tally(ctx, q, v, true, "")
		if err != nil {
			return err
		}
		for county, controls := range t.counts {
			if n := controls[control]; n != nil && *n != (counts{}) {
				list = append(list, muster.CountyControl{County: county, ControlStanding: n.standing(control)})
			}
		}
		return nil
	})
	return list, err
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
