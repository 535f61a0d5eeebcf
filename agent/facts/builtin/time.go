package builtin

import (
	"context"
	"strconv"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// clock is the table time: now, in UTC, by the host's clock.
func (h host) clock() facts.Table {
	return facts.Table{
		Name: "time", Platforms: onBoth, Source: "clock",
		Columns: columns(`weekday text, year integer, month integer, day integer, hour integer, minutes integer,
			seconds integer, timezone text, local_timezone text, unix_time integer, timestamp text, datetime text,
			iso_8601 text`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			return []muster.Row{timeRow(time.Now())}, nil
		}),
	}
}

func timeRow(now time.Time) muster.Row {
	zone, _ := now.Zone()
	now = now.UTC()
	return muster.Row{
		"weekday": now.Weekday().String(), "year": strconv.Itoa(now.Year()), "month": strconv.Itoa(int(now.Month())),
		"day": strconv.Itoa(now.Day()), "hour": strconv.Itoa(now.Hour()), "minutes": strconv.Itoa(now.Minute()),
		"seconds": strconv.Itoa(now.Second()), "timezone": "UTC", "local_timezone": zone,
		"unix_time": strconv.FormatInt(now.Unix(), 10), "timestamp": now.Format("Mon Jan _2 15:04:05 2006") + " UTC",
		"datetime": now.Format(time.RFC3339), "iso_8601": now.Format(time.RFC3339),
	}
}
