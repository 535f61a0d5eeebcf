package tables

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// expectation is an open row of expected.
type expectation struct {
	county      muster.County
	name        string
	from, since int64
	shown       string
	profile     muster.Profile
	note        string
	host        muster.HostID
}

func (d *DB) expectations(ctx context.Context, tx Querier, where string, args ...any) ([]expectation, error) {
	return rows(ctx, tx, func(r *sql.Rows) (x expectation, err error) {
		return x, r.Scan(&x.county, &x.name, &x.from, &x.since, &x.shown, &x.profile, &x.note, &x.host)
	}, fmt.Sprintf(`SELECT county, name, from_at, since, shown, profile, note, host FROM expected WHERE until_at = %d AND `, int64(Open))+where, args...)
}

// expectedName is a hostname as names are compared.
func expectedName(hostname string) string { return strings.ToLower(strings.TrimSpace(hostname)) }

// Expect makes the list the county's expected hosts.
func (d *DB) Expect(ctx context.Context, county muster.County, list []muster.ExpectedHost, e muster.LogEntry) error {
	return d.Write(ctx, "expect hosts of "+string(county), func(tx Querier) error {
		if len(list) > store.MaxExpected {
			return fmt.Errorf("%d hosts are more than the %d that one county can expect: shorten the list", len(list), store.MaxExpected)
		}
		now := d.stamp()
		open, err := d.expectations(ctx, tx, `county = $1`, string(county))
		if err != nil {
			return err
		}
		was := make(map[string]expectation, len(open))
		for _, x := range open {
			was[x.name] = x
		}
		names, err := d.named(ctx, tx, county)
		if err != nil {
			return err
		}
		is := make(map[string]bool, len(list))
		for _, x := range list {
			name := expectedName(x.Name)
			if name == "" {
				return errors.New("an expected host has no name: give each its hostname")
			}
			if is[name] {
				return fmt.Errorf("%q is expected twice: name each host once", x.Name)
			}
			is[name] = true
			old, there := was[name]
			next := old
			if !there {
				next = expectation{county: county, name: name, since: now}
			}
			next.shown, next.profile, next.note = x.Name, x.Profile, x.Note
			if h, ok := names[name]; !there || old.host == "" {
				if next.host = ""; ok {
					next.host = h
				}
			}
			if there && next == old {
				continue
			}
			if err := d.expect(ctx, tx, old, next, now); err != nil {
				return err
			}
		}
		for _, x := range open {
			if is[x.name] {
				continue
			}
			if err := d.unexpect(ctx, tx, x, now); err != nil {
				return err
			}
		}
		d.changed([]muster.County{county})
		return d.logEntry(ctx, tx, e)
	})
}

// expect lets next follow old, which is zero where there is none.
func (d *DB) expect(ctx context.Context, tx Querier, old, next expectation, now int64) error {
	if old.name != "" {
		if err := d.unexpect(ctx, tx, old, now); err != nil {
			return err
		}
	}
	return insert(ctx, tx, `expected (county, name, from_at, until_at, since, shown, profile, note, host)`,
		[]any{string(next.county), next.name, max(now, old.from), int64(Open), next.since, next.shown, string(next.profile), next.note, string(next.host)},
		`ON CONFLICT (county, name, from_at) DO UPDATE SET until_at = excluded.until_at, since = excluded.since,
			shown = excluded.shown, profile = excluded.profile, note = excluded.note, host = excluded.host`)
}

// unexpect ends a row.
func (d *DB) unexpect(ctx context.Context, tx Querier, x expectation, now int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE expected SET until_at = $1 WHERE county = $2 AND name = $3 AND from_at = $4`,
		max(now, x.from), string(x.county), x.name, x.from)
	return err
}

// named are the county's hosts that count, by name; of several with one name the one
// with the lowest id.
func (d *DB) named(ctx context.Context, tx Querier, county muster.County) (map[string]muster.HostID, error) {
	names := map[string]muster.HostID{}
	_, err := rows(ctx, tx, func(r *sql.Rows) (struct{}, error) {
		var id muster.HostID
		var hostname string
		err := r.Scan(&id, &hostname)
		if was, ok := names[expectedName(hostname)]; !ok || id < was {
			names[expectedName(hostname)] = id
		}
		return struct{}{}, err
	}, `SELECT h.id, v.hostname FROM hosts h JOIN versions v ON v.host = h.id AND v.n = h.version
		WHERE h.county = $1 AND h.state = 'active' AND h.replaced_by = ''`, string(county))
	return names, err
}

// match finds which expected hosts the host is, now that it is written. One that it is
// no more is another host of that name, or missing.
func (d *DB) match(ctx context.Context, tx Querier, s *State, now int64) error {
	name := expectedName(s.Open.Hostname)
	was, err := d.expectations(ctx, tx, `host = $1 AND host <> ''`, string(s.Host))
	if err != nil {
		return err
	}
	for _, x := range was {
		if s.counted() && x.county == s.Open.County && x.name == name {
			continue
		}
		names, err := d.named(ctx, tx, x.county)
		if err != nil {
			return err
		}
		next := x
		next.host = names[x.name]
		if err := d.expect(ctx, tx, x, next, now); err != nil {
			return err
		}
	}
	if !s.counted() {
		return nil
	}
	missing, err := d.expectations(ctx, tx, `county = $1 AND name = $2 AND host = ''`, string(s.Open.County), name)
	if err != nil {
		return err
	}
	for _, x := range missing {
		next := x
		next.host = s.Host
		if err := d.expect(ctx, tx, x, next, now); err != nil {
			return err
		}
	}
	return nil
}
