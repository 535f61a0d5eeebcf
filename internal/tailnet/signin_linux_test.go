package tailnet_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/passmuster/muster/internal/tailnet"
	"github.com/passmuster/muster/internal/tailnet/tailnettest"
)

// TestKeyThatStays: nobody can delete a file of /proc, not even root.
func TestKeyThatStays(t *testing.T) {
	t.Parallel()
	const file = "/proc/version"
	key, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	net := tailnettest.New(t, tailnettest.Options{})
	net.RequireKey(strings.TrimSpace(string(key)))
	n := net.Node(t, tailnet.Options{Hostname: "agent", AuthKeyFile: file})
	eventually(t, "the status says that the key is still there", func(ctx context.Context) bool {
		s := n.Status(ctx)
		return s.State == "running" && strings.Contains(strings.Join(s.Problems, "\n"), "delete it")
	})
}
