package builtin

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// maxUpdateHistory bounds how far back the history is read.
const maxUpdateHistory = 1000

// updateHistoryTable is the newest updates that Windows Update installed, took
// away or failed to; it asks this computer only. date is UTC as Windows keeps
// it, which osquery shifts by the time zone. Anybody may ask. Updates by hand (.msu)
// and the updates of other programs are not seen.
func updateHistoryTable() facts.Table {
	return facts.Table{
		Name: "windows_update_history", Platforms: onWindows, Source: "Windows Update (COM)", Preferred: true,
		Columns: columns(`client_app_id text, date bigint, description text, hresult bigint, operation text, result_code text,
			server_selection text, service_id text, support_url text, title text, update_id text, update_revision bigint`),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			return withCOM(ctx, func() ([]muster.Row, error) {
				session, err := newCOM("Microsoft.Update.Session")
				if err != nil {
					return nil, err
				}
				defer session.Release()
				searcher, err := session.object("CreateUpdateSearcher")
				if err != nil {
					return nil, err
				}
				defer searcher.Release()
				count, err := searcher.number("GetTotalHistoryCount")
				if count == 0 || err != nil {
					return nil, err
				}
				history, err := searcher.object("QueryHistory", 0, int(min(count, maxUpdateHistory)))
				if err != nil {
					return nil, err
				}
				defer history.Release()
				var rows []muster.Row
				err = history.each(func(entry comObject) error {
					if err := ctx.Err(); err != nil {
						return err
					}
					row, err := updateRow(entry)
					rows = append(rows, row)
					return err
				})
				return rows, err
			})
		}),
	}
}

func updateRow(entry comObject) (muster.Row, error) {
	t, err := entry.texts("ClientApplicationID", "Description", "HResult", "SupportUrl", "Title")
	if err != nil {
		return nil, err
	}
	date, err := entry.days("Date")
	if err != nil {
		return nil, err
	}
	var codes [3]int64
	for i, name := range []string{"Operation", "ResultCode", "ServerSelection"} {
		if codes[i], err = entry.number(name); err != nil {
			return nil, err
		}
	}
	row := muster.Row{
		"client_app_id": t[0], "description": t[1], "hresult": t[2], "support_url": t[3], "title": t[4],
		"date": num(oleUnix(date, time.UTC)), "operation": updateOperation(codes[0]), "result_code": updateResult(codes[1]),
		"server_selection": updateServer(codes[2]),
	}
	// A service is named only where it is none of the usual ones.
	if row["server_selection"] == "Others" {
		if row["service_id"], err = entry.get("ServiceID"); err != nil {
			return nil, err
		}
	}
	identity, err := entry.object("UpdateIdentity")
	if err != nil {
		return nil, err
	}
	defer identity.Release()
	id, err := identity.texts("UpdateID", "RevisionNumber")
	if err != nil {
		return nil, err
	}
	row["update_id"], row["update_revision"] = id[0], id[1]
	return row, nil
}

// number reads a property, or calls a method, that is a whole number.
func (o comObject) number(name string) (int64, error) {
	s, err := o.get(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	return n, nil
}
