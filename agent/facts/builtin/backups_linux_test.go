package builtin

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"github.com/passmuster/muster"
)

// backupJobs answers as systemd does of services whose properties are given,
// with the types that it gives them on the bus.
type backupJobs map[string]map[string]any

func (j backupJobs) ListUnitsContext(context.Context) (units []dbus.UnitStatus, err error) {
	for name := range j {
		units = append(units, dbus.UnitStatus{Name: name, LoadState: "loaded"})
	}
	return append(units, dbus.UnitStatus{Name: "borg-gone.service", LoadState: "not-found"}), nil
}

func (backupJobs) ListUnitFilesContext(context.Context) ([]dbus.UnitFile, error) {
	return []dbus.UnitFile{{Path: "/etc/systemd/system/restic.service"}, {Path: "/lib/systemd/system/duplicity@.service"},
		{Path: "/lib/systemd/system/rsnapshot.service"}, {Path: "/lib/systemd/system/dpkg-db-backup.service"}}, nil
}

func (j backupJobs) GetUnitPropertyContext(_ context.Context, unit, property string) (*dbus.Property, error) {
	if v, ok := j[unit][property]; ok {
		return &dbus.Property{Name: property, Value: godbus.MakeVariant(v)}, nil
	}
	return nil, errors.New("no such property")
}

func (j backupJobs) GetUnitTypePropertyContext(ctx context.Context, unit, _, property string) (*dbus.Property, error) {
	return j.GetUnitPropertyContext(ctx, unit, property)
}

func TestBackupUnits(t *testing.T) {
	run := func(changes ...any) map[string]any {
		p := map[string]any{"Type": "oneshot", "Result": "success", "ExecMainCode": int32(1), "ExecMainStatus": int32(0),
			"ExecMainExitTimestamp": uint64(1795341187_123456), "TriggeredBy": []string{}}
		for i := 0; i < len(changes); i += 2 {
			p[changes[i].(string)] = changes[i+1]
		}
		return p
	}
	jobs := backupJobs{
		"restic.service":         run(),
		"borgmatic.service":      run("Type", "simple", "TriggeredBy", []string{"borgmatic.timer"}),
		"failed-backup.service":  run("Result", "exit-code", "ExecMainStatus", int32(3)),
		"killed-backup.service":  run("Result", "signal", "ExecMainCode", int32(2)),
		"partly-backup.service":  run("ExecMainStatus", int32(3)),
		"running-backup.service": run("ExecMainCode", int32(0), "ExecMainExitTimestamp", uint64(0)),
		"never-backup.service":   run("ExecMainCode", int32(0), "ExecMainExitTimestamp", uint64(0)),
		"veeamservice.service":   run("Type", "simple"),
		"dpkg-db-backup.service": run(),
		"nightly-backup.timer":   run(),
		"ssh.service":            run(),
	}
	rows, err := backupUnits(t.Context(), jobs)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows {
		got = append(got, r["unit"]+" "+r["last_success"])
	}
	want := []string{"borgmatic.service 1795341187", "failed-backup.service 0", "killed-backup.service 0", "never-backup.service 0",
		"partly-backup.service 0", "restic.service 1795341187", "rsnapshot.service 0", "running-backup.service 0",
		"veeamservice.service 0"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestDejaDup reads what a person's own backup wrote down.
func TestDejaDup(t *testing.T) {
	h := host{tree(t, map[string]string{"etc/passwd": "alice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n",
		"home/alice/.config/dconf/user": testFile(t, oddValues), "home/bob/.config/dconf/user": testFile(t, realUser)})}
	rows, err := h.dejaDup()
	want := muster.Row{"unit": "deja-dup of alice", "last_success": "1795161600", "source": "/home/alice/.config/dconf/user"}
	if err != nil || len(rows) != 1 || rowWith(rows, want) == nil {
		t.Errorf("got %v, %v, want %v", rows, err, want)
	}
}
