package uplink

import (
	"testing"

	"github.com/passmuster/muster/internal/wire"
)

// A host that was updated before its collector keeps its reports, and sends them as
// soon as the collector is seen to take new ones; not a day later.
func TestEarlierCollector(t *testing.T) {
	l := newLab(t, 3)
	known := uint64(1) // the newest number that the collector can read
	l.collector.Code = func(seq uint64) wire.Code {
		if seq > known {
			return wire.CodeFutureSchema
		}
		return ""
	}
	u := l.uplink()
	for range 2 {
		if err := u.Once(t.Context()); err == nil {
			t.Error("nothing is said of reports that wait for a newer collector")
		}
	}
	if s := l.status(); len(l.receipts()) != 1 || len(s.Refused) != 2 || s.Refused[0].Code != wire.CodeFutureSchema || len(l.collector.Bases()) != 3 {
		t.Errorf("before: %+v, %v, %d frames", s, l.receipts(), len(l.collector.Bases()))
	}
	known = 4 // it was updated, and the next audit shows it
	l.add(4)
	_ = u.Once(t.Context()) // the older ones are still refused
	if !u.wanted(nil) {
		t.Error("the reports that waited for the collector's update are put off")
	}
	if err := u.Once(t.Context()); err != nil || len(l.receipts()) != 4 {
		t.Errorf("after: %v, %v", l.receipts(), err)
	}
}

// A code of a later version is a no like others: the report stays.
func TestLaterCode(t *testing.T) {
	l := newLab(t, 1)
	l.collector.Code = func(uint64) wire.Code { return "a_later_code" }
	u := l.uplink()
	if err := u.Once(t.Context()); err == nil || len(l.receipts()) != 0 || len(l.status().Refused) != 1 {
		t.Errorf("%v, %+v", err, l.status())
	}
	l.collector.Code, l.now = nil, l.now.Add(refusedFor)
	if err := u.Once(t.Context()); err != nil || len(l.receipts()) != 1 {
		t.Errorf("%v, %v", l.receipts(), err)
	}
}
