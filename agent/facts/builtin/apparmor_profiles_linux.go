package builtin

import (
	"context"
	"fmt"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// apparmorProfiles are the profiles that the kernel has loaded, each with the
// ones inside it (path "parent//child"). A kernel without AppArmor has no rows;
// one that has it and does not show it is unavailable, where osquery has no
// rows. Root only.
func (h host) apparmorProfiles() facts.Table {
	return facts.Table{
		Name: "apparmor_profiles", Platforms: onLinux, Whole: true, Source: "/sys/kernel/security/apparmor", Preferred: true,
		Columns: columns("path text, name text, attach text, mode text, sha1 text, sha256 text"),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			enabled, err := h.value("/sys/module/apparmor/parameters/enabled")
			if err != nil || enabled != "Y" {
				return nil, err
			}
			const folder = "/sys/kernel/security/apparmor/policy/profiles"
			if !h.exists(folder) {
				return nil, fmt.Errorf("AppArmor is on, but there is no %s: %w", folder, facts.ErrUnavailable)
			}
			return h.profiles(ctx, folder, "", 0)
		}),
	}
}

// maxProfileDepth bounds profiles within profiles; the kernel knows two levels.
const maxProfileDepth = 8

func (h host) profiles(ctx context.Context, folder, parent string, depth int) ([]muster.Row, error) {
	names, err := h.dir(folder)
	if err != nil || depth == maxProfileDepth {
		return nil, err
	}
	var rows []muster.Row
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r := muster.Row{}
		for _, column := range []string{"name", "attach", "mode", "sha1", "sha256"} {
			if r[column], err = h.value(folder + "/" + name + "/" + column); err != nil {
				return nil, err
			}
		}
		if r["name"] == "" {
			continue // gone since the folder was listed
		}
		r["path"] = parent + r["name"]
		children, err := h.profiles(ctx, folder+"/"+name+"/profiles", r["name"]+"//", depth+1)
		if err != nil {
			return nil, err
		}
		rows = append(append(rows, r), children...)
	}
	return rows, nil
}
