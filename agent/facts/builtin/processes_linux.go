package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// clockTicks is the unit of /proc's times: 100 a second on every platform of Linux.
const clockTicks = 100

// processes are the running programs. Where the program file, the folders or
// the bytes on disk of another user's process are hidden, and the statement
// uses them, the table is denied. To root they are "" where even root is
// refused, such as for a container's init with more capabilities, and path is
// "" for kernel threads, all as in osquery.
func (h host) processes() facts.Table {
	return facts.Table{
		Name: "processes", Platforms: onLinux, Source: "/proc",
		Columns: columns(`pid bigint, name text, path text, cmdline text, state text, cwd text, root text, uid bigint,
			gid bigint, euid bigint, egid bigint, suid bigint, sgid bigint, on_disk integer, wired_size bigint,
			resident_size bigint, total_size bigint, user_time bigint, system_time bigint, disk_bytes_read bigint,
			disk_bytes_written bigint, start_time bigint, parent bigint, pgroup bigint, threads integer, nice integer,
			cgroup_path text`),
		Rows: func(ctx context.Context, q facts.Query, emit emitFunc) error {
			pids, err := h.pids(q)
			if err != nil {
				return err
			}
			boot := int64(0)
			if q.Used("start_time") {
				if boot, err = h.bootTime(); err != nil {
					return err
				}
			}
			for _, pid := range pids {
				if err := ctx.Err(); err != nil {
					return err
				}
				row, err := h.process(pid, boot, q)
				if errors.Is(err, fs.ErrNotExist) {
					continue // ended meanwhile
				}
				if err != nil {
					return err
				}
				if err := emit(row); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// pids lists the processes that the statement asks for, by number. It is
// denied where /proc hides those of others (mount option hidepid).
func (h host) pids(q facts.Query) ([]string, error) {
	if want, ok := q.Equals("pid"); ok {
		if isID(want) && h.exists("/proc/"+want) {
			return []string{want}, nil
		}
	}
	if !h.exists("/proc/1") && os.Geteuid() != 0 {
		return nil, fmt.Errorf("list processes: /proc hides those of others: %w", facts.ErrDenied)
	}
	if _, ok := q.Equals("pid"); ok {
		return nil, nil
	}
	names, err := h.dir("/proc")
	pids := slices.DeleteFunc(names, func(name string) bool { return !isID(name) })
	if len(pids) == 0 && err == nil {
		err = fmt.Errorf("list processes: /proc has none: %w", facts.ErrUnavailable)
	}
	slices.SortFunc(pids, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return pids, err
}

// bootTime is when the kernel started, in seconds since 1970.
func (h host) bootTime() (int64, error) {
	text, err := h.text("/proc/stat")
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(text, "\nbtime ")
	line, _, _ := strings.Cut(after, "\n")
	t, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		return 0, errors.New("read /proc/stat: no boot time")
	}
	return t, nil
}

func (h host) process(pid string, boot int64, q facts.Query) (muster.Row, error) {
	dir := "/proc/" + pid
	status, err := h.text(dir + "/status")
	if err != nil {
		return nil, gone(err)
	}
	row := parseStatus(status)
	row["pid"], row["wired_size"] = pid, "0"
	if usesAny(q, "user_time", "system_time", "start_time", "pgroup", "nice") {
		stat, err := h.text(dir + "/stat")
		if err != nil {
			return nil, gone(err)
		}
		if err := parseStat(stat, boot, row); err != nil {
			return nil, fmt.Errorf("read %s/stat: %w", dir, err)
		}
	}
	if usesAny(q, "path", "on_disk") {
		if row["path"], err = h.procLink(dir + "/exe"); err != nil {
			return nil, err
		}
		row["path"], row["on_disk"] = h.onDisk(dir, row["path"])
	}
	for _, column := range []string{"cwd", "root"} {
		if q.Used(column) {
			if row[column], err = h.procLink(dir + "/" + column); err != nil {
				return nil, err
			}
		}
	}
	if q.Used("cmdline") {
		text, err := h.text(dir + "/cmdline")
		if err != nil {
			return nil, gone(err)
		}
		row["cmdline"] = strings.TrimSpace(strings.ReplaceAll(text, "\x00", " "))
	}
	if q.Used("cgroup_path") {
		text, err := h.text(dir + "/cgroup")
		if err != nil {
			return nil, gone(err)
		}
		line, _, _ := strings.Cut(text, "\n")
		if f := strings.SplitN(line, ":", 3); len(f) == 3 {
			row["cgroup_path"] = f[2]
		}
	}
	if usesAny(q, "disk_bytes_read", "disk_bytes_written") {
		text, err := h.text(dir + "/io")
		if isRootRefused(err) {
			return row, nil
		}
		if err != nil {
			return nil, gone(err)
		}
		io := keyValues(text)
		written, _ := strconv.ParseInt(io["write_bytes"], 10, 64)
		cancelled, _ := strconv.ParseInt(io["cancelled_write_bytes"], 10, 64)
		row["disk_bytes_read"], row["disk_bytes_written"] = io["read_bytes"], strconv.FormatInt(written-cancelled, 10)
	}
	return row, nil
}

// procLink reads a link of /proc; "" for a kernel thread, which has none.
func (h host) procLink(path string) (string, error) {
	target, err := os.Readlink(h.path(path))
	if errors.Is(err, fs.ErrNotExist) && h.exists(filepath.Dir(path)) {
		return "", nil
	}
	if err != nil {
		err = readError(path, err)
	}
	if isRootRefused(err) {
		return "", nil
	}
	return target, gone(err)
}

// isRootRefused reports whether the system refused even root.
func isRootRefused(err error) bool { return errors.Is(err, facts.ErrDenied) && os.Geteuid() == 0 }

// onDisk says whether the program file is still there: 1, 0, or -1 where the
// process has none. The kernel marks a deleted one; the mark is taken off. The
// file is looked for as the process sees it, which may be in a container.
func (h host) onDisk(dir, path string) (name, there string) {
	if path == "" {
		return "", "-1"
	}
	if name, deleted := strings.CutSuffix(path, " (deleted)"); deleted && !h.exists(path) {
		return name, "0"
	}
	return path, flag(h.exists(path) || h.exists(dir+"/exe"))
}

// gone turns "no such process", which a file of /proc answers once its process
// has ended, into fs.ErrNotExist.
func gone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return err
}

// keyValues reads lines of "key: value".
func keyValues(text string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			m[key] = strings.TrimSpace(value)
		}
	}
	return m
}

// parseStatus reads /proc/PID/status. The kernel cuts names at 15 characters.
func parseStatus(text string) muster.Row {
	s := keyValues(text)
	r := muster.Row{"name": s["Name"], "parent": s["PPid"], "threads": s["Threads"]}
	if s["State"] != "" {
		r["state"] = s["State"][:1]
	}
	for kind, columns := range map[string][3]string{"Uid": {"uid", "euid", "suid"}, "Gid": {"gid", "egid", "sgid"}} {
		for i, id := range strings.Fields(s[kind]) {
			if i < len(columns) {
				r[columns[i]] = id
			}
		}
	}
	for key, column := range map[string]string{"VmRSS": "resident_size", "VmSize": "total_size"} {
		if kib, err := strconv.ParseUint(strings.TrimSuffix(s[key], " kB"), 10, 53); err == nil {
			r[column] = strconv.FormatUint(kib*1024, 10)
		}
	}
	return r
}

// parseStat adds what only /proc/PID/stat has. The name in it is in
// parentheses and may hold any character.
func parseStat(text string, boot int64, row muster.Row) error {
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 20 {
		return errors.New("too few fields")
	}
	var n [3]int64
	for i, at := range []int{11, 12, 19} {
		v, err := strconv.ParseInt(f[at], 10, 64)
		if err != nil {
			return fmt.Errorf("field %d is no number", at)
		}
		n[i] = v
	}
	row["pgroup"], row["nice"] = f[2], f[16]
	row["user_time"] = strconv.FormatInt(n[0]*1000/clockTicks, 10)
	row["system_time"] = strconv.FormatInt(n[1]*1000/clockTicks, 10)
	row["start_time"] = strconv.FormatInt(boot+n[2]/clockTicks, 10)
	return nil
}
