package builtin

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// recordedUnits answers as systemd 252 did on a desktop, for a few units.
type recordedUnits struct{ asked int }

func (recordedUnits) ListUnitsContext(context.Context) ([]dbus.UnitStatus, error) {
	return []dbus.UnitStatus{
		{Name: "ssh.service", Description: "OpenBSD Secure Shell server", LoadState: "loaded", ActiveState: "active",
			SubState: "running", Path: "/org/freedesktop/systemd1/unit/ssh_2eservice", JobPath: "/"},
		{Name: "getty@tty1.service", Description: "Getty on tty1", LoadState: "loaded", ActiveState: "active", SubState: "running"},
		{Name: "apt-daily.timer", Description: "Daily apt download activities", LoadState: "loaded", ActiveState: "active",
			SubState: "waiting"},
	}, nil
}

func (recordedUnits) ListUnitFilesContext(context.Context) ([]dbus.UnitFile, error) {
	return []dbus.UnitFile{{Path: "/lib/systemd/system/ssh.service", Type: "enabled"},
		{Path: "/lib/systemd/system/getty@.service", Type: "enabled"},
		{Path: "/lib/systemd/system/apt-daily.timer", Type: "disabled"}}, nil
}

func (r *recordedUnits) GetUnitPropertyContext(_ context.Context, unit, property string) (*dbus.Property, error) {
	r.asked++
	value := map[string]string{"getty@tty1.service FragmentPath": "/lib/systemd/system/getty@.service",
		"getty@tty1.service UnitFileState": "enabled"}[unit+" "+property]
	return &dbus.Property{Name: property, Value: godbus.MakeVariant(value)}, nil
}

func (r *recordedUnits) GetUnitTypePropertyContext(_ context.Context, unit, unitType, property string) (*dbus.Property, error) {
	r.asked++
	if unit == "ssh.service" {
		return nil, errors.New("unit ssh.service not found")
	}
	return &dbus.Property{Name: property, Value: godbus.MakeVariant("www-data")}, nil
}

func TestUnitRows(t *testing.T) {
	all := facts.Query{Used: func(string) bool { return true }}
	rows, err := unitRows(t.Context(), &recordedUnits{}, all)
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d units, %v", len(rows), err)
	}
	for _, want := range []muster.Row{
		{"id": "ssh.service", "active_state": "active", "unit_file_state": "enabled", "user": "",
			"fragment_path": "/lib/systemd/system/ssh.service", "job_id": "0", "job_path": "/"},
		{"id": "getty@tty1.service", "unit_file_state": "enabled", "fragment_path": "/lib/systemd/system/getty@.service",
			"user": "www-data"},
		{"id": "apt-daily.timer", "unit_file_state": "disabled", "user": ""},
	} {
		if rowWith(rows, want) == nil {
			t.Errorf("no row %v in %v", want, rows)
		}
	}
	all.Constraints = []facts.Constraint{equal("id", "ssh.service")}
	if rows, err := unitRows(t.Context(), &recordedUnits{}, all); err != nil || len(rows) != 1 {
		t.Errorf("asked for one unit: %v, %v", rows, err)
	}
	// What nobody reads is not asked for, unit by unit.
	r := &recordedUnits{}
	few := facts.Query{Used: func(c string) bool { return c == "id" || c == "unit_file_state" }}
	if _, err := unitRows(t.Context(), r, few); err != nil || r.asked != 1 {
		t.Errorf("asked %d times, want 1 (%v)", r.asked, err)
	}
}

// TestSystemdHere: units where systemd runs, else unavailable.
func TestSystemdHere(t *testing.T) {
	rows, err := gather(t, host{}.systemdUnits())
	if _, serr := os.Stat("/run/systemd/system"); serr != nil {
		if !errors.Is(err, facts.ErrUnavailable) {
			t.Errorf("got %v, want unavailable", err)
		}
		return
	}
	if err == nil && rowWith(rows, muster.Row{"id": "-.mount"}) == nil {
		t.Errorf("no root mount among %d units", len(rows))
	}
}
