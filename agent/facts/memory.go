package facts

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"modernc.org/sqlite"
	"modernc.org/sqlite/vfs"
)

// Numbers of SQLite's C interface.
const (
	sqliteIOError     = 10
	sqliteCantOpen    = 14
	sqliteLimitLength = 0
	sqliteLimitSQL    = 1
	sqliteLimitOps    = 5
)

const (
	maxStatementBytes = 256 << 10
	maxStatementOps   = 250_000
)

// memory is one in-memory SQLite that can reach no file. What a statement
// sorts beyond the cache it cannot spill to disk either, so it ends with an error.
type memory struct {
	db    *sql.DB
	conn  *sql.Conn
	files *vfs.FS
}

func openMemory(drv *sqlite.Driver, authorize sqlite.AuthorizerFn) (*memory, error) {
	name, files, err := vfs.New(noFiles{})
	if err != nil {
		return nil, err
	}
	m := &memory{db: sql.OpenDB(connector{drv, name}), files: files}
	if m.conn, err = m.db.Conn(context.Background()); err == nil {
		err = m.bound(authorize)
	}
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *memory) bound(authorize sqlite.AuthorizerFn) error {
	for limit, value := range map[int]int{
		sqliteLimitLength: MaxAnswerBytes,
		sqliteLimitSQL:    2 * maxStatementBytes,
		sqliteLimitOps:    maxStatementOps,
	} {
		if _, err := sqlite.Limit(m.conn, limit, value); err != nil {
			return err
		}
	}
	pragma := fmt.Sprintf("PRAGMA cache_size = -%d", 2*MaxAnswerBytes>>10) // room to sort the largest answer
	if _, err := m.conn.ExecContext(context.Background(), pragma); err != nil {
		return err
	}
	return m.conn.Raw(func(c any) error { return c.(sqlite.AuthorizerRegisterer).RegisterAuthorizer(authorize) })
}

func (m *memory) close() error {
	var err error
	if m.conn != nil {
		err = m.conn.Close()
	}
	return errors.Join(err, m.db.Close(), m.files.Close())
}

// columns compiles a statement and names the columns of its answer.
func (m *memory) columns(statement string) (names []string, err error) {
	err = m.conn.Raw(func(c any) error {
		infos, err := c.(interface {
			ColumnInfo(string) ([]sqlite.ColumnInfo, error)
		}).ColumnInfo(statement)
		for _, info := range infos {
			names = append(names, info.Name)
		}
		return err
	})
	return names, err
}

// connector opens one database through a driver of its own, so that nothing is
// shared with other users of SQLite in this process.
type connector struct {
	driver *sqlite.Driver
	files  string
}

func (c connector) Driver() driver.Driver { return c.driver }
func (c connector) Connect(context.Context) (driver.Conn, error) {
	return c.driver.Open("file::memory:?vfs=" + c.files)
}

// noFiles is a file system that has no files and cannot make any.
type noFiles struct{}

func (noFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
