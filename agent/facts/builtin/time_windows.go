package builtin

import (
	"context"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// timeTable is the table of every system and Windows' own count of time.
func timeTable() facts.Table {
	t := host{}.clock()
	t.Columns = append(t.Columns, columns(`win_timestamp bigint`)...)
	t.Rows = list(func(context.Context, facts.Query) ([]muster.Row, error) {
		now := time.Now()
		row := timeRow(now)
		row["win_timestamp"] = num(filetimeOf(now.Truncate(time.Second)))
		return []muster.Row{row}, nil
	})
	return t
}
