package builtin

import (
	"context"
	"fmt"
	"strconv"

	gopsutil "github.com/shirou/gopsutil/v3/host"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// uptime is the time since the system started.
func (h host) uptime() facts.Table {
	return facts.Table{
		Name: "uptime", Platforms: onBoth, Source: "kernel",
		Columns: columns("days integer, hours integer, minutes integer, seconds integer, total_seconds bigint"),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			total, err := gopsutil.UptimeWithContext(ctx)
			if err != nil {
				return nil, fmt.Errorf("read uptime: %w", err)
			}
			u := func(n uint64) string { return strconv.FormatUint(n, 10) }
			return []muster.Row{{
				"days": u(total / 86400), "hours": u(total / 3600 % 24), "minutes": u(total / 60 % 60),
				"seconds": u(total % 60), "total_seconds": u(total),
			}}, nil
		}),
	}
}
