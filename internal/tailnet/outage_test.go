package tailnet_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/passmuster/muster/internal/tailnet"
)

func silent(t *testing.T, n *tailnet.Node, host string) {
	t.Helper()
	n.Client().CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if got, err := ask(ctx, n, host); err == nil {
		t.Errorf("%s answers %q all the same", host, got)
	}
}

func TestCutNodeComesBack(t *testing.T) {
	l := newLab(t)
	a := l.agent(t)
	answers(t, a, "collector", "collector")
	l.Cut("agent", true)
	silent(t, a, "collector")
	l.Cut("agent", false)
	answers(t, a, "collector", "collector")
}

func TestRelayGoesAndComesBack(t *testing.T) {
	l := newLab(t)
	a := l.agent(t)
	answers(t, a, "collector", "collector")
	l.StopDERP()
	silent(t, a, "collector")
	eventually(t, "a problem in the status", func(ctx context.Context) bool {
		return len(a.Status(ctx).Problems) > 0
	})
	l.StartDERP()
	answers(t, a, "collector", "collector")
	eventually(t, "a clean status", func(ctx context.Context) bool {
		return len(a.Status(ctx).Problems) == 0
	})
}

func TestTrafficGoesOnWithoutControl(t *testing.T) {
	l := newLab(t)
	a := l.agent(t)
	answers(t, a, "collector", "collector")
	l.StopControl()
	a.Client().CloseIdleConnections()
	answers(t, a, "collector", "collector")
	if s := a.Status(t.Context()); s.State != "running" {
		t.Errorf("status %+v", s)
	}
	l.StartControl()
	l.Rename("collector", "moved")
	answers(t, a, "moved", "collector") // the map comes again
}

// TestControlComesLater starts a new node, and one that has joined before, while
// nobody is there to let them in.
func TestControlComesLater(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	old := l.Node(t, tailnet.Options{Hostname: "old", Dir: dir})
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	l.StopControl()
	var nodes []*tailnet.Node
	for name, dir := range map[string]string{"old": dir, "new": t.TempDir()} {
		n, err := l.Open(tailnet.Options{Hostname: name, Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		nodes = append(nodes, n)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		// One that has joined before may know its peers from then.
		if err := n.Up(ctx); err == nil && name == "new" {
			t.Errorf("it joined without a control server: %+v", n.Status(t.Context()))
		}
	}
	l.StartControl()
	for _, n := range nodes {
		answers(t, n, "collector", "collector")
	}
}

// TestCollectorMoves: the name leads to another node with another address.
func TestCollectorMoves(t *testing.T) {
	l := newLab(t)
	a := l.agent(t)
	answers(t, a, "collector", "collector")
	before := l.collector.Status(t.Context()).Addresses
	second := l.Node(t, tailnet.Options{Hostname: "collector-1"})
	serve(t, second, "second", nil)
	if slices.Equal(before, second.Status(t.Context()).Addresses) {
		t.Fatal("both have one address: the test shows nothing")
	}
	if err := l.collector.Close(); err != nil {
		t.Fatal(err)
	}
	l.Rename("collector", "collector-old")
	l.Rename("collector-1", "collector")
	answers(t, a, "collector", "second")
}
