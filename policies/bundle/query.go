package bundle

import (
	"context"
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Query is one document of a compiled policy, ready to be asked again and again.
// OPA's package rego does the same and links 4 MB more: another compiler, and
// protobuf.
type Query struct {
	compiler *ast.Compiler
	store    storage.Store
	query    ast.QueryCompiler
	body     ast.Body
}

// ErrUndefined: the document has no value.
var ErrUndefined = errors.New("it gave no answer")

const answer = ast.Var("answer")

// Prepare makes a query for the document at ref, such as "data.muster.engine".
func Prepare(compiler *ast.Compiler, store storage.Store, ref string) (*Query, error) {
	body, err := ast.ParseBody(string(answer) + " = " + ref)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", ref, err)
	}
	q := &Query{compiler: compiler, store: store, query: compiler.QueryCompiler()}
	if q.body, err = q.query.Compile(body); err != nil {
		return nil, fmt.Errorf("ask for %s: %w", ref, err)
	}
	return q, nil
}

// Ask evaluates the query until ctx is done. An error of a builtin is an error, and
// never an absence. with may set what else the query needs; nil sets nothing. The
// error is ErrUndefined where there is no value.
func (q *Query) Ask(ctx context.Context, input ast.Value, with func(*topdown.Query)) (value *ast.Term, err error) {
	txn, err := q.store.NewTransaction(ctx)
	if err != nil {
		return nil, err
	}
	defer q.store.Abort(ctx, txn)
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	run := topdown.NewQuery(q.body).WithQueryCompiler(q.query).WithCompiler(q.compiler).
		WithStore(q.store).WithTransaction(txn).WithStrictBuiltinErrors(true).WithCancel(cancel)
	if input != nil {
		run = run.WithInput(ast.NewTerm(input))
	}
	if with != nil {
		with(run)
	}
	err = run.Iter(ctx, func(r topdown.QueryResult) error {
		value = r[answer]
		return nil
	})
	if err == nil && value == nil {
		err = ErrUndefined
	}
	return value, err
}
