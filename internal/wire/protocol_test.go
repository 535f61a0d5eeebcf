package wire

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCheckin(t *testing.T) {
	digest := EnvelopeDigest([]byte("a policy"))
	for _, in := range []Checkin{
		{Host: "h"},
		{Host: "h", OutboxDepth: 3, Policy: digest, Uplink: "1", Now: time.Unix(1793700000, 0).UTC()},
	} {
		b, err := Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[int]any
		var out Checkin
		if err := Unmarshal(b, &fields); err != nil {
			t.Fatal(err)
		}
		if err := Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		out.Now = out.Now.UTC()
		if !out.Now.Equal(in.Now) {
			t.Errorf("now %v, want %v", out.Now, in.Now)
		}
		out.Now = in.Now
		if diff := cmp.Diff(in, out); diff != "" {
			t.Error(diff)
		}
		if in.OutboxDepth == 0 && len(fields) != 1 {
			t.Errorf("what is empty is sent: %v", fields)
		}
	}
	if got := (Checkin{Policy: digest}).PolicyDigest(); got != digest.String() {
		t.Error(got)
	}
	if got := (Checkin{}).PolicyDigest(); got != "" {
		t.Error(got)
	}
}

func TestCheckinAnswer(t *testing.T) {
	now := time.Unix(1793700000, 0).UTC()
	for _, in := range []CheckinAnswer{{Now: now}, {PolicyETag: `"x"`, AuditNow: true, NextSeconds: 300, Now: now}} {
		b, err := Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out CheckinAnswer
		if err := Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		out.Now = out.Now.UTC()
		if diff := cmp.Diff(in, out); diff != "" {
			t.Error(diff)
		}
	}
	var fields map[int]any
	if b, err := Marshal(CheckinAnswer{Now: now}); err != nil || Unmarshal(b, &fields) != nil || len(fields) != 1 {
		t.Errorf("what is empty is sent: %v, %v", fields, err)
	}
}
