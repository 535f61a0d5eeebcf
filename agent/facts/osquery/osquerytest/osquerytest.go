// Package osquerytest speaks osqueryd's side of its extension socket, with
// osquery's own Thrift server, for tests.
package osquerytest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	gen "github.com/osquery/osquery-go/gen/osquery"
	"github.com/osquery/osquery-go/transport"

	"github.com/passmuster/muster/agent/facts"
)

// Query answers one statement.
type Query func(sql string) (*gen.ExtensionResponse, error)

// manager is the server's side of osquery's protocol.
type manager struct {
	gen.ExtensionManager
	query Query
}

func (manager) Ping(context.Context) (*gen.ExtensionStatus, error) {
	return &gen.ExtensionStatus{Message: "OK"}, nil
}

func (m manager) Query(_ context.Context, sql string) (*gen.ExtensionResponse, error) {
	return m.query(sql)
}

// Processor makes Query answer calls of the protocol.
func Processor(query Query) thrift.TProcessor {
	return gen.NewExtensionManagerProcessor(manager{query: query})
}

// Answer is a good answer with these rows.
func Answer(rows ...map[string]string) *gen.ExtensionResponse {
	return &gen.ExtensionResponse{Status: &gen.ExtensionStatus{Message: "OK"}, Response: rows}
}

// FromEngine answers as osqueryd does: an SQL error is a status of code 1.
func FromEngine(e facts.Engine) Query {
	return func(sql string) (*gen.ExtensionResponse, error) {
		rows, err := e.Query(context.Background(), sql, 1<<20)
		if err != nil {
			message, _, _ := strings.Cut(err.Error(), ": "+facts.ErrUnavailable.Error())
			return &gen.ExtensionResponse{Status: &gen.ExtensionStatus{Code: 1, Message: message}}, nil
		}
		var list []map[string]string
		for _, r := range rows {
			list = append(list, r)
		}
		return Answer(list...), nil
	}
}

// Socket is a short path in a folder that is ours alone.
func Socket(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "osq")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "osquery.em")
}

// Serve runs the server on a socket until the test ends.
func Serve(tb testing.TB, socket string, query Query) {
	tb.Helper()
	listener, err := transport.OpenServer(socket, time.Minute)
	if err != nil {
		tb.Fatal(err)
	}
	if err := listener.Listen(); err != nil {
		tb.Fatal(err)
	}
	server := thrift.NewTSimpleServer2(Processor(query), listener)
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.AcceptLoop() //nolint:errcheck // ends with the listener
	}()
	tb.Cleanup(func() {
		listener.Close()
		<-done
	})
}
