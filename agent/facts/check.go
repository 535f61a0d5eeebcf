package facts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"modernc.org/sqlite"
)

// checked is the outcome of one Check, kept because engines ask again.
type checked struct {
	tables, columns []string
	err             error
}

// maxChecked bounds what Check remembers.
const maxChecked = 1000

// Check compiles one statement against the schema and returns the tables it
// reads, in alphabetical order. Only a single SELECT passes, over tables and
// columns of the schema, with functions that compute and nothing else. The
// error wraps ErrRefused where a table is out of every policy's reach.
func (s *Schema) Check(statement string) ([]string, error) {
	c := s.remember(statement)
	return c.tables, c.err
}

// Columns names the columns of the answer in their order, for a statement that
// Check passes.
func (s *Schema) Columns(statement string) ([]string, error) {
	c := s.remember(statement)
	return c.columns, c.err
}

func (s *Schema) remember(statement string) checked {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.checked[statement]
	if !ok {
		c.tables, c.columns, c.err = s.check(statement)
		if len(s.checked) < maxChecked {
			s.checked[statement] = c
		}
	}
	return c
}

func (s *Schema) check(statement string) (tables, columns []string, err error) {
	if statement, err = single(statement); err != nil {
		return nil, nil, err
	}
	e := s.engine
	e.run = &run{ctx: context.Background()}
	defer func() { e.run = nil }()
	columns, err = e.compile(e.run.ctx, statement)
	switch {
	case errors.Is(err, ErrUnavailable):
		message := strings.TrimSuffix(err.Error(), ": "+ErrUnavailable.Error())
		return nil, nil, fmt.Errorf("%s: neither osquery %s nor Muster has it", message, OsqueryVersion)
	case err != nil:
		return nil, nil, err
	}
	for i, c := range columns {
		if slices.Contains(columns[:i], c) {
			return nil, nil, fmt.Errorf("two columns of the answer are named %s: give one another name with AS", c)
		}
	}
	return slices.Sorted(maps.Keys(e.guard.reads)), columns, nil
}

// guard is SQLite's authorizer for statements that come from outside: they
// may read the engine's tables and compute, and nothing else.
type guard struct {
	known    func(table string) bool
	declare  bool     // our own CREATE VIRTUAL TABLE is being compiled
	emitting bool     // our own wrapping of the statement is being compiled
	given    []string // names that the statement itself gives to subqueries
	reads    map[string]bool
	denied   error
}

func (g *guard) reset(statement string) {
	g.given, g.reads, g.denied = given(statement), map[string]bool{}, nil
}

func (g *guard) deny(err error) sqlite.AuthorizerReturnCode {
	if g.denied == nil {
		g.denied = err
	}
	return sqlite.AuthorizerDeny
}

func (g *guard) authorize(action sqlite.AuthorizerActionCode, arg1, arg2, database, _ string) sqlite.AuthorizerReturnCode {
	if g.declare {
		return sqlite.AuthorizerOK
	}
	switch action {
	case sqlite.AuthSelect, sqlite.AuthRecursive:
		return sqlite.AuthorizerOK
	case sqlite.AuthRead:
		table := strings.ToLower(arg1)
		switch {
		case arg2 == "" && database == "" && slices.Contains(g.given, table):
			return sqlite.AuthorizerOK
		case !g.known(table):
			return g.deny(fmt.Errorf("table %s is %w: it is not part of the schema", table, ErrRefused))
		}
		if err := Refused(table); err != nil {
			return g.deny(err)
		}
		g.reads[table] = true
		return sqlite.AuthorizerOK
	case sqlite.AuthFunction:
		if allowedFunction(strings.ToLower(arg2)) || g.emitting && arg2 == emitFunction {
			return sqlite.AuthorizerOK
		}
		return g.deny(fmt.Errorf("function %s is %w: it does more than compute on what was read", arg2, ErrRefused))
	}
	return g.deny(fmt.Errorf("the statement is %w: only SELECT may be used", ErrRefused))
}

// allowedFunction lists the functions of SQLite that compute on their
// arguments alone and cannot grow them without bound.
func allowedFunction(name string) bool {
	return slices.Contains(strings.Fields(`
		abs avg ceil ceiling char coalesce concat concat_ws count cume_dist date datetime dense_rank exp
		first_value floor format glob group_concat hex if ifnull iif instr json json_array json_array_length
		json_extract json_group_array json_group_object json_object json_type json_valid julianday lag
		last_value lead length like likelihood likely ln log log10 log2 lower ltrim max min mod nth_value
		ntile nullif octet_length percent_rank pow power printf quote rank replace round row_number rtrim
		sign sqrt strftime string_agg substr substring subtype sum time timediff total trim trunc typeof
		unhex unicode unixepoch unlikely upper -> ->>`), name)
}

// single checks that the text is one SELECT and returns it without what stands
// around it.
func single(statement string) (string, error) {
	if len(statement) > maxStatementBytes {
		return "", fmt.Errorf("the statement is longer than %d KiB", maxStatementBytes>>10)
	}
	if strings.ContainsRune(statement, 0) {
		return "", errors.New("the statement holds a NUL character")
	}
	first, start, end, ended := "", 0, 0, false
	for at, t := range tokens(statement) {
		switch {
		case t.kind == tokenEnd:
			ended = ended || first != ""
			continue
		case ended:
			return "", fmt.Errorf("more than one statement: %w", ErrRefused)
		case t.kind == tokenParameter:
			return "", errors.New("the statement has a parameter: write its value")
		case first == "":
			first, start = strings.ToLower(t.text), at
		}
		end = at + len(t.text)
	}
	switch first {
	case "select", "with", "values":
		return statement[start:end], nil
	case "":
		return "", errors.New("the statement is empty")
	default:
		return "", fmt.Errorf("the statement is %w: it begins with %s, and only SELECT may be used", ErrRefused, first)
	}
}

// Limited is the statement cut off after so many rows, for an engine that
// cannot stop by itself.
func Limited(statement string, rows int) (string, error) {
	statement, err := single(statement)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("SELECT * FROM (%s) LIMIT %d", statement, rows), nil
}

// words lists, in lower case, what a statement may mean as a table's name.
func words(statement string) []string {
	var list []string
	for _, t := range tokens(statement) {
		if t.kind == tokenWord || t.kind == tokenQuoted {
			list = append(list, t.name())
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// given lists the names that WITH gives to subqueries: "name AS (" and
// "name (columns) AS (".
func given(statement string) []string {
	var list []string
	var before []sqlToken
	for _, t := range tokens(statement) {
		before = append(before, t)
		n := len(before) - 2
		if t.text != "(" {
			continue
		}
		for n > 0 && (before[n].name() == "materialized" || before[n].name() == "not") {
			n--
		}
		if n < 1 || before[n].name() != "as" {
			continue
		}
		if n--; before[n].text == ")" {
			for n > 0 && before[n].text != "(" {
				n--
			}
			n--
		}
		if n >= 0 {
			list = append(list, before[n].name())
		}
	}
	return list
}
