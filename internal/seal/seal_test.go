package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

var testTime = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

const testHost = muster.HostID("habcdefghijklmnopqrstuvwxyz")

func mustKeys(tb testing.TB, n int) Keys {
	tb.Helper()
	var lines []byte
	for range n {
		key, err := NewKey()
		if err != nil {
			tb.Fatal(err)
		}
		lines = append(lines, "# made by a test\n\n"...)
		lines = append(lines, key...)
	}
	keys, err := ParseKeys(lines)
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func testHead() Head {
	return Head{Host: testHost, WrittenAt: testTime, Enrollment: []byte("statement"), PolicyDigest: "d",
		Custody: []muster.CustodyEvent{{At: testTime, Act: "wrote", By: string(testHost), File: "0123456789abcdef", Host: testHost, From: 1, To: 4}}}
}

func mustFrames(tb testing.TB, n, size int) []*wire.Frame {
	tb.Helper()
	var frames []*wire.Frame
	for i := range n {
		f, err := wire.NewFrame(testHost, uint64(5+2*i), bytes.Repeat(fmt.Appendf(nil, "report %d ", i), size/10+1), nil)
		if err != nil {
			tb.Fatal(err)
		}
		f.Body = append(f.Body, bytes.Repeat([]byte{byte(i)}, size)...) // zstd leaves nothing of it
		frames = append(frames, f)
	}
	return frames
}

func mustSeal(tb testing.TB, keys Keys, frames []*wire.Frame) []byte {
	tb.Helper()
	to, err := ParseRecipient(keys.Recipient())
	if err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	if err := Write(&b, to, testHead(), frames); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// readAll gives the head, the whole frames, and nil only for a whole file.
func readAll(r io.Reader, keys Keys) (h Head, frames []*wire.Frame, err error) {
	s, err := Open(r, keys)
	if err != nil {
		return h, nil, err
	}
	for {
		var f wire.Frame
		if err := s.Read(&f); err != nil {
			if err == io.EOF {
				err = nil
			}
			return s.Head, frames, err
		}
		frames = append(frames, &f)
	}
}

var ignoreArray = cmpopts.IgnoreUnexported(wire.Frame{})

func TestSealedFile(t *testing.T) {
	keys := mustKeys(t, 2)
	frames := mustFrames(t, 3, 100)
	file := mustSeal(t, keys, frames)
	if bytes.Contains(file, []byte(testHost)) {
		t.Error("the sealed file names its host")
	}
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(file), "byte by byte": iotest.OneByteReader(bytes.NewReader(file))} {
		h, got, err := readAll(r, keys)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := testHead()
		want.Schema, want.Reports, want.From, want.To = Schema, 3, 5, 9
		if diff := cmp.Diff(want, h); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(frames, got, ignoreArray); diff != "" {
			t.Error(diff)
		}
	}
}

// After a rotation the older key opens what was sealed before, and the newest
// goes into site files.
func TestRotation(t *testing.T) {
	keys := mustKeys(t, 2)
	old := mustSeal(t, keys[1:], mustFrames(t, 1, 10))
	if _, _, err := readAll(bytes.NewReader(old), keys); err != nil {
		t.Error(err)
	}
	if _, _, err := readAll(bytes.NewReader(old), keys[:1]); !errors.Is(err, ErrOtherKey) {
		t.Errorf("a key that does not fit: %v", err)
	}
	if !strings.HasPrefix(keys.Recipient(), "age1") || keys.Recipient() == keys[1:].Recipient() {
		t.Errorf("recipient %s", keys.Recipient())
	}
}

func TestKeysThatAreNone(t *testing.T) {
	for _, b := range []string{"", "# nothing\n", "AGE-SECRET-KEY-1JUNK", "age1xyz"} {
		if keys, err := ParseKeys([]byte(b)); err == nil || strings.Contains(err.Error(), "JUNK") {
			t.Errorf("%q: %v, %v", b, keys, err)
		}
	}
	if _, err := ParseRecipient("age1nobody"); err == nil {
		t.Error("a recipient that is none")
	}
}

// Cut anywhere, a sealed file gives the reports that are whole and says that the
// rest is missing.
func TestSealedFileCutAnywhere(t *testing.T) {
	keys := mustKeys(t, 1)
	frames := mustFrames(t, 5, 50_000)
	file := mustSeal(t, keys, frames)
	most := 0
	for n := 0; n < len(file); n += 512 {
		_, got, err := readAll(bytes.NewReader(file[:n]), keys)
		if !errors.Is(err, ErrCut) {
			t.Fatalf("cut at %d of %d: %v", n, len(file), err)
		}
		for i, f := range got {
			if f.Seq != frames[i].Seq || !bytes.Equal(f.Body, frames[i].Body) {
				t.Fatalf("cut at %d: report %d is another one", n, i)
			}
		}
		most = max(most, len(got))
	}
	if most < 3 {
		t.Errorf("at most %d of %d reports came out of a file that was cut", most, len(frames))
	}
}

func TestSealedFileChangedAnywhere(t *testing.T) {
	keys := mustKeys(t, 1)
	file := mustSeal(t, keys, mustFrames(t, 2, 100))
	for n := range file {
		changed := bytes.Clone(file)
		changed[n] ^= 1
		if _, _, err := readAll(bytes.NewReader(changed), keys); !errors.Is(err, ErrCut) && !errors.Is(err, ErrOtherKey) {
			t.Fatalf("byte %d: %v", n, err)
		}
	}
}

func TestSealedFileBounds(t *testing.T) {
	keys := mustKeys(t, 1)
	endless := io.MultiReader(bytes.NewReader(mustSeal(t, keys, mustFrames(t, 1, 10))), zeros{})
	if _, _, err := readAll(endless, keys); err == nil {
		t.Error("an endless file was read to its end")
	}
	if _, _, err := readAll(zeros{}, keys); err == nil {
		t.Error("endless nothing was read to its end")
	}
	broken := errors.New("the disk is broken")
	file := mustSeal(t, keys, mustFrames(t, 3, 50_000))
	_, _, err := readAll(io.MultiReader(bytes.NewReader(file[:100_000]), iotest.ErrReader(broken)), keys)
	if !errors.Is(err, broken) || errors.Is(err, ErrCut) {
		t.Errorf("a broken disk: %v", err)
	}
	if err := Write(io.Discard, keys[0].Recipient(), testHead(), nil); err == nil {
		t.Error("a file of no reports")
	}
	for name, h := range map[string]any{
		"future":   Head{Schema: Schema + 1, Host: testHost, Reports: 1, From: 1, To: 1},
		"stranger": Head{Schema: Schema, Host: "nobody", Reports: 1, From: 1, To: 1},
		"too many": Head{Schema: Schema, Host: testHost, Reports: MaxReports + 1, From: 1, To: 1},
		"junk":     "junk",
	} {
		_, _, err := readAll(bytes.NewReader(mustEncrypt(t, keys, h)), keys)
		if name == "future" != errors.Is(err, wire.ErrFutureSchema) || name != "future" && !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func testReturn() *Return {
	return &Return{
		ReturnHead: ReturnHead{Schema: Schema, Host: testHost, Collector: "State of Example", ReceivedAt: testTime, File: "0123456789abcdef",
			Custody: testHead().Custody, State: muster.HostActive, Reports: 2},
		Outcomes: []wire.Outcome{{Host: testHost, Seq: 5, Code: wire.CodeStored, Receipt: bytes.Repeat([]byte("r"), 150)},
			{Host: testHost, Seq: 7, Code: wire.CodeConflict, Reason: "another report has this number"}},
		Bundle: bytes.Repeat([]byte("policy "), 2000),
	}
}

func mustReturn(tb testing.TB, r *Return) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := WriteReturn(&b, r); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestReturnFile(t *testing.T) {
	for _, bundle := range [][]byte{testReturn().Bundle, nil} {
		want := testReturn()
		want.Bundle = bundle
		want.ReturnHead.Outcomes, want.Policy = 2, bundle != nil
		got, err := ReadReturn(mustReturn(t, want))
		if diff := cmp.Diff(want, got); err != nil || diff != "" || !got.Whole() {
			t.Error(err, diff)
		}
	}
}

// A reason is as long as who caused it likes, and is cut where it is no text.
func TestReturnFileLongReason(t *testing.T) {
	want := testReturn()
	want.Reason = "x" + strings.Repeat("ä", maxProblem)
	if got, err := ReadReturn(mustReturn(t, want)); err != nil || !strings.HasPrefix(want.Reason, got.Reason) || len(got.Reason) < maxProblem/2 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Cut anywhere, a return file gives the outcomes that are whole.
func TestReturnFileCutAnywhere(t *testing.T) {
	want := testReturn()
	want.Bundle = want.Bundle[:500]
	file := mustReturn(t, want)
	for n := range file {
		got, err := ReadReturn(file[:n])
		if !errors.Is(err, ErrCut) {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if got != nil && (got.Bundle != nil && n < len(file)-3 || !reflect.DeepEqual(got.Outcomes, want.Outcomes[:len(got.Outcomes):len(got.Outcomes)]) && len(got.Outcomes) > 0) {
			t.Fatalf("cut at %d: %+v", n, got)
		}
	}
	if _, err := ReadReturn(append(slices.Clone(file), 0)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("something follows: %v", err)
	}
}

// Whatever comes, nothing panics, and what is believed reads the same again.
func FuzzOpen(f *testing.F) {
	keys := mustKeys(f, 1)
	file := mustSeal(f, keys, mustFrames(f, 2, 100))
	f.Add(0, byte(0), file)
	f.Add(len(file)/2, byte(1), file)
	f.Add(0, byte(0), []byte("age-encryption.org/v1\n-> X25519 junk\n"))
	f.Fuzz(func(t *testing.T, at int, flip byte, junk []byte) {
		changed := bytes.Clone(file)
		changed[uint(at)%uint(len(changed))] ^= flip
		for _, b := range [][]byte{changed, junk} {
			if _, _, err := readAll(bytes.NewReader(b), keys); (err == nil) != bytes.Equal(b, file) {
				t.Fatalf("%d bytes: %v", len(b), err)
			}
		}
		// Anyone can seal anything: what is inside is foreign too.
		h, frames, err := readAll(bytes.NewReader(mustEncryptRaw(t, keys, junk)), keys)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := Write(&again, keys[0].Recipient(), h, frames); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzReadReturn(f *testing.F) {
	f.Add(mustReturn(f, testReturn()))
	small := testReturn()
	small.Bundle, small.Outcomes = nil, nil
	f.Add(mustReturn(f, small))
	f.Fuzz(func(t *testing.T, b []byte) {
		once, err := ReadReturn(b)
		if err != nil {
			return
		}
		once.Schema = Schema
		again, err := ReadReturn(mustReturn(t, once))
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		if len(once.Reason) <= maxProblem && !cmp.Equal(once, again, cmpopts.EquateEmpty()) {
			t.Fatal(cmp.Diff(once, again))
		}
	})
}
