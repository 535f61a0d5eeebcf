package builtin

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// mounts are the mounted file systems. Sizes are asked only where the
// statement uses them, and never of file systems that live elsewhere: a dead
// server would hang the audit. Theirs are "", not 0.
func (h host) mounts() facts.Table {
	return facts.Table{
		Name: "mounts", Platforms: onLinux, Whole: true, Source: "/proc/mounts",
		Columns: columns(`device text, device_alias text, path text, type text, blocks_size bigint, blocks bigint,
			blocks_free bigint, blocks_available bigint, inodes bigint, inodes_free bigint, flags text`),
		Rows: list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
			text, err := h.text("/proc/mounts")
			if err != nil {
				return nil, err
			}
			rows := parseMounts(text)
			wantSizes := usesAny(q, "blocks_size", "blocks", "blocks_free", "blocks_available", "inodes", "inodes_free")
			for _, r := range rows {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				if q.Used("device_alias") {
					r["device_alias"] = h.resolve(r["device"])
				}
				if wantSizes && !isRemote(r["type"]) {
					h.addSizes(r)
				}
			}
			return rows, nil
		}),
	}
}

func parseMounts(text string) []muster.Row {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`, `\043`, "#")
	var rows []muster.Row
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		rows = append(rows, muster.Row{"device": unescape.Replace(f[0]), "path": unescape.Replace(f[1]), "type": f[2],
			"flags": f[3]})
	}
	return rows
}

// resolve follows the links of a device's name, as from /dev/mapper/root to
// /dev/dm-0.
func (h host) resolve(device string) string {
	if !filepath.IsAbs(device) {
		return device
	}
	real, err := filepath.EvalSymlinks(h.path(device))
	if err != nil {
		return device
	}
	return strings.TrimPrefix(real, strings.TrimSuffix(h.root, "/"))
}

// isRemote reports whether asking the file system can wait for another
// computer or a program.
func isRemote(fsType string) bool {
	return strings.HasPrefix(fsType, "fuse") && fsType != "fuseblk" ||
		slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "ceph", "glusterfs", "afs", "9p",
			"virtiofs", "autofs", "davfs", "lustre", "gfs2", "ocfs2"}, fsType)
}

// addSizes asks the file system; osquery writes 0 where it does not answer.
func (h host) addSizes(r muster.Row) {
	var st unix.Statfs_t
	_ = unix.Statfs(h.path(r["path"]), &st)
	u := func(n uint64) string { return strconv.FormatUint(n, 10) }
	r["blocks_size"], r["blocks"], r["blocks_free"] = strconv.FormatInt(int64(st.Bsize), 10), u(st.Blocks), u(st.Bfree)
	r["blocks_available"], r["inodes"], r["inodes_free"] = u(st.Bavail), u(st.Files), u(st.Ffree)
}
