package builtin

import (
	"context"
	"fmt"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// pciDevices are the devices on the PCI bus. Names come from pci.ids, else from
// what udev found; where neither is there, a statement that wants names is
// unavailable, for without them nothing would look wireless. osquery has no
// rows at all without pci.ids. A computer without the bus has no rows.
// Anybody may read it.
func (h host) pciDevices() facts.Table {
	return facts.Table{
		Name: "pci_devices", Platforms: onLinux, Whole: true, Source: "/sys/bus/pci, pci.ids, udev", Preferred: true,
		Columns: columns(`pci_slot text, pci_class text, driver text, vendor text, vendor_id text, model text, model_id text,
			pci_class_id text, pci_subclass_id text, pci_subclass text, subsystem_vendor_id text, subsystem_vendor text,
			subsystem_model_id text, subsystem_model text`),
		Rows: list(func(_ context.Context, q facts.Query) ([]muster.Row, error) {
			const bus = "/sys/bus/pci/devices"
			if !h.exists("/sys/bus") {
				return nil, fmt.Errorf("no /sys/bus: %w", facts.ErrUnavailable)
			}
			slots, err := h.dir(bus)
			if err != nil || len(slots) == 0 {
				return nil, err
			}
			named := usesAny(q, "pci_class", "pci_subclass", "vendor", "model", "subsystem_vendor", "subsystem_model")
			names := ""
			if named {
				if names, err = h.pciNames(); err != nil {
					return nil, err
				}
			}
			var rows []muster.Row
			for _, slot := range slots {
				text, err := h.text(bus + "/" + slot + "/uevent")
				if err != nil {
					return nil, err
				}
				udev, err := h.textIfAny("/run/udev/data/+pci:" + slot)
				if err != nil {
					return nil, err
				}
				if named && names == "" && udev == "" {
					return nil, fmt.Errorf("no pci.ids and nothing of udev to name %s: %w", slot, facts.ErrUnavailable)
				}
				rows = append(rows, pciRow(slot, text, parseUdev(udev)))
			}
			addPCINames(rows, names)
			return rows, nil
		}),
	}
}

// pciNames reads the list of names, "" where the host has none.
func (h host) pciNames() (string, error) {
	for _, path := range []string{"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids", "/usr/share/pci.ids"} {
		if text, err := h.textIfAny(path); text != "" || err != nil {
			return text, err
		}
	}
	return "", nil
}

// pciRow reads what the kernel tells of a device: lines such as PCI_ID=8086:2922.
func pciRow(slot, uevent string, udev map[string]string) muster.Row {
	device := map[string]string{}
	for line := range strings.Lines(uevent) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		device[key] = value
	}
	r := muster.Row{"pci_slot": slot, "driver": device["DRIVER"],
		"pci_class": udev["ID_PCI_CLASS_FROM_DATABASE"], "pci_subclass": udev["ID_PCI_SUBCLASS_FROM_DATABASE"],
		"vendor": udev["ID_VENDOR_FROM_DATABASE"], "model": udev["ID_MODEL_FROM_DATABASE"]}
	ids := func(pair, vendor, model string) {
		if v, m, ok := strings.Cut(strings.ToLower(pair), ":"); ok {
			r[vendor], r[model] = "0x"+v, "0x"+m
		}
	}
	ids(device["PCI_ID"], "vendor_id", "model_id")
	ids(device["PCI_SUBSYS_ID"], "subsystem_vendor_id", "subsystem_model_id")
	// The kernel leaves out leading zeros: 20000 is class 02, subclass 00.
	if class := strings.ToLower(device["PCI_CLASS"]); class != "" && len(class) <= 6 {
		class = strings.Repeat("0", 6-len(class)) + class
		r["pci_class_id"], r["pci_subclass_id"] = "0x"+class[:2], "0x"+class[2:4]
	}
	return r
}

// addPCINames fills the names in from pci.ids, which knows makers better than
// udev does but is asked for classes only where udev is silent, as in osquery.
func addPCINames(rows []muster.Row, ids string) {
	// What to look for: the columns to set under the key of each line.
	type target struct {
		row    muster.Row
		column string
	}
	want := map[string][]target{}
	for _, r := range rows {
		id := func(column string) string { return strings.TrimPrefix(r[column], "0x") }
		device := id("vendor_id") + " " + id("model_id")
		for column, key := range map[string]string{"vendor": id("vendor_id"), "model": device,
			"subsystem_vendor": id("subsystem_vendor_id"),
			"subsystem_model":  device + " " + id("subsystem_vendor_id") + " " + id("subsystem_model_id")} {
			want[key] = append(want[key], target{r, column})
		}
		class := "C " + id("pci_class_id")
		for column, key := range map[string]string{"pci_class": class, "pci_subclass": class + " " + id("pci_subclass_id")} {
			if r[column] == "" {
				want[key] = append(want[key], target{r, column})
			}
		}
	}
	for key, name := range pciNameList(ids) {
		for _, t := range want[key] {
			t.row[t.column] = name
		}
	}
}

// pciNameList walks pci.ids: "vvvv  maker", below it "\tdddd  device" and
// "\t\tssss dddd  subsystem", and classes "C cc  class", "\tss  subclass". Its
// keys are the numbers from the left, such as "8086 2922".
func pciNameList(text string) func(yield func(key, name string) bool) {
	return func(yield func(string, string) bool) {
		parents := [3]string{}
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "#")
			line = strings.TrimRight(line, " \r\n")
			depth := len(line) - len(strings.TrimLeft(line, "\t"))
			key, name, ok := strings.Cut(line[depth:], "  ")
			if !ok || depth > 2 || key == "" {
				continue
			}
			if depth > 0 {
				key = parents[depth-1] + " " + key
			}
			parents[depth] = key
			if !yield(key, strings.TrimSpace(name)) {
				return
			}
		}
	}
}
