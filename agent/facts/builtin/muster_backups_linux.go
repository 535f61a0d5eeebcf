package builtin

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterBackups are the services whose names say that they make backups, with
// the time of the last run that ended well: systemd knows that of a run since
// the computer started. 0 is never or not known, as of a run that goes on, one
// that failed and a program that always runs, whose end is no backup. Of Déjà
// Dup, which runs in a person's session, the row is what it wrote down there: it is that person's
// word, and of nobody whom /etc/passwd does not know. Root only.
func (h host) musterBackups() facts.Table {
	return facts.Table{
		Name: "muster_backups", Platforms: onLinux, Whole: true, Source: "systemd over D-Bus, dconf",
		Columns: columns("unit text, last_success bigint, source text"),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			s, err := h.dialSystemd(ctx)
			if err != nil {
				return nil, err
			}
			defer s.Close()
			rows, err := backupUnits(ctx, s)
			if err != nil {
				return nil, err
			}
			own, err := h.dejaDup()
			return append(rows, own...), err
		}),
	}
}

// isBackup reports whether a unit is a service that makes backups of people's
// files, going by its name. Debian's own copies of its package lists are none.
func isBackup(unit string) bool {
	name, service := strings.CutSuffix(strings.ToLower(unit), ".service")
	if !service || strings.HasSuffix(name, "@") || strings.HasPrefix(name, "apt-") || name == "dpkg-db-backup" {
		return false
	}
	return slices.ContainsFunc([]string{"backup", "restic", "borg", "timeshift", "duplicity", "veeam", "rsnapshot", "deja-dup"},
		func(word string) bool { return strings.Contains(name, word) })
}

// backupUnits asks for those that are loaded and those that are only installed.
func backupUnits(ctx context.Context, s systemd) ([]muster.Row, error) {
	units, err := s.ListUnitsContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("list systemd units: %w", err)
	}
	files, err := s.ListUnitFilesContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("list systemd unit files: %w", err)
	}
	var names []string
	for _, u := range units {
		if u.LoadState == "loaded" {
			names = append(names, u.Name)
		}
	}
	for _, f := range files {
		names = append(names, f.Path[strings.LastIndex(f.Path, "/")+1:])
	}
	slices.Sort(names)
	var rows []muster.Row
	for _, name := range slices.Compact(names) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if isBackup(name) {
			at := lastSuccess(ctx, s, name)
			rows = append(rows, muster.Row{"unit": name, "last_success": strconv.FormatInt(at, 10), "source": "systemd"})
		}
	}
	return rows, ctx.Err()
}

// lastSuccess is when a job's last run ended well, in Unix seconds, or 0. A
// job is a service that ends by itself or that a timer starts.
func lastSuccess(ctx context.Context, s systemd, unit string) int64 {
	ask := func(property string) any {
		p, err := s.GetUnitTypePropertyContext(ctx, unit, "Service", property)
		if err != nil {
			return nil
		}
		return p.Value.Value()
	}
	if ask("Type") != "oneshot" && !startedByTimer(ctx, s, unit) {
		return 0
	}
	const exited = int32(1) // CLD_EXITED: not killed
	ended, _ := ask("ExecMainExitTimestamp").(uint64)
	if ask("Result") != "success" || ask("ExecMainCode") != exited || ask("ExecMainStatus") != int32(0) {
		return 0
	}
	return time.UnixMicro(int64(ended)).Unix()
}

func startedByTimer(ctx context.Context, s systemd, unit string) bool {
	p, err := s.GetUnitPropertyContext(ctx, unit, "TriggeredBy")
	if err != nil {
		return false
	}
	by, _ := p.Value.Value().([]string)
	return slices.ContainsFunc(by, func(name string) bool { return strings.HasSuffix(name, ".timer") })
}

// dejaDup reads when each person's own backup last ended well.
func (h host) dejaDup() ([]muster.Row, error) {
	accounts, err := h.accounts()
	if err != nil {
		return nil, err
	}
	var rows []muster.Row
	for _, a := range accounts {
		if !a.isHuman() {
			continue
		}
		layers, err := h.dconfLayers(a, "user")
		if err != nil {
			return nil, err
		}
		v, source, _, err := layers.value("/org/gnome/deja-dup/last-backup")
		if err != nil {
			return nil, err
		}
		if v.typ != "s" {
			continue
		}
		text, err := v.text()
		if err != nil {
			return nil, fmt.Errorf("read the last backup in %s: %w", source, err)
		}
		at := int64(0)
		if t, err := time.Parse(time.RFC3339, text); err == nil {
			at = t.Unix()
		}
		rows = append(rows, muster.Row{"unit": "deja-dup of " + a.name, "last_success": strconv.FormatInt(at, 10), "source": source})
	}
	return rows, nil
}
