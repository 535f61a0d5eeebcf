package tailnettest

import (
	"io"
	"net"
	"sync"
)

// door is one node's TCP way to one server. Shut, it ends every connection and
// takes no new one.
type door struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	open  bool
	conns map[net.Conn]bool
}

// newDoor panics as httptest does where loopback has no port left.
func newDoor(target string) *door {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	d := &door{listener: l, target: target, open: true, conns: map[net.Conn]bool{}}
	go d.serve()
	return d
}

func (d *door) addr() string { return d.listener.Addr().String() }
func (d *door) port() int    { return d.listener.Addr().(*net.TCPAddr).Port }

func (d *door) serve() {
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return
		}
		go d.carry(c)
	}
}

func (d *door) carry(in net.Conn) {
	if !d.admit(in) {
		return
	}
	defer d.dismiss(in)
	out, err := net.Dial("tcp", d.target)
	if err != nil || !d.admit(out) {
		return
	}
	defer d.dismiss(out)
	go func() {
		io.Copy(out, in)
		d.dismiss(out)
	}()
	io.Copy(in, out)
}

func (d *door) admit(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.open {
		c.Close()
		return false
	}
	d.conns[c] = true
	return true
}

func (d *door) dismiss(c net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.Close()
	delete(d.conns, c)
}

func (d *door) set(open bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = open
	if open {
		return
	}
	for c := range d.conns {
		c.Close()
	}
}

func (d *door) close() {
	d.set(false)
	d.listener.Close()
}
