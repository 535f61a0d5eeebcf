package tables

import (
	"strings"
	"testing"

	"github.com/passmuster/muster/collector/store"
)

// What is in a backup comes from outside: its words never become SQL.
func TestLoadRefusesOtherRows(t *testing.T) {
	good := store.Row{Table: "retold", Columns: []string{"county", "day"}, Values: []any{"17031", int64(1)}}
	for want, change := range map[string]func(*store.Row){
		"not one of this release":              func(r *store.Row) { r.Table = "retold; DROP TABLE hosts" },
		"table retold has other columns":       func(r *store.Row) { r.Columns = []string{"day", "county"} },
		"has other columns than in":            func(r *store.Row) { r.Values = r.Values[:1] },
		"a value of type float64":              func(r *store.Row) { r.Values = []any{"17031", 1.5} },
		"a value of type <nil>: the backup is": func(r *store.Row) { r.Values = []any{"17031", nil} },
	} {
		r := good
		change(&r)
		l := loader{ctx: t.Context()}
		if err := l.add(good); err != nil {
			t.Fatal(err)
		}
		if err := l.add(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", r, err, want)
		}
	}
}
