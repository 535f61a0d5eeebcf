//go:build unix

package state

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestKeyFolderIsPrivate(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "s"))
	if _, err := f.HostKey(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{f.path("key"): 0o700, f.path("key", "host.pem"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	// Someone opened it up: the next audit closes it again.
	if err := os.Chmod(f.path("key"), 0o755); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, f.Dir())
	if info, err := os.Stat(f.path("key")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestFolderThatOthersWriteToIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "chmod go-w") {
		t.Errorf("said %v", err)
	}
	if _, err := Open(dir, Options{Portable: true}); err != nil {
		t.Errorf("on a stick: %v", err)
	}
}

// A careful administrator's umask keeps nobody out who must get in.
func TestUmask(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	old := syscall.Umask(0o077)
	mustOpen(t, dir)
	syscall.Umask(old)
	for sub, want := range map[string]os.FileMode{"": 0o755, "status": 0o755, "policy": 0o755, "key": 0o700} {
		if info, err := os.Stat(filepath.Join(dir, sub)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", sub, info.Mode(), err)
		}
	}
}

func TestLinkInPlaceOfASubfolderIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	mustOpen(t, dir)
	if err := errors.Join(os.Remove(filepath.Join(dir, "key")), os.Symlink(t.TempDir(), filepath.Join(dir, "key"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "is not a folder") {
		t.Errorf("said %v", err)
	}
}

func TestUnreadableFolderSaysWhatToDo(t *testing.T) {
	parent := t.TempDir()
	if os.Geteuid() == 0 {
		// Root reads everything; a file in the way stands for what it cannot pass.
		if err := os.WriteFile(filepath.Join(parent, "s"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(filepath.Join(parent, "s"), Options{}); err == nil || !strings.Contains(err.Error(), "a file has this name") {
			t.Errorf("said %v", err)
		}
		return
	}
	if err := os.Chmod(parent, 0o500); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(parent, "s"), Options{}); err == nil || !strings.Contains(err.Error(), "--state") {
		t.Errorf("said %v", err)
	}
}

// Where the uplink has a group, it reads the outbox and writes mail; root alone
// can arrange that, and everyone else keeps the folder to himself.
func TestUplinkGroup(t *testing.T) {
	gids, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	gids = append(gids, os.Getegid())
	gid := gids[len(gids)-1]
	if os.Geteuid() == 0 {
		gids[0] = 1 // another one than root's own
	}
	group, err := user.LookupGroupId(strconv.Itoa(gids[0]))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "s")
	if _, err := Open(dir, Options{UplinkGroup: "no such group"}); err != nil {
		t.Fatal(err)
	}
	// The uplink was installed after the first audit.
	early := filepath.Join(dir, "outbox", "enrollment.cose")
	if err := errors.Join(os.WriteFile(early, nil, 0o640), os.Chown(early, -1, gid), os.Chown(filepath.Dir(early), -1, gid)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{UplinkGroup: group.Name}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(early); err != nil || os.Geteuid() == 0 && strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Gid)) != group.Gid {
		t.Errorf("the uplink may not read what was there before: %v", err)
	}
	want := map[string]os.FileMode{"outbox": 0o750, "receipts": 0o750, "inbox": 0o750, "status": 0o755}
	if os.Geteuid() == 0 {
		want = map[string]os.FileMode{
			"outbox":   0o750 | os.ModeSetgid,
			"receipts": 0o770 | os.ModeSetgid,
			"inbox":    0o770 | os.ModeSetgid,
			"status":   0o775 | os.ModeSetgid | os.ModeSticky,
		}
	}
	for sub, mode := range want {
		info, err := os.Stat(filepath.Join(dir, sub))
		if err != nil || info.Mode() != mode|os.ModeDir {
			t.Errorf("%s: %v, %v", sub, info.Mode(), err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); os.Geteuid() == 0 && (!ok || strconv.Itoa(int(st.Gid)) != group.Gid) {
			t.Errorf("%s belongs to another group", sub)
		}
	}
}

func TestFilesThatOthersReachAreRefused(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "s"))
	if _, err := f.HostKey(); err != nil {
		t.Fatal(err)
	}
	unlock, err := f.Lock()
	if err = errors.Join(err, unlock(), f.SavePolicy([]byte("x"), 1)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file string
		mode os.FileMode
		says string
	}{
		{"key/host.pem", 0o640, "ask your state whether to enroll as a new host"},
		{"key/host.pem", 0o604, "run chmod 600"},
		{"key/host.id", 0o620, "chmod go-w"},
		{"lock", 0o602, "chmod go-w"},
		{"policy/bundle.tar.gz", 0o666, "chmod go-w"},
		{"policy/floor", 0o664, "chmod go-w"},
		{"policy-floor", 0o664, "chmod go-w"},
		{"VERSION", 0o666, "chmod go-w"},
	} {
		path := f.path(filepath.FromSlash(c.file))
		info, err := os.Stat(path)
		if err == nil {
			err = os.Chmod(path, c.mode)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(f.Dir(), Options{}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s with mode %v: %v", c.file, c.mode, err)
		}
		if err := os.Chmod(path, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, f.Dir())
	if os.Geteuid() == 0 {
		path := f.path("key", "host.pem")
		if err := os.Chown(path, 61234, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(f.Dir(), Options{}); err == nil || !strings.Contains(err.Error(), "belongs to user 61234") {
			t.Errorf("key of another user: %v", err)
		}
	}
}
