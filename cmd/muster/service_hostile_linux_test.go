package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies/bundle"
)

// uplinkID is the user and the group of the uplink in the tests' own /etc/passwd.
const uplinkID = 61234

// ownAccounts, where it is set, says that the test has a mount namespace of its own.
const ownAccounts = "MUSTER_TEST_ACCOUNTS"

// hostile is a host whose uplink was taken over.
type hostile struct {
	*policyLab
	key, stranger *ecdsa.PrivateKey // of the state, and of nobody
	victim        string            // a file of root's outside of the state folder
	kept          uint64            // the newest report
}

// asHostile runs the test again in a mount namespace where the uplink's user and group
// exist, as the packages make them.
func asHostile(t *testing.T) (inside bool) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become the uplink's user")
	}
	if os.Getenv(ownAccounts) != "" {
		dir := t.TempDir()
		for _, name := range []string{"passwd", "group"} {
			b, err := os.ReadFile("/etc/" + name)
			if err != nil {
				t.Fatal(err)
			}
			line := fmt.Sprintf("%s:x:%d:\n", state.UplinkGroup, uplinkID)
			if name == "passwd" {
				line = fmt.Sprintf("%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n", state.UplinkGroup, uplinkID, uplinkID)
			}
			copied := filepath.Join(dir, name)
			if err := os.WriteFile(copied, append(b, line...), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount(copied, "/etc/"+name, "", syscall.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { syscall.Unmount("/etc/"+name, syscall.MNT_DETACH) })
		}
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), ownAccounts+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("needs a mount namespace, which this container refuses even to root")
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%d attempts", bytes.Count(out, []byte("--- PASS: "+t.Name()+"/")))
	return false
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	key := mustKey(t)
	h := &hostile{policyLab: newPolicyLab(t, key), key: key, stranger: mustKey(t)}
	// The way to the state folder is open, as it is at /var/lib/muster.
	for dir := h.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.victim = filepath.Join(h.dir, "victim")
	if err := os.WriteFile(h.victim, []byte("root's own"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.take(signed(t, smallPolicy(t, bundle.BuildOptions{Version: 5}, nil), key))
	h.audit()
	h.kept = 3
	if seqs := h.waiting(); len(seqs) != 3 {
		t.Fatalf("%v wait", seqs)
	}
	h.plant(func() error { return os.WriteFile(h.in("receipts", "00000001.receipt"), h.receipt(1, key), 0o644) })
	h.audit()
	h.kept++
	if seqs := h.waiting(); len(seqs) != 3 || seqs[0] != 2 {
		t.Fatalf("a genuine receipt was not taken: %v wait", seqs)
	}
	return h
}

func (h *hostile) in(name ...string) string {
	return filepath.Join(append([]string{h.state}, name...)...)
}

func (h *hostile) report(seq uint64) string { return h.in("outbox", fmt.Sprintf("%08d.report", seq)) }

func (h *hostile) waiting() []uint64 {
	h.Helper()
	box, err := outbox.OpenReader(h.in("outbox"))
	if err != nil {
		h.Fatal(err)
	}
	seqs, err := box.List()
	if err != nil {
		h.Fatal(err)
	}
	return seqs
}

// receipt is one for a waiting report, made with the key.
func (h *hostile) receipt(seq uint64, key *ecdsa.PrivateKey, change ...func(*muster.Receipt)) []byte {
	h.Helper()
	box, err := outbox.OpenReader(h.in("outbox"))
	if err != nil {
		h.Fatal(err)
	}
	envelope, err := box.Read(seq)
	if err != nil {
		h.Fatal(err)
	}
	host, err := wire.KeyID(envelope)
	if err != nil {
		h.Fatal(err)
	}
	r := muster.Receipt{Host: muster.HostID(host), Seq: seq, Digest: wire.EnvelopeDigest(envelope), ReceivedAt: time.Now()}
	for _, f := range change {
		f(&r)
	}
	b, err := wire.SignReceipt(r, key)
	if err != nil {
		h.Fatal(err)
	}
	return b
}

func asUplink(f func() error) error { return asUser(uplinkID, f) }

// asUser runs f on a thread that the kernel knows as this user.
func asUser(id uintptr, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		for _, call := range [][4]uintptr{{syscall.SYS_SETGROUPS, 0, 0, 0}, {syscall.SYS_SETRESGID, id, id, id}, {syscall.SYS_SETRESUID, id, id, id}} {
			if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				done <- errno
				return
			}
		}
		done <- f()
	}()
	return <-done
}

// plant is what the uplink may do: it must succeed.
func (h *hostile) plant(f func() error) {
	h.Helper()
	if err := asUplink(f); err != nil {
		h.Fatalf("the uplink cannot do what it may: %v", err)
	}
}

// tree is everything that the uplink must not change, name to owner, mode and digest.
func (h *hostile) tree() map[string]string {
	h.Helper()
	all := map[string]string{}
	for _, root := range []string{h.state, h.victim, h.site} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			st := info.Sys().(*syscall.Stat_t)
			entry := fmt.Sprint(info.Mode(), st.Uid, st.Gid)
			if d.Type().IsRegular() && info.Size() < state.MaxPolicy {
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				entry += fmt.Sprintf(" %x", sha256.Sum256(b))
			}
			all[path] = entry
			return nil
		})
		if err != nil {
			h.Fatal(err)
		}
	}
	return all
}

// audited is one audit after a trick. It ends, judges by the policy of the state, keeps
// one more report, and leaves key, policy and every report as they were.
func (h *hostile) audited() string {
	h.Helper()
	before := h.guarded()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "audit", "--site", h.site, "--state", h.state, "--osquery", "off")
	cmd.Env = append(os.Environ(), asMuster+"=1")
	b, _ := cmd.CombinedOutput() // the code is the verdict's
	out := string(b)
	if ctx.Err() != nil {
		h.Fatalf("the audit hangs: %.500s", out)
	}
	h.kept++
	h.wants(strings.Join(strings.Fields(out), " "), "Policy good-5 ", fmt.Sprintf("Report %d kept", h.kept))
	after := h.guarded()
	delete(after, h.report(h.kept))
	h.unchanged(before, after)
	if strings.ContainsRune(out, '\x1b') {
		h.Errorf("escapes reach the terminal: %q", out)
	}
	return out
}

func (h *hostile) unchanged(before, after map[string]string) {
	h.Helper()
	for path, was := range before {
		if after[path] != was {
			h.Errorf("%s was %s, and is %s", path, was, after[path])
		}
		delete(after, path)
	}
	for path, is := range after {
		h.Errorf("%s is new: %s", path, is)
	}
}

// guarded is what no trick may change: the key, the reports, the policy and what
// lies outside.
func (h *hostile) guarded() map[string]string {
	h.Helper()
	all := h.tree()
	maps.DeleteFunc(all, func(path, _ string) bool {
		rel, err := filepath.Rel(h.state, path)
		if err != nil || strings.HasPrefix(rel, "..") {
			return false
		}
		top, _, _ := strings.Cut(rel, "/")
		return top != "key" && top != "policy" && top != "policy-floor" && filepath.Ext(rel) != ".report" || filepath.Base(rel) == "base.report"
	})
	return all
}

// clear removes what a trick has left, as root.
func (h *hostile) clear() {
	h.Helper()
	for _, dir := range []string{"receipts", "inbox", "relay/in"} {
		entries, err := os.ReadDir(h.in(dir))
		if err != nil {
			h.Fatal(err)
		}
		for _, e := range entries {
			if err := os.RemoveAll(h.in(dir, e.Name())); err != nil {
				h.Fatal(err)
			}
		}
	}
	if err := os.RemoveAll(h.in("status", "uplink.json")); err != nil {
		h.Fatal(err)
	}
}
