package tables

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// maxScan bounds the hosts that are looked at for one page. Where few are wanted of
// those with a control, minScan are looked at at first, and then twice as many each time.
const maxScan, minScan = 2000, 64

// Hosts that are active, a page of them. With a control or a policy, replaced ones
// are left out.
func (d *DB) Hosts(ctx context.Context, v muster.View, hq muster.HostQuery) (muster.HostPage, error) {
	var page muster.HostPage
	i := d.instant(v)
	if hq == (muster.HostQuery{County: hq.County}) && hq.County != "" {
		var err error
		page.Hosts, err = inParts(ctx, d, "read hosts", hq.County, func(q Querier, after, last muster.HostID) ([]muster.HostStanding, error) {
			return d.within(ctx, q, i, after, last, hq, most(0))
		})
		return page, err
	}
	err := d.Snapshot(ctx, "read hosts", func(q Querier) error {
		in, after, _ := strings.Cut(hq.After, " ")
		county, look := muster.County(in), int64(maxScan)
		if hq.Limit <= 0 {
			look = math.MaxInt32
		}
		if hq.County != "" && hq.County != county {
			county, after = hq.County, ""
		}
		counties, err := searched(ctx, q, hq, county, v.Now())
		if err != nil {
			return err
		}
		var rare map[muster.County]bool
		scan := int64(minScan)
		for k, c := range counties {
			if c != county {
				after = ""
			}
			if k == 1 && hq.Control != "" && hq.Limit > 0 && !i.hindsight {
				// The first county did not fill the page.
				if rare, err = d.rare(ctx, q, v, hq.Control, counties); err != nil {
					return err
				}
			}
			if rare != nil && !rare[c] {
				continue
			}
			for more := true; more; {
				room := most(hq.Limit) - int64(len(page.Hosts))
				glance := look
				if hq.Control != "" {
					glance, scan = min(look, max(2*room, scan)), min(2*scan, maxScan)
				}
				n, last, err := d.span(ctx, q, c, after, glance)
				if err != nil {
					return err
				}
				here := hq
				here.County = c
				hosts, err := d.within(ctx, q, i, muster.HostID(after), last, here, room)
				if err != nil {
					return err
				}
				page.Hosts = append(page.Hosts, hosts...)
				full := int64(len(hosts)) == room
				if full {
					last = hosts[room-1].ID
				}
				if look -= n; full || look <= 0 {
					page.Next = string(c) + " " + string(last)
					return nil
				}
				more, after = n == glance, string(last)
			}
		}
		return nil
	})
	return page, err
}

// unpublished is the condition on the digest of a policy that it is none of the releases.
const unpublished = ` NOT IN (SELECT '' UNION ALL SELECT contents FROM policies)`

// searched are the counties in which hosts may be found, the first one and those after it.
func searched(ctx context.Context, q Querier, hq muster.HostQuery, first muster.County, now bool) ([]muster.County, error) {
	if hq.County != "" {
		return []muster.County{hq.County}, nil
	}
	county := func(r *sql.Rows) (c muster.County, err error) { return c, r.Scan(&c) }
	if now && hq.Unpublished && hq.Policy == "" {
		return rows(ctx, q, county, `SELECT DISTINCT county FROM (SELECT h.policy_digest, h.county FROM hosts h WHERE `+inUse+`
			GROUP BY h.policy_digest, h.county) u WHERE county >= $1 AND policy_digest`+unpublished+` ORDER BY 1`, string(first))
	}
	from, args := `residents h WHERE h.county`, []any{string(first)}
	if now && hq.Policy != "" { // its hosts may be few, and all in the last one
		from, args = `hosts h WHERE `+inUse+` AND h.policy_digest = $2 AND h.county`, append(args, hq.Policy)
	}
	// Each by a look into the index: many rows are of one county.
	return rows(ctx, q, county, `WITH RECURSIVE c (county) AS (
			SELECT min(h.county) FROM `+from+` >= $1
			UNION ALL SELECT (SELECT min(h.county) FROM `+from+` > c.county) FROM c WHERE c.county IS NOT NULL)
		SELECT county FROM c WHERE county IS NOT NULL`, args...)
}

// rare are those of the counties where the control fails or is unknown on a host, if these
// are less than half; else nil, and looking for them is not worth it.
func (d *DB) rare(ctx context.Context, q Querier, v muster.View, control string, of []muster.County) (map[muster.County]bool, error) {
	t, err := d.tally(ctx, q, d.instant(v), "")
	if err != nil {
		return nil, err
	}
	found := map[muster.County]bool{}
	if n, ok := t.index[control]; ok {
		for _, county := range of {
			if s := t.counties[county]; s != nil && n < len(s.counts) && s.counts[n][1]+s.counts[n][2]+s.counts[n][4] > 0 {
				found[county] = true
			}
		}
	}
	if 2*len(found) >= len(of) {
		return nil, nil
	}
	// The counts are without stale hosts.
	ask := d.ask(d.instant(v))
	var counties []muster.County
	list, err := rows(ctx, q, func(r *sql.Rows) (p packed, err error) {
		var county string
		var set []byte
		err = r.Scan(&county, &set, &p.statuses)
		counties, p.set = append(counties, muster.County(county)), string(set)
		return p, err
	}, `SELECT v.county, v.control_set, v.statuses`+ask.from(ask.silent(), false)+` AND `+counted, ask.args...)
	for k, p := range list {
		if bad, err := d.bad(ctx, q, p, control); err != nil {
			return nil, err
		} else if bad {
			found[counties[k]] = true
		}
	}
	return found, err
}

// bad reports whether the control fails or is unknown.
func (d *DB) bad(ctx context.Context, q Querier, p packed, control string) (bool, error) {
	names, err := d.names(ctx, q, p.set)
	n := slices.Index(names, control)
	return n >= 0 && n < len(p.statuses) && unmet(p.statuses[n]), err
}

// span looks at the next hosts of a county by id: how many there are, at most limit, and
// the last of them.
func (d *DB) span(ctx context.Context, q Querier, county muster.County, after string, limit int64) (n int64, last muster.HostID, err error) {
	err = q.QueryRowContext(ctx, `SELECT count(*), coalesce(max(host), '') FROM (SELECT host FROM residents
		WHERE county = $1 AND host > $2 ORDER BY host LIMIT $3) s`, string(county), after, limit).Scan(&n, &last)
	return n, last, err
}

// parts of a county's hosts are read at the same time: what takes long is to wait for the
// disk, and each host stands by itself.
const parts = 4

// inParts gives what read finds of all hosts of a county, by id.
func inParts[T any](ctx context.Context, d *DB, what string, county muster.County, read func(q Querier, after, last muster.HostID) ([]T, error)) ([]T, error) {
	ends, err := rows(ctx, d.Read, func(r *sql.Rows) (id muster.HostID, err error) { return id, r.Scan(&id) },
		`SELECT max(host) FROM (SELECT host, ntile(`+strconv.Itoa(parts)+`) OVER (ORDER BY host) AS part
			FROM residents WHERE county = $1) s GROUP BY part ORDER BY part`, string(county))
	if err != nil || len(ends) == 0 {
		return nil, d.Wrap(what, err)
	}
	ends[len(ends)-1] = "" // and whatever is new
	found, failed := make([][]T, len(ends)), make([]error, len(ends))
	var all sync.WaitGroup
	after := muster.HostID("")
	for k, last := range ends {
		from := after
		all.Go(func() {
			failed[k] = d.Snapshot(ctx, what, func(q Querier) (err error) {
				found[k], err = read(q, from, last)
				return err
			})
		})
		after = last
	}
	all.Wait()
	return slices.Concat(found...), errors.Join(failed...)
}

// within are the active hosts of the query's county with ids above after up to last, by id,
// at most limit.
func (d *DB) within(ctx context.Context, q Querier, i instant, after, last muster.HostID, hq muster.HostQuery, limit int64) ([]muster.HostStanding, error) {
	ask := d.ask(i)
	of, where := ask.residents(hq.County, after, last), ` AND v.state = 'active'`
	if hq.Control != "" || hq.Policy != "" || hq.Unpublished {
		where += ` AND v.replaced_by = ''`
	}
	if hq.Policy != "" {
		where += ` AND ` + ask.verdicts("policy_digest") + ` = ` + ask.arg(hq.Policy)
	}
	if hq.Profile != "" {
		of := "v"
		if i.at == present {
			of = "h" // has it as well, and is read first
		}
		where += ` AND ` + of + `.profile = ` + ask.arg(string(hq.Profile))
	}
	if hq.Unpublished {
		where += ` AND ` + ask.verdicts("policy_digest") + unpublished
	}
	from := func(heard bool) string { return ask.from(of, heard) + where + ` ORDER BY d.host` }
	if hq.Control == "" {
		return rows(ctx, q, func(r *sql.Rows) (muster.HostStanding, error) { return scanStanding(r) },
			`SELECT `+ask.columns(ask.replaces())+from(true)+` LIMIT `+ask.arg(limit), ask.args...)
	}
	list, err := rows(ctx, q, scanPacked, `SELECT h.id, `+ask.verdicts("control_set", "statuses")+`, '', ''`+from(false), ask.args...)
	if err != nil {
		return nil, err
	}
	var ids []muster.HostID
	for _, p := range list {
		bad, err := d.bad(ctx, q, p, hq.Control)
		if err != nil {
			return nil, err
		}
		if bad && int64(len(ids)) < limit {
			ids = append(ids, p.host)
		}
	}
	return d.standings(ctx, q, i, ids, hq.Control)
}

// atOnce is how many hosts one query names.
const atOnce = 500

// standings are those of the hosts, in their order, with their findings of a control
// where one is named; they have it.
func (d *DB) standings(ctx context.Context, q Querier, i instant, ids []muster.HostID, control string) ([]muster.HostStanding, error) {
	all := make([]muster.HostStanding, 0, len(ids))
	for some := range slices.Chunk(ids, atOnce) {
		ask := d.ask(i)
		in := make([]string, len(some))
		for k, id := range some {
			in[k] = ask.arg(string(id))
		}
		these := source{"hosts h", "h.id IN (" + strings.Join(in, ", ") + ")"}
		columns := ask.columns(ask.replaces())
		if control != "" {
			columns += ", " + ask.verdicts("control_set", "statuses", "since", "waivers")
		}
		var verdicts []packed
		hosts, err := rows(ctx, q, func(r *sql.Rows) (muster.HostStanding, error) {
			if control == "" {
				return scanStanding(r)
			}
			var p packed
			h, err := scanStanding(r, &p.set, &p.statuses, &p.since, &p.waivers)
			p.host = h.ID
			verdicts = append(verdicts, p)
			return h, err
		}, `SELECT `+columns+ask.from(these, true), ask.args...)
		if err != nil {
			return nil, err
		}
		for k, p := range verdicts {
			found, err := d.findings(ctx, q, p, i.hindsight, func(c string, _ byte) bool { return c == control })
			if err != nil {
				return nil, err
			}
			for n := range found {
				hosts[k].Finding = &found[n]
			}
		}
		all = append(all, hosts...)
	}
	order := make(map[muster.HostID]int, len(ids))
	for n, id := range ids {
		order[id] = n
	}
	slices.SortFunc(all, func(a, b muster.HostStanding) int { return order[a.ID] - order[b.ID] })
	return all, nil
}

// Host returns an active host.
func (d *DB) Host(ctx context.Context, v muster.View, id muster.HostID) (muster.HostStanding, error) {
	ask := d.ask(d.instant(v))
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (muster.HostStanding, error) { return scanStanding(r) },
		`SELECT `+ask.columns(ask.replaces())+ask.from(ask.one(id), true)+` AND v.state = 'active'`, ask.args...)
	if err == nil && len(list) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return muster.HostStanding{}, d.Wrap("read host "+string(id), err)
	}
	return list[0], nil
}

// HostFindings are all findings of an active host.
func (d *DB) HostFindings(ctx context.Context, v muster.View, id muster.HostID) ([]muster.FindingStanding, error) {
	ask := d.ask(d.instant(v))
	all, err := d.unpack(ctx, d.Read, ask, ask.one(id), `v.state = 'active'`, func(string, byte) bool { return true })
	return all, d.Wrap("read findings of "+string(id), err)
}

// CountyFindings are the fails and unknowns of the county's active hosts.
func (d *DB) CountyFindings(ctx context.Context, v muster.View, county muster.County) ([]muster.FindingStanding, error) {
	i := d.instant(v)
	return inParts(ctx, d, "read findings of "+string(county), county, func(q Querier, after, last muster.HostID) ([]muster.FindingStanding, error) {
		ask := d.ask(i)
		return d.unpack(ctx, q, ask, ask.residents(county, after, last), counted, func(_ string, status byte) bool { return unmet(status) })
	})
}

func (d *DB) unpack(ctx context.Context, q Querier, ask *question, of source, where string, choose func(string, byte) bool) ([]muster.FindingStanding, error) {
	list, err := rows(ctx, q, scanPacked, `SELECT h.id, `+ask.verdicts("control_set", "statuses", "since", "waivers")+
		ask.from(of, false)+` AND `+where, ask.args...)
	var all []muster.FindingStanding
	for _, p := range list {
		if err != nil {
			break
		}
		var found []muster.FindingStanding
		found, err = d.findings(ctx, q, p, ask.hindsight, choose)
		all = append(all, found...)
	}
	return all, err
}

// HostReports are newest first by number.
func (d *DB) HostReports(ctx context.Context, id muster.HostID, before uint64, limit int) ([]muster.ReportStanding, error) {
	below := int64(math.MaxInt64)
	if before > 0 && before < math.MaxInt64 {
		below = int64(before)
	}
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (p muster.ReportStanding, err error) {
		var digest []byte
		var received, collected int64
		var way int
		err = r.Scan(&p.Host, &p.Seq, &digest, &received, &collected, &p.Late, &way, &p.Evidence)
		copy(p.Digest[:], digest)
		p.ReceivedAt, p.CollectedAt, p.Way = clock(received), fromSeconds(collected), muster.WayUplink
		if way == 1 {
			p.Way = muster.WayCourier
		}
		return p, err
	}, `SELECT r.host, r.seq, r.digest, r.received_at, r.collected_at, r.newest <> r.seq, r.way,
			EXISTS (SELECT 1 FROM evidence e WHERE e.host = r.host AND e.seq = r.seq)
		FROM reports r WHERE r.host = $1 AND r.seq < $2 ORDER BY r.seq DESC LIMIT $3`, string(id), below, most(limit))
	return list, d.Wrap("read reports of "+string(id), err)
}

// Pending are the hosts that wait for approval. Replaces is whose place one would take.
func (d *DB) Pending(ctx context.Context, county muster.County) ([]muster.HostStanding, error) {
	return d.PendingPage(ctx, county, "", store.MaxPending)
}

// PendingPage is a page of them. A host that waits no more marks its place all the same.
func (d *DB) PendingPage(ctx context.Context, county muster.County, after muster.HostID, limit int) ([]muster.HostStanding, error) {
	ask := d.ask(d.instant(muster.View{}))
	where := ` AND h.state = 'pending'`
	if county != "" {
		where += ` AND h.county = ` + ask.arg(string(county))
	}
	if after != "" {
		where += ` AND (h.enrolled_at, h.id) > (SELECT a.enrolled_at, a.id FROM hosts a WHERE a.id = ` + ask.arg(string(after)) + `)`
	}
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (muster.HostStanding, error) { return scanStanding(r) },
		`SELECT `+ask.columns(`coalesce((SELECT min(o.id) FROM hosts o WHERE o.machine = h.machine AND o.machine <> ''
			AND o.county = h.county AND o.state = 'active' AND o.replaced_by = ''), '')`)+
			ask.from(source{"hosts h", "h.id <> ''"}, true)+where+` ORDER BY h.enrolled_at, h.id LIMIT `+ask.arg(limit), ask.args...)
	return list, d.Wrap("read pending hosts", err)
}

// Expected are a county's expected hosts, or with "" all, by county and name. In
// hindsight they are those that are expected now and were then.
func (d *DB) Expected(ctx context.Context, v muster.View, county muster.County) ([]muster.ExpectedHost, error) {
	ask := d.ask(d.instant(v))
	query := `SELECT e.county, e.shown, e.profile, e.note, e.since, e.host FROM expected e WHERE ` + ask.shown("e")
	if ask.hindsight {
		query += ` AND e.since <= ` + ask.arg(ask.clock)
	}
	if county != "" {
		query += ` AND e.county = ` + ask.arg(string(county))
	}
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (e muster.ExpectedHost, err error) {
		var since int64
		err = r.Scan(&e.County, &e.Name, &e.Profile, &e.Note, &since, &e.Host)
		e.Since = clock(since)
		return e, err
	}, query+` ORDER BY e.county, e.name`, ask.args...)
	return list, d.Wrap("read expected hosts", err)
}
