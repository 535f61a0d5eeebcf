package pgtest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestServer keeps its data and its address whichever way it ends.
func TestServer(t *testing.T) {
	s := Start(t)
	ctx, dsn := t.Context(), s.NewDatabase(t)
	run := func(statement string) {
		t.Helper()
		c, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.WithoutCancel(ctx))
		if _, err := c.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE TABLE kept (n bigint)`)
	for _, end := range []func() error{s.Stop, s.Kill, s.Kill, func() error { return nil }} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		run(`INSERT INTO kept VALUES (1)`)
	}
	run(`DO $$ BEGIN ASSERT (SELECT count(*) = 4 FROM kept); END $$`)
}
