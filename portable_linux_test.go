package muster_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

// A portable audit from a stick, on a computer without a network: it gives the
// verdicts of an ordinary audit, and leaves every file of the computer as it was.
func TestPortable(t *testing.T) {
	needPortable(t)
	f := mustFill(t, mustStick(t, 256<<20, fileSystems...))
	computer := mustEMS(t)
	audit := []string{"audit", "--profile", "ems", "--courier", "/media", "--output", "json", "--passphrase-file", f.words}
	strace := []string{"strace", "-f", "-qq", "-s", "512", "-o", computer.path("trace"),
		"-e", "trace=%file,%network,ftruncate,fchmod,fchown,fsetxattr,fremovexattr"}
	var portable []muster.Audit
	for i, root := range []string{"rw", "ro"} {
		stdout, stderr := computer.run(t, f.stick, root, strace[:len(strace)*(1-i)], audit...)
		if !strings.Contains(stderr, fmt.Sprintf("Report %d is on the stick", i+1)) || strings.Contains(stderr, "warning") {
			t.Fatalf("%s\n%s", stdout, stderr)
		}
		computer.untouched(t)
		portable = append(portable, parseAudit(t, stdout))
	}
	checkTrace(t, computer.read(t, "trace"))
	f.checkChain(t, 2)
	f.verify(t)

	stdout, _ := computer.run(t, f.stick, "ro", nil, "audit", "--profile", "ems", "--output", "json", "--osquery", "off")
	ordinary := verdicts(parseAudit(t, stdout))
	if len(ordinary) == 0 {
		t.Fatal("an ordinary audit finds nothing")
	}
	for _, p := range portable {
		if diff := cmp.Diff(ordinary, verdicts(p)); diff != "" {
			t.Errorf("a portable audit finds otherwise (-ordinary +portable):\n%s", diff)
		}
	}

	// An audit that keeps its reports on the computer is seen to.
	computer.run(t, f.stick, "rw", nil, "audit", "--quiet", "--site", f.site, "--state", "/var/lib/elsewhere")
	if written := computer.read(t, "written"); !strings.Contains(written, "var/lib/elsewhere/key/host.pem") {
		t.Errorf("this test misses what is written: %q", written)
	}
}

func parseAudit(t *testing.T, text string) (a muster.Audit) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return a
}

func verdicts(a muster.Audit) map[string]string {
	m := map[string]string{}
	for _, f := range a.Findings {
		m[f.Control] = f.Status.String() + " " + f.Reason
	}
	return m
}

var (
	call     = regexp.MustCompile(`^\d+ +([a-z0-9_]+)\((.*)$`)
	quoted   = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
	changing = regexp.MustCompile(`^(?:creat|unlink|unlinkat|rename|renameat2?|mkdir|mkdirat|rmdir|link|linkat|symlink|symlinkat|mknod|mknodat|chmod|fchmodat2?|chown|lchown|fchownat|truncate|utime|utimes|utimensat|futimesat|setxattr|lsetxattr|removexattr|lremovexattr|mount|umount2|pivot_root|swapon)$`)
	writing  = regexp.MustCompile(`O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE`)
)

// checkTrace wants no packet, no child and no write beside the stick.
func checkTrace(t *testing.T, trace string) {
	t.Helper()
	started, opened := false, 0
	for line := range strings.Lines(trace) {
		m := call.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		name, args := m[1], m[2]
		if name == "execve" {
			if started {
				t.Errorf("a child: %s", line)
			}
			started = strings.HasPrefix(args, `"/media/MUSTER/bin/muster"`)
			continue
		}
		if !started {
			continue // what chroot does
		}
		switch {
		case name == "socket" && strings.Contains(args, "IPPROTO_RAW") || name == "getsockopt":
			// The rules of the older firewall are asked of such a socket, see below.
		case name == "socket" && !strings.HasPrefix(args, "AF_UNIX") && !strings.HasPrefix(args, "AF_NETLINK"),
			strings.Contains(args, "sa_family=") && !strings.Contains(args, "AF_UNIX") && !strings.Contains(args, "AF_NETLINK"):
			t.Errorf("a packet: %s", line)
		case name == "bind":
		case strings.HasPrefix(name, "open") && writing.MatchString(args), changing.MatchString(name):
			for _, path := range quoted.FindAllStringSubmatch(args, -1) {
				if !strings.HasPrefix(path[1], "/media/MUSTER/") && path[1] != "/dev/null" {
					t.Errorf("a write: %s", line)
				}
			}
			opened++
		}
	}
	if !started || opened == 0 {
		t.Errorf("the trace shows nothing:\n%.2000s", trace)
	}
}

// audit runs an audit from the stick on this computer, and wants the verdicts to be
// told whatever else is.
func (f *filled) audit(t *testing.T, passphrase string, args ...string) (printed string) {
	t.Helper()
	words := append([]string{"audit", "--profile", "ems", "--courier", f.stick, "--site", f.site}, args...)
	if passphrase != "" {
		words = append(words, "--passphrase-file", passphrase)
	}
	out, err := exec.Command(f.program, words...).CombinedOutput()
	printed = strings.Join(strings.Fields(string(out)), " ")
	if err != nil && exitCode(err) != 1 && exitCode(err) != 3 {
		t.Errorf("%v: %s", err, out)
	}
	if !strings.Contains(printed, " pass, ") {
		t.Errorf("the verdicts are not there: %s", out)
	}
	return printed
}

func exitCode(err error) int {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	return -1
}

func wants(t *testing.T, printed, want string) {
	t.Helper()
	if !strings.Contains(printed, want) {
		t.Errorf("it does not say %q: …%s", want, printed[max(0, len(printed)-800):])
	}
}

// Whatever is wrong with the stick, the verdicts are told, nothing that was kept is
// lost, and the next audit goes on.
func TestPortableTrouble(t *testing.T) {
	needPortable(t)
	f := mustFill(t, mustStick(t, 160<<20, fileSystems[2:]...)) // fusefat cannot be remounted
	wants(t, f.audit(t, f.words), "Report 1 is on the stick")
	wants(t, f.audit(t, f.wrong), "the passphrase is wrong")

	mustRun(t, "mount -o remount,ro", f.stick)
	printed := f.audit(t, f.words)
	mustRun(t, "mount -o remount,rw", f.stick)
	wants(t, printed, "the stick is write-protected: move its switch")

	filler := filepath.Join(f.stick, "filler")
	fill(t, filler)
	printed = f.audit(t, f.words)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	wants(t, printed, "the stick is full")
	wants(t, printed, "No report was kept")

	wants(t, f.audit(t, f.words), "Report 2 is on the stick")
	f.checkChain(t, 2)
	f.verify(t)
}

// fill takes all the room that is left.
func fill(t *testing.T, name string) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for block := bytes.Repeat([]byte{1}, 1<<20); len(block) > 0; {
		if _, err := file.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	file.Close() // it fails, too, on a stick that is full
}

// The stick is pulled out while muster asks for the passphrase: nothing is written to
// where it was.
func TestPortablePulled(t *testing.T) {
	needPortable(t)
	f := mustFill(t, mustStick(t, 160<<20, fileSystems...))
	wants(t, f.audit(t, f.words), "Report 1 is on the stick")
	fifo := filepath.Join(t.TempDir(), "words")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	pulled := make(chan error, 1)
	go func() {
		w, err := os.OpenFile(fifo, os.O_WRONLY, 0) // muster reads it with the stick open
		if err == nil {
			err = syscall.Unmount(f.stick, syscall.MNT_DETACH)
			io.WriteString(w, "correct horse battery\n")
			w.Close()
		}
		pulled <- err
	}()
	printed := f.audit(t, fifo)
	if err := <-pulled; err != nil {
		t.Fatal(err)
	}
	wants(t, printed, "the stick was pulled out")
	wants(t, printed, "No report was kept")
	if left, err := os.ReadDir(f.stick); err != nil || len(left) > 0 {
		t.Errorf("where the stick was: %v, %v", left, err)
	}
}

// A key that is bound opens on its stick only. The file system is one that tells its
// UUID also where udev does not run.
func TestPortableCopied(t *testing.T) {
	needPortable(t)
	ext4 := fileSystems[len(fileSystems)-1:]
	f := mustFill(t, mustStick(t, 160<<20, ext4...))
	wants(t, f.audit(t, "", "--bind"), "Report 1 is on the stick")
	wants(t, f.audit(t, ""), "Report 2 is on the stick")
	copied := mustStick(t, 160<<20, ext4...)
	mustRun(t, "cp -r", filepath.Join(f.stick, "MUSTER"), copied)
	original := f.stick
	f.stick = copied
	wants(t, f.audit(t, ""), "it is bound to another stick or computer than these")
	f.stick = original
	wants(t, f.audit(t, ""), "Report 3 is on the stick")
	f.checkChain(t, 3)
}

// Each computer has a folder of its own on the stick, and takes no other's, whatever
// its name.
func TestPortableOtherComputer(t *testing.T) {
	needPortable(t)
	f := mustFill(t, mustStick(t, 160<<20, fileSystems[2:]...)) // fusefat loses a folder that is renamed
	wants(t, f.audit(t, f.words), "Report 1 is on the stick")
	folders := func() []string {
		names, err := filepath.Glob(filepath.Join(f.stick, "MUSTER", "hosts", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	first := folders()[0]
	other := mustEMS(t)
	other.machine = other.path("machine")
	if err := os.WriteFile(other.machine, []byte("8c5f7a60-9b1d-4c3e-8a2f-6d4e5b7c9a01\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	audit := func() string {
		stdout, stderr := other.run(t, f.stick, "ro", nil, "audit", "--courier", "/media", "--passphrase-file", f.words)
		other.untouched(t)
		return strings.Join(strings.Fields(stdout+stderr), " ")
	}
	printed := audit()
	wants(t, printed, "is a new host to the state")
	wants(t, printed, "Report 1 is on the stick")
	if list, _ := f.headers(t); len(list) != 2 || list[0].Host == list[1].Host {
		t.Errorf("%+v", list)
	}
	var second string
	for _, name := range folders() {
		if name != first {
			second = name
		}
	}
	if err := os.RemoveAll(second); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(first, second); err != nil {
		t.Fatal(err)
	}
	wants(t, audit(), "is the folder of another computer")
}
