package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// systemdUnits are the units that systemd has loaded, asked over its own
// socket (as root) or the system bus. Where systemd does not run the table is
// unavailable.
func (h host) systemdUnits() facts.Table {
	return facts.Table{
		Name: "systemd_units", Platforms: onLinux, Source: "systemd over D-Bus",
		Columns: columns(`id text, description text, load_state text, active_state text, sub_state text,
			unit_file_state text, following text, object_path text, job_id bigint, job_type text, job_path text,
			fragment_path text, user text, source_path text`),
		Rows: list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
			s, err := h.dialSystemd(ctx)
			if err != nil {
				return nil, err
			}
			defer s.Close()
			return unitRows(ctx, s, q)
		}),
	}
}

// dialSystemd connects to the service manager.
func (h host) dialSystemd(ctx context.Context) (*dbus.Conn, error) {
	if !h.exists("/run/systemd/system") {
		return nil, fmt.Errorf("systemd does not run here: %w", facts.ErrUnavailable)
	}
	c, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil && ctx.Err() == nil {
		c, err = dbus.NewSystemConnectionContext(ctx)
	}
	if errors.Is(err, fs.ErrPermission) {
		err = facts.ErrDenied
	}
	if err != nil {
		return nil, fmt.Errorf("connect to systemd: %w", err)
	}
	return c, nil
}

// systemd is the part of the service manager that is asked.
type systemd interface {
	ListUnitsContext(ctx context.Context) ([]dbus.UnitStatus, error)
	ListUnitFilesContext(ctx context.Context) ([]dbus.UnitFile, error)
	GetUnitPropertyContext(ctx context.Context, unit, property string) (*dbus.Property, error)
	GetUnitTypePropertyContext(ctx context.Context, unit, unitType, property string) (*dbus.Property, error)
}

func unitRows(ctx context.Context, s systemd, q facts.Query) ([]muster.Row, error) {
	units, err := s.ListUnitsContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("list systemd units: %w", err)
	}
	// One question for all files instead of two for each unit.
	files := map[string]dbus.UnitFile{}
	if usesAny(q, "unit_file_state", "fragment_path") {
		list, err := s.ListUnitFilesContext(ctx)
		if err != nil {
			return nil, fmt.Errorf("list systemd unit files: %w", err)
		}
		for _, f := range list {
			files[path.Base(f.Path)] = f
		}
	}
	want, _ := q.Equals("id")
	var rows []muster.Row
	for _, u := range units {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if want != "" && u.Name != want {
			continue
		}
		r := muster.Row{
			"id": u.Name, "description": u.Description, "load_state": u.LoadState, "active_state": u.ActiveState,
			"sub_state": u.SubState, "following": u.Followed, "object_path": string(u.Path),
			"job_id": strconv.FormatUint(uint64(u.JobId), 10), "job_type": u.JobType, "job_path": string(u.JobPath),
		}
		// An enabled alias or instance has a state of its own.
		if f, ok := files[u.Name]; ok && f.Type != "alias" {
			r["unit_file_state"], r["fragment_path"] = f.Type, f.Path
		} else {
			unitText(ctx, s.GetUnitPropertyContext, q, r, "unit_file_state", "UnitFileState")
			unitText(ctx, s.GetUnitPropertyContext, q, r, "fragment_path", "FragmentPath")
		}
		unitText(ctx, s.GetUnitPropertyContext, q, r, "source_path", "SourcePath")
		if strings.HasSuffix(u.Name, ".service") {
			service := func(ctx context.Context, unit, property string) (*dbus.Property, error) {
				return s.GetUnitTypePropertyContext(ctx, unit, "Service", property)
			}
			unitText(ctx, service, q, r, "user", "User")
		}
		rows = append(rows, r)
	}
	return rows, ctx.Err()
}

// unitText asks for one property, if its column is used. A unit may go away
// between two questions: its column is then "".
func unitText(ctx context.Context, ask func(ctx context.Context, unit, property string) (*dbus.Property, error),
	q facts.Query, r muster.Row, column, property string) {
	if !q.Used(column) {
		return
	}
	if p, err := ask(ctx, r["id"], property); err == nil {
		r[column], _ = p.Value.Value().(string)
	}
}
