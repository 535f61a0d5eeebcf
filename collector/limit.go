package collector

import (
	"cmp"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/passmuster/muster/collector/ingest"
)

// limit accepts at most so many connections at once; the next ones wait. What one
// address has too many of is closed.
type limit struct {
	net.Listener
	free   chan struct{}
	crowd  *ingest.Crowd
	closed chan struct{}
	once   sync.Once
}

// newLimit lets in n at once, each of them of one address; 0 means as many as of all.
func newLimit(l net.Listener, n, each int) *limit {
	return &limit{Listener: l, free: make(chan struct{}, n), crowd: ingest.NewCrowd(cmp.Or(each, n)), closed: make(chan struct{})}
}

func (l *limit) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.free
			return nil, err
		}
		from, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		if l.crowd.Enter(from) {
			return &limited{Conn: c, limit: l, from: from}, nil
		}
		c.Close()
	}
}

// handler ends each connection after its answer while more than half of the places
// are taken: hosts that only stay connected would keep the next ones out.
func (l *limit) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(l.free) > cap(l.free)/2 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Close ends an Accept also where no place is free.
func (l *limit) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limited struct {
	net.Conn
	limit  *limit
	from   string
	closed atomic.Bool
}

func (c *limited) Close() error {
	err := c.Conn.Close()
	if !c.closed.Swap(true) {
		c.limit.crowd.Leave(c.from)
		<-c.limit.free
	}
	return err
}
