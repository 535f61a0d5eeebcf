package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/internal/earlier"
)

// schema is everything in the file but its rows.
func schema(t *testing.T, s *Store) map[string]string {
	t.Helper()
	r, err := s.reader.QueryContext(t.Context(), `SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL`)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all := map[string]string{}
	for r.Next() {
		var name, sql string
		if err := r.Scan(&name, &sql); err != nil {
			t.Fatal(err)
		}
		all[name] = sql
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// A file of the version before becomes the same as one that is new: whoever changes the
// tables adds a migration, and leaves those alone that were released.
func TestEarlierFile(t *testing.T) {
	dir := t.TempDir()
	if err := earlier.Unpack(earlier.CollectorData, dir); err != nil {
		t.Fatal(err)
	}
	story, err := earlier.Open()
	if err != nil {
		t.Fatal(err)
	}
	old := open(t, filepath.Join(dir, "muster.db"), store.Options{})
	defer old.Close()
	fresh := open(t, filepath.Join(t.TempDir(), "muster.db"), store.Options{})
	defer fresh.Close()
	if diff := cmp.Diff(schema(t, fresh), schema(t, old)); diff != "" {
		t.Errorf("the migrations give another schema than the one that is new: %s", diff)
	}
	if e, err := old.Enrolled(t.Context(), story.Host); err != nil || e.County != "56021" {
		t.Errorf("%+v, %v", e, err)
	}
}
