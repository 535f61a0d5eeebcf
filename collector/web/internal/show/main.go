// Command show serves an invented state on this computer, with a page of every part
// that pages are made of: for who works on the dashboard. Every few seconds something
// changes there, so that pages are seen to be live.
//
//	go run ./collector/web/internal/show
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8444", "address on this computer")
	turn := flag.Duration("turn", 5*time.Second, "how often something changes")
	once := flag.Bool("once", false, "open pages of every kind as everyone, say how many, and exit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *listen, *turn, *once, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "show: error:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, listen string, turn time.Duration, once bool, out io.Writer) error {
	s, err := newStage(time.Now())
	if err != nil {
		return err
	}
	if once {
		return s.tour(out)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", listen, err)
	}
	fmt.Fprintf(out, "The storybook is at http://%s/storybook. Stop it with Ctrl-C.\n", l.Addr())
	ended := make(chan error, 1)
	go func() { ended <- s.play(ctx, turn) }()
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}
