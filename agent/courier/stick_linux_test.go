package courier

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fileSystem is one that sticks come with.
type fileSystem struct {
	name string
	mkfs []string
	// fuse mounts a block device where the kernel does not know the file system.
	fuse func(device, dir string, readOnly bool) []string
}

var fileSystems = []fileSystem{
	{"vfat", []string{"mkfs.vfat", "-F", "32"}, func(device, dir string, readOnly bool) []string {
		if readOnly {
			return []string{"fusefat", "-o", "ro", device, dir}
		}
		return []string{"fusefat", "-o", "rw+", device, dir}
	}},
	{"exfat", []string{"mkfs.exfat"}, func(device, dir string, readOnly bool) []string {
		if readOnly {
			return []string{"mount.exfat-fuse", "-o", "ro", device, dir}
		}
		return []string{"mount.exfat-fuse", device, dir}
	}},
}

// realStick is an image of a stick, mounted as a county would see it.
type realStick struct {
	t                  *testing.T
	fs                 fileSystem
	image, device, dir string
}

func mustRealStick(t *testing.T, fs fileSystem) *realStick {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root mounts a stick")
	}
	s := &realStick{t: t, fs: fs, image: filepath.Join(t.TempDir(), "stick.img"), dir: t.TempDir()}
	for _, tool := range []string{fs.mkfs[0], fs.fuse("", "", false)[0], "losetup"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed: packaging/test-packages.txt has its package")
		}
	}
	must(t, os.WriteFile(s.image, nil, 0o600))
	must(t, os.Truncate(s.image, 40<<20))
	s.run(append(fs.mkfs, s.image)...)
	s.device = strings.TrimSpace(s.run("losetup", "--find", "--show", s.image))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", s.device).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v: %s", err, out)
		}
	})
	return s
}

func (s *realStick) run(args ...string) string {
	s.t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// in mounts the stick while do runs.
func (s *realStick) in(readOnly bool, do func(dir string)) {
	s.t.Helper()
	known, err := os.ReadFile("/proc/filesystems")
	must(s.t, err)
	if strings.Contains(string(known), "\t"+s.fs.name+"\n") {
		flags := uintptr(0)
		if readOnly {
			flags = syscall.MS_RDONLY
		}
		must(s.t, syscall.Mount(s.device, s.dir, s.fs.name, flags, ""))
	} else {
		s.run(s.fs.fuse(s.device, s.dir, readOnly)...)
	}
	defer s.run("umount", s.dir)
	do(filepath.Join(s.dir, "MUSTER"))
}

func eachFileSystem(t *testing.T, do func(t *testing.T, s *realStick)) {
	for _, fs := range fileSystems {
		t.Run(fs.name, func(t *testing.T) { do(t, mustRealStick(t, fs)) })
	}
}

// A round on real FAT32 and exFAT, the stick being taken out in between.
func TestRealStick(t *testing.T) {
	eachFileSystem(t, func(t *testing.T, real *realStick) {
		h, keys := mustHost(t, testOutbox(2))
		real.in(false, func(dir string) {
			if _, err := mustStick(t, dir).Seal(h, nil); err != nil {
				t.Fatal(err)
			}
		})
		real.in(true, func(dir string) {
			s := OpenReader(dir)
			files, _, err := s.Outgoing()
			if err != nil || len(files) != 1 || files[0].Damaged {
				t.Fatalf("%+v, %v", files, err)
			}
			if steps, damaged, err := s.Log(); err != nil || damaged != 0 || len(steps) != 1 {
				t.Fatalf("%+v, %v", steps, err)
			}
		})
		real.in(false, func(dir string) { must(t, round(t, mustStick(t, dir), h, keys)) })
		real.in(false, func(dir string) {
			if left, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	})
}

func TestRealStickIsFull(t *testing.T) {
	eachFileSystem(t, func(t *testing.T, real *realStick) {
		h, keys := mustHost(t, testOutbox(2))
		real.in(false, func(dir string) {
			s := mustStick(t, dir)
			ballast := filepath.Join(real.dir, "holiday.mov")
			fill(t, ballast)
			// The driver for FAT outside the kernel has EPERM for a full stick.
			if _, err := s.Seal(h, nil); !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EPERM) {
				t.Errorf("a full stick: %v", err)
			}
			if files, _, err := s.Outgoing(); err != nil || len(files) != 0 {
				t.Errorf("%+v, %v", files, err)
			}
			must(t, os.Remove(ballast))
			must(t, round(t, mustStick(t, dir), h, keys))
		})
	})
}

// fill writes until nothing more fits, to the last cluster.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10, 512, 1} {
		for {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
}

func TestRealStickIsReadOnly(t *testing.T) {
	eachFileSystem(t, func(t *testing.T, real *realStick) {
		h, _ := mustHost(t, testOutbox(1))
		real.in(false, func(dir string) { mustStick(t, dir) })
		real.in(true, func(dir string) {
			s, err := Open(dir)
			if err == nil {
				_, err = s.Seal(h, nil)
			}
			if !errors.Is(err, syscall.EROFS) {
				t.Errorf("a write-protected stick: %v", err)
			}
		})
	})
}

// A link on a stick leads nowhere.
func TestLinksOnTheStick(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "MUSTER")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.Symlink("/etc", filepath.Join(dir, "outgoing")))
	if _, err := Open(dir); err == nil {
		t.Error("a link passed as a folder")
	}
	must(t, os.Remove(filepath.Join(dir, "outgoing")))
	s := mustStick(t, dir)
	name := newFile(testHost, 1, 1, nil).Name
	must(t, os.Symlink("/etc/hostname", filepath.Join(dir, "outgoing", name+sealedExt)))
	if files, strange, err := s.Outgoing(); err != nil || len(files) != 0 || strange != 1 {
		t.Errorf("%+v, %d, %v", files, strange, err)
	}
	h, _ := mustHost(t, testOutbox(1))
	made, err := s.Seal(h, nil)
	must(t, err)
	m := Mailbox{Out: t.TempDir(), In: t.TempDir(), Wait: time.Millisecond, By: "me", Now: time.Now}
	must(t, os.Symlink("/etc/hostname", m.in(&made[0])))
	if r, err := s.Relay(t.Context(), m, made); err != nil || len(r.Waiting) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := os.Lstat(m.in(&made[0])); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the uplink's link is still there: %v", err)
	}
}
