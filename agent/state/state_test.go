package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func mustOpen(tb testing.TB, dir string) *Folder {
	tb.Helper()
	f, err := Open(dir, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func TestOpenMakesTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "var", "muster")
	mustOpen(t, dir)
	f := mustOpen(t, dir) // again, as every audit does
	for _, sub := range []string{"key", "outbox", "receipts", "inbox", "policy", "status"} {
		if info, err := os.Stat(filepath.Join(dir, sub)); err != nil || !info.IsDir() {
			t.Errorf("%s: %v", sub, err)
		}
	}
	if _, err := OpenReader(dir); err != nil {
		t.Error(err)
	}
	if f.Dir() != dir || filepath.Dir(f.EnrollmentFile()) != f.OutboxDir() {
		t.Errorf("%s, %s", f.Dir(), f.EnrollmentFile())
	}
}

func TestVersions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	if _, err := OpenReader(dir); err == nil || !strings.Contains(err.Error(), "run muster audit first") {
		t.Errorf("no folder: %v", err)
	}
	mustOpen(t, dir)
	for content, want := range map[string]string{"2\n": "update this program", "x": "damaged"} {
		if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err1 := Open(dir, Options{})
		_, err2 := OpenReader(dir)
		for _, err := range []error{err1, err2} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("VERSION %q: %v", content, err)
			}
		}
	}
}

// A folder as the first release made it: what is missing is made, the rest stays.
func TestOlderFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	f := mustOpen(t, dir)
	key, err := f.HostKey()
	if err == nil {
		err = errors.Join(f.SavePolicy([]byte("kept"), 3), os.RemoveAll(f.path("relay")), os.Remove(f.UplinkDir()))
	}
	if err != nil {
		t.Fatal(err)
	}
	f = mustOpen(t, dir)
	again, err := f.HostKey()
	policy, err2 := f.Policy()
	if err != nil || err2 != nil || !again.Equal(key) || string(policy) != "kept" {
		t.Errorf("%v, %v, %q", err, err2, policy)
	}
	for _, path := range []string{f.RelayOutDir(), f.RelayInDir(), f.UplinkDir()} {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestHostKeyIsNeverReplaced(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "s"))
	first, err := f.HostKey()
	if err != nil {
		t.Fatal(err)
	}
	if second, err := f.HostKey(); err != nil || !second.Equal(first) {
		t.Fatalf("another key the second time: %v", err)
	}
	path := f.path("key", "host.pem")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range [][]byte{nil, []byte("junk"), whole[:len(whole)/2]} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.HostKey(); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
			t.Errorf("damaged: %v", err)
		}
		if got, _ := os.ReadFile(path); string(got) != string(damaged) {
			t.Error("the damaged key was written over")
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := f.HostKey(); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("gone: %v", err)
	}
	if err := os.Remove(f.path("key", "host.id")); err != nil {
		t.Fatal(err)
	}
	if fresh, err := f.HostKey(); err != nil || fresh.Equal(first) {
		t.Errorf("a new host on purpose: %v", err)
	}
}

func TestLock(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "s"))
	unlock, err := f.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mustOpen(t, f.Dir()).Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("a second audit: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	half := f.path("policy", ".bundle.tar.gz.0123456789abcdef.tmp")
	if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, err = f.Lock()
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a killed audit has left is still there: %v", err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

func TestPolicy(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "s"))
	if b, err := f.Policy(); b != nil || err != nil {
		t.Errorf("before the first: %q, %v", b, err)
	}
	if err := errors.Join(f.SavePolicy([]byte("one"), 1), f.SavePolicy([]byte("three"), 3), f.SavePolicy([]byte("three again"), 3)); err != nil {
		t.Fatal(err)
	}
	if err := f.SavePolicy([]byte("two"), 2); err == nil {
		t.Error("an older policy was kept")
	}
	b, err := f.Policy()
	floor, err2 := f.PolicyFloor()
	if string(b) != "three again" || floor != 3 || err != nil || err2 != nil {
		t.Errorf("%q, %d, %v, %v", b, floor, err, err2)
	}
	if err := os.WriteFile(f.path("policy", "floor"), []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.SavePolicy([]byte("old"), 1); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("with a damaged floor: %v", err)
	}
}

func TestInbox(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "s"))
	if asked, err := f.TakeAuditRequest(); asked || err != nil {
		t.Errorf("%v, %v", asked, err)
	}
	if b, err := f.InboxPolicy(); b != nil || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	put := func(name string) {
		if err := os.WriteFile(filepath.Join(f.InboxDir(), name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("audit-request")
	put("policy.tar.gz")
	if asked, err := f.TakeAuditRequest(); !asked || err != nil {
		t.Errorf("%v, %v", asked, err)
	}
	if asked, err := f.TakeAuditRequest(); asked || err != nil {
		t.Errorf("taken twice: %v, %v", asked, err)
	}
	if b, err := f.InboxPolicy(); string(b) != "x" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := f.DropInboxPolicy(); err != nil {
		t.Fatal(err)
	}
	if b, err := f.InboxPolicy(); b != nil || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestStatus(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "s"))
	var got struct{ A int }
	if found, err := f.ReadStatus("audit", &got); found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
	if err := f.WriteStatus("audit", struct{ A int }{7}); err != nil {
		t.Fatal(err)
	}
	if found, err := f.ReadStatus("audit", &got); !found || err != nil || got.A != 7 {
		t.Errorf("%v, %v, %d", found, err, got.A)
	}
	if err := os.WriteFile(f.StatusFile("audit"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadStatus("audit", &got); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("damaged: %v", err)
	}
}

func TestBootID(t *testing.T) {
	first, err := BootID()
	second, err2 := BootID()
	if first == "" || first != second || err != nil || err2 != nil {
		t.Errorf("%q, %q, %v, %v", first, second, err, err2)
	}
}
