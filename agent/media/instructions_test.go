package media_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster/agent/media"
)

// The page says what to type for the programs on the stick, and is one sheet.
func TestInstructions(t *testing.T) {
	m := media.Manifest{MadeAt: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), MadeBy: "State of <Example> & Sons", Version: "1.2.3", Policy: "example-7"}
	page := media.Instructions(m, contents, "St. John the Baptist Parish, Louisiana", "0123456789abcdef")
	text := string(page.Data)
	for _, want := range []string{"St. John the Baptist Parish", "State of &lt;Example&gt; &amp; Sons", "23 November 2026", "Policy example-7", "0123456789abcdef", `E:\MUSTER\bin\muster.exe audit`, "/mnt/MUSTER/bin/muster audit"} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q", want)
		}
	}
	if i := strings.Index(text[strings.Index(text, "</style>"):], "{"); i >= 0 {
		t.Error("a place was left empty")
	}
	if text := string(media.Instructions(m, contents[1:], "x", "x").Data); strings.Contains(text, "Linux") {
		t.Error("it has a command for a program that is not on the stick")
	}
	browser, err := exec.LookPath("chromium")
	if err != nil || testing.Short() {
		t.Skip("chromium, which packaging/test-packages.txt names, counts the pages")
	}
	dir := t.TempDir()
	name := filepath.Join(dir, page.Path)
	if err := os.WriteFile(name, page.Data, 0o644); err != nil {
		t.Fatal(err)
	}
	print := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(dir, "profile"), "--no-pdf-header-footer", "--print-to-pdf="+name+".pdf", "file://"+name)
	if out, err := print.CombinedOutput(); err != nil {
		t.Fatalf("print: %v\n%s", err, out)
	}
	pdf, err := os.ReadFile(name + ".pdf")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(pdf), "/Type /Page\n"); n != 1 {
		t.Errorf("it prints on %d pages", n)
	}
}
