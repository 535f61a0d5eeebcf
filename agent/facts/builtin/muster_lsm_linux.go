package builtin

import (
	"context"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterLSM is what keeps programs in their bounds: each AppArmor profile with
// its mode (enforce, complain), which root may read, and under selinux the item
// enforce with 1 or 0. A kernel without them has no rows.
func (h host) musterLSM() facts.Table {
	return facts.Table{
		Name: "muster_lsm", Platforms: onLinux, Whole: true, Source: "AppArmor, SELinux",
		Columns: columns("lsm text, item text, value text"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			profiles, err := h.textIfAny("/sys/kernel/security/apparmor/profiles")
			if err != nil {
				return nil, err
			}
			rows := parseProfiles(profiles)
			enforce, err := h.value("/sys/fs/selinux/enforce")
			if enforce != "" {
				rows = append(rows, muster.Row{"lsm": "selinux", "item": "enforce", "value": enforce})
			}
			return rows, err
		}),
	}
}

// parseProfiles reads lines such as "/usr/bin/man (enforce)".
func parseProfiles(text string) []muster.Row {
	var rows []muster.Row
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		i := strings.LastIndex(line, " (")
		if mode, ok := strings.CutSuffix(line[max(i, 0):], ")"); ok && i > 0 {
			rows = append(rows, muster.Row{"lsm": "apparmor", "item": line[:i], "value": mode[2:]})
		}
	}
	return rows
}
