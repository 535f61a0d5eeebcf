package builtin

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// hostileHome is a computer with one person, clerk, and those of her files.
func hostileHome(t *testing.T, files map[string]string) host {
	t.Helper()
	all := map[string]string{"etc/passwd": "root:x:0:0::/root:/bin/sh\nclerk:x:4242:4242::/home/clerk:/bin/bash\n",
		"etc/group": "root:x:0:\n", "proc/mounts": ""}
	for name, text := range files {
		all[name] = text
	}
	return host{tree(t, all)}
}

// answer waits for a table no longer than anyone would.
func answer(t *testing.T, table facts.Table) ([]muster.Row, error) {
	t.Helper()
	type outcome struct {
		rows []muster.Row
		err  error
	}
	done := make(chan outcome, 1)
	go func() {
		rows, err := gather(t, table)
		done <- outcome{rows, err}
	}()
	select {
	case o := <-done:
		return o.rows, o.err
	case <-time.After(5 * time.Second):
		return nil, errors.New("hangs")
	}
}

// homeFiles are files that tables read in a home, each with the table.
func (h host) homeFiles() map[string]facts.Table {
	return map[string]facts.Table{
		".config/chromium/Default/Preferences":                         h.chromeExtensions(),
		".config/chromium/Default/Secure Preferences":                  h.chromeExtensions(),
		".config/chromium/Default/Extensions/x/1/manifest.json":        h.chromeExtensions(),
		".config/chromium/Default/Extensions/x/1/_locales/en/messages": h.chromeExtensions(),
		".mozilla/firefox/p/extensions.json":                           h.firefoxAddons(),
		".config/dconf/user":                                           h.musterBackupsOfPeople(),
	}
}

// musterBackupsOfPeople is the part of muster_backups that needs no systemd.
func (h host) musterBackupsOfPeople() facts.Table {
	return facts.Table{Name: "muster_backups", Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) { return h.dejaDup() })}
}

// TestPipeInHome: a pipe, a socket or a device in the place of a file, or of a
// folder on the way, makes an error or is passed over, and nothing waits for it.
func TestPipeInHome(t *testing.T) {
	for name := range (host{}).homeFiles() {
		place := filepath.Join("home/clerk", name)
		for at := place; at != "home/clerk"; at = filepath.Dir(at) {
			h := hostileHome(t, map[string]string{"home/clerk/.config/chromium/Default/Preferences": "{}"})
			pipe := filepath.Join(h.root, at)
			if err := os.RemoveAll(pipe); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(pipe), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mkfifo(pipe, 0o644); err != nil {
				t.Fatal(err)
			}
			rows, err := answer(t, h.homeFiles()[name])
			if err != nil && !errors.Is(err, errNotRegular) || len(rows) > 0 && strings.HasSuffix(at, ".json") {
				t.Errorf("%s is a pipe: %v, %v", at, rows, err)
			}
		}
	}
	for _, table := range []func(host) facts.Table{host.users, host.certificates, host.aptSources, host.musterProxies} {
		h := hostileHome(t, map[string]string{"etc/apt/x": ""})
		for _, name := range []string{"etc/passwd", "etc/ssl/certs/ca-certificates.crt", "etc/apt/sources.list", "etc/environment"} {
			path := filepath.Join(h.root, name)
			os.Remove(path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mkfifo(path, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if rows, err := answer(t, table(h)); !errors.Is(err, errNotRegular) {
			t.Errorf("%s of pipes: %v, %v", table(h).Name, rows, err)
		}
	}
}

// TestSwappedFile: while a file and a pipe change places all the time, each
// reading gives one of the two and ends.
func TestSwappedFile(t *testing.T) {
	top := tree(t, map[string]string{"file": "text"})
	if err := unix.Mkfifo(top+"/pipe", 0o644); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, top+"/file", unix.AT_FDCWD, top+"/pipe", unix.RENAME_EXCHANGE)
			}
		}
	}()
	for range 5000 {
		text, err := host{top}.text("/file")
		if text != "text" && !errors.Is(err, errNotRegular) {
			t.Errorf("read %q, %v", text, err)
			break
		}
	}
	close(stop)
	<-stopped
}

// TestLinkOutOfHome: a link to a file that not everybody may read is an error;
// what lies behind it does not come out, not even its digest.
func TestLinkOutOfHome(t *testing.T) {
	const secret = `{"name":"secret","version":"7","key":"c2VjcmV0","addons":[{"id":"secret","defaultLocale":{"name":"secret"}}],
		"extensions":{"settings":{"secret":{"path":"secret","manifest":{"name":"secret"}}}},"profile":{"name":"secret"}}`
	for name := range (host{}).homeFiles() {
		for _, closed := range []bool{true, false} {
			h := hostileHome(t, map[string]string{"home/clerk/.config/chromium/Default/Preferences": "{}", "root/secret": secret})
			link := filepath.Join(h.root, "home/clerk", name)
			os.Remove(link)
			if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(h.root+"/root/secret", link); err != nil {
				t.Fatal(err)
			}
			for dir := h.root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if closed {
				if err := os.Chmod(h.root+"/root", 0o700); err != nil {
					t.Fatal(err)
				}
			}
			rows, err := answer(t, h.homeFiles()[name])
			for _, r := range rows {
				for column, value := range r {
					if closed && strings.Contains(value, "secret") && column != "path" {
						t.Errorf("%s: %s is %q", name, column, value)
					}
				}
			}
			read := !strings.HasSuffix(name, "messages") // nobody asks for that one
			if closed && read && (err == nil || !strings.Contains(err.Error(), "somebody else's")) {
				t.Errorf("%s: %v, %v", name, rows, err)
			}
			if !closed && err != nil && !errors.Is(err, errGVDB) {
				t.Errorf("%s: a link to what everybody may read: %v", name, err)
			}
		}
	}
}

// TestHugeInHome: files without end or with holes are an error.
func TestHugeInHome(t *testing.T) {
	for name := range (host{}).homeFiles() {
		if strings.HasSuffix(name, "messages") {
			continue
		}
		h := hostileHome(t, map[string]string{"home/clerk/.config/chromium/Default/Preferences": "{}"})
		path := filepath.Join(h.root, "home/clerk", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		err = f.Truncate(1 << 40)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := answer(t, h.homeFiles()[name]); err == nil || !strings.Contains(err.Error(), "larger than") {
			t.Errorf("%s: %v, %v", name, rows, err)
		}
	}
}

// TestFullFolder: a folder of too many names is an error, not a part of them.
func TestFullFolder(t *testing.T) {
	h := host{tree(t, map[string]string{"f/a": "", "f/b": "", "f/c": ""})}
	if names, err := h.names("/f", 3); err != nil || len(names) != 3 {
		t.Errorf("%v, %v", names, err)
	}
	if names, err := h.names("/f", 2); err == nil || names != nil {
		t.Errorf("%v, %v", names, err)
	}
}

// TestPlantedSnapshots: what a person can put there by hand, on a stick or in a
// home that is a mount of its own, is no snapshot.
func TestPlantedSnapshots(t *testing.T) {
	const info = `{"created":"1795000000"}`
	h := host{tree(t, map[string]string{
		"proc/mounts": "/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /media/clerk/STICK ext4 rw 0 0\n/dev/sdb2 /run/media/clerk/B btrfs rw 0 0\n" +
			"/dev/mapper/home-clerk /home/clerk ext4 rw 0 0\n/dev/fake /home/clerk/f fuse.btrfs rw 0 0\n",
		"timeshift/snapshots/good/info.json":                    info,
		"media/clerk/STICK/timeshift/snapshots/stick/info.json": info,
		"home/clerk/timeshift/snapshots/own/info.json":          info,
		"home/clerk/f/timeshift/snapshots/fuse/info.json":       info,
	})}
	if err := os.Chmod(h.root+"/home/clerk/timeshift/snapshots", 0o777); err != nil {
		t.Fatal(err)
	}
	rows, err := answer(t, h.musterSnapshots())
	if err != nil || len(rows) != 1 || rows[0]["name"] != "good" {
		t.Errorf("%v, %v", rows, err)
	}
}

// TestHomesOfDirectoryService: an add-on in the home of somebody whom
// /etc/passwd does not know is seen.
func TestHomesOfDirectoryService(t *testing.T) {
	const addon = `{"addons":[{"id":"a","defaultLocale":{"name":"a"}}]}`
	files := map[string]string{"home/clerk@county/.mozilla/firefox/p/extensions.json": addon}
	if os.Geteuid() == 0 { // the folder between must be root's
		files["home/COUNTY/clerk/.mozilla/firefox/p/extensions.json"] = addon
	}
	rows, err := gather(t, hostileHome(t, files).firefoxAddons())
	if err != nil || len(rows) != len(files) {
		t.Errorf("%v, %v", rows, err)
	}
}

// TestBtrfsSearchGoesOn: behind the highest key there is none, and the search
// never begins anew.
func TestBtrfsSearchGoesOn(t *testing.T) {
	const last = ^uint64(0)
	for _, c := range []struct{ item, want btrfsItem }{
		{btrfsItem{object: 5, kind: 7, offset: 9}, btrfsItem{object: 5, kind: 7, offset: 10}},
		{btrfsItem{object: 5, kind: 7, offset: last}, btrfsItem{object: 5, kind: 8}},
		{btrfsItem{object: 5, kind: 255, offset: last}, btrfsItem{object: 6}},
		{btrfsItem{object: last, kind: 255, offset: last}, btrfsItem{}},
	} {
		object, kind, offset := c.item.next()
		if object != c.want.object || kind != c.want.kind || offset != c.want.offset {
			t.Errorf("after %+v comes %d %d %d", c.item, object, kind, offset)
		}
	}
}

// TestManyFailedLogins: the newest of any number are there, and how many not.
func TestManyFailedLogins(t *testing.T) {
	layout := utmpLayout(runtime.GOARCH)
	record := make([]byte, layout.size)
	binary.NativeEndian.PutUint16(record, 6)
	copy(record[44:], "clerk")
	h := hostileHome(t, map[string]string{"var/log/btmp": ""})
	f, err := os.OpenFile(h.root+"/var/log/btmp", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// A hole stands for the older ones, and half a record for one that is being written.
	const older = 1 << 30
	for i := range maxFailedLogins {
		binary.NativeEndian.PutUint32(record[layout.seconds:], uint32(i))
		if _, err := f.WriteAt(record, int64(older+i)*int64(layout.size)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.WriteAt(record[:100], int64(older+maxFailedLogins)*int64(layout.size)); err != nil {
		t.Fatal(err)
	}
	rows, err := answer(t, h.musterFailedLogins())
	if err != nil || len(rows) != maxFailedLogins {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	want := muster.Row{"username": "clerk", "tty": "", "host": "", "time": strconv.Itoa(maxFailedLogins - 1), "older": strconv.Itoa(older)}
	if diff := cmp.Diff(want, rows[len(rows)-1]); diff != "" {
		t.Error(diff)
	}
}

// TestTablesAgreeOnHost asks the copy of a host, which has rows in more tables.
func TestTablesAgreeOnHost(t *testing.T) { agrees(t, host{"testdata/hosts/debian"}.tables()) }

// TestClosedSnapshots: a disk that may not be looked at is denied.
func TestClosedSnapshots(t *testing.T) {
	h := host{tree(t, map[string]string{"proc/mounts": "/dev/sda1 /backup ext4 rw 0 0\n", "backup/timeshift/snapshots/a/info.json": "{}"})}
	closed := h.root + "/backup"
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(closed, 0o700)
	for dir := h.root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	asNobody(t, func() {
		if rows, err := gather(t, h.musterSnapshots()); !errors.Is(err, facts.ErrDenied) {
			t.Errorf("%v, %v", rows, err)
		}
	})
}
