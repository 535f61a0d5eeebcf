package builtin

import (
	"context"
	"errors"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

const timeServiceKey = `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\W32Time`

// timeSyncTable is what Windows knows of its clock. service is W32Time while
// that runs, else "" (outside a domain it may run for moments only). last_sync
// is when W32Time last had a good answer or said in the System log (events 35
// and 37 of Microsoft-Windows-Time-Service) that it takes the time from a
// source; "" where neither is to be had. synchronized is 0 where W32Time is
// disabled or later complained of no answer (36), 1 where it had one, and ""
// where that cannot be known. How far the clock is off only the service knows:
// offset_seconds and max_error_seconds are "".
func timeSyncTable() facts.Table {
	return facts.Table{
		Name: "muster_time_sync", Platforms: onWindows, Whole: true, Source: "registry, event log",
		Columns: columns(`synchronized integer, offset_seconds double, max_error_seconds double, service text,
			last_sync bigint`),
		Rows: list(timeSyncRows),
	}
}

func timeSyncRows(ctx context.Context, q facts.Query) ([]muster.Row, error) {
	service, err := regValues(timeServiceKey)
	if err != nil {
		return nil, err
	}
	status, err := regValues(timeServiceKey + `\Config\Status`)
	if err != nil {
		return nil, err
	}
	row := muster.Row{}
	answered, missed := lastGoodSample(status["lastgoodsampleinfo"]), int64(0)
	if usesAny(q, "synchronized", "last_sync") {
		logged, complained, err := timeEvents(ctx)
		if err != nil {
			return nil, err
		}
		answered, missed = max(answered, logged), complained
	}
	const disabled = "4"
	row["synchronized"] = timeSynchronized(service["start"] == disabled, answered, missed)
	if answered > 0 {
		row["last_sync"] = num(answered)
	}
	if q.Used("service") {
		w32time := facts.Query{
			Constraints: []facts.Constraint{{Column: "name", Value: "W32Time"}}, Used: func(column string) bool { return column == "status" },
		}
		err := servicesRows(ctx, w32time, func(s muster.Row) error {
			if s["status"] == "RUNNING" {
				row["service"] = s["name"]
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return []muster.Row{row}, nil
}

// timeEvents finds the newest word of the time service in the System log, in
// Unix seconds: that it has a source, and that it has none. Without a log
// there are none.
func timeEvents(ctx context.Context) (answered, missed int64, err error) {
	const xpath = `*[System[Provider[@Name='Microsoft-Windows-Time-Service'] and (EventID=35 or EventID=36 or EventID=37)]]`
	err = eachEvent(ctx, "System", xpath, func(e windowsEvent) error {
		at, err := time.Parse(time.RFC3339, e.Created.Time)
		if err != nil {
			return nil
		}
		if e.ID == "36" {
			missed = max(missed, at.Unix())
		} else {
			answered = max(answered, at.Unix())
		}
		if answered > 0 { // the newest first: what comes later is older
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) || errors.Is(err, facts.ErrUnavailable) {
		err = nil
	}
	return answered, missed, err
}
