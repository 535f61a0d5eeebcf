package cab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// extractUnderWine opens name.cab of dir for each name with wine's own cabinet.dll, as
// msiexec does there.
func extractUnderWine(t *testing.T, all map[string][]File, dir string) {
	if testing.Short() {
		t.Skip("copies a Windows of 700 MB")
	}
	if _, err := exec.LookPath("wine"); err != nil {
		t.Skipf("%v: install the packages of packaging/test-packages.txt", err)
	}
	made, err := exec.Command("../../wine/prefix").Output()
	if err != nil {
		t.Fatalf("make a Windows: %v", err)
	}
	prefix := filepath.Join(t.TempDir(), "windows")
	if out, err := exec.Command("cp", "-a", "--reflink=auto", strings.TrimSpace(string(made)), prefix).CombinedOutput(); err != nil {
		t.Fatalf("copy the Windows: %v\n%s", err, out)
	}
	env := append(os.Environ(), "DISPLAY=", "WINEPREFIX="+prefix, "WINEARCH=win64", "WINEDEBUG=-all",
		"WINEDLLOVERRIDES=mscoree=;mshtml=;winemenubuilder.exe=")
	t.Cleanup(func() {
		stop := exec.Command("wineserver", "-k") // what runs in this prefix, and nothing else
		stop.Env = env
		stop.Run()
	})

	drive := filepath.Join(prefix, "drive_c")
	if err := os.CopyFS(filepath.Join(drive, "cabinets"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	var batch strings.Builder // one start of wine for all
	for name := range all {
		fmt.Fprintf(&batch, "mkdir C:\\got\\%s\r\nextrac32.exe /Y /E /A /L C:\\got\\%s C:\\cabinets\\%s.cab\r\n", name, name, name)
	}
	if err := os.WriteFile(filepath.Join(drive, "all.bat"), []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "wine", "cmd.exe", "/c", `C:\all.bat`)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("wine: %v\n%s", err, out)
	}
	for name, files := range all {
		if name == "many" { // wine 8.0 does not see that its one strange name is UTF-8
			files = slices.DeleteFunc(slices.Clone(files), func(f File) bool { return strings.Contains(f.Name, "’") })
		}
		compare(t, files, filepath.Join(drive, "got", name))
	}
}
