package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// after gives what a power loss can leave, one line a state.
func after(t *testing.T, events ...Event) []string {
	t.Helper()
	d := NewDisk()
	for _, e := range events {
		if err := d.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	states := map[string]bool{}
	for files := range d.AfterPowerLoss {
		var s []string
		for _, path := range slices.Sorted(maps.Keys(files)) {
			s = append(s, fmt.Sprintf("%s=%q", path, files[path]))
		}
		states[strings.Join(s, " ")] = true
	}
	return slices.Sorted(maps.Keys(states))
}

func TestDisk(t *testing.T) {
	create, write, fsync, dir := Event{Op: Create, Path: "a"}, Event{Op: Write, Path: "a", Data: []byte("xy")}, Event{Op: Sync, Path: "a"}, Event{Op: Sync, Path: "."}
	rename, remove := Event{Op: Rename, Path: "a", To: "b"}, Event{Op: Remove, Path: "a"}
	for _, c := range []struct {
		name   string
		events []Event
		want   []string
	}{
		{"nothing synced", []Event{create, write}, []string{"", `a=""`, `a="\x00\x00"`, `a="x"`, `a="xy"`}},
		{"content without a name", []Event{create, write, fsync}, []string{"", `a="xy"`}},
		{"a name without content", []Event{create, write, dir}, []string{`a=""`, `a="\x00\x00"`, `a="x"`, `a="xy"`}},
		{"renamed", []Event{create, write, fsync, dir, rename}, []string{`a="xy"`, `b="xy"`}},
		{"renamed before the name was there", []Event{create, write, fsync, rename}, []string{"", `a="xy"`, `b="xy"`}},
		{"renamed for good", []Event{create, write, fsync, rename, dir}, []string{`b="xy"`}},
		{"removed", []Event{create, write, fsync, dir, remove}, []string{"", `a="xy"`}},
		{"a folder that is lost takes its files along", []Event{
			{Op: Mkdir, Path: "d"}, {Op: Create, Path: "d/a"}, {Op: Write, Path: "d/a", Data: []byte("x")}, {Op: Sync, Path: "d/a"}, {Op: Sync, Path: "d"},
		}, []string{"", `d/="" d/a="x"`}},
	} {
		if got := after(t, c.events...); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	hex := func(s string) string {
		var out strings.Builder
		for _, b := range []byte(s) {
			fmt.Fprintf(&out, `\x%02x`, b)
		}
		return out.String()
	}
	cwd := "AT_FDCWD<" + hex("/") + ">, "
	log := strings.Join([]string{
		`openat(` + cwd + `"` + hex("/r/s/f") + `", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0640) = 7<` + hex("/r/s/f") + `>`,
		`write(7<` + hex("/r/s/f") + `>, "` + hex("a, b) = c") + `", 9) = 9`,
		`fsync(7<` + hex("/r/s/f") + `>) = -1 EIO (Input/output error) (INJECTED)`,
		`fsync(7<` + hex("/r/s/f") + `>)                = 0`,
		`renameat(` + cwd + `"` + hex("/r/s/f") + `", ` + cwd + `"` + hex("/r/s/g") + `") = 0`,
		`openat(` + cwd + `"` + hex("/etc/x") + `", O_WRONLY|O_CREAT, 0640) = 8<` + hex("/etc/x") + `>`,
		`write(1<` + hex("pipe:[1]") + `>, "` + hex("kept 1\n") + `", 7) = 7`,
		`unlinkat(` + cwd + `"` + hex("/r/s/g") + `", 0) = 0`,
		`--- SIGURG {si_signo=SIGURG, si_code=SI_TKILL, si_pid=1, si_uid=0} ---`,
		`mkdirat(` + cwd + `"` + hex("/r/d") + `", 0755) = ?`,
		`+++ killed by SIGKILL +++`, ""}, "\n")
	events, err := Parse([]byte(log), "/r")
	want := `[create s/f write s/f sync s/f rename s/f s/g said "kept 1\n" remove s/g]`
	if got := fmt.Sprint(events); err != nil || got != want || string(events[1].Data) != "a, b) = c" {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
	for _, unknown := range []string{
		`ftruncate(7<` + hex("/r/s/f") + `>, 0) = 0`,
		`openat(` + cwd + `"` + hex("/r/s/f") + `", O_RDWR|O_CREAT|O_CLOEXEC, 0640) = 7<` + hex("/r/s/f") + `>`,
		`write(7<` + hex("/r/s/f") + `>, "` + hex("x") + `"..., 9) = 9`,
	} {
		if events, err := Parse([]byte(unknown), "/r"); err == nil {
			t.Errorf("%s became %v", unknown, events)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("fsync(7</r/f>) = 0\n")
	f.Add(`renameat(AT_FDCWD</>, "/r/a", AT_FDCWD</>, "\x2f\x72\x2f\x62") = 0`)
	f.Fuzz(func(t *testing.T, log string) {
		events, err := Parse([]byte(log), "/r")
		for _, e := range events {
			if err != nil || e.Op != Said && (e.Path == "" || strings.HasPrefix(e.Path, "/") || strings.HasPrefix(e.Path, "../")) {
				t.Errorf("%v, %v", e, err)
			}
		}
	})
}
