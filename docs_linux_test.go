package muster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var fenced = regexp.MustCompile("(?s)\n```(sh|text)\n(.*?)```")

// TestPolicyPages runs the sh blocks of a page as one script, and wants it to
// print what the text blocks say, in this order.
func TestPolicyPages(t *testing.T) {
	for _, program := range []string{"curl", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the pages about policies need %s: make test installs it", program)
		}
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	bin := mustPrograms(t)
	for _, page := range []string{"policy.md", "policy-reference.md", "ems.md", "courier.md", "operations.md"} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("docs", page))
			if err != nil {
				t.Fatal(err)
			}
			script, want := "set -eu\n", ""
			for _, block := range fenced.FindAllStringSubmatch(string(text), -1) {
				if block[1] == "sh" {
					script += block[2]
				} else {
					want += block[2]
				}
			}
			dir := t.TempDir()
			if err := os.Symlink(root, filepath.Join(dir, "muster")); err != nil {
				t.Fatal(err)
			}
			inOrder(t, shell(t, dir, bin, script), want)
		})
	}
}

// shell runs the script in a process group of its own, and returns what it
// printed. Nothing of it may stay behind.
func shell(t *testing.T, dir, bin, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		t.Errorf("the script: %v", err)
	}
	if syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) == nil {
		t.Error("the script left a process behind")
	}
	if t.Failed() {
		for _, name := range []string{"wait.log", "serve.log", "uplink.log"} {
			log, _ := os.ReadFile(filepath.Join(dir, name)) // it may not have come so far
			t.Logf("%s:\n%s", name, log)
		}
		t.Logf("it printed:\n%s", &out)
	}
	return out.String()
}

// inOrder wants the lines in what was printed, one after the other. Spaces are
// all alike, since tables and wrapped text have more of them, and … stands for
// anything.
func inOrder(t *testing.T, printed, lines string) {
	t.Helper()
	rest := strings.Join(strings.Fields(printed), " ")
	for line := range strings.Lines(lines) {
		for _, part := range strings.Split(line, "…") {
			part = strings.Join(strings.Fields(part), " ")
			_, after, ok := strings.Cut(rest, part)
			if !ok {
				t.Fatalf("it does not print %q, or not in this place:\n%s", part, printed)
			}
			rest = after
		}
	}
}

// TestReferenceLists keeps the reference's tables of lists and claims what the
// baseline says; what a list holds is told by people.
func TestReferenceLists(t *testing.T) {
	out, err := exec.Command(filepath.Join(mustPrograms(t), "muster"), "policy", "lists", "policies", "--output", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var lists []struct {
		Name, State string
		MaxAgeDays  int `json:"max_age_days"`
		Controls    []string
	}
	if err := json.Unmarshal(out, &lists); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join("docs", "policy-reference.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(text), "<!-- lists -->\n")
	got, after, ok := strings.Cut(rest, "<!-- /lists -->\n")
	if !ok {
		t.Fatal("the reference has no table of lists")
	}
	values := map[string]string{}
	for line := range strings.Lines(got) {
		if cells := strings.Split(strings.TrimSpace(line), "|"); len(cells) == 7 {
			values[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[5])
		}
	}
	want := "\n| list | ships | fresh for | read by | value |\n|---|---|---|---|---|\n"
	for _, l := range lists {
		if values[l.Name] == "" {
			t.Errorf("%s does not say what the list %s holds: write a row for it", page, l.Name)
		}
		ships, fresh := "yes", "ever"
		if l.State == "missing" {
			ships = "no"
		}
		if l.MaxAgeDays > 0 {
			fresh = fmt.Sprintf("%d days", l.MaxAgeDays)
		}
		want += fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", l.Name, ships, fresh, short(l.Controls), values[l.Name])
	}
	if want += "\n"; got != want && !*updateReadme {
		t.Errorf("%s lists other lists than the baseline (go test -run ReferenceLists . -update rewrites it); want%s", page, want)
	} else if got != want {
		if err := os.WriteFile(page, []byte(before+"<!-- lists -->\n"+want+"<!-- /lists -->\n"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	checkClaims(t, string(text))
}

// short names controls without what they all have in common.
func short(controls []string) string {
	return strings.ReplaceAll(strings.Join(controls, ", "), "MVS-", "")
}

// checkClaims wants a row for each claim that a control reads, with its control.
func checkClaims(t *testing.T, page string) {
	t.Helper()
	_, rest, _ := strings.Cut(page, "<!-- claims -->\n")
	table, _, _ := strings.Cut(rest, "<!-- /claims -->\n")
	rows := 0
	files, err := filepath.Glob("policies/controls/*.rego")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		read := map[string]bool{}
		if !strings.HasSuffix(name, "_test.rego") {
			for _, found := range claim.FindAllSubmatch(source, -1) {
				read[string(found[1])] = true
			}
		}
		control := strings.ToUpper(strings.ReplaceAll(strings.TrimSuffix(filepath.Base(name), ".rego"), "_", "-"))
		for c := range read {
			rows++
			if row := "| `" + c + "` | `" + control + "` |"; !strings.Contains(table, row) {
				t.Errorf("the reference has no row %s", row)
			}
		}
	}
	if rows == 0 || rows != strings.Count(table, "\n| `") {
		t.Errorf("the controls read %d claims, the reference names others:\n%s", rows, table)
	}
}

var claim = regexp.MustCompile(`data\.lists\.attestations\.([a-z_]+)_(?:on|by|until)`)
