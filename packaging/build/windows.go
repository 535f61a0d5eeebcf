package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// windows makes the MSI of the agent: wixl writes it, and what wixl has no words for is
// mended in its tables.
func (r *release) windows(ctx context.Context) ([]string, error) {
	if err := r.msiNumber(); err != nil {
		return nil, err
	}
	s, err := newSigner(r)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(r.out, ".windows")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := r.stageWindows(ctx, dir, s); err != nil {
		return nil, err
	}
	comments := "Signed by its publisher."
	if s == nil {
		comments = "UNSIGNED: made without a publisher's key, for trials only."
		fmt.Fprintln(os.Stderr, "build: the MSI and its programs are unsigned: set MUSTER_SIGN_CERT and MUSTER_SIGN_KEY to sign them")
	}
	m := msi{r, filepath.Join(dir, "muster.msi"), dir}
	if err := m.build(ctx, comments); err != nil {
		return nil, err
	}
	path := filepath.Join(r.out, fmt.Sprintf("muster-%s-x64.msi", r.version))
	if err := s.sign(ctx, m.path, path, "-add-msi-dse"); err != nil {
		return nil, err
	}
	return []string{path}, nil
}

// msiNumber says where Windows Installer cannot compare the version.
func (r *release) msiNumber() error {
	for i, part := range strings.Split(r.number(), ".") {
		if n, err := strconv.Atoi(part); err != nil || i < 2 && n > 255 || n > 65535 {
			return fmt.Errorf("version %s: Windows Installer knows first and second numbers up to 255 only, and third ones up to 65535", r.version)
		}
	}
	return nil
}

// shown is what Windows calls the programs.
var shown = map[string]string{"muster": "Muster audit", "muster-uplink": "Muster uplink"}

// windowsProgram builds a program into the folder, with what Windows shows of it, signs
// it, and gives its path.
func (r *release) windowsProgram(ctx context.Context, dir, name string, s *signer) (string, error) {
	linked, err := r.program(ctx, name, "windows")
	if err != nil {
		return "", err
	}
	exe, bare := filepath.Join(dir, name+".exe"), filepath.Join(dir, name+".unsigned")
	if err := r.addResources(linked, bare, shown[name]); err != nil {
		return "", fmt.Errorf("resources of %s: %w", name, err)
	}
	return exe, s.sign(ctx, bare, exe)
}

// stageWindows puts together what wixl reads.
func (r *release) stageWindows(ctx context.Context, dir string, s *signer) error {
	for name := range shown {
		if _, err := r.windowsProgram(ctx, dir, name, s); err != nil {
			return err
		}
	}
	ico, err := os.ReadFile(r.icon())
	if err != nil {
		return err
	}
	licence, err := os.ReadFile(filepath.Join(r.root, "LICENSE"))
	if err != nil {
		return err
	}
	notices, err := r.notices(ctx, "windows", "muster", "muster-uplink")
	if err != nil {
		return err
	}
	wxs, err := os.ReadFile(filepath.Join(r.root, "packaging", "windows", "muster.wxs"))
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"muster.ico": ico, "muster.wxs": wxs, "LICENSE.txt": windowsText(licence), "THIRD-PARTY-NOTICES.txt": windowsText(notices),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) icon() string { return filepath.Join(r.root, "packaging", "windows", "muster.ico") }

// windowsText has the line ends that every Notepad knows.
func windowsText(b []byte) []byte {
	return []byte(strings.ReplaceAll(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n", "\r\n"))
}

// guid is a name for content: the same for the same bytes.
func guid(of ...[]byte) string {
	h := sha256.New()
	for _, b := range of {
		fmt.Fprintf(h, "%d:", len(b))
		h.Write(b)
	}
	s := h.Sum(nil)
	s[6], s[8] = s[6]&0x0f|0x80, s[8]&0x3f|0x80 // version 8: made by a rule of one's own
	return fmt.Sprintf("{%X-%X-%X-%X-%X}", s[:4], s[4:6], s[6:8], s[8:10], s[10:16])
}
