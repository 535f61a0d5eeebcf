// Command load measures the collector's stores, as `make bench` reports it: how many
// signed reports a second a real collector takes in beside the same database written
// raw, what the heaviest pages' questions cost with a state's history, and what a host
// costs on disk. It prints each figure beside its target and never fails for a slow
// machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/postgres"
	"github.com/passmuster/muster/collector/store/postgres/pgtest"
	"github.com/passmuster/muster/collector/store/sqlite"
	"github.com/passmuster/muster/internal/figure"
)

type options struct {
	bin         string
	ingestHosts int
	hosts, days int    // of the history
	asks        int    // of every question
	diskDays    int    // of hourly reports
	kept        string // the address of a database that outlives pages
	http, serve bool   // pages asks for whole pages only, or lets others ask
	out         io.Writer
}

const (
	sqliteName   = "SQLite"
	postgresName = "PostgreSQL"
)

// database that is measured.
type database struct {
	name, driver string
	// fresh gives the address of an empty one; open opens it.
	fresh func() (string, error)
	open  func(ctx context.Context, dsn string, o store.Options) (store.Store, error)
}

func main() {
	o := options{out: os.Stdout}
	flag.StringVar(&o.bin, "bin", "bin", "folder with the built programs")
	flag.IntVar(&o.ingestHosts, "ingest", 8000, "hosts that report in one round")
	flag.IntVar(&o.hosts, "hosts", 100_000, "hosts of the history")
	flag.IntVar(&o.days, "days", 400, "days of the history, at least 40")
	flag.IntVar(&o.asks, "asks", 200, "how often each question is asked")
	flag.IntVar(&o.diskDays, "year", 365, "days of hourly reports that the disk is measured with")
	flag.StringVar(&o.kept, "kept", "", "with -only pages and -db: the address of a database that is filled where it is empty, and stays")
	flag.BoolVar(&o.http, "http", false, "of the pages, only what a browser asks for, of a filled -kept")
	flag.BoolVar(&o.serve, "serve", false, "of the pages, serve a filled -kept as at its history's end, print the link, and wait for Ctrl-C")
	only := flag.String("only", "", "one part: ingest, pages, disk")
	on := flag.String("db", "", "one database: SQLite, PostgreSQL")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, *only, *on); err != nil {
		fmt.Fprintln(os.Stderr, "load: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, only, on string) (err error) {
	root, err := os.MkdirTemp("", "muster-load-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	databases := []database{{name: sqliteName, driver: "sqlite",
		fresh: func() (string, error) {
			dir, err := os.MkdirTemp(root, "sqlite-")
			return filepath.Join(dir, "muster.db"), err
		},
		open: func(ctx context.Context, dsn string, o store.Options) (store.Store, error) {
			return sqlite.Open(ctx, dsn, o)
		},
	}}
	if on != sqliteName {
		// It runs as another user where this one is root.
		if err := os.Chmod(root, 0o755); err != nil {
			return err
		}
		dir := filepath.Join(root, "postgres")
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		server, err := pgtest.Open(dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Stop()) }()
		made := 0
		fresh := func() (string, error) {
			made++
			return server.Create(fmt.Sprint("load_", made))
		}
		databases = append(databases, database{name: postgresName, driver: "pgx", fresh: fresh,
			open: func(ctx context.Context, dsn string, o store.Options) (store.Store, error) {
				return postgres.Open(ctx, dsn, o)
			}})
	}
	for _, part := range []struct {
		name string
		do   func(context.Context, options, database, string) error
	}{{"ingest", ingest}, {"disk", disk}, {"pages", pages}} {
		for _, d := range databases {
			if only != "" && part.name != only || on != "" && d.name != on {
				continue
			}
			dir := filepath.Join(root, part.name+d.name)
			if err := part.do(ctx, o, d, dir); err != nil {
				return fmt.Errorf("%s on %s: %w", part.name, d.name, err)
			}
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o options) figure(what string, v float64, t figure.Target) { figure.Print(o.out, what, v, t) }
