package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	for _, content := range []string{"old", "new", ""} {
		if err := WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Fatalf("read %q, %v; want %q", got, err, content)
		}
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := errors.Join(Rename(path, path+"2"), Remove(path+"2"), Remove(path+"2")); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestSweepLeavesEverythingButLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{filepath.Base(tempName("a")), "a", "a.tmp", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 3 {
		t.Errorf("left: %v", entries)
	}
}

func TestMkdirAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	if err := errors.Join(MkdirAll(dir, 0o700), MkdirAll(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(dir, "f"), 0o700); err == nil {
		t.Error("a file passed as a folder")
	}
}

// model is a file system that forgets at a power loss what was not fsynced:
// of folder changes any prefix survives, of unsynced content none, half or all.
type model struct {
	names   map[string]*inode
	settled map[string]*inode
	pending []func(map[string]*inode)
	calls   int
	failAt  int // the call that fails, counted from 1; 0 means none
	failErr error
}

type inode struct{ content, synced []byte }

func newModel(name, content string) *model {
	n := &inode{[]byte(content), []byte(content)}
	return &model{names: map[string]*inode{name: n}, settled: map[string]*inode{name: n}}
}

func (m *model) call() error {
	if m.calls++; m.calls == m.failAt {
		return m.failErr
	}
	return nil
}

func (m *model) change(f func(map[string]*inode)) {
	f(m.names)
	m.pending = append(m.pending, f)
}

func (m *model) create(path string, _ os.FileMode) (file, error) {
	if err := m.call(); err != nil {
		return nil, err
	}
	n := &inode{}
	m.change(func(names map[string]*inode) { names[path] = n })
	return &modelFile{m, n}, nil
}

func (m *model) rename(from, to string) error {
	if err := m.call(); err != nil {
		return err
	}
	n := m.names[from]
	m.change(func(names map[string]*inode) { delete(names, from); names[to] = n })
	return nil
}

func (m *model) remove(path string) error {
	if err := m.call(); err != nil {
		return err
	}
	if m.names[path] == nil {
		return fs.ErrNotExist
	}
	m.change(func(names map[string]*inode) { delete(names, path) })
	return nil
}

func (m *model) syncDir(string) error {
	if err := m.call(); err != nil {
		return err
	}
	for _, f := range m.pending {
		f(m.settled)
	}
	m.pending = nil
	return nil
}

type modelFile struct {
	m *model
	n *inode
}

func (f *modelFile) Write(p []byte) (int, error) {
	if err := f.m.call(); err != nil {
		f.n.content = append(f.n.content, p[:len(p)/2]...) // a full disk takes a part
		return len(p) / 2, err
	}
	f.n.content = append(f.n.content, p...)
	return len(p), nil
}

func (f *modelFile) Sync() error {
	if err := f.m.call(); err != nil {
		return err
	}
	f.n.synced = bytes.Clone(f.n.content)
	return nil
}

func (f *modelFile) Close() error { return f.m.call() }

// afterPowerLoss gives every content that the file can have; "absent" where it
// can be gone.
func (m *model) afterPowerLoss(path string) map[string]bool {
	possible := map[string]bool{}
	names := map[string]*inode{}
	for k, v := range m.settled {
		names[k] = v
	}
	for i := 0; ; i++ {
		if n := names[path]; n == nil {
			possible["absent"] = true
		} else {
			unsynced := n.content[min(len(n.synced), len(n.content)):]
			for _, part := range []int{0, len(unsynced) / 2, len(unsynced)} {
				possible[string(n.synced)+string(unsynced[:part])] = true
			}
		}
		if i == len(m.pending) {
			return possible
		}
		m.pending[i](names)
	}
}

var errStop = errors.New("power lost")

func TestPowerLossNeverTears(t *testing.T) {
	const path = "dir/state"
	for stop := 1; ; stop++ {
		m := newModel(path, "the old content")
		m.failAt, m.failErr = stop, errStop
		err := writeFile(m, path, []byte("the new content"), 0o600)
		for content := range m.afterPowerLoss(path) {
			if content != "the new content" && (err == nil || content != "the old content") {
				t.Errorf("power lost at call %d (write said %v): the file can be %q", stop, err, content)
			}
		}
		if err == nil {
			if stop < 6 {
				t.Errorf("a write of %d calls cannot be durable", stop-1)
			}
			return
		}
	}
}

func TestPowerLossAfterRemove(t *testing.T) {
	m := newModel("dir/state", "old")
	if err := remove(m, "dir/state"); err != nil {
		t.Fatal(err)
	}
	if got := m.afterPowerLoss("dir/state"); len(got) != 1 || !got["absent"] {
		t.Errorf("after a remove the file can be %v", got)
	}
}

func TestEveryFailureIsToldAndCleanedUp(t *testing.T) {
	const path = "dir/state"
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		for call := 1; call <= 6; call++ {
			t.Run(fmt.Sprintf("%v at call %d", cause, call), func(t *testing.T) {
				m := newModel(path, "old")
				m.failAt, m.failErr = call, cause
				err := writeFile(m, path, []byte("new"), 0o600)
				if !errors.Is(err, cause) {
					t.Fatalf("said %v", err)
				}
				if len(m.names) != 1 || m.names[path] == nil {
					t.Errorf("files left: %v", m.names)
				}
				if got := string(m.names[path].content); call < 6 && got != "old" {
					t.Errorf("the file is %q", got)
				}
			})
		}
	}
}

func TestReadForeignDoesNotFallForTricks(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.WriteFile(path("plain"), []byte("12345"), 0o600), os.Mkdir(path("folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadForeign(path("plain"), 5); err != nil || string(b) != "12345" {
		t.Errorf("%q, %v", b, err)
	}
	tricks := []string{"folder"}
	if os.Symlink("plain", path("link")) == nil {
		tricks = append(tricks, "link")
		// Also where the link comes between the first look and the opening.
		if f, err := openForeign(path("link")); err == nil {
			if info, err := f.Stat(); err != nil || info.Mode().IsRegular() {
				t.Errorf("a link was followed: %v, %v", info, err)
			}
			f.Close()
		}
	}
	if makePipe(path("pipe")) == nil {
		tricks = append(tricks, "pipe")
	}
	for _, name := range tricks {
		if _, err := ReadForeign(path(name), 5); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadForeign(path("plain"), 4); !errors.Is(err, ErrForeign) {
		t.Errorf("too large: %v", err)
	}
	if _, err := ReadForeign(path("none"), 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not there: %v", err)
	}
}
