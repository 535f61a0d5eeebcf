package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. Of several processes one does it and the others
// wait, on a connection without time limits.
func migrate(ctx context.Context, c *pgx.ConnConfig) error {
	c = c.Copy()
	c.AfterConnect = nil
	db := stdlib.OpenDB(*c)
	defer db.Close()
	p, err := provider(db)
	if err != nil {
		return err
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	if have > newest {
		return fmt.Errorf("its schema %d is newer than this program (%d): use the newer release", have, newest)
	}
	_, err = p.Up(ctx)
	return err
}

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true), goose.WithSessionLocker(migrationLock{}))
}

// migrationLock is held by who migrates.
type migrationLock struct{}

func (migrationLock) SessionLock(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, lockMigration)
	return err
}

func (migrationLock) SessionUnlock(ctx context.Context, c *sql.Conn) error {
	var held bool
	err := c.QueryRowContext(ctx, `SELECT pg_advisory_unlock($1)`, lockMigration).Scan(&held)
	if err == nil && !held {
		err = errors.New("the migration's lock was lost")
	}
	return err
}
