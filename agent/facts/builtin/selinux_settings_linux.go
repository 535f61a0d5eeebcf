package builtin

import (
	"context"
	"fmt"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// selinuxSettings is the state of SELinux: with an empty scope the main values
// (enforce is 1 or 0), else booleans, policy_capabilities, initial_contexts and
// class, where key and value are as odd as osquery's ("file/perms", "read"). A
// boolean has its current value; osquery leaves out those with a pending one. A
// kernel that runs without SELinux has no rows, one that does not show it is
// unavailable. Anybody may read it; the rules of the policy are not shown.
func (h host) selinuxSettings() facts.Table {
	return facts.Table{
		Name: "selinux_settings", Platforms: onLinux, Source: "selinuxfs", Preferred: true,
		Columns: columns("scope text, key text, value text"),
		Rows: list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
			top, err := h.selinuxFolder()
			if top == "" || err != nil {
				return nil, err
			}
			want, one := q.Equals("scope")
			var rows []muster.Row
			for _, scope := range []string{"", "booleans", "policy_capabilities", "initial_contexts", "class"} {
				if one && scope != want {
					continue
				}
				some, err := h.selinuxScope(ctx, top, scope)
				if err != nil {
					return nil, err
				}
				rows = append(rows, some...)
			}
			return rows, nil
		}),
	}
}

// selinuxFolder is where the kernel shows SELinux, "" where it runs without.
func (h host) selinuxFolder() (string, error) {
	mounts, err := h.text("/proc/mounts")
	if err != nil {
		return "", err
	}
	for _, m := range parseMounts(mounts) {
		if m["type"] == "selinuxfs" {
			return m["path"], nil
		}
	}
	// The kernel registers the file system only where SELinux is on.
	kinds, err := h.text("/proc/filesystems")
	if err == nil && strings.Contains(kinds, "\tselinuxfs\n") {
		err = fmt.Errorf("SELinux is on, but selinuxfs is not mounted: %w", facts.ErrUnavailable)
	}
	return "", err
}

func (h host) selinuxScope(ctx context.Context, top, scope string) ([]muster.Row, error) {
	keys := []string{"checkreqprot", "deny_unknown", "enforce", "mls", "policyvers", "reject_unknown"}
	folder := top
	if scope != "" {
		folder = top + "/" + scope
		var err error
		if keys, err = h.dir(folder); err != nil {
			return nil, err
		}
	}
	var rows []muster.Row
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if scope == "class" {
			perms, err := h.dir(folder + "/" + key + "/perms")
			if err != nil {
				return nil, err
			}
			for _, p := range perms {
				rows = append(rows, muster.Row{"scope": scope, "key": key + "/perms", "value": p})
			}
			continue
		}
		value, err := h.value(folder + "/" + key)
		if err != nil {
			return nil, err
		}
		value = strings.TrimRight(value, "\x00")
		if scope == "booleans" {
			value = map[bool]string{true: "on", false: "off"}[strings.HasPrefix(value, "1")]
		}
		if value != "" {
			rows = append(rows, muster.Row{"scope": scope, "key": key, "value": value})
		}
	}
	return rows, nil
}
