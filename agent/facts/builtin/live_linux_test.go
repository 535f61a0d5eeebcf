package builtin

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// rowWith is the first row that has all the values, or nil.
func rowWith(rows []muster.Row, values muster.Row) muster.Row {
	for _, r := range rows {
		ok := true
		for k, v := range values {
			ok = ok && r[k] == v
		}
		if ok {
			return r
		}
	}
	return nil
}

func mustGather(t *testing.T, table facts.Table, constraints ...facts.Constraint) []muster.Row {
	t.Helper()
	rows, err := gather(t, table, constraints...)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestUsersAgreeWithTheSystem(t *testing.T) {
	users := mustGather(t, host{}.users())
	memberships := mustGather(t, host{}.userGroups())
	for _, r := range users {
		u, err := user.Lookup(r["username"])
		if err != nil {
			t.Fatal(err)
		}
		if u.Uid != r["uid"] || u.Gid != r["gid"] || u.HomeDir != r["directory"] {
			t.Errorf("%v, want %+v", r, u)
		}
		ids, err := u.GroupIds()
		if err != nil {
			t.Fatal(err)
		}
		for _, gid := range ids {
			if rowWith(memberships, muster.Row{"uid": u.Uid, "gid": gid}) == nil {
				t.Errorf("%s is not in group %s", u.Username, gid)
			}
		}
	}
	for _, r := range mustGather(t, host{}.groups()) {
		if g, err := user.LookupGroup(r["groupname"]); err != nil || g.Gid != r["gid"] {
			t.Errorf("%v, want %+v (%v)", r, g, err)
		}
	}
}

func TestInterfacesAgreeWithTheSystem(t *testing.T) {
	details, addresses := mustGather(t, host{}.interfaceDetails()), mustGather(t, host{}.interfaceAddresses())
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if len(details) != len(interfaces) {
		t.Errorf("%d interfaces, want %d", len(details), len(interfaces))
	}
	for _, i := range interfaces {
		d := rowWith(details, muster.Row{"interface": i.Name, "mtu": strconv.Itoa(i.MTU)})
		if d == nil || i.HardwareAddr != nil && d["mac"] != i.HardwareAddr.String() {
			t.Errorf("%s: got %v, want %+v", i.Name, d, i)
		}
		own, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range own {
			n := a.(*net.IPNet)
			address := n.IP.String()
			if n.IP.To4() == nil && n.IP.IsLinkLocalUnicast() {
				address += "%" + i.Name
			}
			if rowWith(addresses, muster.Row{"interface": i.Name, "address": address, "mask": net.IP(n.Mask).String()}) == nil {
				t.Errorf("%s has no address %s in %v", i.Name, a, addresses)
			}
		}
	}
}

// TestRoutes compares with /proc/net/route, which knows the main table of IPv4.
func TestRoutes(t *testing.T) {
	rows := mustGather(t, host{}.routes())
	text, err := host{}.text("/proc/net/route")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 || f[0] == "Iface" {
			continue
		}
		destination, _, ok1 := parseEndpoint(f[1] + ":0000")
		gateway, _, ok2 := parseEndpoint(f[2] + ":0000")
		if !ok1 || !ok2 {
			t.Fatalf("cannot read %q", line)
		}
		if gateway == "0.0.0.0" {
			gateway = ""
		}
		want := muster.Row{"destination": destination, "gateway": gateway, "interface": f[0], "metric": f[6], "type": "gateway"}
		if rowWith(rows, want) == nil {
			t.Errorf("no route %v", want)
		}
	}
	if rowWith(rows, muster.Row{"destination": "127.0.0.1", "netmask": "0", "type": "local", "interface": "lo"}) == nil {
		t.Error("no route to this computer itself")
	}
}

// TestSockets opens one of each kind and looks for it. Without rights the
// owner is denied and the sockets are there all the same.
func TestSockets(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	path := filepath.Join(t.TempDir(), "s")
	local, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	client, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	find := func(owned bool) {
		q := facts.Query{Used: func(c string) bool { return owned || c != "pid" && c != "fd" }}
		rows := map[string][]muster.Row{}
		for _, table := range []facts.Table{host{}.listeningPorts(), host{}.processOpenSockets()} {
			err := table.Rows(t.Context(), q, func(r muster.Row) error {
				rows[table.Name] = append(rows[table.Name], r)
				return nil
			})
			if owned && os.Geteuid() != 0 && errors.Is(err, facts.ErrDenied) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		pid := "-1"
		if owned {
			pid = strconv.Itoa(os.Getpid())
		}
		_, port, _ := net.SplitHostPort(tcp.Addr().String())
		_, from, _ := net.SplitHostPort(client.LocalAddr().String())
		for table, want := range map[string][]muster.Row{
			"listening_ports": {{"address": "127.0.0.1", "port": port, "protocol": "6", "family": "2", "pid": pid},
				{"path": path, "family": "1", "port": "0", "pid": pid}},
			"process_open_sockets": {{"local_port": from, "remote_port": port, "state": "ESTABLISHED", "pid": pid},
				{"local_port": port, "remote_port": "0", "state": "LISTEN", "pid": pid}},
		} {
			for _, w := range want {
				if rowWith(rows[table], w) == nil {
					t.Errorf("%s: no row %v", table, w)
				}
			}
		}
	}
	find(false)
	find(true)
}

func TestOwnProcess(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	rows := mustGather(t, host{}.processes(), equal("pid", pid))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(exe)
	want := muster.Row{"pid": pid, "path": exe, "cmdline": strings.Join(os.Args, " "), "cwd": cwd, "root": "/", "on_disk": "1",
		"name": name[:min(len(name), 15)], "parent": strconv.Itoa(os.Getppid()), "euid": strconv.Itoa(os.Geteuid()),
		"egid": strconv.Itoa(os.Getegid())}
	if rowWith(rows, want) == nil || len(rows) != 1 {
		t.Errorf("got %v, want %v", rows, want)
	}
	if rows := mustGather(t, host{}.processes(), equal("pid", "4194305")); len(rows) != 0 {
		t.Errorf("a process beyond the last: %v", rows)
	}
}

func TestMountsHere(t *testing.T) {
	compared := 0
	for _, r := range mustGather(t, host{}.mounts()) {
		var st unix.Statfs_t
		if r["blocks"] == "" || unix.Statfs(r["path"], &st) != nil {
			continue // a network mount, which is not asked, or one behind a closed folder
		}
		compared++
		if r["blocks"] != strconv.FormatUint(st.Blocks, 10) || r["blocks_size"] != strconv.FormatInt(st.Bsize, 10) {
			t.Errorf("%v, want %+v", r, st)
		}
	}
	if compared == 0 {
		t.Error("no mount has a size")
	}
}

// tree makes files, and links where the text begins with "-> ", in a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	top := t.TempDir()
	for name, text := range files {
		path := filepath.Join(top, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, ok := strings.CutPrefix(text, "-> "); ok && err == nil {
			err = os.Symlink(target, path)
		} else if err == nil {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return top
}

func TestFileAndHash(t *testing.T) {
	top := tree(t, map[string]string{"a.txt": "alpha", "sub/b.txt": "beta", "sub/deep/.hidden": "gamma", "link": "-> a.txt",
		"nowhere": "-> missing", "outside": "-> sub/deep"})
	paths := func(c facts.Constraint) (found []string) {
		for _, r := range mustGather(t, host{}.files(), c) {
			found = append(found, strings.TrimPrefix(r["path"], top))
		}
		return found
	}
	for _, c := range []struct {
		facts.Constraint
		want []string
	}{
		{equal("path", top+"/a.txt"), []string{"/a.txt"}},
		{equal("path", top+"/missing"), nil},
		{equal("path", top+"/a.txt/below"), nil},
		{equal("directory", top+"/sub/"), []string{"/sub/b.txt", "/sub/deep"}},
		{equal("directory", top+"/a.txt"), nil},
		{like("path", top+"/%"), []string{"/a.txt", "/link", "/nowhere", "/outside/", "/sub/"}},
		{like("path", top+"/%.txt"), []string{"/a.txt"}},
		{like("path", top+"/%/b%t"), []string{"/sub/b.txt"}},
		{like("path", top+"/sub/%%"), []string{"/sub/b.txt", "/sub/deep/", "/sub/deep/.hidden"}},
		{like("path", top+"/missing/%%"), nil},
		{like("directory", top+"/s%"), []string{"/sub/b.txt", "/sub/deep"}},
	} {
		if got := paths(c.Constraint); !slices.Equal(got, c.want) {
			t.Errorf("%s %v: got %v, want %v", c.Column, c.Value, got, c.want)
		}
	}
	for path, want := range map[string]muster.Row{
		"/a.txt":   {"type": "regular", "size": "5", "symlink": "0", "mode": "0644", "filename": "a.txt", "directory": top},
		"/link":    {"type": "regular", "size": "5", "symlink": "1", "symlink_target_path": "a.txt"},
		"/nowhere": {"type": "unknown", "symlink": "1"},
		"/sub":     {"type": "directory", "symlink": "0"},
	} {
		if rows := mustGather(t, host{}.files(), equal("path", top+path)); rowWith(rows, want) == nil {
			t.Errorf("%s: got %v, want %v", path, rows, want)
		}
	}
	sum := sha256.Sum256([]byte("gamma"))
	rows := mustGather(t, host{}.hashes(), like("path", top+"/sub/%%"))
	want := muster.Row{"path": top + "/sub/deep/.hidden", "directory": top + "/sub/deep", "sha256": hex.EncodeToString(sum[:]),
		"md5": "05b048d7242cb7b8b57cfa3b1d65ecea"}
	if len(rows) != 2 || rowWith(rows, want) == nil {
		t.Errorf("hashes are %v, want %v", rows, want)
	}
	if _, err := gather(t, host{}.files()); err == nil {
		t.Error("file answers without path and directory")
	}
}

// asNobody runs f with a nobody's rights to files: of this thread only, which
// ends with the test.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread is not used again
		if _, _, errno := unix.RawSyscall(unix.SYS_SETFSUID, 65534, 0, 0); errno != 0 {
			t.Error(errno)
		}
		f()
	}()
	<-done
}

// TestDenied: what may not be read is denied, never empty.
func TestDenied(t *testing.T) {
	top := tree(t, map[string]string{"etc/passwd": "root:x:0:0::/root:/bin/sh\n", "etc/shadow": "root:*:1::::::\n",
		"etc/sudoers": "root ALL\n", "etc/cron.d/a": "", "var/spool/cron/crontabs/root": "@daily x\n", "closed/in/file": "x",
		"etc/ssh/sshd_config": "Port 22\n", "proc/1/fd/0": "-> socket:[7]", "proc/1/exe": "-> /sbin/init", "proc/stat": "\nbtime 1\n",
		"proc/1/status": "Name:\tinit\n", "proc/1/stat": "1 (init) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0"})
	for _, p := range []string{"etc/shadow", "etc/sudoers", "var/spool/cron/crontabs", "closed/in", "etc/ssh/sshd_config", "proc/1/fd"} {
		path := filepath.Join(top, p)
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(path, 0o700)
	}
	// The folders that lead to it must be open to anybody.
	for p := top; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		if st, err := os.Stat(p); err == nil && os.Geteuid() == 0 {
			os.Chmod(p, st.Mode().Perm()|0o055)
		}
	}
	h := host{top}
	asNobody(t, func() {
		for _, c := range []struct {
			table       facts.Table
			constraints []facts.Constraint
		}{
			{h.musterAccounts(), nil}, {h.sudoers(), nil}, {h.crontab(), nil}, {h.musterSSHD(), nil}, {h.listeningPorts(), nil},
			{h.files(), []facts.Constraint{equal("path", "/closed/in/file")}},
			{h.files(), []facts.Constraint{like("path", "/closed/%%")}},
			{h.files(), []facts.Constraint{like("path", "/closed/in/%")}},
			{h.hashes(), []facts.Constraint{equal("directory", "/closed/in")}},
			{h.hashes(), []facts.Constraint{equal("path", "/closed/in/file")}},
		} {
			if rows, err := gather(t, c.table, c.constraints...); !errors.Is(err, facts.ErrDenied) {
				t.Errorf("%s %v: got %v and %v, want denied", c.table.Name, c.constraints, rows, err)
			}
		}
		if rows, err := gather(t, h.users()); err != nil || len(rows) != 1 {
			t.Errorf("users: got %v and %v", rows, err)
		}
	})
}

// TestSignInRecords: who is signed in, and who failed to be; a password typed in
// place of a name stays where it is.
func TestSignInRecords(t *testing.T) {
	layout := utmpLayout(runtime.GOARCH)
	record := func(kind byte, pid uint32, user, tty, from string) string {
		b := make([]byte, layout.size)
		b[0] = kind
		binary.NativeEndian.PutUint32(b[4:], pid)
		copy(b[8:], tty)
		copy(b[44:], user)
		copy(b[76:], from)
		binary.NativeEndian.PutUint32(b[layout.seconds:], 1795341187)
		return string(b)
	}
	h := host{tree(t, map[string]string{
		"etc/passwd":   "alice:x:1000:1000::/home/alice:/bin/sh\n",
		"run/utmp":     record(2, 0, "reboot", "~", "6.1.0") + record(5, 1, "", "", "") + record(7, 812, "alice", "tty2", ""),
		"var/log/btmp": record(6, 900, "alice", "ssh:notty", "192.0.2.7") + record(6, 901, "correct horse", "tty1", "") + "short",
	})}
	signedIn := mustGather(t, h.loggedInUsers())
	if len(signedIn) != 2 || rowWith(signedIn, muster.Row{"type": "user", "user": "alice", "tty": "tty2", "pid": "812",
		"time": "1795341187"}) == nil || rowWith(signedIn, muster.Row{"type": "boot_time", "host": "6.1.0"}) == nil {
		t.Errorf("signed in: %v", signedIn)
	}
	failed := mustGather(t, h.musterFailedLogins())
	if len(failed) != 2 || rowWith(failed, muster.Row{"username": "alice", "host": "192.0.2.7"}) == nil ||
		rowWith(failed, muster.Row{"username": "", "tty": "tty1"}) == nil {
		t.Errorf("failed: %v", failed)
	}
}

// TestNothingThere: an empty host has no answer to these, rather than an empty one.
func TestNothingThere(t *testing.T) {
	h := host{t.TempDir()}
	for _, table := range []facts.Table{h.processes(), h.listeningPorts(), h.users(), h.groups(), h.debPackages(), h.mounts(),
		h.diskEncryption(), h.loggedInUsers(), h.systemdUnits(), h.musterFailedLogins(), h.musterAccounts(), h.kernelInfo()} {
		if rows, err := gather(t, table); err == nil {
			t.Errorf("%s: %d rows and no error", table.Name, len(rows))
		}
	}
}

func TestCircularIncludesEnd(t *testing.T) {
	h := host{tree(t, map[string]string{"etc/sudoers": "@include sudoers\n@include sudoers\n",
		"etc/ssh/sshd_config": "Include sshd_config\nInclude sshd_config\n"})}
	for _, table := range []facts.Table{h.sudoers(), h.musterSSHD()} {
		if rows, err := gather(t, table); err == nil {
			t.Errorf("%s: %d rows, want an error", table.Name, len(rows))
		}
	}
}

// TestBlockDevices: a disk with LUKS under LVM, a plain partition, dm-verity,
// and a volume over one encrypted and one plain device.
func TestBlockDevices(t *testing.T) {
	const disk = "sys/devices/pci0/block/sda"
	files := map[string]string{
		disk + "/size": "2000000\n", disk + "/queue/logical_block_size": "512\n", disk + "/device/model": "Example SSD \n",
		disk + "/device/vendor": "ATA     \n", disk + "/device/wwid": "naa.1\n", disk + "/dev": "8:0\n",
		disk + "/sda1/partition": "1\n", disk + "/sda1/size": "1000\n", disk + "/sda1/dev": "8:1\n",
		disk + "/sda2/partition": "2\n", disk + "/sda2/dev": "8:2\n",
		"sys/class/block/sda": "-> ../../devices/pci0/block/sda", "sys/class/block/sda1": "-> ../../devices/pci0/block/sda/sda1",
		"sys/class/block/sda2":      "-> ../../devices/pci0/block/sda/sda2",
		"run/udev/data/b8:1":        "S:disk/by-uuid/AA\nE:ID_FS_UUID=AA-BB\nE:ID_FS_TYPE=vfat\nE:ID_FS_LABEL=EFI\n",
		"run/udev/data/b8:2":        "E:ID_FS_UUID=luks-uuid\nE:ID_FS_TYPE=crypto_LUKS\n",
		"dev/dm-1":                  "",
		"dev/mapper/vg-root":        "-> ../dm-1",
		"proc/mounts":               "/dev/mapper/vg-root / ext4 rw 0 0\n",
		"sys/class/block/loop0/dev": "7:0\n",
	}
	for i, dm := range []struct {
		uuid    string
		parents []string
	}{
		{"CRYPT-LUKS2-0123-crypt", []string{"sda2"}}, {"LVM-root", []string{"dm-0"}}, {"CRYPT-VERITY-0123-v", []string{"sda1"}},
		{"LVM-mixed", []string{"dm-0", "sda1"}},
	} {
		name := "sys/class/block/dm-" + strconv.Itoa(i)
		files[name+"/dm/uuid"] = dm.uuid + "\n"
		for _, p := range dm.parents {
			files[name+"/slaves/"+p] = "-> ../../" + p
		}
	}
	h := host{tree(t, files)}
	rows := mustGather(t, h.diskEncryption())
	for name, format := range map[string]string{"sda": "", "sda1": "", "sda2": "", "dm-0": "LUKS2", "dm-1": "LUKS2", "dm-2": "", "dm-3": "", "loop0": ""} {
		want := muster.Row{"name": "/dev/" + name, "encrypted": flag(format != ""), "type": format}
		if rowWith(rows, want) == nil {
			t.Errorf("no row %v in %v", want, rows)
		}
	}
	want := muster.Row{"name": "/dev/sda1", "parent": "/dev/sda", "vendor": "ATA", "model": "Example SSD", "serial": "naa.1",
		"size": "1000", "uuid": "AA-BB", "type": "vfat", "label": "EFI"}
	if devices := mustGather(t, h.blockDevices()); rowWith(devices, want) == nil {
		t.Errorf("no row %v in %v", want, devices)
	}
	if mounts := mustGather(t, h.mounts()); mounts[0]["device_alias"] != "/dev/dm-1" {
		t.Errorf("the root device is %q, want /dev/dm-1", mounts[0]["device_alias"])
	}
}
