package uplink

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/passmuster/muster/internal/wire"
)

// line is a way to a collector that breaks after so many bytes in one direction,
// counted over all its connections.
type line struct {
	net.Listener
	mu       sync.Mutex
	up, down int // bytes left; negative: no end
}

func newLine(t *testing.T, collector string, up, down int) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &line{Listener: l, up: up, down: down}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", collector)
			if err != nil {
				near.Close()
				continue
			}
			all.Go(func() { p.carry(far, near, &p.up) })
			all.Go(func() { p.carry(near, far, &p.down) })
		}
	}()
	return p
}

func (p *line) carry(to, from net.Conn, left *int) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 4<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		cut := *left >= 0 && n >= *left
		if cut {
			n = *left
		}
		if *left > 0 {
			*left -= n
		}
		p.mu.Unlock()
		if _, e := to.Write(b[:n]); e != nil || err != nil || cut {
			return
		}
	}
}

// The line breaks after N bytes, for N all over a contact, in either direction.
// What was receipted stays receipted and does not travel again; nothing that came
// in part is believed; and the next contact brings the rest.
func TestCutAnywhere(t *testing.T) {
	const reports = 3
	step := 131
	if testing.Short() {
		step = 997
	}
	for _, direction := range []string{"up", "down"} {
		t.Run(direction, func(t *testing.T) {
			for n := 0; ; n += step {
				l := newLab(t, reports)
				l.collector.Policy = zipped(t, strings.Repeat("a bundle", 100))
				whole := l.url
				up, down := n, -1
				if direction == "down" {
					up, down = -1, n
				}
				l.url = "http://" + newLine(t, strings.TrimPrefix(whole, "http://"), up, down).Addr().String()
				cut := l.uplink().Once(t.Context())
				receipted := l.receipts()
				for i, name := range receipted {
					if name != receiptName(i) {
						t.Fatalf("after %d bytes: receipts %v", n, receipted)
					}
				}
				if entries, err := os.ReadDir(l.path("inbox")); err != nil || len(entries) > 0 && cut != nil {
					t.Errorf("after %d bytes: inbox %v, %v, %v", n, entries, err, cut)
				}
				_, before := l.collector.Stored()
				l.url = whole
				if err := l.uplink().Once(t.Context()); err != nil {
					t.Fatalf("after %d bytes: %v", n, err)
				}
				stored, again := l.collector.Stored()
				if len(stored) != reports || len(l.receipts()) != reports {
					t.Errorf("after %d bytes: %d stored, receipts %v", n, len(stored), l.receipts())
				}
				if again-before > reports-len(receipted) {
					t.Errorf("after %d bytes: %d came again though %d had receipts", n, again-before, len(receipted))
				}
				if cut == nil {
					if n == 0 {
						t.Error("nothing was cut")
					}
					return
				}
			}
		})
	}
}

func receiptName(i int) string { return fmt.Sprintf("%08d.receipt", i+1) }

// Every outcome that came whole counts, whichever byte the answer ends at.
func TestHalfOutcomes(t *testing.T) {
	const reports = 3
	l := newLab(t, reports)
	if err := l.uplink().Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	answer, ends := l.outcomes()
	for n := 0; n <= len(answer); n += 11 {
		if err := errors.Join(os.RemoveAll(l.path("receipts")), os.Mkdir(l.path("receipts"), 0o700)); err != nil {
			t.Fatal(err)
		}
		l.collector.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/v1/reports" {
				return false
			}
			w.Header().Set("Content-Type", wire.TypeSeq)
			w.Write(answer[:n]) // what the uplink makes of it shows below
			return true
		}
		want := 0
		for want < reports && ends[want] <= n {
			want++
		}
		if err := l.uplink().Once(t.Context()); len(l.receipts()) != want || (err == nil) != (n == len(answer)) {
			t.Fatalf("%d bytes: receipts %v, want %d, said %v", n, l.receipts(), want, err)
		}
	}
}

// outcomes is the collector's answer to all reports, and where in it each ends.
func (l *lab) outcomes() (answer []byte, ends []int) {
	l.t.Helper()
	u := l.uplink()
	var batch []*parcel
	for seq := range uint64(len(l.reports)) {
		batch = append(batch, &parcel{seq: seq + 1, envelope: l.reports[seq+1]})
	}
	body, err := u.encode(l.host, batch)
	if err != nil {
		l.t.Fatal(err)
	}
	var out bytes.Buffer
	seq := wire.NewSeqWriter(&out)
	if err := u.client.reports(l.t.Context(), body, func(o wire.Outcome) error {
		err := seq.Write(o)
		ends = append(ends, out.Len())
		return err
	}); err != nil {
		l.t.Fatal(err)
	}
	return out.Bytes(), ends
}
