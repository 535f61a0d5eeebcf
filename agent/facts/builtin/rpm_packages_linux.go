package builtin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // driver of the database

	"github.com/passmuster/muster/agent/facts"
)

// rpmPackages are the packages that rpm knows. Its database is read in the form
// of SQLite (Fedora, RHEL 9) and of ndb (SUSE); in the older one of Berkeley DB
// it is unavailable, as it is without rpm, where osquery has no rows. Anybody may read it.
func (h host) rpmPackages() facts.Table {
	return facts.Table{
		Name: "rpm_packages", Platforms: onLinux, Whole: true, Source: "rpm database", Preferred: true,
		Columns: columns(`name text, version text, release text, source text, size bigint, sha1 text, arch text,
			epoch integer, install_time integer, vendor text, package_group text`),
		Rows: func(ctx context.Context, _ facts.Query, emit emitFunc) error {
			return h.rpmHeaders(ctx, func(header []byte) error {
				r, err := parseRPMHeader(header)
				if err != nil {
					return err
				}
				return emit(r)
			})
		},
	}
}

// rpmHeaders visits the header of every package.
func (h host) rpmHeaders(ctx context.Context, visit func([]byte) error) error {
	for _, folder := range []string{"/usr/lib/sysimage/rpm", "/var/lib/rpm"} {
		for _, db := range []struct {
			name string
			read func(ctx context.Context, path string, visit func([]byte) error) error
		}{{"rpmdb.sqlite", readRPMSQLite}, {"Packages.db", readRPMNdb}, {"Packages", readRPMBerkeley}} {
			path := folder + "/" + db.name
			if !h.exists(path) {
				continue
			}
			if err := db.read(ctx, h.path(path), visit); err != nil {
				return readError(path, err)
			}
			return nil
		}
	}
	return errNoRPM
}

var errNoRPM = fmt.Errorf("no rpm here: %w", facts.ErrUnavailable)

func readRPMBerkeley(context.Context, string, func([]byte) error) error {
	return fmt.Errorf("a Berkeley DB, which is not understood: %w", facts.ErrUnavailable)
}

// readRPMSQLite opens the database so that nothing is written beside it. With
// no changes waiting in its log it is read as it lies; else through the log,
// for which the shared index must be there.
func readRPMSQLite(ctx context.Context, path string, visit func([]byte) error) error {
	f, err := openFile(path) // SQLite does not tell denied from broken
	if err != nil {
		return err
	}
	f.Close()
	options := "mode=ro&immutable=1"
	log, err := os.Stat(path + "-wal")
	if err == nil && log.Size() > 0 {
		options = "mode=ro&readonly_shm=1"
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: absolute, RawQuery: options}).String())
	if err != nil {
		return err
	}
	defer db.Close()
	// What is too large comes as NULL, which is no header.
	rows, err := db.QueryContext(ctx, "SELECT CASE WHEN length(blob) <= ? THEN blob END FROM Packages ORDER BY hnum", maxRPMHeader)
	if err != nil && log != nil && log.Size() > 0 {
		return fmt.Errorf("changes wait in its log: %w: %w", err, facts.ErrUnavailable)
	}
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var header sql.RawBytes
		if err := rows.Scan(&header); err != nil {
			return err
		}
		if err := visit(header); err != nil {
			return err
		}
	}
	return rows.Err()
}
