package builtin

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// osVersion is what os-release(5) says.
func (h host) osVersion() facts.Table {
	return facts.Table{
		Name: "os_version", Platforms: onLinux, Whole: true, Source: "/etc/os-release",
		Columns: columns(`name text, version text, major integer, minor integer, patch integer, build text,
			platform text, platform_like text, codename text, arch text`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			text, err := h.textIfAny("/etc/os-release")
			if err == nil && text == "" {
				text, err = h.textIfAny("/usr/lib/os-release")
			}
			if err != nil {
				return nil, err
			}
			row := parseOSRelease(text)
			row["arch"], err = machine()
			if h.exists("/etc/redhat-release") {
				row["platform"], row["platform_like"] = "rhel", "rhel" // Fedora too, as in osquery
			}
			return []muster.Row{row}, err
		}),
	}
}

func parseOSRelease(text string) muster.Row {
	r := muster.Row{"name": "Unknown", "major": "0", "minor": "0", "patch": "0", "platform": "posix"}
	column := map[string]string{"NAME": "name", "VERSION": "version", "BUILD_ID": "build", "ID": "platform",
		"ID_LIKE": "platform_like", "VERSION_CODENAME": "codename"}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		if c := column[key]; ok && c != "" {
			r[c] = value
		}
		if key == "VERSION_ID" {
			for i, part := range strings.SplitN(value, ".", 3) {
				r[[]string{"major", "minor", "patch"}[i]] = part
			}
		}
	}
	return r
}

// machine is the kernel's name of the architecture: "x86_64".
func machine() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("ask the kernel for its name: %w", err)
	}
	return unix.ByteSliceToString(u.Machine[:]), nil
}
