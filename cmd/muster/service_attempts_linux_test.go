package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/policies/bundle"
)

type attempt struct {
	name string
	do   func() error
}

// Whoever has taken over muster-uplink can delay mail, and nothing else. First the
// list of what the operating system refuses him.
func TestUplinkMayNot(t *testing.T) {
	if !asHostile(t) {
		return
	}
	h := newHostile(t)
	before := h.tree()
	for _, a := range h.forbidden() {
		t.Run(a.name, func(t *testing.T) {
			err := asUplink(a.do)
			if !errors.Is(err, fs.ErrPermission) {
				t.Errorf("the operating system said %v", err)
			}
		})
	}
	h.unchanged(before, h.tree())
	h.audited()
}

func (h *hostile) forbidden() []attempt {
	read := func(path string) func() error {
		return func() error { _, err := os.ReadFile(path); return err }
	}
	write := func(path string, flag int) func() error {
		return func() error {
			f, err := os.OpenFile(path, flag, 0o644)
			if err == nil {
				f.Close()
			}
			return err
		}
	}
	del := func(path string) func() error { return func() error { return os.Remove(path) } }
	move := func(from, to string) func() error { return func() error { return os.Rename(from, to) } }
	report, key := h.report(2), h.in("key", "host.pem")
	list := []attempt{
		{"read the key", read(key)},
		{"read the key's name", read(h.in("key", "host.id"))},
		{"list the key folder", func() error { _, err := os.ReadDir(h.in("key")); return err }},
		{"open the key folder up", func() error { return os.Chmod(h.in("key"), 0o777) }},
		{"take the key folder", func() error { return os.Chown(h.in("key"), uplinkID, uplinkID) }},
		{"link the key into the inbox", func() error { return os.Link(key, h.in("inbox", "policy.tar.gz")) }},
		{"move the key folder away", move(h.in("key"), h.in("inbox", "key"))},
		{"overwrite the key", write(key, os.O_WRONLY|os.O_TRUNC)},
		{"write a report over", write(report, os.O_WRONLY)},
		{"append to a report", write(report, os.O_WRONLY|os.O_APPEND)},
		{"cut a report short", func() error { return os.Truncate(report, 10) }},
		{"delete a report", del(report)},
		{"rename a report", move(report, h.in("outbox", "99999999.report"))},
		{"move a report into the inbox", move(report, h.in("inbox", "r"))},
		{"put another report in its place", func() error {
			if err := os.WriteFile(h.in("inbox", "mine"), []byte("x"), 0o644); err != nil {
				return err
			}
			defer os.Remove(h.in("inbox", "mine"))
			return os.Rename(h.in("inbox", "mine"), report)
		}},
		{"exchange a report with a file", func() error {
			if err := os.WriteFile(h.in("inbox", "mine"), []byte("x"), 0o644); err != nil {
				return err
			}
			defer os.Remove(h.in("inbox", "mine"))
			return unix.Renameat2(unix.AT_FDCWD, h.in("inbox", "mine"), unix.AT_FDCWD, report, unix.RENAME_EXCHANGE)
		}},
		{"put a link in place of a report", func() error { return os.Symlink("/dev/null", h.report(4)+"x") }},
		{"add a report", write(h.report(77), os.O_WRONLY|os.O_CREATE)},
		{"make a report readable to all", func() error { return os.Chmod(report, 0o666) }},
		{"set a report's time", func() error { return os.Chtimes(report, time.Now(), time.Now()) }},
		{"write chain.json", write(h.in("outbox", "chain.json"), os.O_WRONLY)},
		{"delete chain.json", del(h.in("outbox", "chain.json"))},
		{"write the base", write(h.in("outbox", "base.report"), os.O_WRONLY)},
		{"delete the base", del(h.in("outbox", "base.report"))},
		{"write the enrollment", write(h.in("outbox", "enrollment.cose"), os.O_WRONLY)},
		{"delete the outbox", del(h.in("outbox"))},
		{"move the outbox away", move(h.in("outbox"), h.in("inbox", "outbox"))},
		{"put another outbox in its place", func() error { return unix.Rename(h.in("inbox"), h.in("outbox")) }},
		{"open the outbox up", func() error { return os.Chmod(h.in("outbox"), 0o777) }},
		{"hold the lock", write(h.in("lock"), os.O_RDWR)},
		{"lock for reading", read(h.in("lock"))},
		{"delete the lock", del(h.in("lock"))},
		{"change the form's version", write(h.in("VERSION"), os.O_WRONLY)},
		{"write the policy", write(h.in("policy", "bundle.tar.gz"), os.O_WRONLY)},
		{"add to the policy folder", write(h.in("policy", "x"), os.O_WRONLY|os.O_CREATE)},
		{"delete the policy", del(h.in("policy", "bundle.tar.gz"))},
		{"lower the floor", write(h.in("policy", "floor"), os.O_WRONLY)},
		{"lower the other floor", write(h.in("policy-floor"), os.O_WRONLY)},
		{"delete the floor", del(h.in("policy", "floor"))},
		{"write the audit's status", write(h.in("status", "audit.json"), os.O_WRONLY)},
		{"delete the audit's status", del(h.in("status", "audit.json"))},
		{"rename the audit's status", move(h.in("status", "audit.json"), h.in("status", "x"))},
		{"put another status in its place", func() error {
			if err := os.WriteFile(h.in("status", "mine"), []byte("{}"), 0o644); err != nil {
				return err
			}
			defer os.Remove(h.in("status", "mine"))
			return os.Rename(h.in("status", "mine"), h.in("status", "audit.json"))
		}},
		{"put a sealed file into relay/out", write(h.in("relay", "out", "x"), os.O_WRONLY|os.O_CREATE)},
		{"move relay/out away", move(h.in("relay", "out"), h.in("inbox", "out"))},
		{"add to the state folder", write(h.in("x"), os.O_WRONLY|os.O_CREATE)},
		{"move the state folder", move(h.state, h.state+"2")},
		{"write the site file", write(h.site, os.O_WRONLY)},
		{"write over a file of root's", write(h.victim, os.O_WRONLY)},
		{"become root", func() error { return errnoOf(syscall.RawSyscall(syscall.SYS_SETUID, 0, 0, 0)) }},
	}
	for _, folder := range []string{"key", "outbox", "policy", "receipts", "inbox", "status"} {
		list = append(list, attempt{"put a link in place of " + folder, func() error {
			if err := os.Remove(h.in(folder)); err != nil {
				return err
			}
			return os.Symlink("/tmp", h.in(folder))
		}})
	}
	return list
}

// trick is what the uplink may put where it may write, and what the audit says.
type trick struct {
	name string
	do   func() error
	says string
}

// Then what it may do: its mail is not believed, not followed and not waited for.
func TestUplinkMayOnlyDelay(t *testing.T) {
	if !asHostile(t) {
		return
	}
	h := newHostile(t)
	for _, c := range h.tricks() {
		t.Run(c.name, func(t *testing.T) {
			h := &hostile{&policyLab{t, h.dir, h.site, h.state, h.version}, h.key, h.stranger, h.victim, h.kept}
			h.plant(c.do)
			h.wants(strings.Join(strings.Fields(h.audited()), " "), c.says)
			h.clear()
		})
		h.kept++
	}
	// The mail of an honest uplink is taken after all of it.
	h.plant(func() error { return os.WriteFile(h.in("receipts", "x.receipt"), h.receipt(2, h.key), 0o644) })
	h.audit()
	if seqs := h.waiting(); seqs[0] != 3 {
		t.Errorf("%v wait", seqs)
	}
}

func (h *hostile) tricks() []trick {
	h.Helper()
	file := func(name string, b []byte) func() error {
		return func() error { return os.WriteFile(h.in(name), b, 0o644) }
	}
	link := func(to, name string) func() error { return func() error { return os.Symlink(to, h.in(name)) } }
	pipe := func(name string) func() error { return func() error { return syscall.Mkfifo(h.in(name), 0o666) } }
	folder := func(name string) func() error {
		return func() error { return os.MkdirAll(h.in(name, "deep", "deeper"), 0o700) }
	}
	huge := func(name string, size int64) func() error {
		return func() error {
			return errors.Join(os.WriteFile(h.in(name), nil, 0o644), os.Truncate(h.in(name), size))
		}
	}
	const receipt, policy, request, status = "receipts/00000002.receipt", "inbox/policy.tar.gz", "inbox/audit-request", "status/uplink.json"
	refused := "the policy that arrived is refused, the one before stays"
	good := h.receipt(2, h.key)
	altered := bytes.Clone(good)
	altered[len(altered)-1] ^= 1
	renumbered := bytes.Clone(good)
	renumbered[bytes.Index(good, []byte{2, 2})+1] ^= 1 // CBOR: key 2… the number
	return []trick{
		{"receipt by a key of its own", file(receipt, h.receipt(2, h.stranger)), "none of the 1 trusted keys made it"},
		{"receipt with another signature", file(receipt, altered), "Warning: receipt"},
		{"receipt with another number", file(receipt, renumbered), "Warning: receipt"},
		{"receipt of another host", file(receipt, h.receipt(2, h.key, func(r *muster.Receipt) { r.Host = muster.NewHostID([]byte("other")) })), "it is for host"},
		{"receipt for another report of this number", file(receipt, h.receipt(2, h.key, func(r *muster.Receipt) { r.Digest[0] ^= 1 })), "it names another report with this number"},
		{"receipt of an older report, again", file(receipt, h.receipt(2, h.key, func(r *muster.Receipt) { r.Seq = 1 })), ""},
		{"receipt of a stranger for a report to come", file(receipt, h.receipt(2, h.stranger, func(r *muster.Receipt) { r.Seq = 1 << 40 })), "none of the 1 trusted keys made it"},
		{"the report itself as its receipt", link(h.report(2), receipt), "not a regular file"},
		{"link to the key as a receipt", link(h.in("key", "host.pem"), receipt), "not a regular file"},
		{"link to a device as a receipt", link("/dev/zero", receipt), "not a regular file"},
		{"pipe as a receipt", pipe(receipt), "not a regular file"},
		{"folder as a receipt", folder(receipt), "receipt"},
		{"huge receipt", huge(receipt, 1<<40), "not a regular file of a sane size"},
		{"receipts without end", func() error {
			for i := range 5000 {
				if err := file(fmt.Sprintf("receipts/%d.receipt", i), []byte("junk"))(); err != nil {
					return err
				}
			}
			return nil
		}, "more problems with receipts"},
		{"unsigned policy", file(policy, smallPolicy(h.T, bundle.BuildOptions{Version: 9}, nil)), refused},
		{"policy of a stranger", file(policy, signed(h.T, smallPolicy(h.T, bundle.BuildOptions{Version: 9}, nil), h.stranger)), refused},
		{"older policy of the state", file(policy, signed(h.T, smallPolicy(h.T, bundle.BuildOptions{Version: 4}, nil), h.key)), refused},
		{"policy with a changed byte", file(policy, flipped(signed(h.T, smallPolicy(h.T, bundle.BuildOptions{Version: 9}, nil), h.key))), refused},
		{"oversized policy", huge(policy, 1<<40), refused},
		{"policy of zeros", huge(policy, 16<<20), refused},
		{"link to the policy folder as the policy", link(h.in("policy", "bundle.tar.gz"), policy), refused},
		{"link to root's file as the policy", link(h.victim, policy), refused},
		{"pipe as the policy", pipe(policy), refused},
		{"folder as the policy", folder(policy), refused},
		{"link to root's file as the request", link(h.victim, request), ""},
		{"pipe as the request", pipe(request), ""},
		{"folder as the request", folder(request), ""},
		{"huge request", huge(request, 1<<40), ""},
		{"inbox full of junk", func() error {
			for i := range 5000 {
				if err := file(fmt.Sprintf("inbox/%d", i), nil)(); err != nil {
					return err
				}
			}
			return nil
		}, ""},
		{"links instead of returned files", link(h.victim, "relay/in/x.return"), ""},
		{"pipe as a returned file", pipe("relay/in/x.return"), ""},
		{"link to the key as its status", link(h.in("key", "host.pem"), status), ""},
		{"pipe as its status", pipe(status), ""},
		{"folder as its status", folder(status), ""},
		{"huge status", huge(status, 1<<40), ""},
	}
}

func errnoOf(_, _ uintptr, errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

func flipped(b []byte) []byte {
	b[len(b)/2] ^= 1
	return b
}

// What the uplink tells reaches the terminal of whoever asks as plain text, within bounds.
func TestUplinksStatusIsOnlyText(t *testing.T) {
	if !asHostile(t) {
		return
	}
	h := newHostile(t)
	evil := `\u001b]0;owned\u0007\u001b[2J\u202e` + strings.Repeat("A", 5000)
	text := `{"state": "E", "error": "E", "last_contact": "2026-11-03T08:00:00Z", "clock_skew_seconds": 99999999999,
		"tailnet": {"state": "E", "name": "E", "login_url": "E", "addresses": ["E"], "problems": ["E", "E"]},
		"refused": [{"seq": 7, "reason": "E", "code": "E"}], "relay_refused": [{"reason": "E"}]}`
	h.plant(func() error {
		return os.WriteFile(h.in("status", "uplink.json"), []byte(strings.ReplaceAll(text, `"E"`, `"`+evil+`"`)), 0o644)
	})
	for _, args := range [][]string{{"status"}, {"status", "--output", "json"}} {
		cmd := exec.Command(os.Args[0], append(args, "--site", h.site, "--state", h.state)...)
		cmd.Env = append(os.Environ(), asMuster+"=1")
		out, _ := cmd.Output()
		if bytes.ContainsAny(out, "\x1b\x07\u202e") || len(out) > 16<<10 || !bytes.Contains(out, []byte("AAA")) {
			t.Errorf("%v: %d bytes: %.600q", args, len(out), out)
		}
	}
	// A link to what only root can read tells nobody of it.
	h.plant(func() error {
		return errors.Join(os.Remove(h.in("status", "uplink.json")), os.Symlink(h.in("key", "host.pem"), h.in("status", "uplink.json")))
	})
	if out := h.status(); strings.Contains(out, "PRIVATE") || !strings.Contains(out, "not a regular file") {
		t.Errorf("%.600s", out)
	}
}

// Who has no rights at all learns how the computer stands.
func TestStatusForAnybody(t *testing.T) {
	if !asHostile(t) {
		return
	}
	h := newHostile(t)
	site := &muster.Site{Name: "State of Example", PolicyKeys: [][]byte{publicDER(t, h.key)}}
	err := asUser(61111, func() error {
		s, err := agent.ReadStatus(h.state, site, time.Now())
		if err != nil {
			return err
		}
		if len(s.Problems) > 0 || s.Audit.Report != 4 || s.Outbox == nil || s.Outbox.Reports != 3 || s.OutboxAsOf.IsZero() || s.Audit.CPUSeconds <= 0 {
			t.Errorf("%+v\n%+v\n%+v", s.Problems, s.Audit, s.Outbox)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Requests without end: one audit after each gap, and no report in between.
func TestUplinkAsksWithoutEnd(t *testing.T) {
	if !asHostile(t) {
		return
	}
	h := newHostile(t)
	h.plant(func() error { return os.WriteFile(h.in("inbox", "audit-request"), nil, 0o644) })
	cmd := exec.Command(os.Args[0], "service", "run", "--once", "--site", h.site, "--state", h.state)
	cmd.Env = append(os.Environ(), asMuster+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 200)
	n, _ := stderr.Read(line)
	h.wants(string(line[:n]), "the last audit was a moment ago: the next one waits")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	cmd.Wait() // stopped
	if seqs := h.waiting(); seqs[len(seqs)-1] != h.kept {
		t.Errorf("%v wait", seqs)
	}
}
