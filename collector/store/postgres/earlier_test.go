package postgres

import (
	"context"
	"errors"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/postgres/pgtest"
	"github.com/passmuster/muster/internal/earlier"
)

// loadEarlier runs a dump of the version before.
func loadEarlier(t *testing.T, dsn string) {
	t.Helper()
	dump, err := earlier.Inflate(earlier.Postgres)
	must(t, err)
	dump = regexp.MustCompile(`(?m)^\\.*$`).ReplaceAll(dump, nil) // what is for psql
	c, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	_, err = c.PgConn().Exec(t.Context(), string(dump)).ReadAll()
	must(t, errors.Join(err, c.Close(context.WithoutCancel(t.Context()))))
}

// schema is every column, index, constraint and trigger, but those of the months that
// evidence came in.
func schema(t *testing.T, s *Store) []string {
	t.Helper()
	r, err := s.pool.Query(t.Context(), `
		SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(collation_name, '') || ' ' || coalesce(column_default, '') AS what
			FROM information_schema.columns WHERE table_schema = 'public' AND table_name !~ '^evidence_'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename !~ '^evidence_'
		UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
			WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text !~ '^evidence_'
		UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		ORDER BY what`)
	must(t, err)
	list, err := pgx.CollectRows(r, pgx.RowTo[string])
	must(t, err)
	return list
}

// A database of the version before has its rows, and the schema of one that is new.
func TestEarlierDatabase(t *testing.T) {
	server := pgtest.Start(t)
	dsn := server.NewDatabase(t)
	loadEarlier(t, dsn)
	story, err := earlier.Open()
	must(t, err)
	old := mustOpen(t, dsn, store.Options{})
	defer old.Close()
	fresh := mustOpen(t, server.NewDatabase(t), store.Options{})
	defer fresh.Close()
	if diff := cmp.Diff(schema(t, fresh), schema(t, old)); diff != "" {
		t.Errorf("the migrations give another schema than the one that is new: %s", diff)
	}
	rows := map[string]int{}
	must(t, old.Dump(t.Context(), func(r store.Row) error { rows[r.Table]++; return nil }))
	if rows["hosts"] != 1 || rows["reports"] != 5 || rows["evidence"] != 5 || rows["policies"] != 3 {
		t.Errorf("%v", rows)
	}
	if e, err := old.Enrolled(t.Context(), story.Host); err != nil || e.County != "56021" {
		t.Errorf("%+v, %v", e, err)
	}
}
