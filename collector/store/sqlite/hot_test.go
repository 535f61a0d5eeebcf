package sqlite

import (
	"strings"
	"testing"

	"github.com/passmuster/muster/collector/store/storetest"
	"github.com/passmuster/muster/collector/store/tables"
)

// What is remembered of hosts is bounded, and the newest of each.
func TestHotIsBounded(t *testing.T) {
	var h hot
	sum := func() (n int) {
		for _, s := range h.hosts {
			n += size(s)
		}
		return n
	}
	for n := range 3000 {
		s := &tables.State{Host: storetest.HostID(n % 2000), Seq: uint64(n),
			Open: &tables.Version{Standing: tables.Standing{Waivers: strings.Repeat("x", (n%7)*10_000)}}}
		h.put(s)
		if h.get(s.Host) != s {
			t.Fatal("it is forgotten at once")
		}
		if h.bytes > maxHot || n%500 == 0 && h.bytes != sum() {
			t.Fatalf("%d bytes are counted, %d are kept, %d may be", h.bytes, sum(), maxHot)
		}
	}
}
