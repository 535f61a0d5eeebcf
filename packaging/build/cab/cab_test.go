package cab

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var midday = time.Date(2026, 11, 23, 12, 34, 56, 0, time.UTC)

// some returns n bytes, each one of so many values.
func some(seed uint64, n, values int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(values))
	}
	return b
}

// words returns n bytes of text without an end to its variety.
func words(n int) []byte {
	r := rand.New(rand.NewPCG(7, 7))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "host-%d.county-%d said %x\n", r.IntN(500), r.IntN(47), r.IntN(1<<16))
	}
	return []byte(b.String()[:n])
}

// program returns the first bytes of this test, which is an executable.
func program(t testing.TB, n int) []byte {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(n)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cabinets is what is hard to compress right, by name.
func cabinets(t testing.TB) map[string][]File {
	one := func(b []byte) []File { return []File{{"file.bin", midday, b}} }
	all := map[string][]File{
		"random": one(some(1, 300_001, 256)),
		"zeros":  one(make([]byte, 3<<20+1)),
		// Frames which other frames' codes would make longer than Windows has room for.
		"mixed": one(slices.Concat(some(2, 3*frameSize, 16), some(3, frameSize, 256), some(4, 4*frameSize, 2),
			some(5, 2*frameSize, 256), make([]byte, 5*frameSize), some(6, 1000, 256))),
		"program": one(program(t, 3<<20)),
	}
	for _, size := range []int{0, 1, 2, 3, frameSize - 1, frameSize, frameSize + 1, 2 * frameSize, 4*frameSize + 2} {
		all[fmt.Sprintf("words-%d", size)] = one(words(size))
	}
	// Repeats from as far as the window reaches, and one byte farther.
	far := some(8, maxOffset+4096, 16)
	for i := range 4096 / 64 {
		from := far[i*64:][:48]
		copy(far[i*64+maxOffset-4+i%6:], from)
	}
	all["far"] = one(far)
	for i := range 300 {
		all["many"] = append(all["many"], File{fmt.Sprintf("file%d", i), midday.Add(time.Duration(i) * time.Hour), words(i * 7)[i:]})
	}
	all["many"][20].Name = "Murang’a"
	return all
}

func write(t testing.TB, files []File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, files); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestWrite opens the cabinets with four programs that know nothing of each other.
func TestWrite(t *testing.T) {
	all, dir := cabinets(t), t.TempDir()
	t.Run("one by one", func(t *testing.T) {
		for name, files := range all {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				made := write(t, files)
				got, err := open(made)
				if err != nil {
					t.Fatal(err)
				}
				if !same(got, files) {
					t.Error("other files came out than went in")
				}
				cabinet := filepath.Join(dir, name+".cab")
				if err := os.WriteFile(cabinet, made, 0o600); err != nil {
					t.Fatal(err)
				}
				t.Run("cabextract", func(t *testing.T) { extract(t, files, cabinet, "cabextract", "-q", "--directory=") })
				t.Run("7z", func(t *testing.T) { extract(t, files, cabinet, "7z", "x", "-y", "-bd", "-o") })
			})
		}
	})
	t.Run("wine", func(t *testing.T) { extractUnderWine(t, all, dir) })
}

// extract opens a cabinet with a program; the folder goes to the end of its arguments.
func extract(t *testing.T, files []File, cabinet, program string, args ...string) {
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%v: install the packages of packaging/test-packages.txt", err)
	}
	to := t.TempDir()
	args[len(args)-1] += to
	cmd := exec.Command(program, append(args, cabinet)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	compare(t, files, to)
}

func compare(t *testing.T, files []File, dir string) {
	t.Helper()
	for _, f := range files {
		if b, err := os.ReadFile(filepath.Join(dir, f.Name)); err != nil || !bytes.Equal(b, f.Content) {
			t.Errorf("%s is not what went in (%v)", f.Name, err)
		}
	}
}

func TestWriteAgain(t *testing.T) {
	files := cabinets(t)["mixed"]
	if !bytes.Equal(write(t, files), write(t, files)) {
		t.Error("the same files gave another cabinet")
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		files []File
		want  string
	}{
		"nothing":    {nil, "1 to 65535 files"},
		"no name":    {[]File{{Time: midday}}, "its name"},
		"two names":  {[]File{{Name: "a\x00b", Time: midday}}, "its name"},
		"not UTF-8":  {[]File{{Name: "a\xff", Time: midday}}, "its name"},
		"long name":  {[]File{{Name: strings.Repeat("a", 256), Time: midday}}, "its name"},
		"no time":    {[]File{{Name: "a"}}, "1980"},
		"far future": {[]File{{Name: "a", Time: midday.AddDate(200, 0, 0)}}, "2107"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Write(io.Discard, test.files); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error about %q", err, test.want)
			}
		})
	}
}

// FuzzWrite holds that what goes in comes out, of any bytes in any order.
func FuzzWrite(f *testing.F) {
	f.Add([]byte("abc"), uint16(3), uint16(100), uint64(1))
	f.Add([]byte{0xe8, 0, 0, 0, 0}, uint16(20000), uint16(0), uint64(2))
	f.Add([]byte{}, uint16(0), uint16(40000), uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, times, noise uint16, seed uint64) {
		if len(b)*int(times) > 8*frameSize {
			t.Skip("too long to be quick")
		}
		repeated := bytes.Repeat(b, int(times))
		files := []File{
			{"a", midday, b},
			{"b", midday, repeated},
			{"c", midday, some(seed, int(noise), 1+int(seed%256))},
			{"d", midday, repeated},
		}
		got, err := open(write(t, files))
		if err != nil {
			t.Fatal(err)
		}
		if !same(got, files) {
			t.Error("other files came out than went in")
		}
	})
}
