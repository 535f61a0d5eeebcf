package tables

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/passmuster/muster"
)

// inUse is the SQL for a host h that counts now.
const inUse = `h.state = 'active' AND h.replaced_by = ''`

// using are hosts of a county that judge by a policy, those in a ring of their own apart.
type using struct {
	policy       string
	county       muster.County
	own          muster.Ring // of the hosts; "" for all of the county
	hosts, stale int
}

func scanUsing(r *sql.Rows) (u using, err error) {
	return u, r.Scan(&u.policy, &u.county, &u.own, &u.hosts, &u.stale)
}

// PolicyUse counts active hosts by published policy and ring. Hosts may name any policy,
// so that what was not published is one group.
func (d *DB) PolicyUse(ctx context.Context) ([]muster.PolicyUse, error) {
	var list []muster.PolicyUse
	err := d.Snapshot(ctx, "count hosts by policy", func(q Querier) error {
		counties, err := rows(ctx, q, func(r *sql.Rows) (m muster.RingMember, err error) {
			return m, r.Scan(&m.County, &m.Ring)
		}, `SELECT county, ring FROM rings WHERE host = ''`)
		if err != nil {
			return err
		}
		revisions := map[string]string{}
		_, err = rows(ctx, q, func(r *sql.Rows) (struct{}, error) {
			var policy, revision string
			err := r.Scan(&policy, &revision)
			revisions[policy] = revision
			return struct{}{}, err
		}, `SELECT contents, max(revision) FROM policies GROUP BY contents`)
		if err != nil {
			return err
		}
		parts, err := d.byPolicy(ctx, q)
		if err != nil {
			return err
		}
		use := map[muster.PolicyUse]using{}
		add := func(policy string, ring muster.Ring, hosts, stale int) {
			of := muster.PolicyUse{Ring: ring}
			if revision, ok := revisions[policy]; ok {
				of.Policy, of.Revision = policy, revision
			} else {
				of.Unpublished = policy != ""
			}
			u := use[of]
			use[of] = using{hosts: u.hosts + hosts, stale: u.stale + stale}
		}
		for _, p := range parts {
			ring := muster.RingOf(counties, "", p.county)
			if p.own != "" { // they count there instead
				add(p.policy, ring, -p.hosts, -p.stale)
				ring = p.own
			}
			add(p.policy, ring, p.hosts, p.stale)
		}
		for u, n := range use {
			if u.Hosts, u.Stale = n.hosts, n.stale; n.hosts > 0 {
				list = append(list, u)
			}
		}
		return nil
	})
	return list, err
}

// spread counts the hosts in use by policy and county, and of a county's stale ones has all
// with most, the policy that is probably the commonest: the hosts of others are counted, and
// the rest is on that.
func (d *DB) spread(ctx context.Context, q Querier, i instant) (list []using, most string, err error) {
	all, err := d.tally(ctx, q, i, "")
	if err != nil {
		return nil, "", err
	}
	most, _ = d.commonest.Load().(string)
	of := func(where string) string {
		return `SELECT h.policy_digest, h.county, '', count(*), 0 FROM hosts h WHERE ` + inUse + where + ` GROUP BY h.policy_digest, h.county`
	}
	list, err = rows(ctx, q, scanUsing, of(` AND h.policy_digest < $1`)+` UNION ALL `+of(` AND h.policy_digest > $1`), most)
	if err != nil {
		return nil, "", err
	}
	other, hosts, rest := map[muster.County]int{}, map[string]int{}, 0
	for _, u := range list {
		other[u.county] += u.hosts
		hosts[u.policy] += u.hosts
	}
	for county, c := range all.counties {
		list = append(list, using{policy: most, county: county, hosts: c.Hosts - other[county], stale: c.Stale})
		rest += c.Hosts - other[county]
	}
	next := most
	for policy, n := range hosts {
		if n > rest {
			next, rest = policy, n
		}
	}
	d.commonest.Store(next) // any would do, but this is the fastest next time
	return list, most, nil
}

// byPolicy counts the hosts in use, and once more those in a ring of their own.
func (d *DB) byPolicy(ctx context.Context, q Querier) ([]using, error) {
	i := d.instant(muster.View{})
	list, most, err := d.spread(ctx, q, i)
	if err != nil {
		return nil, err
	}
	ask := d.ask(i)
	silent := ask.silent()
	others, err := rows(ctx, q, scanUsing, `SELECT h.policy_digest, h.county, '', 0, 1 FROM `+silent.tables+`
		WHERE `+silent.where+` AND `+inUse+` AND h.policy_digest <> `+ask.arg(most), ask.args...)
	if err != nil {
		return nil, err
	}
	for _, u := range others {
		list = append(list, u, using{policy: most, county: u.county, stale: -1})
	}
	ask = d.ask(i)
	own, err := rows(ctx, q, scanUsing, `SELECT h.policy_digest, h.county, r.ring, 1, CASE WHEN `+ask.stale()+` THEN 1 ELSE 0 END
		FROM rings r JOIN hosts h ON h.id = r.host WHERE r.host <> '' AND `+inUse, ask.args...)
	return append(list, own...), err
}

// maxCompared bounds the hosts that PolicyEffect compares. Of more it takes some of each
// county, by their ids, which are random.
const maxCompared = 1000

// effect is what changed on a host with the policy by which it judges, as of a version:
// versions never change, so that this does not either.
type effect struct {
	version int64
	there   bool // it had a report before
	changes []muster.PolicyChange
}

// What is remembered is of so many policies, and of no host on which so much changed: a
// host may name a thousand controls that nobody has.
const (
	maxEffects = 16
	maxChanged = 100
)

// effects remembers those of the hosts that PolicyEffect compared last, by policy.
type effects struct {
	mu  sync.Mutex
	all map[string]map[muster.HostID]effect
}

func (e *effects) get(policy string) map[muster.HostID]effect {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all[policy]
}

// keep remembers a map that is never changed again.
func (e *effects) keep(policy string, hosts map[muster.HostID]effect) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.all == nil || len(e.all) >= maxEffects && e.all[policy] == nil {
		e.all = map[string]map[muster.HostID]effect{}
	}
	e.all[policy] = hosts
}

// PolicyEffect compares the last verdicts before a policy with the first under it, on
// the active hosts that judge by it now, or where they are many on some of them.
func (d *DB) PolicyEffect(ctx context.Context, policy string, known func(control string) bool) (muster.PolicyEffect, error) {
	var e muster.PolicyEffect
	err := d.Snapshot(ctx, "compare policy "+policy, func(q Querier) error {
		versions, err := d.sample(ctx, q, policy)
		if err != nil {
			return err
		}
		were, are := d.effects.get(policy), make(map[muster.HostID]effect, len(versions))
		var news []muster.HostID
		for host, version := range versions {
			was, ok := were[host]
			if !ok || was.version != version {
				was = effect{version: version}
				news = append(news, host)
			}
			are[host] = was
		}
		for some := range slices.Chunk(news, atOnce) {
			if err := d.compare(ctx, q, policy, some, are); err != nil {
				return err
			}
		}
		changes := map[muster.PolicyChange]int{}
		for _, host := range are {
			if host.there {
				e.Compared++
			}
			for _, c := range host.changes {
				changes[c]++
			}
		}
		maps.DeleteFunc(are, func(_ muster.HostID, e effect) bool { return len(e.changes) > maxChanged })
		d.effects.keep(policy, are)
		for c, n := range changes {
			if c.Hosts = n; known(c.Control) {
				e.Changes = append(e.Changes, c)
			}
		}
		slices.SortFunc(e.Changes, func(a, b muster.PolicyChange) int {
			return cmp.Or(cmp.Compare(b.Hosts, a.Hosts), cmp.Compare(a.Control, b.Control),
				cmp.Compare(a.Was, b.Was), cmp.Compare(a.Became, b.Became))
		})
		return nil
	})
	return e, err
}

// sample gives the hosts that a policy is compared on, and the open version of each.
func (d *DB) sample(ctx context.Context, q Querier, policy string) (map[muster.HostID]int64, error) {
	list, _, err := d.spread(ctx, q, d.instant(muster.View{}))
	if err != nil {
		return nil, err
	}
	all := 0
	list = slices.DeleteFunc(list, func(u using) bool { return u.policy != policy || u.hosts == 0 })
	for _, u := range list {
		all += u.hosts
	}
	versions := make(map[muster.HostID]int64, min(all, maxCompared))
	read := func(query string, args ...any) error {
		_, err := rows(ctx, q, func(r *sql.Rows) (struct{}, error) {
			var host muster.HostID
			var version int64
			err := r.Scan(&host, &version)
			versions[host] = version
			return struct{}{}, err
		}, query, args...)
		return err
	}
	const of = `SELECT h.id, h.version FROM hosts h WHERE ` + inUse + ` AND h.policy_digest = $1`
	if all <= maxCompared {
		return versions, read(of, policy)
	}
	for many := range slices.Chunk(list, atOnce) {
		ask, parts := &question{args: []any{policy}}, make([]string, len(many))
		for n, u := range many {
			parts[n] = `SELECT * FROM (` + of + ` AND h.county = ` + ask.arg(string(u.county)) +
				` ORDER BY h.id LIMIT ` + ask.arg((u.hosts*maxCompared+all-1)/all) + `) s`
		}
		if err := read(strings.Join(parts, ` UNION ALL `), ask.args...); err != nil {
			return nil, err
		}
	}
	return versions, nil
}

// compare puts what the policy changed on hosts into effects.
func (d *DB) compare(ctx context.Context, q Querier, policy string, hosts []muster.HostID, effects map[muster.HostID]effect) error {
	ask, in := d.ask(d.instant(muster.View{})), make([]string, len(hosts))
	under := ask.arg(policy)
	for n, id := range hosts {
		in[n] = ask.arg(string(id))
	}
	type pair struct{ was, now packed }
	pairs, err := rows(ctx, q, func(r *sql.Rows) (p pair, err error) {
		return p, r.Scan(&p.was.host, &p.was.set, &p.was.statuses, &p.now.set, &p.now.statuses)
	}, `SELECT t.id, b.control_set, b.statuses, a.control_set, a.statuses FROM (
			SELECT h.id, (SELECT max(x.n) FROM versions x WHERE x.host = h.id AND x.late = 0 AND x.policy_digest <> `+under+`) AS n
			FROM hosts h WHERE h.id IN (`+strings.Join(in, ", ")+`)) t
		JOIN versions b ON b.host = t.id AND b.n = t.n AND length(b.control_set) > 0
		JOIN versions a ON a.host = t.id AND a.n = (SELECT min(y.n) FROM versions y WHERE y.host = t.id AND y.n > t.n AND y.late = 0)`, ask.args...)
	for _, p := range pairs {
		changed, err := d.differences(ctx, q, p.was, p.now)
		if err != nil {
			return err
		}
		e := effects[p.was.host]
		e.there = true
		for _, t := range changed {
			e.changes = append(e.changes, muster.PolicyChange{Control: t.Control, New: t.First, Was: t.From, Became: t.To})
		}
		effects[p.was.host] = e
	}
	return err
}
