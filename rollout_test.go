package muster

import "testing"

func TestRingOf(t *testing.T) {
	members := []RingMember{{County: "17031", Ring: RingEarly}, {Host: "h1", Ring: RingCanary}, {Host: "h2", Ring: RingAll}}
	for _, c := range []struct {
		host   HostID
		county County
		want   Ring
	}{{"h1", "17031", RingCanary}, {"h1", "17043", RingCanary}, {"h2", "17031", RingAll}, {"h3", "17031", RingEarly}, {"h3", "17043", RingAll}} {
		if got := RingOf(members, c.host, c.county); got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.host, c.county, got, c.want)
		}
	}
	if RingCanary.Next() != RingEarly || RingAll.Next() != "" {
		t.Error("the order of rings")
	}
}

func TestOffer(t *testing.T) {
	releases := []Release{
		{Version: 9, Policy: "nine", Ring: RingCanary},
		{Version: 8, Policy: "eight", Ring: RingEarly, Paused: true},
		{Version: 7, Policy: "seven", Ring: RingAll},
	}
	for _, c := range []struct {
		ring Ring
		has  string
		want int64 // 0: nothing
	}{
		{RingCanary, "", 9}, {RingCanary, "seven", 9}, {RingCanary, "nine", 0},
		{RingEarly, "", 7}, {RingEarly, "eight", 0}, {RingEarly, "seven", 0}, {RingEarly, "builtin", 7},
		{RingAll, "", 7}, {RingAll, "nine", 0}, {RingAll, "seven", 0},
	} {
		got, ok := Offer(releases, c.ring, c.has)
		if ok != (c.want != 0) || ok && got.Version != c.want {
			t.Errorf("%s with %q: %d %v, want %d", c.ring, c.has, got.Version, ok, c.want)
		}
	}
	if _, ok := Offer(nil, RingAll, ""); ok {
		t.Error("something out of nothing")
	}
}
