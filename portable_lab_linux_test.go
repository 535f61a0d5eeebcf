package muster_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// staticMuster is the program as releases build it: without cgo, so that it runs
// from a stick on any computer.
var staticMuster = sync.OnceValues(func() (string, error) {
	bin, err := programs()
	if err != nil {
		return "", err
	}
	name := filepath.Join(bin, "muster-static")
	build := exec.Command("go", "build", "-trimpath", "-o", name, "./cmd/muster")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return name, nil
})

// fileSystems of sticks, the likelier first: those that counties have, by the
// kernel or in user space, and one that every Linux has.
var fileSystems = [][2]string{
	{"mkfs.vfat -F 32", "mount -t vfat -o loop"},
	{"mkfs.vfat -F 32", "fusefat -o rw+"},
	{"mkfs.exfat", "mount -t exfat -o loop"},
	{"mkfs.exfat", "mount.exfat-fuse"},
	{"mkfs.ext4 -q", "mount -o loop"},
}

// mustStick mounts a stick with a file system of its own and a folder MUSTER.
func mustStick(t *testing.T, size int64, kinds ...[2]string) string {
	t.Helper()
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "stick.img")
	for _, f := range kinds {
		if err := os.WriteFile(image, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(image, size); err != nil {
			t.Fatal(err)
		}
		if run(f[0], image) != nil {
			continue
		}
		device := image
		if strings.Contains(f[1], "exfat-fuse") {
			out, err := exec.Command("losetup", "-f", "--show", image).Output()
			if err != nil {
				continue
			}
			device = strings.TrimSpace(string(out))
			t.Cleanup(func() { run("losetup -d", device) })
		}
		if run(f[1], device, dir) != nil {
			continue
		}
		t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
		t.Logf("the stick: %s, %s", f[0], f[1])
		if err := os.Mkdir(filepath.Join(dir, "MUSTER"), 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	t.Fatal("no file system for a stick can be made here")
	return ""
}

func run(command string, args ...string) error {
	words := append(strings.Fields(command), args...)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", command, err, out)
	}
	return nil
}

func mustRun(t *testing.T, command string, args ...string) {
	t.Helper()
	if err := run(command, args...); err != nil {
		t.Fatal(err)
	}
}

// ems is a computer off the network: the files of this one, with nothing mounted
// but what a kernel offers, and a layer above that catches every write. Before and
// after are the same byte for byte if nothing is in the layer.
type ems struct {
	dir string
	// machine is a file whose content names another computer; "" for this one.
	machine string
}

// enter sets the computer up in namespaces of its own and runs the rest in it.
const enter = `set -eu
mount --make-rprivate /
mount -t tmpfs layer "$EMS/layer"
mkdir "$EMS/layer/upper" "$EMS/layer/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$EMS/layer/upper,workdir=$EMS/layer/work" "$EMS/root"
mount --rbind /proc "$EMS/root/proc"
mount -t sysfs sysfs "$EMS/root/sys"
mount --rbind /dev "$EMS/root/dev"
mount --bind "$STICK" "$EMS/root/media"
for name in sys/class/dmi/id/product_uuid etc/machine-id; do
	if [ -n "$MACHINE" ] && [ -e "$EMS/root/$name" ]; then mount --bind "$MACHINE" "$EMS/root/$name"; fi
done
if [ "$ROOT" = ro ]; then mount -o remount,ro "$EMS/root"; fi
"$@" || true # its exit code is the verdict
cat /proc/net/snmp > "$EMS/packets"
(cd "$EMS/layer/upper" && find . ! -name . -print) > "$EMS/written"
`

func mustEMS(t *testing.T) *ems {
	t.Helper()
	e := &ems{dir: t.TempDir()}
	for _, sub := range []string{"layer", "root"} {
		if err := os.Mkdir(filepath.Join(e.dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// run runs the muster of the stick on the computer, whose files can be read only
// ("ro") or also written ("rw").
func (e *ems) run(t *testing.T, stick, root string, before []string, args ...string) (stdout, stderr string) {
	t.Helper()
	words := append([]string{"--mount", "--net", "sh", "-c", enter, "sh"}, before...)
	words = append(append(words, "chroot", e.path("root"), "/media/MUSTER/bin/muster"), args...)
	cmd := exec.Command("unshare", words...)
	cmd.Env = append(os.Environ(), "EMS="+e.dir, "STICK="+stick, "ROOT="+root, "MACHINE="+e.machine, "HTTPS_PROXY=http://192.0.2.1:3128")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, &out, &errs)
	}
	return out.String(), errs.String()
}

// untouched wants the last run to have sent nothing and written nothing.
func (e *ems) untouched(t *testing.T) {
	t.Helper()
	if sent := ipOut.FindStringSubmatch(e.read(t, "packets")); sent == nil || sent[1] != "0" || sent[2] != "0" {
		t.Errorf("it tried to send: %q", sent)
	}
	if written := e.read(t, "written"); written != "" {
		t.Errorf("it wrote to the computer:\n%s", written)
	}
}

// ipOut finds what the kernel counted: requests to send, and those without a way.
var ipOut = regexp.MustCompile(`(?m)^Ip: \d+ \d+ \d+ \d+ \d+ \d+ \d+ \d+ \d+ (\d+) \d+ (\d+)`)

func (e *ems) path(name string) string { return filepath.Join(e.dir, name) }

func (e *ems) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(e.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func needPortable(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a stick, and a computer of its own, need root")
	}
	for _, program := range []string{"strace", "mkfs.vfat", "losetup", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: make test installs it", program)
		}
	}
}

// filled is a stick as a state makes it, and what else the county and the state have.
type filled struct {
	stick string
	// program is the muster of a trusted computer, and site its site file.
	program, site string
	// words is the file of the passphrase, and wrong one with another.
	words, wrong string
	// keys open what is sealed for the state.
	keys seal.Keys
}

func mustFill(t *testing.T, stick string) *filled {
	t.Helper()
	program, err := staticMuster()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := &filled{stick: stick, program: program, site: filepath.Join(dir, "site.json"), words: filepath.Join(dir, "words"), wrong: filepath.Join(dir, "wrong")}
	key := filepath.Join(dir, "key.pem")
	mustRun(t, program+" policy keygen --no-passphrase -o", key)
	pub, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := seal.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if f.keys, err = seal.ParseKeys(secret); err != nil {
		t.Fatal(err)
	}
	der := regexp.MustCompile(`(?m)^-.*$|\s`).ReplaceAllString(string(pub), "")
	site := fmt.Sprintf(`{"muster_site": 1, "name": "State of Example", "state": "17", "county": "17031", "profile": "ems",
		"collector": "https://collector.example", "age_recipient": %q, "policy_keys": [%q], "receipt_keys": [%q]}`, f.keys.Recipient(), der, der)
	for name, text := range map[string]string{f.site: site, f.words: "correct horse battery\n", f.wrong: "wrong horse battery\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	release := filepath.Join(dir, "muster")
	if err := os.Link(program, release); err != nil {
		t.Fatal(err)
	}
	mustRun(t, program+" media make", stick, "--key", key, "--site", f.site, "--program", release)
	return f
}

// verify wants the stick to be as the state made it, after all journeys.
func (f *filled) verify(t *testing.T) {
	t.Helper()
	mustRun(t, f.program+" verify-media", f.stick, "--site", f.site)
}

// headers opens what is sealed on the stick, as the state would, in order.
func (f *filled) headers(t *testing.T) (list []muster.Header, digests []muster.Digest) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(f.stick, "MUSTER", "outgoing", "*.courier"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		r, err := seal.Open(file, f.keys)
		if err != nil {
			t.Fatal(err)
		}
		enrollment, _, err := wire.VerifyEnrollment(r.Head.Enrollment)
		if err != nil {
			t.Fatal(err)
		}
		key, err := wire.ParsePublicKey(enrollment.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		for {
			var frame wire.Frame
			if err := r.Read(&frame); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			envelope, err := wire.OpenFrame(&frame, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			content, err := wire.Verify(wire.KindReport, envelope, key)
			if err != nil {
				t.Fatal(err)
			}
			opened, err := wire.DecodeReport(content)
			if err != nil {
				t.Fatal(err)
			}
			list, digests = append(list, opened.Header), append(digests, wire.EnvelopeDigest(envelope))
		}
	}
	return list, digests
}

// checkChain wants so many reports of one host on the stick, each chained to the one
// before.
func (f *filled) checkChain(t *testing.T, want int) {
	t.Helper()
	list, digests := f.headers(t)
	if len(list) != want {
		t.Fatalf("%d reports are sealed, want %d", len(list), want)
	}
	for i, h := range list {
		var prev muster.Digest
		if i > 0 {
			prev = digests[i-1]
		}
		if h.Seq != uint64(i)+1 || h.Prev != prev || h.Host != list[0].Host || h.Profile != muster.EMS || len(h.Gap) > 0 {
			t.Errorf("report %d is not chained to the one before: %+v", i+1, h)
		}
	}
}
