package builtin

import (
	"testing"
	"time"
)

func TestFiletime(t *testing.T) {
	at := time.Date(2026, 10, 19, 14, 5, 11, 0, time.UTC)
	if got := filetimeOf(at); got != 134368923110000000 {
		t.Error(got)
	}
	if got := filetimeUnix(134368923110000000); got != at.Unix() {
		t.Error(got)
	}
	if got := filetimeUnix(0); got != 0 {
		t.Error(got)
	}
}

func TestOLEDate(t *testing.T) {
	east := time.FixedZone("EDT", -4*3600)
	for _, c := range []struct {
		days float64
		zone *time.Location
		want int64
	}{
		{46314.58693287037, time.UTC, time.Date(2026, 10, 19, 14, 5, 11, 0, time.UTC).Unix()},
		{46314.58693287037, east, time.Date(2026, 10, 19, 18, 5, 11, 0, time.UTC).Unix()},
		{0, time.UTC, 0},                 // 1899: never
		{36494, time.UTC, 0},             // 1999-11-30, the scheduler's never
		{-1e300, time.UTC, 0},            // no date
		{3e9, time.UTC, 0},               // no date
		{36526.5, time.UTC, 946_728_000}, // noon of the first day that counts
	} {
		if got := oleUnix(c.days, c.zone); got != c.want {
			t.Errorf("%v: got %d, want %d", c.days, got, c.want)
		}
	}
}

func TestCIMTime(t *testing.T) {
	at := time.Date(2026, 10, 20, 8, 1, 12, 0, time.FixedZone("EDT", -4*3600))
	if got := cimTime(at); got != "20261020080112.000000-240" {
		t.Error(got)
	}
	if got := cimTime(at.UTC()); got != "20261020120112.000000+000" {
		t.Error(got)
	}
}
