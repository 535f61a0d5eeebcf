package muster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// underWine runs a command in a copy of the Windows that packaging/wine/test has
// made, and tells the files and the registry of it before and after. What Windows
// does whenever a program starts, muster version makes it do before.
const underWine = `set -eu
mount --make-rprivate /
mount -t tmpfs layer "$LAB/layer"
mkdir "$LAB/layer/upper" "$LAB/layer/work"
mount -t overlay overlay -o "lowerdir=$WINDOWS,upperdir=$LAB/layer/upper,workdir=$LAB/layer/work" "$LAB/prefix"
unset DISPLAY
export WINEPREFIX="$LAB/prefix" WINEARCH=win64 WINEDEBUG=-all WINEDLLOVERRIDES='mscoree=;mshtml=;winemenubuilder.exe='
run() {
	wine "$@" || true # its exit code is the verdict
	wineserver -w
}
snapshot() {
	cd "$LAB/prefix"
	find . -type f ! -name '*.reg' -printf '%p %s %T@\n' | sort
	# Keys end with the time of their last writing, which is that of the program start for some.
	for hive in system user userdef; do
		sed -e '/^#time=/d' -e 's/^\(\[.*\]\) [0-9]*$/\1/' -e "s/^/$hive: /" $hive.reg
	done | grep -v '"DriverDate' # the day on which the display driver started
	cd - >/dev/null
}
run "$PROGRAM" version
# Wine fills its certificate stores when somebody first asks; a Windows has them.
run "$PROGRAM" facts query 'SELECT count(*) FROM certificates'
snapshot > "$LAB/before"
run "$PROGRAM" "$@" > "$LAB/stdout" 2> "$LAB/stderr"
snapshot > "$LAB/after"
`

// On Windows, as far as wine is one, a portable audit leaves no file and no registry
// key.
func TestPortableOnWindows(t *testing.T) {
	needPortable(t)
	if _, err := exec.LookPath("wine"); err != nil {
		t.Skip("wine is not installed: make test installs it")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	windows := filepath.Join(cache, "muster-wine")
	if _, err := os.Stat(filepath.Join(windows, "system.reg")); err != nil {
		mustRun(t, "packaging/wine/test ./internal/fips") // it makes a Windows where there is none
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "muster.exe")
	build := exec.Command("go", "build", "-o", program, "./cmd/muster")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stick := filepath.Join(dir, "stick")
	for _, sub := range []string{"layer", "prefix", "stick", filepath.Join("stick", "MUSTER")} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f := mustFill(t, stick)
	onZ := func(path string) string { return `Z:` + strings.ReplaceAll(path, "/", `\`) }
	cmd := exec.Command("unshare", "--mount", "sh", "-c", underWine, "sh",
		"audit", "--profile", "ems", "--courier", onZ(stick), "--passphrase-file", onZ(f.words))
	cmd.Env = append(os.Environ(), "LAB="+dir, "WINDOWS="+windows, "PROGRAM="+program)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	wants(t, strings.Join(strings.Fields(read("stdout")+read("stderr")), " "), "Report 1 is on the stick, and 1 report sealed")
	before := read("before")
	if !strings.Contains(before, `system: [Software\\Microsoft\\Windows NT\\CurrentVersion`) || !strings.Contains(before, "drive_c/windows/system32/") {
		t.Fatal("the snapshot shows no Windows")
	}
	if diff := cmp.Diff(before, read("after")); diff != "" {
		t.Errorf("the computer is not as it was:\n%s", diff)
	}
	f.checkChain(t, 1)
}
