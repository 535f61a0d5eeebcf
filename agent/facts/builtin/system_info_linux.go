package builtin

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v3/mem"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

const dmiFolder = "/sys/class/dmi/id/"

// systemInfo is the hardware. The host name is not looked up in DNS, as
// osquery does. uuid and the serials are root's to read: the table is denied
// to others where the statement uses them.
func (h host) systemInfo() facts.Table {
	return facts.Table{
		Name: "system_info", Platforms: onLinux, Whole: true, Source: "/sys/class/dmi, /proc/cpuinfo",
		Columns: columns(`hostname text, uuid text, cpu_type text, cpu_subtype text, cpu_brand text,
			cpu_physical_cores integer, cpu_logical_cores integer, cpu_sockets integer, cpu_microcode text,
			physical_memory bigint, hardware_vendor text, hardware_model text, hardware_version text,
			hardware_serial text, board_vendor text, board_model text, board_version text, board_serial text,
			computer_name text, local_hostname text`),
		Rows: list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
			row, err := h.dmiRow(q, map[string]string{
				"uuid": "product_uuid", "hardware_vendor": "sys_vendor", "hardware_model": "product_name",
				"hardware_version": "product_version", "hardware_serial": "product_serial", "board_vendor": "board_vendor",
				"board_model": "board_name", "board_version": "board_version", "board_serial": "board_serial",
			})
			if err != nil {
				return nil, err
			}
			// Lenovo writes the model where others write the version.
			if strings.EqualFold(row["hardware_vendor"], "lenovo") {
				row["hardware_model"], row["hardware_version"] = row["hardware_version"], row["hardware_model"]
			}
			name, err := os.Hostname()
			if err != nil {
				return nil, fmt.Errorf("ask for the host name: %w", err)
			}
			row["hostname"], row["computer_name"], row["local_hostname"] = name, name, name
			return []muster.Row{row}, h.addProcessor(ctx, q, row)
		}),
	}
}

// dmiRow reads what the firmware says of the machine; "" where it says nothing.
func (h host) dmiRow(q facts.Query, files map[string]string) (muster.Row, error) {
	row := muster.Row{}
	for column, file := range files {
		// The vendor decides what the model is.
		if !q.Used(column) && column != "hardware_vendor" && column != "hardware_version" && column != "hardware_model" {
			continue
		}
		v, err := h.value(dmiFolder + file)
		if err != nil {
			return nil, err
		}
		row[column] = v
	}
	return row, nil
}

func (h host) addProcessor(ctx context.Context, q facts.Query, row muster.Row) error {
	var err error
	if row["cpu_type"], err = machine(); err != nil {
		return err
	}
	text, err := h.textIfAny("/proc/cpuinfo")
	if err != nil {
		return err
	}
	for column, value := range parseCPUInfo(text) {
		row[column] = value
	}
	if q.Used("physical_memory") {
		m, err := mem.VirtualMemoryWithContext(ctx)
		if err != nil {
			return fmt.Errorf("ask for the memory: %w", err)
		}
		row["physical_memory"] = strconv.FormatUint(m.Total, 10)
	}
	return nil
}

// parseCPUInfo reads /proc/cpuinfo. A processor that does not say which core of
// which socket it is, as on ARM, counts as a core of its own.
func parseCPUInfo(text string) muster.Row {
	row := muster.Row{}
	logical, cores, sockets := 0, map[string]bool{}, map[string]bool{}
	for block := range strings.SplitSeq(text, "\n\n") {
		c := map[string]string{}
		for line := range strings.Lines(block) {
			key, value, _ := strings.Cut(line, ":")
			c[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
		number, ok := c["processor"]
		if !ok {
			continue
		}
		if logical++; logical == 1 {
			row["cpu_brand"], row["cpu_microcode"], row["cpu_subtype"] = c["model name"], c["microcode"], c["model"]
		}
		core := number
		if c["core id"] != "" {
			core = c["physical id"] + "/" + c["core id"]
		}
		cores[core], sockets[c["physical id"]] = true, true
	}
	row["cpu_logical_cores"], row["cpu_physical_cores"] = strconv.Itoa(logical), strconv.Itoa(len(cores))
	row["cpu_sockets"] = strconv.Itoa(len(sockets))
	if row["cpu_subtype"] == "" {
		row["cpu_subtype"] = "0"
	}
	return row
}
