package builtin

import (
	"context"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// kernelInfo is the running kernel and how it was started.
func (h host) kernelInfo() facts.Table {
	return facts.Table{
		Name: "kernel_info", Platforms: onLinux, Whole: true, Source: "/proc",
		Columns: columns("version text, arguments text, path text, device text"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			version, err := h.text("/proc/version")
			if err != nil {
				return nil, err
			}
			cmdline, err := h.text("/proc/cmdline")
			return []muster.Row{kernelRow(version, cmdline)}, err
		}),
	}
}

func kernelRow(version, cmdline string) muster.Row {
	r := muster.Row{}
	if words := strings.Fields(version); len(words) > 2 && words[1] == "version" {
		r["version"] = words[2]
	}
	var rest []string
	for _, arg := range strings.Fields(cmdline) {
		if path, ok := strings.CutPrefix(arg, "BOOT_IMAGE="); ok {
			r["path"] = path
		} else if device, ok := strings.CutPrefix(arg, "root="); ok {
			r["device"] = device
		} else {
			rest = append(rest, arg)
		}
	}
	r["arguments"] = strings.Join(rest, " ")
	return r
}

// kernelModules are the loaded modules; a kernel without modules has none.
func (h host) kernelModules() facts.Table {
	return facts.Table{
		Name: "kernel_modules", Platforms: onLinux, Whole: true, Source: "/proc/modules",
		Columns: columns("name text, size bigint, used_by text, status text, address text"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			text, err := h.textIfAny("/proc/modules")
			return parseModules(text), err
		}),
	}
}

func parseModules(text string) []muster.Row {
	var rows []muster.Row
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 6 {
			continue
		}
		rows = append(rows, muster.Row{"name": f[0], "size": f[1], "used_by": strings.TrimSuffix(f[3], ","),
			"status": f[4], "address": f[5]})
	}
	return rows
}
