package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies"
	"github.com/passmuster/muster/policies/bundle"
)

// policyLab is a host with a state folder and a site file, and the real program.
type policyLab struct {
	*testing.T
	dir, site, state string
	version          string // of muster; "" means the one that is tested
}

func newPolicyLab(t *testing.T, trusted ...*ecdsa.PrivateKey) *policyLab {
	dir := t.TempDir()
	l := &policyLab{T: t, dir: dir, site: filepath.Join(dir, "site.json"), state: filepath.Join(dir, "state")}
	l.trust(trusted...)
	l.muster("audit", "--site", l.site, "--state", l.state) // makes the folder
	return l
}

func mustKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := wire.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (l *policyLab) write(path string, data []byte) {
	l.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		l.Fatal(err)
	}
}

// trust writes the site file anew.
func (l *policyLab) trust(keys ...*ecdsa.PrivateKey) {
	l.Helper()
	site := muster.Site{Schema: muster.SiteSchema, Name: "State of Example", State: "17", County: "17031", Collector: "https://collector.example"}
	for _, key := range keys {
		site.PolicyKeys = append(site.PolicyKeys, publicDER(l.T, key))
	}
	site.ReceiptKeys = site.PolicyKeys
	b, err := json.Marshal(site)
	if err != nil {
		l.Fatal(err)
	}
	l.write(l.site, b)
}

func publicDER(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := wire.MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// muster runs the program; out is everything that it says, in one line.
func (l *policyLab) muster(args ...string) (out string, code int) {
	l.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asMuster+"=1", testVersion+"="+l.version)
	b, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		l.Fatal(err)
	}
	return strings.Join(strings.Fields(string(b)), " "), cmd.ProcessState.ExitCode()
}

// audit is one audit of this computer; it must give verdicts.
func (l *policyLab) audit(more ...string) string {
	l.Helper()
	out, code := l.muster(append([]string{"audit", "--site", l.site, "--state", l.state, "--osquery", "off"}, more...)...)
	if code != 0 && code != exitFail && code != exitUnknown {
		l.Errorf("audit: exit code %d: %.500s", code, out)
	}
	return out
}

func (l *policyLab) status() string {
	out, _ := l.muster("status", "--site", l.site, "--state", l.state)
	return out
}

func (l *policyLab) inbox() string { return filepath.Join(l.state, "inbox", "policy.tar.gz") }

// take has the host take a bundle up.
func (l *policyLab) take(b []byte) {
	l.Helper()
	l.write(l.inbox(), b)
	l.audit()
}

// wants checks that the text has every word.
func (l *policyLab) wants(out string, words ...string) {
	l.Helper()
	for _, w := range words {
		if !strings.Contains(out, w) {
			l.Errorf("want %q, have: %.1200s", w, out)
		}
	}
}

const goodControl = `# METADATA
# title: %[1]s
# description: Why.
# custom:
#   id: %[1]s
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [%[3]s]
#   maps: {cis: ["1"]}
#   remedy: Remedy.
package muster.controls.%[2]s

%[4]s
`

func controlSource(id, fact, body string) string {
	return fmt.Sprintf(goodControl, id, strings.ToLower(strings.ReplaceAll(id, "-", "_")), fact, body)
}

// smallPolicy is a policy with one control that passes everywhere, and what is laid over it.
func smallPolicy(t *testing.T, o bundle.BuildOptions, over map[string]string) []byte {
	t.Helper()
	files := map[string]string{
		"controls/good.rego": controlSource("MVS-GOOD-1", "system", "violations := set()"),
		"facts/t/data.yaml":  "system: {windows: SELECT name FROM os_version, linux: SELECT name FROM os_version}",
	}
	maps.Copy(files, over)
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	if o.Revision == "" {
		o.Revision = fmt.Sprintf("good-%d", o.Version)
	}
	b, err := bundle.Build(fsys, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func signed(t *testing.T, b []byte, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	b, err := bundle.Sign(b, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unpack(t *testing.T, b []byte) map[string][]byte {
	t.Helper()
	files, err := policies.Unpack(b)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// packed packs whatever files there are, and after them the entries as they are.
func packed(t *testing.T, files map[string][]byte, entries ...*tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	write := func(h *tar.Header, data []byte) {
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		write(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}, files[name])
	}
	zeros := make([]byte, 1<<20)
	for _, h := range entries {
		write(h, nil)
		for left := h.Size; left > 0; left -= int64(len(zeros)) {
			if _, err := tw.Write(zeros[:min(left, int64(len(zeros)))]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
