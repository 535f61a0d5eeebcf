package facts

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"modernc.org/sqlite"

	"github.com/passmuster/muster"
)

// Bounds on what one statement may hold in memory.
const (
	// MaxAnswerBytes bounds the rows of one answer.
	MaxAnswerBytes = 16 << 20
	// MaxScanBytes bounds what one statement reads from all its tables.
	MaxScanBytes = 64 << 20
)

// SQL answers statements over tables of Go code with an in-process SQLite. It
// is an Engine.
type SQL struct {
	name   string
	lookup func(table string) *Table
	made   map[string]bool // virtual tables that SQLite knows by now
	guard  *guard
	memory *memory
	run    *run // the statement in progress
}

// NewSQL makes the engine called name over those tables that exist on the
// platform. It opens nothing but memory.
func NewSQL(name string, platform muster.Platform, tables []Table) (*SQL, error) {
	byName := map[string]*Table{}
	for i := range tables {
		t := &tables[i]
		if !slices.Contains(t.Platforms, platform) {
			continue
		}
		if byName[t.Name] != nil {
			return nil, fmt.Errorf("engine %s has two tables named %s", name, t.Name)
		}
		byName[t.Name] = t
	}
	return open(name, func(table string) *Table { return byName[table] })
}

func open(name string, lookup func(string) *Table) (*SQL, error) {
	s := &SQL{name: name, lookup: lookup, made: map[string]bool{}}
	s.guard = &guard{known: s.Has}
	drv := &sqlite.Driver{}
	if err := drv.RegisterModule(vtabModule, module{s}); err != nil {
		return nil, fmt.Errorf("open engine %s: %w", name, err)
	}
	if err := drv.RegisterFunction(emitFunction, &sqlite.FunctionImpl{NArgs: -1, Scalar: s.emit}); err != nil {
		return nil, fmt.Errorf("open engine %s: %w", name, err)
	}
	var err error
	if s.memory, err = openMemory(drv, s.guard.authorize); err != nil {
		return nil, fmt.Errorf("open engine %s: %w", name, err)
	}
	return s, nil
}

func (s *SQL) emit(_ *sqlite.FunctionContext, values []driver.Value) (driver.Value, error) {
	return nil, s.run.emit(values)
}

// Name is the engine's name as given to NewSQL.
func (s *SQL) Name() string { return s.name }

// Has reports whether the engine has the table on its platform.
func (s *SQL) Has(table string) bool { return s.lookup(table) != nil }

// Prefers reports whether the engine's table should be asked even where osquery
// has one of the name.
func (s *SQL) Prefers(table string) bool {
	t := s.lookup(table)
	return t != nil && t.Preferred
}

// Close frees the memory of SQLite. A table that hangs may still run.
func (s *SQL) Close() error {
	// The driver keeps its modules for ever; do not let them keep the tables.
	s.lookup = func(string) *Table { return nil }
	return s.memory.close()
}

// Query runs one statement. See Engine for its errors.
func (s *SQL) Query(ctx context.Context, statement string, limit int) ([]muster.Row, error) {
	statement, err := single(statement)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// A scan that is abandoned at the deadline must learn of it.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.run = &run{ctx: ctx, limit: limit, scans: map[string]*scan{}}
	defer func() { s.run = nil }()
	if s.run.columns, err = s.compile(ctx, statement); err != nil {
		return nil, err
	}
	// Only Exec can be interrupted between rows, so rows come out through a function.
	s.guard.emitting = true
	_, err = s.memory.conn.ExecContext(ctx, emitting(statement, len(s.run.columns)))
	s.guard.emitting = false
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	return s.run.rows, nil
}

// compile declares the tables of a statement and names the columns of its answer.
func (s *SQL) compile(ctx context.Context, statement string) ([]string, error) {
	s.guard.reset(statement)
	if err := s.declare(ctx, statement); err != nil {
		return nil, s.explain(ctx, err)
	}
	columns, err := s.memory.columns(statement)
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	return columns, nil
}

// emitFunction takes the rows of an answer out of SQLite.
const emitFunction = "muster_emit"

// emitting wraps a statement so that each row is handed to emitFunction.
func emitting(statement string, columns int) string {
	names := make([]string, columns)
	for i := range names {
		names[i] = "c" + strconv.Itoa(i)
	}
	list := strings.Join(names, ", ")
	return "WITH answer(" + list + ") AS (" + statement + ") SELECT " + emitFunction + "(" + list + ") FROM answer"
}

// declare makes SQLite know the tables that the statement may mean.
func (s *SQL) declare(ctx context.Context, statement string) error {
	s.guard.declare = true
	defer func() { s.guard.declare = false }()
	for _, name := range words(statement) {
		if s.made[name] || !s.Has(name) {
			continue
		}
		if _, err := s.memory.conn.ExecContext(ctx, "CREATE VIRTUAL TABLE main."+quote(name)+" USING "+vtabModule); err != nil {
			return fmt.Errorf("declare table %s: %w", name, err)
		}
		s.made[name] = true
	}
	return nil
}

// explain turns SQLite's error into the one that a caller can branch on.
func (s *SQL) explain(ctx context.Context, err error) error {
	if s.run.cause != nil {
		return s.run.cause
	}
	if s.guard.denied != nil {
		return s.guard.denied
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return sqliteError(err)
}

// sqliteError drops the driver's decoration and gives the error its type.
func sqliteError(err error) error {
	message := strings.TrimPrefix(err.Error(), "SQL logic error: ")
	var e *sqlite.Error
	if errors.As(err, &e) {
		message, _, _ = strings.Cut(message, " ("+strconv.Itoa(e.Code())+")")
		if code := e.Code() & 0xff; code == sqliteIOError || code == sqliteCantOpen {
			return errors.New("the statement needs more memory than one fact may use")
		}
	}
	if table, ok := strings.CutPrefix(message, "no such table: "); ok {
		return fmt.Errorf("no such table: %s: %w", table, ErrUnavailable)
	}
	return errors.New(message)
}

// run is one statement in progress.
type run struct {
	ctx     context.Context
	limit   int
	columns []string
	rows    []muster.Row
	bytes   int
	scanned int
	scans   map[string]*scan
	cause   error // what went wrong first, in our words
}

func (r *run) fail(err error) error {
	if r.cause == nil {
		r.cause = err
	}
	return r.cause
}

// emit takes one row of the answer.
func (r *run) emit(values []driver.Value) error {
	if len(r.rows) == r.limit {
		return r.fail(fmt.Errorf("the answer has more than %d rows: narrow the statement", r.limit))
	}
	row := make(muster.Row, len(values))
	for i, v := range values {
		text := valueText(v)
		row[r.columns[i]] = text
		r.bytes += cellBytes + len(text)
	}
	if r.bytes > MaxAnswerBytes {
		return r.fail(fmt.Errorf("the answer has more than %d MiB: narrow the statement", MaxAnswerBytes>>20))
	}
	r.rows = append(r.rows, row)
	return nil
}

// cellBytes is about what one value costs beside its text.
const cellBytes = 48

// valueText is SQLite's text form of a value, as osquery gives it: NULL is "",
// and a blob ends at its first NUL.
func valueText(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		text := strconv.FormatFloat(v, 'g', 15, 64)
		if !strings.ContainsAny(text, ".eIN") {
			text += ".0"
		}
		return text
	case []byte:
		text, _, _ := strings.Cut(string(v), "\x00")
		return text
	default:
		return ""
	}
}
