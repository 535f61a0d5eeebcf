package courier

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

const testHost = muster.HostID("habcdefghijklmnopqrstuvwxyz")

var testTime = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// waiting is an outbox of reports by number.
type waiting map[uint64][]byte

func (w waiting) List() (list []uint64, _ error) {
	for seq := range w {
		list = append(list, seq)
	}
	slices.Sort(list)
	return list, nil
}

func (w waiting) Read(seq uint64) ([]byte, error) {
	if b, ok := w[seq]; ok {
		return b, nil
	}
	return nil, os.ErrNotExist
}

func testOutbox(n int) waiting {
	w := waiting{}
	for i := range n {
		w[uint64(i+1)] = bytes.Repeat([]byte{byte(i), 7}, 300)
	}
	return w
}

func mustHost(t *testing.T, w waiting) (Host, seal.Keys) {
	t.Helper()
	b, err := seal.NewKey()
	must(t, err)
	keys, err := seal.ParseKeys(b)
	must(t, err)
	to, err := seal.ParseRecipient(keys.Recipient())
	must(t, err)
	return Host{ID: testHost, Enrollment: []byte("e"), Outbox: w, To: to, Now: func() time.Time { return testTime },
		LeftOut: func(seq uint64, err error) { t.Errorf("report %d: %v", seq, err) }}, keys
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustStick(t *testing.T, dir string) *Stick {
	t.Helper()
	s, err := Open(dir)
	must(t, err)
	return s
}

// numbers are those of the reports in whole files of the stick.
func numbers(t *testing.T, s *Stick, keys seal.Keys) (list []uint64) {
	t.Helper()
	files, _, err := s.Outgoing()
	must(t, err)
	for i := range files {
		b, err := s.Read(&files[i])
		must(t, err)
		r, err := seal.Open(bytes.NewReader(b), keys)
		if err != nil {
			continue
		}
		for {
			var f wire.Frame
			if r.Read(&f) != nil {
				break
			}
			list = append(list, f.Seq)
		}
	}
	slices.Sort(list)
	return list
}

func TestSealOnlyWhatIsNotThere(t *testing.T) {
	w := testOutbox(3)
	h, keys := mustHost(t, w)
	s := mustStick(t, filepath.Join(t.TempDir(), "MUSTER"))
	made, err := s.Seal(h, nil)
	if err != nil || len(made) != 1 || made[0].From != 1 || made[0].To != 3 {
		t.Fatalf("%+v, %v", made, err)
	}
	files, strange, err := s.Outgoing()
	if err != nil || strange != 0 || len(files) != 1 || files[0].Damaged || files[0].Name != made[0].Name || files[0].Digest != made[0].Digest {
		t.Fatalf("%+v, %v", files, err)
	}
	w[4] = []byte("another")
	if made, err = s.Seal(h, files); err != nil || len(made) != 1 || made[0].From != 4 {
		t.Fatalf("%+v, %v", made, err)
	}
	if got := numbers(t, s, keys); !slices.Equal(got, []uint64{1, 2, 3, 4}) {
		t.Errorf("on the stick: %v", got)
	}
	steps, damaged, err := s.Log()
	if err != nil || damaged != 0 || len(steps) != 2 || steps[1].Act != muster.CustodyWrote || steps[1].File != made[0].ID() {
		t.Errorf("%+v, %d, %v", steps, damaged, err)
	}
}

// bad is an outbox on a disk with a bad sector under report 2.
type bad struct{ waiting }

func (b bad) Read(seq uint64) ([]byte, error) {
	if seq == 2 {
		return nil, syscall.EIO
	}
	return b.waiting.Read(seq)
}

func TestSealAroundABadSector(t *testing.T) {
	h, keys := mustHost(t, nil)
	var left []uint64
	h.Outbox, h.LeftOut = bad{testOutbox(3)}, func(seq uint64, err error) { left = append(left, seq) }
	s := mustStick(t, filepath.Join(t.TempDir(), "MUSTER"))
	_, err := s.Seal(h, nil)
	must(t, err)
	if got := numbers(t, s, keys); !slices.Equal(got, []uint64{1, 3}) || !slices.Equal(left, []uint64{2}) {
		t.Errorf("sealed %v, left out %v", got, left)
	}
}

// A name in another case is the file where the stick does not know cases, and
// someone else's where it does; it is in nobody's way.
func TestNameInAnotherCase(t *testing.T) {
	s := mustStick(t, filepath.Join(t.TempDir(), "MUSTER"))
	must(t, os.WriteFile(s.path(outgoing, strings.ToUpper(newFile(testHost, 1, 2, nil).Name)+".COURIER"), nil, 0o600))
	if files, strange, err := s.Outgoing(); err != nil || len(files)+strange != 1 {
		t.Errorf("%+v, %d, %v", files, strange, err)
	}
}

// More waits than one file holds.
func TestSealSeveralFiles(t *testing.T) {
	w := waiting{}
	for i := range 12 {
		b := make([]byte, wire.MaxEnvelope)
		for j := range b { // nothing to compress
			b[j] = byte((j*j*7 + j>>8*31 + i*j) >> 3)
		}
		w[uint64(i+1)] = b
	}
	h, keys := mustHost(t, w)
	h.Plain = true
	s := mustStick(t, filepath.Join(t.TempDir(), "MUSTER"))
	made, err := s.Seal(h, nil)
	must(t, err)
	if got := numbers(t, s, keys); len(got) != 12 {
		t.Errorf("%d files with %v", len(made), got)
	}
	for _, f := range made {
		if f.Size > seal.MaxFile {
			t.Errorf("a file of %d bytes", f.Size)
		}
	}
}

// Names have nothing that FAT32 or exFAT refuses, also where a stick changes their case.
func TestNames(t *testing.T) {
	f := newFile(testHost, 1, 18446744073709551615, []byte("x"))
	name := f.Name + sealedExt
	if strings.ContainsAny(name, `\/:*?"<>|+,;=[] `) || len(name) > 128 || strings.ToLower(name) != name {
		t.Errorf("name %q", name)
	}
	for _, n := range []string{f.Name, strings.ToUpper(f.Name)} {
		if got, ok := parseName(n); !ok || got.Host != f.Host || got.From != f.From || got.To != f.To || got.Name != f.Name {
			t.Errorf("%s: %+v", n, got)
		}
	}
}

// Whatever a name is, it is ours only if we would give it.
func FuzzParseName(f *testing.F) {
	f.Add(newFile(testHost, 1, 2, nil).Name)
	f.Add("h-1-2-00000000")
	f.Fuzz(func(t *testing.T, name string) {
		got, ok := parseName(name)
		if ok && (got.Name != strings.ToLower(name) || got.From > got.To || strings.ContainsAny(got.Name, `/\:`)) {
			t.Errorf("%q: %+v", name, got)
		}
	})
}

// Whatever a stick has as its log, what is read of it can be written and is read
// the same again.
func FuzzLog(f *testing.F) {
	f.Add([]byte(`{"at":"2026-11-03T12:00:00Z","act":"wrote","by":"x","file":"0123456789abcdef","host":"habcdefghijklmnopqrstuvwxyz","from_seq":1,"to_seq":2}` + "\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		s := OpenReader(dir)
		must(t, os.WriteFile(filepath.Join(dir, custodyLog), b, 0o600))
		once, _, err := s.Log()
		must(t, err)
		step := muster.CustodyEvent{At: testTime, Act: muster.CustodyWrote, By: "me", File: "ffffffffffffffff", Host: testHost, From: 1, To: 1}
		must(t, s.Note(step))
		again, damaged, err := s.Log()
		if err != nil || damaged != 0 || !slices.Contains(again, step) {
			t.Fatalf("%d damaged, %v", damaged, err)
		}
		if want := append(once, step); !slices.Contains(once, step) && len(want) <= keepSteps && !slices.Equal(again, want) {
			t.Fatalf("%+v, then %+v", once, again)
		}
	})
}

var errPulled = errors.New("the stick is gone")

// pulled is a stick that is pulled out at the nth write: that one and every later
// one fails, and leaves half a temporary file.
type pulled struct {
	disk
	left int
	err  error
}

func (p *pulled) fails(path string, data []byte) bool {
	if p.left--; p.left >= 0 {
		return false
	}
	if data != nil {
		dir, base := filepath.Split(path)
		_ = os.WriteFile(dir+"."+base+".0000000000000000.tmp", data[:len(data)/2], 0o600)
	}
	return true
}

func (p *pulled) WriteFile(path string, data []byte, perm os.FileMode) error {
	if p.fails(path, data) {
		return p.err
	}
	return p.disk.WriteFile(path, data, perm)
}

func (p *pulled) Remove(path string) error {
	if p.fails(path, nil) {
		return p.err
	}
	return p.disk.Remove(path)
}

// Pulled out, full or write-protected at any step, a stick has whole files only,
// and the next time everything is there once.
func TestStickFailsAtEveryStep(t *testing.T) {
	for _, cause := range []error{errPulled, syscall.ENOSPC, syscall.EROFS} {
		for step := 0; ; step++ {
			h, keys := mustHost(t, testOutbox(2))
			dir := filepath.Join(t.TempDir(), "MUSTER")
			s := mustStick(t, dir)
			s.disk = &pulled{s.disk, step, cause}
			err := round(t, s, h, keys)
			if err == nil {
				break
			}
			if !errors.Is(err, cause) {
				t.Fatalf("step %d: %v", step, err)
			}
			s = mustStick(t, dir)
			files, _, err := s.Outgoing()
			must(t, err)
			for _, f := range files {
				if f.Damaged {
					t.Fatalf("step %d: %s is damaged", step, f.Name)
				}
			}
			must(t, round(t, s, h, keys))
			if left, _ := filepath.Glob(filepath.Join(dir, "*", "*")); len(left) > 0 {
				t.Fatalf("step %d: left %v", step, left)
			}
			if temp, _ := filepath.Glob(filepath.Join(dir, ".*")); len(temp) > 0 {
				t.Fatalf("step %d: left %v", step, temp)
			}
		}
	}
}

// round seals, relays through a mailbox that answers, and takes the answer.
func round(t *testing.T, s *Stick, h Host, keys seal.Keys) error {
	t.Helper()
	have, _, err := s.Outgoing()
	must(t, err)
	if _, err := s.Seal(h, have); err != nil {
		return err
	}
	files, _, err := s.Outgoing()
	must(t, err)
	if got := numbers(t, s, keys); !slices.Equal(got, []uint64{1, 2}) {
		t.Fatalf("on the stick: %v", got)
	}
	m := Mailbox{Out: t.TempDir(), In: t.TempDir(), Wait: time.Minute, By: string(testHost), Now: time.Now}
	for i := range files {
		answer(t, m, &files[i])
	}
	r, err := s.Relay(t.Context(), m, files)
	if err != nil {
		return err
	}
	if len(r.Answered) != len(files) || len(r.Problems) > 0 {
		t.Fatalf("%+v", r)
	}
	returns, err := s.Returns(h.ID)
	must(t, err)
	for i := range returns {
		if a, err := s.Answer(&returns[i]); err != nil || a == nil {
			t.Fatalf("%+v, %v", a, err)
		}
		if err := s.Done(&returns[i]); err != nil {
			return err
		}
	}
	return nil
}

func answer(t *testing.T, m Mailbox, f *File) {
	t.Helper()
	var b bytes.Buffer
	must(t, seal.WriteReturn(&b, &seal.Return{ReturnHead: seal.ReturnHead{Host: f.Host, Collector: "c", File: f.ID(), ReceivedAt: testTime,
		Custody: []muster.CustodyEvent{f.Step(muster.CustodyReceived, "c", testTime)}}}))
	must(t, durable.WriteFile(m.in(f), b.Bytes(), 0o600))
}

// The uplink is trusted with nothing: what it leaves as an answer and is none goes.
func TestUplinkLeavesJunk(t *testing.T) {
	h, _ := mustHost(t, testOutbox(1))
	s := mustStick(t, filepath.Join(t.TempDir(), "MUSTER"))
	made, err := s.Seal(h, nil)
	must(t, err)
	m := Mailbox{Out: t.TempDir(), In: t.TempDir(), Wait: 10 * time.Millisecond, By: "me", Now: time.Now}
	f := &made[0]
	other := *f
	other.Digest = strings.Repeat("0", 64)
	for name, leave := range map[string]func(){
		"junk":                 func() { must(t, os.WriteFile(m.in(f), []byte("junk"), 0o600)) },
		"another file's":       func() { answer(t, m, &other); must(t, os.Rename(m.in(&other), m.in(f))) },
		"a folder":             func() { must(t, os.Mkdir(m.in(f), 0o700)) },
		"half an answer":       func() { answer(t, m, f); must(t, os.Truncate(m.in(f), 20)) },
		"more than any answer": func() { answer(t, m, f); must(t, os.Truncate(m.in(f), seal.MaxReturn+1)) },
	} {
		leave()
		r, err := s.Relay(t.Context(), m, made)
		if err != nil || len(r.Waiting) != 1 || len(r.Answered) != 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if _, err := os.Lstat(m.in(f)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: still there: %v", name, err)
		}
	}
}

// What a worn stick gives otherwise the second time is not handed over under the name
// of the first.
func TestWornStick(t *testing.T) {
	h, _ := mustHost(t, testOutbox(1))
	s := mustStick(t, filepath.Join(t.TempDir(), "MUSTER"))
	made, err := s.Seal(h, nil)
	must(t, err)
	must(t, os.Truncate(s.path(outgoing, made[0].Name+sealedExt), 10))
	m := Mailbox{Out: t.TempDir(), In: t.TempDir(), By: "me", Now: time.Now}
	_, err = s.Relay(t.Context(), m, made)
	if left, _ := os.ReadDir(m.Out); err == nil || len(left) > 0 {
		t.Errorf("%v, handed over %v", err, left)
	}
}

// What a stick never fetched is given up after a season, not before.
func TestOldAnswersGo(t *testing.T) {
	h, _ := mustHost(t, testOutbox(1))
	made, err := mustStick(t, filepath.Join(t.TempDir(), "MUSTER")).Seal(h, nil)
	must(t, err)
	f := &made[0]
	m := Mailbox{Out: t.TempDir(), In: t.TempDir(), Now: time.Now}
	refused := &File{Digest: strings.Repeat("0", 64)}
	for _, f := range []*File{f, refused} {
		must(t, os.WriteFile(m.out(f), []byte("sealed"), 0o600))
	}
	answer(t, m, f)
	for _, c := range []struct {
		days  int
		stays bool
	}{{1, true}, {91, false}} {
		m.Now = func() time.Time { return time.Now().AddDate(0, 0, c.days) }
		must(t, m.Sweep())
		for _, path := range []string{m.out(f), m.in(f), m.out(refused)} {
			if _, err := os.Stat(path); (err == nil) != c.stays {
				t.Errorf("after %d days: %v", c.days, err)
			}
		}
	}
}
