package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/passmuster/muster/internal/crash"
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
	if err := Sweep(dir, "b"); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 4 {
		t.Errorf("of the writes to another file: %v", entries)
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

// model is a disk that can fail at a call, and lose its power at any.
type model struct {
	*crash.Disk
	t       *testing.T
	calls   int
	failAt  int // the call that fails, counted from 1; 0 means none
	failErr error
}

func newModel(t *testing.T, name, content string) *model {
	m := &model{Disk: crash.NewDisk(), t: t}
	dir := filepath.Dir(name)
	m.apply(crash.Event{Op: crash.Mkdir, Path: dir}, crash.Event{Op: crash.Sync, Path: "."},
		crash.Event{Op: crash.Create, Path: name}, crash.Event{Op: crash.Write, Path: name, Data: []byte(content)},
		crash.Event{Op: crash.Sync, Path: name}, crash.Event{Op: crash.Sync, Path: dir})
	return m
}

func (m *model) apply(events ...crash.Event) {
	for _, e := range events {
		if err := m.Apply(e); err != nil {
			m.t.Fatal(err)
		}
	}
}

// do is one call.
func (m *model) do(e crash.Event) error {
	if m.calls++; m.calls == m.failAt {
		return m.failErr
	}
	m.apply(e)
	return nil
}

func (m *model) create(path string, _ os.FileMode) (file, error) {
	return &modelFile{m, path}, m.do(crash.Event{Op: crash.Create, Path: path})
}
func (m *model) rename(from, to string) error {
	return m.do(crash.Event{Op: crash.Rename, Path: from, To: to})
}
func (m *model) remove(path string) error { return m.do(crash.Event{Op: crash.Remove, Path: path}) }
func (m *model) syncDir(dir string) error { return m.do(crash.Event{Op: crash.Sync, Path: dir}) }

type modelFile struct {
	m    *model
	path string
}

func (f *modelFile) Write(p []byte) (int, error) {
	if err := f.m.do(crash.Event{Op: crash.Write, Path: f.path, Data: p}); err != nil {
		p = p[:len(p)/2] // a full disk takes a part
		f.m.apply(crash.Event{Op: crash.Write, Path: f.path, Data: p})
		return len(p), err
	}
	return len(p), nil
}

func (f *modelFile) Sync() error  { return f.m.do(crash.Event{Op: crash.Sync, Path: f.path}) }
func (f *modelFile) Close() error { return f.m.do(crash.Event{Op: crash.Said}) }

// afterPowerLoss gives every content that the file can have; "absent" where it
// can be gone.
func (m *model) afterPowerLoss(path string) map[string]bool {
	possible := map[string]bool{}
	for files := range m.AfterPowerLoss {
		content, ok := files[path]
		if !ok {
			content = []byte("absent")
		}
		possible[string(content)] = true
	}
	return possible
}

var errStop = errors.New("power lost")

func TestPowerLossNeverTears(t *testing.T) {
	const path = "dir/state"
	for stop := 1; ; stop++ {
		m := newModel(t, path, "the old content")
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
	m := newModel(t, "dir/state", "old")
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
				m := newModel(t, path, "old")
				m.failAt, m.failErr = call, cause
				err := writeFile(m, path, []byte("new"), 0o600)
				if !errors.Is(err, cause) {
					t.Fatalf("said %v", err)
				}
				files := m.Files()
				if len(files) != 2 { // with the folder
					t.Errorf("files left: %v", files)
				}
				if got := string(files[path]); call < 6 && got != "old" {
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
