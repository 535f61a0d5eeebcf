package builtin

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// usbDevices are the devices on the bus now. Names are the device's own;
// osquery's come from udev's list of makers. removable is 0 for what the
// kernel knows to be built in: osquery says 1 there too.
func (h host) usbDevices() facts.Table {
	return facts.Table{
		Name: "usb_devices", Platforms: onLinux, Whole: true, Source: "/sys/bus/usb", Preferred: true,
		Columns: columns(`usb_address integer, usb_port integer, vendor text, vendor_id text, version text, model text,
			model_id text, serial text, class text, subclass text, protocol text, removable integer`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			const bus = "/sys/bus/usb/devices/"
			names, err := h.dir(bus)
			if err != nil {
				return nil, err
			}
			var rows []muster.Row
			for _, name := range names {
				if strings.Contains(name, ":") {
					continue // an interface of a device
				}
				r := muster.Row{}
				for column, file := range map[string]string{"usb_address": "busnum", "usb_port": "devnum",
					"vendor": "manufacturer", "vendor_id": "idVendor", "version": "bcdDevice", "model": "product",
					"model_id": "idProduct", "serial": "serial", "class": "bDeviceClass", "subclass": "bDeviceSubClass",
					"protocol": "bDeviceProtocol", "removable": "removable"} {
					if r[column], err = h.value(bus + name + "/" + file); err != nil {
						return nil, err
					}
				}
				rows = append(rows, usbRow(r))
			}
			return rows, nil
		}),
	}
}

// usbRow writes udev's forms: three digits, decimal numbers, -1 for unknown.
func usbRow(r muster.Row) muster.Row {
	for _, column := range []string{"usb_address", "usb_port"} {
		if n, err := strconv.Atoi(r[column]); err == nil {
			r[column] = fmt.Sprintf("%03d", n)
		}
	}
	for _, column := range []string{"class", "subclass", "protocol"} {
		if n, err := strconv.ParseUint(r[column], 16, 8); err == nil {
			r[column] = strconv.FormatUint(n, 10)
		}
	}
	known, ok := map[string]string{"removable": "1", "fixed": "0"}[r["removable"]]
	if !ok {
		known = "-1"
	}
	r["removable"] = known
	return r
}
