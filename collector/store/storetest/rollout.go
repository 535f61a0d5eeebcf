package storetest

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

func (f *fixture) release(version int64, revision string, ring muster.Ring) muster.Release {
	return muster.Release{Version: version, Revision: revision, Digest: "d-" + revision, Policy: "p-" + revision,
		Bundle: []byte("bundle " + revision), Ring: ring, Actor: "ciso", Published: f.now}
}

func policies(t *testing.T, f *fixture) {
	must(t, f.Publish(f.ctx, f.release(7, "seven", muster.RingAll)))
	must(t, f.Publish(f.ctx, f.release(9, "nine", muster.RingCanary)))
	for _, version := range []int64{0, 7, 8, 9} {
		if err := f.Publish(f.ctx, f.release(version, "late", muster.RingAll)); !errors.Is(err, fs.ErrExist) {
			t.Errorf("version %d after 9: %v", version, err)
		}
	}
	want := []muster.Release{f.release(9, "nine", muster.RingCanary), f.release(7, "seven", muster.RingAll)}
	for i := range want {
		want[i].Bundle = nil
	}
	if diff := cmp.Diff(want, get[[]muster.Release](t)(f.Releases(f.ctx))); diff != "" {
		t.Error(diff)
	}
	if b := get[[]byte](t)(f.Bundle(f.ctx, 7)); string(b) != "bundle seven" {
		t.Errorf("bundle %q", b)
	}
	if _, err := f.Bundle(f.ctx, 8); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}

	entry := muster.LogEntry{At: f.now, Actor: "ciso", Action: "promote_policy", Object: "version 9 to early"}
	must(t, f.Roll(f.ctx, 9, muster.RingEarly, true, entry))
	if r := get[[]muster.Release](t)(f.Releases(f.ctx))[0]; r.Ring != muster.RingEarly || !r.Paused {
		t.Errorf("rolled to %+v", r)
	}
	if err := f.Roll(f.ctx, 8, muster.RingAll, false, entry); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	log := get[[]muster.LogEntry](t)(f.AuditLog(f.ctx, 0, 9))
	if len(log) != 3 || log[0].Action != entry.Action || log[0].Object != entry.Object || log[1].Action != "publish_policy" || log[1].Actor != "ciso" {
		t.Errorf("log: %+v", log)
	}
}

func rings(t *testing.T, f *fixture) {
	entry := muster.LogEntry{At: f.now, Actor: "ciso", Action: "set_ring", Object: "x"}
	members := []muster.RingMember{{Host: HostID(1), Ring: muster.RingCanary}, {County: "17031", Ring: muster.RingEarly}, {County: "17043", Ring: muster.RingCanary}}
	for _, m := range members {
		must(t, f.SetRing(f.ctx, m, entry))
	}
	must(t, f.SetRing(f.ctx, muster.RingMember{County: "17043"}, entry))
	must(t, f.SetRing(f.ctx, muster.RingMember{County: "17031", Ring: muster.RingAll}, entry))
	must(t, f.SetRing(f.ctx, muster.RingMember{County: "17031", Ring: muster.RingEarly}, entry))
	if diff := cmp.Diff(members[:2], get[[]muster.RingMember](t)(f.RingMembers(f.ctx))); diff != "" {
		t.Error(diff)
	}
	if log := get[[]muster.LogEntry](t)(f.AuditLog(f.ctx, 0, 9)); len(log) != 6 {
		t.Errorf("%d entries in the log", len(log))
	}

	for n := 1; n <= 7; n++ {
		f.enroll(n, map[bool]muster.County{true: "17031", false: "17043"}[n <= 2], muster.Workstation, n != 4)
	}
	must(t, f.Publish(f.ctx, f.release(1, "one", muster.RingAll)))
	must(t, f.Publish(f.ctx, f.release(2, "two", muster.RingCanary)))
	under := func(n int, seq uint64, policy string) muster.Accepted {
		a := f.report(HostID(n), seq, pass)
		a.Header.PolicyDigest, a.Header.PolicyRevision = policy, "says "+policy
		return a
	}
	f.commit(muster.OutcomeStored, under(1, 1, "p-two"), under(2, 1, "p-one"), under(4, 1, "p-one"),
		under(5, 1, "p-one"), under(6, 1, "own"), under(7, 1, "invented"))
	use := map[muster.PolicyUse]bool{}
	for _, u := range get[[]muster.PolicyUse](t)(f.PolicyUse(f.ctx)) {
		use[u] = true
	}
	want := map[muster.PolicyUse]bool{
		{Policy: "p-two", Revision: "two", Ring: muster.RingCanary, Hosts: 1}: true,
		{Policy: "p-one", Revision: "one", Ring: muster.RingEarly, Hosts: 1}:  true,
		{Policy: "p-one", Revision: "one", Ring: muster.RingAll, Hosts: 1}:    true,
		{Unpublished: true, Ring: muster.RingAll, Hosts: 2}:                   true,
		{Ring: muster.RingAll, Hosts: 1}:                                      true,
	}
	if diff := cmp.Diff(want, use); diff != "" {
		t.Error(diff)
	}
	f.now = f.now.Add(muster.WorkstationStaleAfter + time.Hour)
	f.commit(muster.OutcomeStored, under(5, 2, "p-one"))
	for _, u := range get[[]muster.PolicyUse](t)(f.PolicyUse(f.ctx)) {
		heard := u.Policy == "p-one" && u.Ring == muster.RingAll
		if u.Stale != u.Hosts && !heard || u.Stale != 0 && heard {
			t.Errorf("stale: %+v", u)
		}
	}
	hosts := f.hosts(muster.HostQuery{Policy: "p-two", Limit: 9})
	if len(hosts) != 1 || hosts[0].ID != HostID(1) || hosts[0].PolicyDigest != "p-two" {
		t.Errorf("hosts of version 2: %+v", hosts)
	}
	for _, v := range []muster.View{{}, {At: f.now}, {At: f.now, Known: muster.KnownNow}} {
		page := get[muster.HostPage](t)(f.Hosts(f.ctx, v, muster.HostQuery{Unpublished: true, Limit: 9}))
		if len(page.Hosts) != 2 || page.Hosts[0].PolicyDigest == "p-one" || page.Hosts[1].PolicyRevision == "one" {
			t.Errorf("hosts of policies that were not published, at %v: %+v", v, page.Hosts)
		}
	}
}

// A policy is held against what the same hosts said just before it, and not
// against what changed later or elsewhere.
func policyEffect(t *testing.T, f *fixture) {
	known := func(control string) bool { return control != "C4" } // which hosts invent
	for n := 1; n <= 5; n++ {
		f.enroll(n, "17031", muster.Workstation, n != 5)
	}
	under := func(policy string, n int, seq uint64, statuses ...muster.Status) muster.Accepted {
		a := f.report(HostID(n), seq, statuses...)
		a.Header.PolicyDigest = policy
		return a
	}
	f.commit(muster.OutcomeStored,
		under("old", 1, 1, pass, pass), under("old", 1, 2, fail, pass), under("new", 1, 3, fail, fail, unknown), under("new", 1, 4, pass, fail, unknown),
		under("old", 2, 1, pass, pass), under("new", 2, 2, pass, fail, unknown, fail),
		under("new", 3, 1, fail, fail, fail),                                 // nothing before
		under("old", 4, 1, pass, pass),                                       // not yet
		under("old", 5, 1, pass, pass), under("new", 5, 2, fail, fail, fail), // waits for approval
	)
	want := muster.PolicyEffect{Compared: 2, Changes: []muster.PolicyChange{
		{Control: "C2", Was: pass, Became: fail, Hosts: 2},
		{Control: "C3", New: true, Became: unknown, Hosts: 2},
	}}
	if diff := cmp.Diff(want, get[muster.PolicyEffect](t)(f.PolicyEffect(f.ctx, "new", known))); diff != "" {
		t.Error(diff)
	}
	// Back and forth: the newest time counts.
	f.commit(muster.OutcomeStored, under("old", 2, 3, pass, pass), under("new", 2, 4, fail, pass))
	want = muster.PolicyEffect{Compared: 2, Changes: []muster.PolicyChange{
		{Control: "C1", Was: pass, Became: fail, Hosts: 1},
		{Control: "C2", Was: pass, Became: fail, Hosts: 1},
		{Control: "C3", New: true, Became: unknown, Hosts: 1},
	}}
	if diff := cmp.Diff(want, get[muster.PolicyEffect](t)(f.PolicyEffect(f.ctx, "new", known))); diff != "" {
		t.Error(diff)
	}
	if e := get[muster.PolicyEffect](t)(f.PolicyEffect(f.ctx, "nobody's", known)); e.Compared != 0 || len(e.Changes) != 0 {
		t.Errorf("%+v", e)
	}
}
