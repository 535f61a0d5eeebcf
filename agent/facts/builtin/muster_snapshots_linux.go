package builtin

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterSnapshots are the earlier states that this computer keeps of its file
// systems: those that snapper and Timeshift know, and what btrfs, ZFS and LVM
// keep. One that snapper made on btrfs is there twice, by either kind. created
// is 0 where nobody wrote it down, as of ZFS. A file system that can have none
// has no rows. What lies on a stick that a person plugged in (/media, /run/media)
// is not looked at: anybody can write there what looks like a snapshot. Root
// only where there is btrfs.
func (h host) musterSnapshots() facts.Table {
	return facts.Table{
		Name: "muster_snapshots", Platforms: onLinux, Whole: true, Source: "snapper, Timeshift, btrfs, ZFS, LVM",
		Columns: columns("volume text, kind text, name text, created bigint"),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			text, err := h.text("/proc/mounts")
			if err != nil {
				return nil, err
			}
			mounts := slices.DeleteFunc(parseMounts(text), func(m muster.Row) bool {
				return isRemote(m["type"]) || strings.HasPrefix(m["path"], "/media/") || strings.HasPrefix(m["path"], "/run/media/")
			})
			var rows []muster.Row
			for _, read := range []func(context.Context, []muster.Row) ([]snapshot, error){
				h.snapperSnapshots, h.timeshiftSnapshots, h.btrfsSnapshots, h.zfsSnapshots, h.lvmSnapshots,
			} {
				found, err := read(ctx, mounts)
				if err = errors.Join(err, ctx.Err()); err != nil {
					return nil, err
				}
				for _, s := range found {
					rows = append(rows, muster.Row{"volume": s.volume, "kind": s.kind, "name": s.name,
						"created": strconv.FormatInt(s.created, 10)})
				}
			}
			return rows, nil
		}),
	}
}

// snapshot is one earlier state; created is Unix seconds or 0.
type snapshot struct {
	volume, kind, name string
	created            int64
}

// snapperSnapshots reads what snapper(8) writes beside each snapshot.
func (h host) snapperSnapshots(context.Context, []muster.Row) ([]snapshot, error) {
	const configs = "/etc/snapper/configs/"
	names, err := h.dir(configs)
	if err != nil {
		return nil, err
	}
	var found []snapshot
	for _, name := range names {
		text, err := h.textIfAny(configs + name)
		if err != nil {
			return nil, err
		}
		volume := ""
		for _, s := range parseINI(text) {
			if s.key == "SUBVOLUME" {
				volume = s.value
			}
		}
		if volume == "" {
			continue
		}
		folder := filepath.Join(volume, ".snapshots")
		numbers, err := h.dir(folder)
		if err != nil {
			return nil, err
		}
		for _, number := range numbers {
			file := filepath.Join(folder, number, "info.xml")
			text, err := h.textIfAny(file)
			if err != nil {
				return nil, err
			}
			if text == "" {
				continue
			}
			created, err := parseSnapper(text)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
			found = append(found, snapshot{volume, "snapper", number, created})
		}
	}
	return found, nil
}

// parseSnapper reads the time of an info.xml, which is UTC.
func parseSnapper(text string) (int64, error) {
	var info struct {
		Date string `xml:"date"`
	}
	if err := xml.Unmarshal([]byte(text), &info); err != nil {
		return 0, err
	}
	t, err := time.Parse(time.DateTime, info.Date)
	if err != nil {
		return 0, fmt.Errorf("the date is %q", info.Date)
	}
	return t.Unix(), nil
}

// timeshiftSnapshots reads the folders that Timeshift fills on one of the disks.
// It writes info.json last, so a folder without is no snapshot.
func (h host) timeshiftSnapshots(_ context.Context, mounts []muster.Row) ([]snapshot, error) {
	var found []snapshot
	seen := map[string]bool{}
	anyFolder := false
	for _, m := range mounts {
		if !strings.HasPrefix(m["device"], "/") || seen[m["path"]] {
			continue
		}
		seen[m["path"]] = true
		for _, below := range []string{"timeshift/snapshots", "timeshift-btrfs/snapshots"} {
			folder := filepath.Join(m["path"], below)
			ours, err := h.isSystems(folder)
			if err != nil {
				return nil, err
			}
			if !ours {
				continue
			}
			anyFolder = true
			names, err := h.children(folder)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				text, err := h.textIfAny(filepath.Join(folder, name, "info.json"))
				if err != nil {
					return nil, err
				}
				if text != "" {
					found = append(found, snapshot{m["path"], "timeshift", name, parseTimeshift(text)})
				}
			}
		}
	}
	if anyFolder {
		return found, nil
	}
	for _, path := range []string{"/etc/timeshift/timeshift.json", "/etc/timeshift.json"} {
		text, err := h.textIfAny(path)
		if err != nil {
			return nil, err
		}
		var settings struct {
			Device string `json:"backup_device_uuid"`
		}
		if json.Unmarshal([]byte(text), &settings) == nil && settings.Device != "" {
			return nil, fmt.Errorf("list the snapshots of Timeshift: its disk is not mounted: %w", facts.ErrUnavailable)
		}
	}
	return found, nil
}

// isSystems reports whether there is a folder that belongs to whom the system
// does: a home can be a mount of its own, where its owner makes any folder.
func (h host) isSystems(folder string) (bool, error) {
	top, err := os.Stat(h.path("/"))
	if err != nil {
		return false, readError("/", err)
	}
	st, err := os.Lstat(h.path(folder))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return false, nil
	case err != nil:
		return false, readError(folder, err)
	}
	return st.IsDir() && st.Sys().(*syscall.Stat_t).Uid == top.Sys().(*syscall.Stat_t).Uid && st.Mode().Perm()&0o002 == 0, nil
}

// parseTimeshift reads the time of an info.json; 0 where there is none.
func parseTimeshift(text string) int64 {
	var info struct {
		Created json.RawMessage `json:"created"`
	}
	_ = json.Unmarshal([]byte(text), &info)
	n, _ := strconv.ParseInt(jsonText(info.Created), 10, 64)
	return max(n, 0)
}

// zfsSnapshots lists each data set's hidden folder. Only names are read: to
// look into one would mount it.
func (h host) zfsSnapshots(_ context.Context, mounts []muster.Row) ([]snapshot, error) {
	var found []snapshot
	seen := map[string]bool{}
	for _, m := range mounts {
		// A mounted snapshot is a data set too: pool/set@name.
		if m["type"] != "zfs" || seen[m["device"]] || strings.Contains(m["device"], "@") {
			continue
		}
		seen[m["device"]] = true
		names, err := h.dir(filepath.Join(m["path"], ".zfs/snapshot"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			found = append(found, snapshot{m["path"], "zfs", name, 0})
		}
	}
	return found, nil
}

// btrfsSnapshots asks each btrfs for its subvolumes that are copies of another.
func (h host) btrfsSnapshots(ctx context.Context, mounts []muster.Row) ([]snapshot, error) {
	var found []snapshot
	seen := map[string]bool{}
	for _, m := range mounts {
		if m["type"] != "btrfs" || seen[m["device"]] {
			continue
		}
		seen[m["device"]] = true
		tree, err := h.openBtrfs(m["path"])
		if err != nil {
			return nil, err
		}
		subvolumes, err := tree.subvolumes(ctx)
		if err = errors.Join(err, tree.Close()); err != nil {
			return nil, readError(m["path"], err)
		}
		for _, s := range subvolumes {
			if s.copied {
				found = append(found, snapshot{m["path"], "btrfs", s.path, s.created})
			}
		}
	}
	return found, nil
}
