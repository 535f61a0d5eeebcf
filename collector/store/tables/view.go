package tables

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
)

// instant is what a view comes down to: the versions that are shown are those with
// from_at <= at < until_at, and a host is stale by clock.
type instant struct {
	at, clock int64
	// hindsight: as registered at at, with the verdicts of the report that was the
	// newest one made at clock.
	hindsight bool
}

// present is the at of now: what another process committed by a clock that is ahead
// shows as well.
const present = Open - 1

func (d *DB) instant(v muster.View) instant {
	switch {
	case v.Now():
		return instant{at: present, clock: d.stamp()}
	case v.Known == muster.KnownNow:
		return instant{at: present, clock: v.At.UnixMicro(), hindsight: true}
	}
	return then(v.At.UnixMicro())
}

// then is an instant as it was shown.
func then(at int64) instant { return instant{at: at, clock: at} }

// now reports whether the instant is the present one.
func (i instant) now() bool { return i.at == present && !i.hindsight }

// question is a query that is being written, about an instant.
type question struct {
	instant
	d    *DB
	args []any
}

func (d *DB) ask(i instant) *question { return &question{instant: i, d: d} }

// arg adds a parameter and is its name.
func (q *question) arg(v any) string {
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// shown is the condition that a row with from_at and until_at is shown.
func (q *question) shown(alias string) string {
	if q.at == present {
		return fmt.Sprintf("%s.until_at = %d", alias, int64(Open))
	}
	at := q.arg(q.at)
	return fmt.Sprintf("%[1]s.until_at > %[2]s AND %[1]s.from_at <= %[2]s", alias, at)
}

// source is what the hosts of a question come from: a table or several, of which one
// is hosts h, and a condition. Where SQLite could take hosts first a CROSS JOIN stops it.
type source struct{ tables, where string }

// everyone is every host, or those that may be in a county.
func (q *question) everyone(county muster.County) source {
	if county == "" {
		return source{"hosts h", "h.id <> ''"}
	}
	if q.at == present {
		return source{"hosts h", "h.county = " + q.arg(string(county))}
	}
	return q.residents(county, "", "")
}

// residents are the hosts d that may be in a county, those with ids above after and up to
// last, or with "" to the end.
func (q *question) residents(county muster.County, after, last muster.HostID) source {
	c := q.arg(string(county))
	where := "h.id = d.host AND d.county = " + c + " AND v.county = " + c + " AND d.host > " + q.arg(string(after))
	if last != "" {
		where += " AND d.host <= " + q.arg(string(last))
	}
	return source{"residents d CROSS JOIN hosts h", where}
}

// these are the hosts that a query names, by "host".
func these(query string) source {
	return source{"(SELECT DISTINCT host FROM (" + query + ") s) c CROSS JOIN hosts h", "h.id = c.host"}
}

// one is one host.
func (q *question) one(id muster.HostID) source {
	return source{"hosts h", "h.id = " + q.arg(string(id))}
}

// from joins to hosts h what a view shows of them: the version v, which says how each is
// registered, and w, which has its verdicts. With heard there is a, the last report that
// came, and n, the newest one: as it was shown only where that is another. In the present
// w, n and a are not needed beside h and v, and not there.
func (q *question) from(s source, heard bool) string {
	from := " FROM " + s.tables + " JOIN versions v ON " + q.version("v")
	switch {
	case q.hindsight:
		from += ` LEFT JOIN reports n ON n.host = h.id AND n.seq = (SELECT r.seq FROM reports r
				WHERE ` + q.d.OfHost("r") + ` AND r.about_at <= ` + q.arg(q.clock) + ` ORDER BY r.about_at DESC, r.seq DESC LIMIT 1)
			LEFT JOIN versions w ON w.host = n.host AND w.n = n.version`
	case heard && !q.now():
		from += ` LEFT JOIN reports a ON a.host = h.id AND a.seq = (SELECT r.seq FROM reports r
				WHERE ` + q.d.OfHost("r") + ` AND r.received_at <= ` + q.arg(q.at) + ` ORDER BY r.received_at DESC, r.received DESC LIMIT 1)
			LEFT JOIN reports n ON n.host = a.host AND n.seq = CASE WHEN a.newest <> a.seq THEN a.newest END`
	}
	from += " WHERE " + s.where
	switch {
	case q.hindsight:
		// Before a host enrolled or had made a report, it was not there as far as anyone knows.
		from += " AND (n.seq IS NOT NULL OR h.enrolled_at <= " + q.arg(q.clock) + ")"
	case !q.now():
		from += " AND v.from_at <= " + q.arg(q.at)
	}
	return from
}

// version is the SQL for the version that is shown of hosts h, under an alias; in the past it
// may be one that began later. It is found by the index that leads to it.
func (q *question) version(v string) string {
	if q.at == present {
		return fmt.Sprintf("%[1]s.host = h.id AND %[1]s.n = h.version", v)
	}
	return fmt.Sprintf(`%[1]s.host = h.id AND %[1]s.from_at < %[1]s.until_at AND %[1]s.until_at = (SELECT x.until_at FROM versions x
		WHERE x.host = h.id AND x.from_at < x.until_at AND x.until_at > %[2]s ORDER BY x.until_at LIMIT 1)`, v, q.arg(q.at))
}

// verdicts gives columns of the version that has the verdicts; they can be null in
// hindsight.
func (q *question) verdicts(columns ...string) string {
	w := "v."
	if q.hindsight {
		w = "w."
	}
	return w + strings.Join(columns, ", "+w)
}

// stale is the SQL for a host that had been silent for too long.
func (q *question) stale() string {
	if q.hindsight {
		return q.overdue("coalesce(n.about_at, h.enrolled_at)", "v.profile")
	}
	clock := q.arg(q.clock)
	if q.now() {
		return "(h.stale_at <= " + clock + ")"
	}
	return fmt.Sprintf(`(h.stale_at <= %[1]s OR EXISTS (SELECT 1 FROM silences s
		WHERE s.host = h.id AND s.from_at <= %[1]s AND s.until_at > %[1]s))`, clock)
}

// overdue is the SQL for a host of a profile that was silent for too long since.
func (q *question) overdue(since, profile string) string {
	return fmt.Sprintf("(%s - %s > CASE %s WHEN '%s' THEN %d ELSE %d END)", q.arg(q.clock), since, profile,
		muster.EMS, q.d.StaleAfter.Of(muster.EMS).Microseconds(), q.d.StaleAfter.Of(muster.Workstation).Microseconds())
}

// counted is the SQL for a host that counts.
const counted = `v.state = 'active' AND v.replaced_by = ''`

// replaces is the SQL for the host whose place v takes.
func (q *question) replaces() string {
	return `coalesce((SELECT min(o.host) FROM versions o WHERE o.replaced_by = h.id AND o.replaced_by <> '' AND ` + q.shown("o") + `), '')`
}

// columns are those that scanStanding reads. replaces is the SQL of that column.
func (q *question) columns(replaces string) string {
	summary := q.verdicts("agent", "policy", "policy_digest", "pass", "fail", "unknown", "not_applicable", "waived", "meets")
	newest := `h.seq, h.last_seen, h.collected_at,
		CASE WHEN h.seq > h.received + h.declared THEN h.seq - h.received - h.declared ELSE 0 END, h.audit_wanted, h.waits`
	if !q.now() {
		newest = "coalesce(n.seq, a.seq, 0), coalesce(n.received_at, a.received_at, 0), coalesce(n.collected_at, a.collected_at, 0), coalesce(a.missing, 0), 0, ''"
	}
	if q.hindsight {
		newest = "coalesce(n.seq, 0), coalesce(n.received_at, 0), coalesce(n.collected_at, 0), 0, 0, ''"
		summary = `coalesce(w.agent, v.agent), coalesce(w.policy, ''), coalesce(w.policy_digest, ''), coalesce(w.pass, 0), coalesce(w.fail, 0),
			coalesce(w.unknown, 0), coalesce(w.not_applicable, 0), coalesce(w.waived, 0), coalesce(w.meets, 0)`
	}
	return `h.id, v.hostname, v.county, v.profile, v.platform, v.demo, v.state, v.clone, v.replaced_by, h.first_seen, ` +
		summary + `, ` + newest + `, ` + replaces + `, ` + q.stale()
}

// scanStanding reads columns, and what follows them into more. Its variables are of the
// few types that are scanned fast.
func scanStanding(r *sql.Rows, more ...any) (muster.HostStanding, error) {
	var id, hostname, county, profile, platform, state, clone, replacedBy, agent, policy, digest, waits, replaces string
	var demo, meets, stale bool
	var pass, fail, unknown, na, waived, first, seq, last, collected, missing, wanted int64
	err := r.Scan(append([]any{&id, &hostname, &county, &profile, &platform, &demo, &state, &clone, &replacedBy, &first,
		&agent, &policy, &digest, &pass, &fail, &unknown, &na, &waived, &meets,
		&seq, &last, &collected, &missing, &wanted, &waits, &replaces, &stale}, more...)...)
	if seq == 0 {
		first = 0
	}
	return muster.HostStanding{
		Host: muster.Host{ID: muster.HostID(id), Hostname: hostname, County: muster.County(county),
			Profile: muster.Profile(profile), Platform: muster.Platform(platform), Demo: demo},
		State: muster.HostState(state),
		Summary: muster.Summary{Pass: int(pass), Fail: int(fail), Unknown: int(unknown), NotApplicable: int(na),
			Waived: int(waived), MeetsBaseline: meets},
		Seq: uint64(seq), FirstSeen: clock(first), LastSeen: clock(last), CollectedAt: fromSeconds(collected),
		Agent: agent, PolicyRevision: policy, PolicyDigest: digest, Stale: stale,
		Conflict: clone != "", ConflictReason: muster.Clone(clone),
		Replaces: muster.HostID(replaces), ReplacedBy: muster.HostID(replacedBy),
		AuditWanted: clock(wanted), Waits: waits, Missing: uint64(missing),
	}, err
}

// packed is what a version holds of verdicts, where there are any.
type packed struct {
	host                     muster.HostID
	set                      string // digest
	statuses, since, waivers []byte
}

// scanPacked reads a host's id, control_set, statuses, since and waivers.
func scanPacked(r *sql.Rows) (p packed, err error) {
	var host string
	var set []byte
	err = r.Scan(&host, &set, &p.statuses, &p.since, &p.waivers)
	p.host, p.set = muster.HostID(host), string(set)
	return p, err
}

// names are the controls of a set, in the order of the statuses.
func (d *DB) names(ctx context.Context, q Querier, set string) ([]string, error) {
	if set == "" {
		return nil, nil
	}
	s, err := d.sets.get(ctx, q, muster.Digest([]byte(set)))
	if err != nil {
		return nil, err
	}
	return s.Controls, nil
}

// unmet reports whether the status of a control is fail or unknown, waived or not.
func unmet(b byte) bool { s := statusOf(b); return s == muster.StatusFail || s == muster.StatusUnknown }

// findings of a host, of those controls that choose tells.
func (d *DB) findings(ctx context.Context, q Querier, p packed, hindsight bool, choose func(control string, status byte) bool) ([]muster.FindingStanding, error) {
	names, err := d.names(ctx, q, p.set)
	if err != nil {
		return nil, err
	}
	if len(p.statuses) != len(names) || len(p.since) != sinceSize*len(names) {
		return nil, fmt.Errorf("host %s has %d statuses of %d controls", p.host, len(p.statuses), len(names))
	}
	var list []muster.FindingStanding
	var waivers map[int]string
	for i, control := range names {
		if !choose(control, p.statuses[i]) {
			continue
		}
		if waivers == nil {
			waivers = parseWaivers(string(p.waivers))
		}
		since := p.since[sinceSize*i : sinceSize*(i+1)]
		if hindsight {
			since = since[4:]
		}
		list = append(list, muster.FindingStanding{Host: p.host, Control: control, Status: statusOf(p.statuses[i]), Waiver: waivers[i],
			Since: fromSeconds(int64(since[0])<<24 | int64(since[1])<<16 | int64(since[2])<<8 | int64(since[3]))})
	}
	return list, nil
}

// parseWaivers reads a line a waiver: the number of its control in the set, a space
// and the waiver's id. A line that is none is left out.
func parseWaivers(lines string) map[int]string {
	waivers := map[int]string{}
	for line := range strings.Lines(lines) {
		n, id, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if i, err := strconv.Atoi(n); ok && err == nil {
			waivers[i] = id
		}
	}
	return waivers
}

// most is a limit for SQL; 0 means all.
func most(limit int) int64 {
	if limit <= 0 {
		return math.MaxInt32
	}
	return int64(limit)
}
