package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

func custody(t *testing.T, f *fixture) {
	mine, other := f.enroll(1, "17031", muster.EMS, true), f.enroll(2, "17031", muster.EMS, false)
	step := func(host muster.HostID, file string, minute int, act, by string) muster.CustodyEvent {
		return muster.CustodyEvent{At: f.now.Add(time.Duration(minute) * time.Minute), Act: act, By: by, File: file, Host: host, From: 1, To: 3}
	}
	first := []muster.CustodyEvent{
		step(mine, "bbbbbbbbbbbbbbbb", 0, muster.CustodyWrote, string(mine)),
		step(mine, "bbbbbbbbbbbbbbbb", 5, muster.CustodyReceived, "the state"),
		step(mine, "aaaaaaaaaaaaaaaa", 1, muster.CustodyWrote, string(mine)),
	}
	late := step(mine, "bbbbbbbbbbbbbbbb", 2, muster.CustodyRelayed, "a workstation")
	must(t, f.KeepCustody(f.ctx, first))
	must(t, f.KeepCustody(f.ctx, append(first, late, step(other, "bbbbbbbbbbbbbbbb", 0, muster.CustodyWrote, string(other)))))
	want := []muster.CustodyEvent{first[0], late, first[1], first[2]}
	if diff := cmp.Diff(want, get[[]muster.CustodyEvent](t)(f.Custody(f.ctx, mine))); diff != "" {
		t.Error(diff)
	}
	if got := get[[]muster.CustodyEvent](t)(f.Custody(f.ctx, HostID(9))); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	var many []muster.CustodyEvent
	for n := range store.MaxCustody {
		many = append(many, step(mine, fmt.Sprintf("%016x", n), 10, muster.CustodyWrote, string(mine)))
	}
	must(t, f.KeepCustody(f.ctx, many))
	if got := get[[]muster.CustodyEvent](t)(f.Custody(f.ctx, mine)); len(got) != store.MaxCustody || got[0] != many[0] {
		t.Errorf("%d steps, the first %+v", len(got), got[0])
	}
	if got := get[[]muster.CustodyEvent](t)(f.Custody(f.ctx, other)); len(got) != 1 {
		t.Errorf("those of another host: %+v", got)
	}
}
