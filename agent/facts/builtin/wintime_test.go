package builtin

import (
	"strconv"
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

func TestCIMUnix(t *testing.T) {
	for s, want := range map[string]string{
		"20261020080112.000000-240": "1792497672", "20261020120112.000000+000": "1792497672", "20261020120112.******+***": "", "": "", "2026": "",
	} {
		if got := cimUnix(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

// FuzzCIMUnix: what WMI writes for a time is read as that time.
func FuzzCIMUnix(f *testing.F) {
	f.Add(int64(1792497672), int16(-240), "20261020080112.000000-240")
	f.Fuzz(func(t *testing.T, seconds int64, minutes int16, raw string) {
		_ = cimUnix(raw)
		seconds &= 1<<36 - 1 // to the year 4147
		at := time.Unix(seconds, 0).In(time.FixedZone("", int(minutes%720)*60))
		if got := cimUnix(cimTime(at)); got != strconv.FormatInt(seconds, 10) {
			t.Errorf("%s: got %s, want %d", cimTime(at), got, seconds)
		}
	})
}

func TestLastGoodSample(t *testing.T) {
	for info, want := range map[string]int64{
		"134368923110000000;time.windows.com,0x9 (ntp.m|0x9|0.0.0.0:123->192.0.2.1:123)": 1792418711,
		"134368923110000000": 1792418711, "0;": 0, "": 0, "-1;x": 0, "x": 0, "99999999999999999999;x": 0,
	} {
		if got := lastGoodSample(info); got != want {
			t.Errorf("%q: got %d, want %d", info, got, want)
		}
	}
}

func TestTimeSynchronized(t *testing.T) {
	for _, c := range []struct {
		disabled         bool
		answered, missed int64
		want             string
	}{
		{false, 0, 0, ""}, {false, 5, 0, "1"}, {false, 5, 4, "1"}, {false, 5, 6, "0"}, {false, 0, 6, "0"}, {true, 5, 0, "0"},
	} {
		if got := timeSynchronized(c.disabled, c.answered, c.missed); got != c.want {
			t.Errorf("%v: got %q", c, got)
		}
	}
}
