package facts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// ErrEngineLost says that an engine does not answer any more. The Gatherer
// asks it nothing else.
var ErrEngineLost = errors.New("the engine does not answer")

// Gatherer asks facts one at a time and chooses the engine for each. It is for
// one goroutine.
type Gatherer struct {
	// Builtin answers muster_ tables, preferred ones, and whatever osquery
	// does not. A recorded engine may stand in its place. Nil means none.
	Builtin Engine
	// Osquery is nil where no osqueryd runs.
	Osquery Engine
	// Schema that every statement is checked against. Required.
	Schema *Schema
	// Platform whose statements are asked.
	Platform muster.Platform
	// Timeout for one fact on one engine; zero means DefaultTimeout.
	Timeout time.Duration
	// RowLimit for one fact; zero means DefaultRowLimit.
	RowLimit int
	// Logger hears of an engine that is lost; nil means nobody.
	Logger *slog.Logger

	lost error // why osquery is not asked any more
}

// Gather asks every fact and returns the results in the same order. Progress,
// if not nil, is called before each fact, and once more when all are done.
func (g *Gatherer) Gather(ctx context.Context, list []muster.Fact, progress func(done, total int, name string)) []muster.FactResult {
	if progress == nil {
		progress = func(int, int, string) {}
	}
	results := make([]muster.FactResult, 0, len(list))
	for i, f := range list {
		progress(i, len(list), f.Name)
		results = append(results, g.ask(ctx, f))
	}
	progress(len(list), len(list), "")
	return results
}

func (g *Gatherer) ask(ctx context.Context, f muster.Fact) muster.FactResult {
	r := muster.FactResult{Name: f.Name}
	statement, ok := f.SQL[g.Platform]
	if !ok {
		r.Reason = fmt.Sprintf("fact %s has no statement for %s", f.Name, g.Platform)
		return r
	}
	start := time.Now()
	var err error
	r.Rows, r.Engine, err = g.Query(ctx, statement)
	r.Duration = time.Since(start)
	r.Status, r.Reason = outcome(err)
	return r
}

// outcome is the status and reason that an error stands for.
func outcome(err error) (muster.FactStatus, string) {
	switch {
	case err == nil:
		return muster.FactOK, ""
	case errors.Is(err, ErrDenied):
		return muster.FactDenied, err.Error()
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrEngineLost):
		return muster.FactUnavailable, err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return muster.FactTimeout, "no answer in time"
	case errors.Is(err, context.Canceled):
		return muster.FactTimeout, "stopped before the answer came"
	default:
		return muster.FactError, err.Error()
	}
}

// Query checks one statement, chooses the engine, and returns the rows and the
// name of the engine that gave them. See Engine for its errors.
func (g *Gatherer) Query(ctx context.Context, statement string) ([]muster.Row, string, error) {
	tables, err := g.Schema.Check(statement)
	if err != nil {
		return nil, "", err
	}
	first, second := g.choose(tables)
	if first == nil {
		return nil, "", g.nobody(tables)
	}
	rows, err := g.run(ctx, first, statement)
	if err == nil || second == nil || ctx.Err() != nil {
		return rows, first.Name(), err
	}
	rows, err = g.run(ctx, second, statement)
	return rows, second.Name(), err
}

func (g *Gatherer) run(ctx context.Context, e Engine, statement string) ([]muster.Row, error) {
	timeout, limit := g.Timeout, g.RowLimit
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	if limit <= 0 {
		limit = DefaultRowLimit
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	rows, err := e.Query(ctx, statement, limit)
	if errors.Is(err, ErrEngineLost) && e == g.Osquery {
		g.lost = err
		if g.Logger != nil {
			g.Logger.Warn("osquery is lost, builtin answers what it can", "error", err)
		}
	}
	return rows, err
}

// choose names the engine to ask and the one to fall back on; nil means none.
func (g *Gatherer) choose(tables []string) (first, second Engine) {
	builtin, osquery := g.Builtin, g.Osquery
	if builtin != nil && lacks(builtin, tables) != "" {
		builtin = nil
	}
	if osquery != nil && (g.lost != nil || lacks(osquery, tables) != "") {
		osquery = nil
	}
	switch {
	case osquery == nil:
		return builtin, nil
	case builtin == nil:
		return osquery, nil
	}
	if p, ok := builtin.(interface{ Prefers(table string) bool }); ok {
		for _, t := range tables {
			if p.Prefers(t) {
				return builtin, nil
			}
		}
	}
	return osquery, builtin
}

// lacks names the first table that the engine does not have.
func lacks(e Engine, tables []string) string {
	for _, t := range tables {
		if !e.Has(t) {
			return t
		}
	}
	return ""
}

// nobody says why no engine can be asked.
func (g *Gatherer) nobody(tables []string) error {
	if g.lost != nil {
		return fmt.Errorf("table %s needs osquery: %w", strings.Join(tables, ", "), g.lost)
	}
	var asked []string
	for _, e := range []Engine{g.Osquery, g.Builtin} {
		if e != nil {
			asked = append(asked, fmt.Sprintf("%s does not have %s", e.Name(), lacks(e, tables)))
		}
	}
	if len(asked) == 0 {
		asked = append(asked, "there is no engine")
	}
	return fmt.Errorf("table %s is %w: %s", strings.Join(tables, ", "), ErrUnavailable, strings.Join(asked, ", "))
}
