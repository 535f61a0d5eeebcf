package main

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/policies/bundle"
)

// Two keys are trusted while they change. When the old one is gone, what it
// signed judges no more, old versions stay out, and the new key's policy comes in.
func TestKeyRotation(t *testing.T) {
	old, next := mustKey(t), mustKey(t)
	l := newPolicyLab(t, old)
	version := func(n int64, revision string) []byte {
		return smallPolicy(t, bundle.BuildOptions{Version: n, Revision: revision}, nil)
	}
	idOf := map[bool]string{false: bundle.KeyID(publicDER(t, old)), true: bundle.KeyID(publicDER(t, next))}

	// The new key's policy comes before the site file that names the key.
	l.take(signed(t, version(1, "one"), old))
	l.take(signed(t, version(2, "two"), next))
	l.wants(l.status(), "one, signed by your state, key "+idOf[false], "was refused: ", "not trusted here")

	// With the new site file the refusal is forgotten, so that the uplink brings it again.
	l.trust(old, next)
	l.wants(l.audit(), "Policy one ", "key "+idOf[false])
	if out := l.status(); regexp.MustCompile("refused").MatchString(out) {
		t.Errorf("still refused: %s", out)
	}
	l.take(signed(t, version(2, "two"), next))
	l.wants(l.audit("--output", "json"), `"signed_by": "`+idOf[true]+`"`, `"version": 2`)
	l.take(signed(t, version(3, "three"), old))
	l.wants(l.audit(), "Policy three ", idOf[false])

	// The old key is gone: its last good policy judges no more, and that is loud.
	l.trust(next)
	l.wants(l.audit("--only", "MVS-SYS-01"), "cannot be used any more, and the one that ships with muster judges", "check that the site file is of this state and up to date")
	l.wants(l.status(), "the one that ships with muster", "cannot be used any more", "muster-uplink fetches the state's policy again")
	l.write(l.inbox(), signed(t, version(2, "two"), next))
	l.wants(l.audit("--only", "MVS-SYS-01"), "the one that ships with muster") // --only takes no mail
	l.take(signed(t, version(2, "two"), next))
	l.wants(l.status(), "it is version 2, older than version 3 that this host has used")

	// The same version under the new key is as good as a newer one.
	l.take(signed(t, version(3, "three"), next))
	l.wants(l.audit(), "Policy three ", idOf[true])
}

// A policy folder that was put back to an older copy does not bring the older
// policy back.
func TestPolicyFolderPutBack(t *testing.T) {
	key := mustKey(t)
	l := newPolicyLab(t, key)
	l.take(signed(t, smallPolicy(t, bundle.BuildOptions{Version: 4}, nil), key))
	policy, copied := filepath.Join(l.state, "policy"), filepath.Join(l.dir, "copy")
	if err := os.CopyFS(copied, os.DirFS(policy)); err != nil {
		t.Fatal(err)
	}
	newest := signed(t, smallPolicy(t, bundle.BuildOptions{Version: 5}, nil), key)
	l.take(newest)
	if err := errors.Join(os.RemoveAll(policy), os.CopyFS(policy, os.DirFS(copied))); err != nil {
		t.Fatal(err)
	}
	l.wants(l.status(), "the one that ships with muster", "it is version 4, older than version 5 that this host has used")
	if err := os.Remove(filepath.Join(policy, "bundle.tar.gz")); err != nil {
		t.Fatal(err)
	}
	l.wants(l.status(), "the one that ships with muster", "it is gone from "+l.state)
	l.write(l.inbox(), signed(t, smallPolicy(t, bundle.BuildOptions{Version: 4}, nil), key))
	l.wants(l.audit(), "is refused", "older than version 5")
	l.take(newest)
	l.wants(l.audit(), "Policy good-5 ")
}

// An audit that takes up policies is killed at random moments, again and again:
// what judges is always one of the good ones, never an older one than before,
// and the floor never sinks.
func TestKillWhilePolicyIsTakenUp(t *testing.T) {
	key := mustKey(t)
	l := newPolicyLab(t, key)
	start := time.Now()
	l.take(signed(t, smallPolicy(t, bundle.BuildOptions{Version: 1}, nil), key))
	whole := time.Since(start)
	policyLine := regexp.MustCompile(`Policy good-(\d+) `)
	used, floor := int64(1), uint64(1)
	for i := range 2 * int64(*kills) {
		// Where the mail still waits the uplink brings nothing newer.
		if _, err := os.Lstat(l.inbox()); errors.Is(err, fs.ErrNotExist) {
			l.write(l.inbox(), signed(t, smallPolicy(t, bundle.BuildOptions{Version: i + 2}, nil), key))
		}
		cmd := exec.Command(os.Args[0], "audit", "--site", l.site, "--state", l.state, "--osquery", "off")
		cmd.Env = append(os.Environ(), asMuster+"=1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(whole))
		cmd.Process.Kill() // it may be done
		cmd.Wait()         // killed, or the exit code of the verdict

		folder, err := state.OpenReader(l.state)
		if err != nil {
			t.Fatal(err)
		}
		now, err := folder.PolicyFloor()
		if err != nil || now < floor {
			t.Fatalf("the floor was %d and is %d, %v", floor, now, err)
		}
		floor = now
		out := l.status()
		m := regexp.MustCompile(`Policy good-(\d+), signed by your state`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no good policy: %s", out)
		}
		version, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil || version < used || uint64(version) < floor {
			t.Fatalf("version %d judges, after %d, floor %d, %v", version, used, floor, err)
		}
		used = version
	}
	if m := policyLine.FindStringSubmatch(l.audit()); m == nil || used < 2 {
		t.Errorf("version %d was reached", used)
	}
	t.Logf("%d kills, version %d was reached, whole audit %v", 2**kills, used, whole)
}

// Taking a policy up is a row of durable writes. Wherever the power fails between
// them, beside whatever half a file, the old or the new policy judges, the next
// audit finishes what was begun, and no older one gets in.
func TestEveryStepOfTakingAPolicyUp(t *testing.T) {
	key := mustKey(t)
	l := newPolicyLab(t, key)
	of := func(version int64) []byte {
		return signed(t, smallPolicy(t, bundle.BuildOptions{Version: version}, nil), key)
	}
	l.take(of(4))
	before, after := filepath.Join(l.dir, "before"), filepath.Join(l.dir, "after")
	l.write(l.inbox(), of(5))
	copyTo := func(to, from string) {
		t.Helper()
		if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(from)), os.Chmod(to, 0o755),
			os.Chmod(filepath.Join(to, "key", "host.pem"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	copyTo(before, l.state)
	l.audit()
	copyTo(after, l.state)
	steps := []string{"policy/bundle.tar.gz", "policy/floor", "policy-floor", "status/audit.json", "inbox/policy.tar.gz"}
	for done := range len(steps) + 1 {
		copyTo(l.state, before)
		for _, name := range steps[:done] {
			data, err := os.ReadFile(filepath.Join(after, name))
			if errors.Is(err, fs.ErrNotExist) {
				err = os.Remove(filepath.Join(l.state, name)) // the last step
			} else if err == nil {
				err = os.WriteFile(filepath.Join(l.state, name), data, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		half := filepath.Join(l.state, "policy", ".bundle.tar.gz.0123456789abcdef.tmp")
		l.write(half, of(9)[:100])
		want := "good-5, signed by your state"
		if done == 0 {
			want = "good-4, signed by your state"
		}
		l.wants(l.status(), want)
		if done%2 == 1 {
			// An older one comes in place of the one that waits.
			l.write(l.inbox(), of(4))
			l.wants(l.audit(), "Policy good-5 ", "older than version 5")
		}
		l.wants(l.audit(), "Policy good-5 ")
		for _, name := range []string{"policy/floor", "policy-floor"} {
			if b, err := os.ReadFile(filepath.Join(l.state, name)); err != nil || string(b) != "5\n" {
				t.Errorf("after step %d: %s is %q, %v", done, name, b, err)
			}
		}
		if _, err := os.Lstat(half); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after step %d: %s is still there", done, half)
		}
	}
}
