package builtin

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Seconds from 1601, where Windows begins to count, to 1970.
const secondsTo1970 = 11_644_473_600

// filetimeUnix turns a FILETIME (100 ns since 1601) into Unix seconds; 0, which
// means never, stays 0.
func filetimeUnix(ft int64) int64 {
	if ft == 0 {
		return 0
	}
	return ft/10_000_000 - secondsTo1970
}

// filetimeOf is the FILETIME of t.
func filetimeOf(t time.Time) int64 {
	return (t.Unix()+secondsTo1970)*10_000_000 + int64(t.Nanosecond()/100)
}

// oleUnix turns an OLE date (days since 30 December 1899, by the clock on the
// wall) into Unix seconds. The task scheduler writes dates before 2000 for
// never: these are 0.
func oleUnix(days float64, zone *time.Location) int64 {
	const to2000, to10000 = 36526, 2958466
	if !(days >= to2000 && days < to10000) {
		return 0
	}
	whole := int(days)
	seconds := int((days-float64(whole))*86400 + 0.5)
	return time.Date(1899, 12, 30+whole, 0, 0, seconds, 0, zone).Unix()
}

// cimUnix reads a time as WMI writes it into Unix seconds, or "" where it is none.
func cimUnix(s string) string {
	const form = "20060102150405.000000"
	if len(s) <= len(form) {
		return ""
	}
	at, err := time.Parse(form, s[:len(form)])
	minutes, err2 := strconv.Atoi(s[len(form):])
	if err != nil || err2 != nil {
		return ""
	}
	return strconv.FormatInt(at.Unix()-int64(minutes)*60, 10)
}

// lastGoodSample reads what the time service keeps of its last good answer: a
// FILETIME, a semicolon and the source. It is 0 where there was none.
func lastGoodSample(info string) int64 {
	ticks, _, _ := strings.Cut(info, ";")
	ft, err := strconv.ParseInt(ticks, 10, 64)
	if err != nil || ft <= secondsTo1970*10_000_000 {
		return 0
	}
	return filetimeUnix(ft)
}

// timeSynchronized judges the clock by the times, in Unix seconds or 0, when
// the time service last had an answer and last complained of having none for
// long: 1, 0, or "" where neither is known.
func timeSynchronized(disabled bool, answered, missed int64) string {
	switch {
	case disabled, missed > answered:
		return "0"
	case answered > 0:
		return "1"
	}
	return ""
}

// cimTime writes a time as WMI does: 20261020080112.000000-240, the offset in minutes.
func cimTime(t time.Time) string {
	_, offset := t.Zone()
	return t.Format("20060102150405.000000") + fmt.Sprintf("%+04d", offset/60)
}
