// Command quiet runs a node for a while, in a program that is no test, and prints
// which servers it asked for beyond this computer. Tailscale's library uploads no
// logs from a test, whatever the program would do.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/passmuster/muster/internal/tailnet"
	"github.com/passmuster/muster/internal/tailnet/tailnettest"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	// Everything that leaves the computer takes the proxy, which takes nothing.
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("asked for", r.Method, r.Host)
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		os.Setenv(name, proxy.URL)
	}
	net, err := tailnettest.Start(tailnettest.Options{})
	if err != nil {
		return err
	}
	defer net.Close()
	n, err := net.Open(tailnet.Options{Hostname: "agent", Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer n.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := n.Up(ctx); err != nil {
		return err
	}
	time.Sleep(15 * time.Second) // uploads come every few seconds
	fmt.Println("joined", n.Status(ctx).Name)
	return nil
}
