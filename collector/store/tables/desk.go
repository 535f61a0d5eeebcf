package tables

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

const (
	// maxFind bounds a text that is looked for, in bytes: no hostname is longer.
	maxFind = 255
	// highest sorts behind every character of a name.
	highest = "\U0010FFFF"
)

// Find gives active hosts by their name or the beginning of their id.
func (d *DB) Find(ctx context.Context, county muster.County, text string, limit int) ([]muster.HostStanding, error) {
	text = strings.ToLower(text)
	if text == "" || len(text) > maxFind || limit <= 0 || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, nil
	}
	var list []muster.HostStanding
	err := d.Snapshot(ctx, "find hosts", func(q Querier) error {
		var ids []muster.HostID
		for _, begins := range []bool{true, false} {
			more, err := d.find(ctx, q, county, text, begins, limit)
			if err != nil {
				return err
			}
			more = slices.DeleteFunc(more, func(id muster.HostID) bool { return slices.Contains(ids, id) })
			if ids = append(ids, more...); len(ids) >= limit {
				ids = ids[:limit]
				break
			}
		}
		var err error
		list, err = d.standings(ctx, q, d.instant(muster.View{}), ids, "")
		return err
	})
	return list, err
}

// find gives those whose name begins with the text, or all. Of all, every name is looked at,
// so that there is no more to it than must be.
func (d *DB) find(ctx context.Context, q Querier, county muster.County, text string, begins bool, limit int) ([]muster.HostID, error) {
	ask := d.ask(d.instant(muster.View{}))
	where := ask.shown("v") + ` AND v.state = 'active'`
	if county != "" {
		where += ` AND v.county = ` + ask.arg(string(county))
	}
	// Databases know the cases of ASCII alone: of the other letters they only count how many
	// there are, in the few names that have any.
	literal, ascii := "", len(text)
	for i, r := range text {
		switch {
		case r >= utf8.RuneSelf:
			literal, ascii = literal+"_", min(ascii, i)
		case strings.ContainsRune(`\%_`, r):
			literal += `\` + string(r)
		default:
			literal += string(r)
		}
	}
	foreign := ascii < len(text)
	like := func(pattern string) string { return `lower(v.hostname) LIKE ` + ask.arg(pattern) + ` ESCAPE '\'` }
	between := func(column, from string) string {
		return column + ` >= ` + ask.arg(from) + ` AND ` + column + ` < ` + ask.arg(from+highest)
	}
	if foreign {
		where += ` AND octet_length(v.hostname) > length(v.hostname)`
	}
	switch {
	case begins:
		where += ` AND ` + between("lower(v.hostname)", text[:ascii]) + ` AND ` + like(literal+"%")
	case foreign:
		where += ` AND ` + like("%"+literal+"%")
	default:
		where += ` AND (` + like("%"+literal+"%") + ` OR ` + between("v.host", text) + `)`
	}
	query := `SELECT v.host, v.hostname FROM versions v WHERE ` + where + ` ORDER BY lower(v.hostname), v.host`
	if !foreign {
		query += ` LIMIT ` + ask.arg(limit)
	}
	type named struct {
		id   muster.HostID
		name string
	}
	list, err := rows(ctx, q, func(r *sql.Rows) (h named, err error) { return h, r.Scan(&h.id, &h.name) }, query, ask.args...)
	var ids []muster.HostID
	for _, h := range list {
		name := strings.ToLower(h.name)
		if len(ids) < limit && (!foreign || strings.HasPrefix(name, text) || !begins && strings.Contains(name, text)) {
			ids = append(ids, h.id)
		}
	}
	return ids, err
}

// SetContacts makes the list the county's contacts.
func (d *DB) SetContacts(ctx context.Context, county muster.County, list []muster.Contact, e muster.LogEntry) error {
	return d.Write(ctx, "set contacts of "+string(county), func(tx Querier) error {
		if len(list) > store.MaxContacts {
			return fmt.Errorf("%d are more than the %d that one county can have: shorten the list", len(list), store.MaxContacts)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM contacts WHERE county = $1`, string(county)); err != nil {
			return err
		}
		var args []any
		for n, c := range list {
			args = append(args, string(county), n, c.Name, c.Duty, c.Phone, c.Email)
		}
		if err := insert(ctx, tx, `contacts (county, n, name, duty, phone, email)`, args, ``); err != nil {
			return err
		}
		d.changed([]muster.County{county})
		return d.logEntry(ctx, tx, e)
	})
}

// Contacts of a county.
func (d *DB) Contacts(ctx context.Context, county muster.County) ([]muster.Contact, error) {
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (c muster.Contact, err error) {
		return c, r.Scan(&c.Name, &c.Duty, &c.Phone, &c.Email)
	}, `SELECT name, duty, phone, email FROM contacts WHERE county = $1 ORDER BY n`, string(county))
	return list, d.Wrap("read contacts of "+string(county), err)
}

// inTheWay is an fs.ErrExist that says in a sentence what is there already.
type inTheWay string

func (e inTheWay) Error() string        { return string(e) }
func (e inTheWay) Is(target error) bool { return target == fs.ErrExist }

// Ask keeps an open request for a waiver.
func (d *DB) Ask(ctx context.Context, a muster.Ask, e muster.LogEntry) (id int64, err error) {
	err = d.Write(ctx, "ask for a waiver", func(tx Querier) error {
		var open int
		err := tx.QueryRowContext(ctx, `SELECT (SELECT coalesce(max(id), 0) + 1 FROM asks),
			(SELECT count(*) FROM asks WHERE county = $1 AND state = 'open')`, string(a.County)).Scan(&id, &open)
		if err != nil {
			return err
		}
		if open >= store.MaxAsks {
			return inTheWay(fmt.Sprintf("county %s has %d requests that wait for an answer, and can have no more: once the state's security officer has answered some, ask again", a.County, open))
		}
		err = insert(ctx, tx, `asks (`+askColumns+`)`, []any{string(a.County), id, string(a.Host), a.Control, a.Reason, micros(a.Until),
			e.Actor, d.loggedAt(e), string(muster.AskOpen), "", "", 0}, ``)
		if err != nil {
			return err
		}
		d.changed([]muster.County{a.County})
		return d.logEntry(ctx, tx, e)
	})
	return id, err
}

// Answer answers an open request.
func (d *DB) Answer(ctx context.Context, id int64, state muster.AskState, answer string, e muster.LogEntry) error {
	return d.Write(ctx, fmt.Sprintf("answer request %d", id), func(tx Querier) error {
		a, err := askOf(ctx, tx, id)
		if err != nil {
			return err
		}
		if a.State != muster.AskOpen {
			return inTheWay(fmt.Sprintf("it was %s already, by %s", a.State, a.AnsweredBy))
		}
		err = one(tx.ExecContext(ctx, `UPDATE asks SET state = $1, answer = $2, answered_by = $3, answered_at = $4 WHERE county = $5 AND id = $6`,
			string(state), answer, e.Actor, d.loggedAt(e), string(a.County), id))
		if err != nil {
			return err
		}
		d.changed([]muster.County{a.County})
		return d.logEntry(ctx, tx, e)
	})
}

const askColumns = `county, id, host, control, reason, until_at, by, at, state, answer, answered_by, answered_at`

func scanAsk(r Scanner) (a muster.Ask, err error) {
	var until, at, answered int64
	err = r.Scan(&a.County, &a.ID, &a.Host, &a.Control, &a.Reason, &until, &a.By, &at, &a.State, &a.Answer, &a.AnsweredBy, &answered)
	a.Until, a.At, a.AnsweredAt = clock(until), clock(at), clock(answered)
	return a, err
}

func askOf(ctx context.Context, q Querier, id int64) (muster.Ask, error) {
	return scanAsk(q.QueryRowContext(ctx, `SELECT `+askColumns+` FROM asks WHERE id = $1`, id))
}

// AskOf returns a request for a waiver.
func (d *DB) AskOf(ctx context.Context, id int64) (muster.Ask, error) {
	a, err := askOf(ctx, d.Read, id)
	return a, d.Wrap(fmt.Sprintf("read request %d", id), err)
}

// Asks is a page of requests for waivers.
func (d *DB) Asks(ctx context.Context, aq muster.AskQuery) (page muster.AskPage, err error) {
	ask := d.ask(d.instant(muster.View{}))
	where, order, beyond := ` FROM asks WHERE id > 0`, ` ORDER BY id DESC`, ` AND id < `
	if aq.County != "" {
		where += ` AND county = ` + ask.arg(string(aq.County))
	}
	if aq.Control != "" {
		where += ` AND control = ` + ask.arg(aq.Control)
	}
	if aq.Host != "" {
		where += ` AND host IN ('', ` + ask.arg(string(aq.Host)) + `)`
	}
	if aq.Open {
		where, order, beyond = where+` AND state = 'open'`, ` ORDER BY id`, ` AND id > `
	}
	if aq.Answered {
		where += ` AND state <> 'open'`
	}
	err = d.Snapshot(ctx, "read requests for waivers", func(q Querier) error {
		if err := q.QueryRowContext(ctx, `SELECT count(*)`+where, ask.args...).Scan(&page.Total); err != nil {
			return err
		}
		if aq.After > 0 {
			where += beyond + ask.arg(aq.After)
		}
		page.Asks, err = rows(ctx, q, func(r *sql.Rows) (muster.Ask, error) { return scanAsk(r) },
			`SELECT `+askColumns+where+order+` LIMIT `+ask.arg(most(aq.Limit)+1), ask.args...)
		return err
	})
	if n := aq.Limit; n > 0 && len(page.Asks) > n {
		page.Asks, page.Next = page.Asks[:n], page.Asks[n-1].ID
	}
	return page, err
}

// WaiverUse counts what each waiver excuses now.
func (d *DB) WaiverUse(ctx context.Context, county muster.County) (list []muster.WaiverUse, err error) {
	uses := map[muster.WaiverUse]int{}
	err = d.Snapshot(ctx, "count what waivers excuse", func(q Querier) error {
		i := d.instant(muster.View{})
		t, err := d.tally(ctx, q, i, "")
		if err != nil {
			return err
		}
		for c, s := range t.counties {
			if county != "" && c != county || !slices.ContainsFunc(s.counts, func(n counts) bool { return n[4] > 0 }) {
				continue // nothing is waived there
			}
			ask := d.ask(i)
			found, err := d.unpack(ctx, q, ask, ask.everyone(c), counted+` AND v.waived > 0 AND NOT `+ask.stale(), func(_ string, status byte) bool { return unmet(status) })
			if err != nil {
				return err
			}
			for _, f := range found {
				if f.Waiver != "" {
					uses[muster.WaiverUse{Waiver: f.Waiver, Control: f.Control}]++
				}
			}
		}
		return nil
	})
	for use, n := range uses {
		use.Findings = n
		list = append(list, use)
	}
	return list, err
}
