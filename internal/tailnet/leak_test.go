package tailnet_test

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/passmuster/muster/internal/tailnet"
	"github.com/passmuster/muster/internal/tailnet/tailnettest"
)

// TestMain wants no goroutine left once every node and tailnet is closed.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			os.Stderr.WriteString("goroutines are left: " + err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

// TestCloseWhileJoining ends nodes in every state.
func TestCloseWhileJoining(t *testing.T) {
	net := tailnettest.New(t, tailnettest.Options{})
	for range 5 {
		n, err := net.Open(tailnet.Options{Hostname: "agent", Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		waits := make(chan error)
		go func() { waits <- n.Up(context.Background()) }()
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		<-waits
	}
}
