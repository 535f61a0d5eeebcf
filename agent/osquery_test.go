//go:build unix

package agent_test

import (
	"context"
	"strings"
	"testing"
	"time"

	gen "github.com/osquery/osquery-go/gen/osquery"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/facts"
	"github.com/passmuster/muster/agent/facts/osquery/osquerytest"
)

// hostsFile is an osqueryd that knows one line of the hosts file and nothing else.
func hostsFile(t *testing.T) osquerytest.Query {
	t.Helper()
	e, err := facts.NewSQL("osquery", muster.Linux, []facts.Table{{
		Name: "etc_hosts", Platforms: []muster.Platform{muster.Linux},
		Columns: []facts.Column{{Name: "address", Type: "text"}, {Name: "hostnames", Type: "text"}},
		Rows: func(_ context.Context, _ facts.Query, emit func(muster.Row) error) error {
			return emit(muster.Row{"address": "192.0.2.7", "hostnames": "only-osquery-knows.example.gov"})
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return osquerytest.FromEngine(e)
}

func TestAuditAsksOsquery(t *testing.T) {
	socket := osquerytest.Socket(t)
	osquerytest.Serve(t, socket, hostsFile(t))
	// The shipped lists are fresh then.
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	res := mustAudit(t, agent.Options{Osquery: socket, Now: now})
	if got := res.Results["hosts_file"]; got.Engine != "osquery" || got.Status != muster.FactOK {
		t.Errorf("hosts_file: %s from %q: %s", got.Status, got.Engine, got.Reason)
	}
	for _, f := range res.Audit.Findings {
		if f.Control == "MVS-NET-08" && (f.Status != muster.StatusFail || !strings.Contains(f.Violations[0].Subject, "only-osquery-knows")) {
			t.Errorf("NET-08: %s, %v", f.Status, f.Violations)
		}
	}
	// What this osqueryd does not have, the builtin engine answers.
	if got := res.Results["os_version"]; got.Engine != "builtin" || got.Status != muster.FactOK {
		t.Errorf("os_version: %s from %q: %s", got.Status, got.Engine, got.Reason)
	}
}

// A daemon that dies on every question costs the audit nothing but its answers.
func TestAuditOutlivesOsquery(t *testing.T) {
	socket := osquerytest.Socket(t)
	osquerytest.Serve(t, socket, func(string) (*gen.ExtensionResponse, error) {
		return &gen.ExtensionResponse{Status: &gen.ExtensionStatus{Code: 1, Message: "out of memory"}}, nil
	})
	res := mustAudit(t, agent.Options{Osquery: socket})
	if got := res.Results["hosts_file"]; got.Engine != "builtin" || got.Status != muster.FactOK {
		t.Errorf("hosts_file: %s from %q: %s", got.Status, got.Engine, got.Reason)
	}
}
