package tables

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxArgs bounds the parameters of one statement that writes several rows.
const maxArgs = 256

// insert writes rows of as many columns as into names, many to a statement, in runs of
// a power of two, so that few statements are ever prepared. into is "table (columns)".
func insert(ctx context.Context, tx Querier, into string, args []any, suffix string) error {
	columns := strings.Count(into, ",") + 1
	for len(args) > 0 {
		n := 1
		for 2*n*columns <= min(len(args), maxArgs) {
			n *= 2
		}
		if _, err := tx.ExecContext(ctx, insertion(into, columns, n, suffix), args[:n*columns]...); err != nil {
			return fmt.Errorf("write to %s: %w", into[:strings.IndexByte(into, ' ')], err)
		}
		args = args[n*columns:]
	}
	return nil
}

func insertion(into string, columns, n int, suffix string) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + into + " VALUES ")
	for i := range n * columns {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	b.WriteString(") " + suffix)
	return b.String()
}

// unqualified are columns as an INSERT names them.
func unqualified(columns, alias string) string { return strings.ReplaceAll(columns, alias+".", "") }

// Values of VersionColumns.
func (v *Version) Values() []any {
	set := []byte{}
	if v.Set != nil {
		set = v.Set.Digest[:]
	}
	return []any{string(v.Host), v.N, v.From, v.Until, string(v.County), string(v.State), string(v.Profile), string(v.Platform),
		v.Hostname, bit(v.Demo), v.Agent, string(v.Clone), string(v.ReplacedBy), int64(v.Seq), v.AboutAt, bit(v.Late),
		v.PolicyRevision, v.Policy,
		v.Summary.Pass, v.Summary.Fail, v.Summary.Unknown, v.Summary.NotApplicable, v.Summary.Waived,
		bit(v.Summary.MeetsBaseline), bit(v.GateFails), v.Changes, set, some(v.Statuses), some(v.Since), v.Waivers}
}

// bit is a boolean as columns have it.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// some is b, never nil.
func some(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Insertion is rows that are added to a table: as many Args for each as Into names
// columns, all of them int64, int, string or []byte.
type Insertion struct {
	Into   string // "table (columns)"
	Args   []any
	Suffix string
}

// Inserts are the rows that the plan adds, apart from those of Rest.
func (p *Plan) Inserts() []Insertion {
	var sets, versions, reports, evidence, silences, log, events []any
	for _, s := range p.Sets {
		sets = append(sets, s.Digest[:], s.String())
	}
	for _, v := range p.Versions {
		versions = append(versions, v.Values()...)
	}
	for i := range p.Reports {
		r := &p.Reports[i]
		reports = append(reports, string(r.Host), int64(r.Seq), r.Digest[:], r.ReceivedAt, r.CollectedAt, r.AboutAt,
			int64(r.Newest), int64(r.Received), int64(r.Missing), r.Version, r.Way)
	}
	for _, e := range p.Evidence {
		evidence = append(evidence, string(e.Host), int64(e.Seq), e.Month, e.Base[:], int64(e.BaseSeq), e.Depth, int64(e.Size), some(e.Body))
	}
	for _, s := range p.Silences {
		silences = append(silences, string(s.Host), s.From, s.Until)
	}
	for _, e := range p.Log {
		log = append(log, micros(e.At), e.Actor, e.Action, e.Object)
	}
	for _, e := range p.Events {
		events = append(events, micros(e.At), e.Kind, string(e.County), string(e.Host), e.Text)
	}
	return []Insertion{
		{`control_sets (digest, controls)`, sets, `ON CONFLICT DO NOTHING`},
		{`versions (` + unqualified(VersionColumns, "v") + `)`, versions, ``},
		{`reports (` + unqualified(LineColumns, "r") + `)`, reports, ``},
		{`evidence (host, seq, month, base, base_seq, depth, size, body)`, evidence, ``},
		{`silences (host, from_at, until_at)`, silences, ``},
		{`audit_log (at, actor, action, object)`, log, ``},
		{`events (at, kind, county, host, text)`, events, ``},
	}
}

// Apply writes the plan.
func (d *DB) Apply(ctx context.Context, tx Querier, p *Plan) error {
	for _, c := range p.Closed {
		if _, err := tx.ExecContext(ctx, `UPDATE versions SET until_at = $1 WHERE host = $2 AND n = $3`, c.Until, string(c.Host), c.N); err != nil {
			return fmt.Errorf("end a version: %w", err)
		}
	}
	for _, t := range p.Inserts() {
		if err := insert(ctx, tx, t.Into, t.Args, t.Suffix); err != nil {
			return err
		}
	}
	for _, s := range p.Heard {
		if err := one(tx.ExecContext(ctx, `UPDATE hosts SET seq = $1, digest = $2, first_seen = $3, last_seen = $4, collected_at = $5,
			about_at = $6, received = $7, declared = $8, stale_at = $9, version = $11 WHERE id = $10`, s.Heard()...)); err != nil {
			return fmt.Errorf("update host %s: %w", s.Host, err)
		}
	}
	for _, s := range p.Shown {
		if err := one(tx.ExecContext(ctx, `UPDATE hosts SET seq = $1, digest = $2, first_seen = $3, last_seen = $4, collected_at = $5,
			about_at = $6, received = $7, declared = $8, stale_at = $9, version = $11, stale_day = $12, replaced_at = $13,
			county = $14, state = $15, profile = $16, clone = $17, replaced_by = $18, policy_digest = $19 WHERE id = $10`,
			s.Shown()...)); err != nil {
			return fmt.Errorf("update host %s: %w", s.Host, err)
		}
	}
	return d.Rest(ctx, tx, p)
}

// Heard are the values that every report may change, as Apply has them, and the host's
// id as the tenth. No index is of any of them.
func (s *State) Heard() []any {
	digest := []byte{}
	if s.Seq > 0 {
		digest = s.Digest[:]
	}
	return []any{int64(s.Seq), digest, s.FirstSeen, s.LastSeen, s.CollectedAt, s.AboutAt, int64(s.Received), int64(s.Declared),
		s.StaleAt, string(s.Host), s.Open.N}
}

// Shown are those of Heard and what the open version and the profile's rhythm change.
func (s *State) Shown() []any {
	v := s.Open
	return append(s.Heard(), day(s.StaleAt), s.ReplacedAt, string(v.County), string(v.State), string(v.Profile),
		string(v.Clone), string(v.ReplacedBy), v.Policy)
}

// Rest writes what is rare in a plan: for a store that writes the rest in its own way.
func (d *DB) Rest(ctx context.Context, tx Querier, p *Plan) error {
	// In one order, or two transactions could wait for each other.
	for _, county := range slices.Sorted(maps.Keys(p.Retold)) {
		if _, err := tx.ExecContext(ctx, `INSERT INTO retold (county, day) VALUES ($1, $2) ON CONFLICT (county) DO UPDATE
			SET day = CASE WHEN excluded.day < retold.day THEN excluded.day ELSE retold.day END`, string(county), p.Retold[county]); err != nil {
			return fmt.Errorf("note a day that was retold: %w", err)
		}
	}
	for _, s := range p.Matching {
		if err := d.match(ctx, tx, s, p.now); err != nil {
			return fmt.Errorf("match host %s with those expected: %w", s.Host, err)
		}
	}
	d.changed(slices.Sorted(maps.Keys(p.Counties)))
	return nil
}
