package builtin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// driversTable is the devices that are present, disabled ones too, and their
// drivers. Whether a driver is signed only WMI knows; it is asked for where the
// statement uses it, and takes seconds.
func driversTable() facts.Table {
	return facts.Table{
		Name: "drivers", Platforms: onWindows, Source: "device manager (SetupAPI)",
		Columns: columns(`device_id text, device_name text, image text, description text, service text, service_key text,
			version text, inf text, class text, provider text, manufacturer text, driver_key text, date bigint,
			signed integer`),
		Rows: driverRows,
	}
}

func driverRows(ctx context.Context, q facts.Query, emit emitFunc) error {
	signed := map[string]string{}
	if q.Used("signed") {
		_, err := wmiQuery(ctx, cimv2, "SELECT DeviceID, IsSigned FROM Win32_PnPSignedDriver", func(o comObject) (muster.Row, error) {
			t, err := o.texts("DeviceID", "IsSigned")
			if err == nil {
				signed[strings.ToUpper(t[0])] = t[1]
			}
			return nil, err
		})
		if err != nil {
			return err
		}
	}
	devices, err := windows.SetupDiGetClassDevsEx(nil, "", 0, windows.DIGCF_ALLCLASSES|windows.DIGCF_PRESENT, 0, "")
	if err != nil {
		return failed("list devices", err)
	}
	defer devices.Close()
	for i := 0; ; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		device, err := devices.EnumDeviceInfo(i)
		if errors.Is(err, windows.ERROR_NO_MORE_ITEMS) {
			return nil
		}
		if err != nil {
			return failed("list devices", err)
		}
		row, err := driverRow(devices, device)
		if err != nil {
			return err
		}
		row["signed"] = signed[strings.ToUpper(row["device_id"])]
		if row["signed"] == "" {
			row["signed"] = "-1"
		}
		if err := emit(row); err != nil {
			return err
		}
	}
}

func driverRow(devices windows.DevInfo, device *windows.DevInfoData) (muster.Row, error) {
	// A property that a device lacks is "".
	property := func(p windows.SPDRP) string {
		v, err := devices.DeviceRegistryProperty(device, p)
		if err != nil || v == nil {
			return ""
		}
		return fmt.Sprint(v)
	}
	id, err := devices.DeviceInstanceID(device)
	if err != nil {
		return nil, failed("read a device's id", err)
	}
	row := muster.Row{
		"device_id": id, "device_name": property(windows.SPDRP_FRIENDLYNAME), "description": property(windows.SPDRP_DEVICEDESC),
		"class": strings.ToUpper(property(windows.SPDRP_CLASS)), "manufacturer": property(windows.SPDRP_MFG),
		"service": property(windows.SPDRP_SERVICE),
	}
	if row["device_name"] == "" {
		row["device_name"] = row["description"]
	}
	if driver := property(windows.SPDRP_DRIVER); driver != "" {
		row["driver_key"] = `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Class\` + driver
		v, err := regValues(row["driver_key"])
		if err != nil {
			return nil, err
		}
		row["version"], row["provider"], row["inf"] = v["driverversion"], v["providername"], v["infpath"]
		if t, err := time.Parse("1-2-2006", v["driverdate"]); err == nil {
			row["date"] = num(t.Unix())
		}
	}
	if row["service"] != "" {
		row["service_key"] = `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\` + row["service"]
		v, err := regValues(row["service_key"])
		if err != nil {
			return nil, err
		}
		row["image"] = expandEnv(v["imagepath"])
	}
	return row, nil
}
