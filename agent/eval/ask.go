package eval

import (
	"context"
	"errors"
	"fmt"
	"runtime/metrics"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies/bundle"
)

// Budgets of Rego. The whole baseline takes a few milliseconds.
const (
	// WholeBudget bounds the query over all controls of a shard. After it, or after
	// an error, each control is asked alone, so that only the guilty one suffers.
	WholeBudget = 2 * time.Second
	// ControlBudget bounds one control asked alone.
	ControlBudget = time.Second
	// TotalBudget bounds all controls together; those that are left are not asked.
	TotalBudget = 30 * time.Second
	// MemoryBudget bounds by how many bytes the heap may grow during a query.
	MemoryBudget = 96 << 20

	memoryCheck = 10 * time.Millisecond
	// grace is how long a query may go on after it was stopped; then it is left
	// to itself, for one step of it may last for ever.
	grace = 250 * time.Millisecond
	// maxLeft is how many queries are left to themselves before nothing more is asked.
	maxLeft = 4
)

var (
	errMemory = errors.New("it took too much memory")
	errLeft   = errors.New("it could not be stopped")
)

// answer is what one control said.
type answer struct {
	violations, unknown, inapplicable, notes *ast.Term
	err                                      error
}

// ask puts the controls to Rego, all at once, or one by one where that fails.
func (e *Evaluator) ask(ctx context.Context, in Input, controls []muster.Control) map[string]answer {
	answers := make(map[string]answer, len(controls))
	if len(controls) == 0 {
		return answers
	}
	d := newDocument(in)
	for _, c := range controls {
		d.add(asked(e.bundle, c, e.platform))
	}
	byShard := map[*shard][]muster.Control{}
	for _, c := range controls {
		byShard[e.shards[c.ID]] = append(byShard[e.shards[c.ID]], c)
	}
	left, end := 0, time.Now().Add(TotalBudget)
	run := func(s *shard, input ast.Value, budget time.Duration) (ast.Object, error) {
		switch {
		case left == maxLeft:
			return nil, errors.New("it was not asked, for too much of this policy cannot be stopped")
		case time.Now().After(end):
			return nil, fmt.Errorf("it was not asked, for this policy took more than %s", TotalBudget)
		}
		o, err := s.run(ctx, input, budget)
		if errors.Is(err, errLeft) {
			left++
		}
		return o, err
	}
	for s, mine := range byShard {
		whole, err := run(s, d.input(mine...), WholeBudget)
		for _, c := range mine {
			if err == nil {
				answers[c.ID] = pick(whole, c.ID)
				continue
			}
			alone, err := run(s, d.input(c), ControlBudget)
			if err != nil {
				answers[c.ID] = answer{err: err}
				continue
			}
			answers[c.ID] = pick(alone, c.ID)
		}
	}
	return answers
}

func pick(result ast.Object, id string) answer {
	key := ast.StringTerm(id)
	rule := func(name string) *ast.Term {
		if byID := result.Get(ast.StringTerm(name)); byID != nil {
			if o, ok := byID.Value.(ast.Object); ok {
				return o.Get(key)
			}
		}
		return nil
	}
	return answer{violations: rule("violations"), unknown: rule("unknown"), inapplicable: rule("inapplicable"), notes: rule("notes")}
}

// run evaluates the query within bounds of time and memory. Its error wraps errLeft
// where the query still runs.
func (s *shard) run(ctx context.Context, input ast.Value, budget time.Duration) (ast.Object, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer func() { <-done }() // the watcher ends before its context is reused
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		defer close(done)
		watch(stop, budget, cancel)
	}()
	answer, err := s.eval(ctx, input)
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(err, errLeft) {
			return nil, fmt.Errorf("%w, and %w", cause, errLeft)
		}
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	if o, ok := answer.Value.(ast.Object); ok {
		return o, nil
	}
	return nil, bundle.ErrUndefined
}

// eval waits for the answer, and after ctx is done for a short time only. A panic
// in a builtin is an error like any other.
func (s *shard) eval(ctx context.Context, input ast.Value) (*ast.Term, error) {
	answered := make(chan func() (*ast.Term, error), 1)
	go func() {
		var value *ast.Term
		var err error
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("it broke down: %v", r)
			}
			answered <- func() (*ast.Term, error) { return value, err }
		}()
		value, err = s.query.Ask(ctx, input, nil)
	}()
	select {
	case answer := <-answered:
		return answer()
	case <-ctx.Done():
	}
	select {
	case answer := <-answered:
		return answer()
	case <-time.After(grace):
		return nil, errLeft
	}
}

// watch cancels a query that takes too long or too much.
func watch(stop <-chan struct{}, budget time.Duration, cancel context.CancelCauseFunc) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	limit := sample[0].Value.Uint64() + MemoryBudget
	tick := time.NewTicker(memoryCheck)
	defer tick.Stop()
	end := time.NewTimer(budget)
	defer end.Stop()
	for {
		select {
		case <-stop:
			return
		case <-end.C:
			cancel(fmt.Errorf("it took more than %s", budget))
			return
		case <-tick.C:
			if metrics.Read(sample); sample[0].Value.Uint64() > limit {
				cancel(errMemory)
				return
			}
		}
	}
}

// document builds the input. Column names and short values come again and
// again, so each is made once.
type document struct {
	in    Input
	facts ast.Object
	terms map[string]*ast.Term
}

func newDocument(in Input) *document {
	return &document{in: in, facts: ast.NewObject(), terms: map[string]*ast.Term{}}
}

func (d *document) input(controls ...muster.Control) ast.Value {
	ask := ast.NewObject()
	for _, c := range controls {
		ask.Insert(ast.StringTerm(c.ID), ast.InternedTerm(true))
	}
	h := d.in.Host
	host := ast.NewObject(
		[2]*ast.Term{ast.StringTerm("id"), ast.StringTerm(string(h.ID))},
		[2]*ast.Term{ast.StringTerm("hostname"), ast.StringTerm(h.Hostname)},
		[2]*ast.Term{ast.StringTerm("county"), ast.StringTerm(string(h.County))},
		[2]*ast.Term{ast.StringTerm("profile"), ast.StringTerm(string(h.Profile))},
		[2]*ast.Term{ast.StringTerm("platform"), ast.StringTerm(string(h.Platform))},
	)
	return ast.NewObject(
		[2]*ast.Term{ast.StringTerm("ask"), ast.NewTerm(ask)},
		[2]*ast.Term{ast.StringTerm("facts"), ast.NewTerm(d.facts)},
		[2]*ast.Term{ast.StringTerm("host"), ast.NewTerm(host)},
		[2]*ast.Term{ast.StringTerm("time"), ast.StringTerm(d.in.Now.UTC().Format(time.RFC3339))},
	)
}

// add puts in the facts that are ok and not in yet.
func (d *document) add(names []string) {
	for _, name := range names {
		r, ok := d.in.Facts[name]
		key := d.term(name)
		if !ok || r.Status != muster.FactOK || d.facts.Get(key) != nil {
			continue
		}
		rows := make([]*ast.Term, len(r.Rows))
		for i, row := range r.Rows {
			cells := make([][2]*ast.Term, 0, len(row))
			for column, value := range row {
				cells = append(cells, [2]*ast.Term{d.term(column), d.term(value)})
			}
			rows[i] = ast.NewTerm(ast.NewObject(cells...))
		}
		d.facts.Insert(key, ast.ArrayTerm(rows...))
	}
}

func (d *document) term(s string) *ast.Term {
	const short = 32
	if len(s) > short {
		return ast.StringTerm(s)
	}
	t, ok := d.terms[s]
	if !ok {
		t = ast.StringTerm(s)
		d.terms[s] = t
	}
	return t
}
