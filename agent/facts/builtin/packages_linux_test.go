package builtin

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// TestVersionsAgreeWithDpkg reads pairs of versions that dpkg
// --compare-versions has put in order.
func TestVersionsAgreeWithDpkg(t *testing.T) {
	text, err := os.ReadFile("testdata/dpkg-versions.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if got := compareVersions(f[0], f[2]); got != map[string]int{"<": -1, "=": 0, ">": 1}[f[1]] {
			t.Errorf("%s: got %d", strings.TrimSpace(line), got)
		}
	}
}

// FuzzVersions: the order is one.
func FuzzVersions(f *testing.F) {
	for _, pair := range [][2]string{{"1.0~rc1", "1.0"}, {"1:0.9", "2"}, {"1.2-3", "1.2-3+b1"}, {"00", "0"}, {"a", "+"}, {"", "-"}, {"1a", "1.a"}} {
		f.Add(pair[0], pair[1], "1.0")
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, bc, ac := compareVersions(a, b), compareVersions(b, c), compareVersions(a, c)
		if ab != -compareVersions(b, a) || compareVersions(a, a) != 0 {
			t.Errorf("%q and %q have no order", a, b)
		}
		if ab <= 0 && bc <= 0 && ac > 0 {
			t.Errorf("%q, %q, %q go in a circle", a, b, c)
		}
	})
}

// packageHost has one package in version 2 and lists that offer the versions,
// each in an archive of the name before the = sign.
func packageHost(t *testing.T, status string, offers map[string]string, preferences string) host {
	t.Helper()
	files := map[string]string{
		"var/lib/dpkg/status":   "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\nPackage: tool\nStatus: " + status + "\nArchitecture: amd64\nVersion: 2\n",
		"etc/apt/preferences":   preferences,
		"etc/apt/sources.list":  "deb file:/srv x main\n",
		"var/lib/apt/lists/log": "",
	}
	for suite, version := range offers {
		base := "var/lib/apt/lists/deb.example_d_dists_" + suite + "_"
		release := "Origin: Debian\nSuite: " + suite + "\nCodename: " + suite + "\n"
		if strings.Contains(suite, "backports") {
			release += "NotAutomatic: yes\nButAutomaticUpgrades: yes\n"
		}
		if suite == "experimental" {
			release += "NotAutomatic: yes\n"
		}
		files[base+"Release"] = release
		files[base+"main_binary-amd64_Packages"] = "Package: tool\nArchitecture: amd64\nVersion: " + version + "\n"
	}
	return host{tree(t, files)}
}

func TestPendingUpdates(t *testing.T) {
	row := func(candidate, origin, security, held string) []muster.Row {
		return []muster.Row{{"name": "tool", "installed": "2", "candidate": candidate, "origin": origin, "security": security, "held": held}}
	}
	const ok = "install ok installed"
	for name, c := range map[string]struct {
		status      string
		offers      map[string]string
		preferences string
		want        []muster.Row
	}{
		"newest":                 {ok, map[string]string{"x": "2", "y": "3", "z": "10"}, "", row("10", "Debian:z", "0", "0")},
		"none":                   {ok, map[string]string{"x": "2", "y": "1"}, "", nil},
		"security":               {ok, map[string]string{"x": "3", "x-security": "2.1"}, "", row("3", "Debian:x", "1", "0")},
		"the same from security": {ok, map[string]string{"x": "3", "x-security": "3"}, "", row("3", "Debian:x-security", "1", "0")},
		"held":                   {"hold ok installed", map[string]string{"x-security": "3"}, "", row("3", "Debian:x-security", "1", "1")},
		"removed":                {"deinstall ok config-files", map[string]string{"x": "3"}, "", nil},
		"half installed":         {"install ok half-configured", map[string]string{"x": "3"}, "", row("3", "Debian:x", "0", "0")},
		"backports stay out":     {ok, map[string]string{"x": "2", "x-backports": "3"}, "", nil},
		"backports once in":      {ok, map[string]string{"x": "1", "x-backports": "3"}, "", row("3", "Debian:x-backports", "0", "0")},
		"experimental stays out": {ok, map[string]string{"x": "1", "experimental": "3"}, "", nil},
		"pinned away":            {ok, map[string]string{"x": "2", "y": "3"}, "Package: *\nPin: release n=y\nPin-Priority: -1\n", nil},
		"pinned in": {ok, map[string]string{"x": "2", "x-backports": "3"},
			"# ours\nPackage: other too*\nPin: release a=x-backports, o=Debian\nPin-Priority: 600\n", row("3", "Debian:x-backports", "0", "0")},
		"single before general": {ok, map[string]string{"x": "2", "y": "3"},
			"Package: *\nPin: origin deb.example\nPin-Priority: 10\n\nPackage: tool\nPin: version 3*\nPin-Priority: 700\n", row("3", "Debian:y", "0", "0")},
		"kept by version": {ok, map[string]string{"x": "3"}, "Package: tool\nPin: version 2\nPin-Priority: 1000\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			rows := mustGather(t, packageHost(t, c.status, c.offers, c.preferences).musterPendingUpdates())
			if diff := cmp.Diff(c.want, rows); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPendingUpdatesUnknown: what is not known is not "no updates".
func TestPendingUpdatesUnknown(t *testing.T) {
	const list = "var/lib/apt/lists/deb.example_d_dists_x_main_binary-amd64_Packages"
	for name, files := range map[string]map[string]string{
		"no dpkg":         {"etc/apt/sources.list": ""},
		"no lists":        {"var/lib/dpkg/status": ""},
		"packed":          {"var/lib/dpkg/status": "", list + ".lz4": "x"},
		"strange pin":     {"var/lib/dpkg/status": "", list: "", "etc/apt/preferences": "Package: src:x\nPin: version 1\nPin-Priority: 1\n"},
		"expression":      {"var/lib/dpkg/status": "", list: "", "etc/apt/preferences": "Package: *\nPin: release n=/x/\nPin-Priority: 1\n"},
		"one never came":  {"var/lib/dpkg/status": "", list: "", "etc/apt/sources.list": "deb http://deb.example/other x main\n"},
		"one never came2": {"var/lib/dpkg/status": "", list: "", "etc/apt/sources.list": "deb http://deb.example/d x-security main\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if rows, err := gather(t, host{tree(t, files)}.musterPendingUpdates()); !errors.Is(err, facts.ErrUnavailable) {
				t.Errorf("got %v (%v), want unavailable", rows, err)
			}
		})
	}
	h := host{tree(t, map[string]string{"var/lib/dpkg/status": "", list + ".gz": "no gzip"})}
	if _, err := gather(t, h.musterPendingUpdates()); err == nil {
		t.Error("a broken list was taken for an empty one")
	}
}

// TestPendingUpdatesAgreeWithApt unpacks this computer's lists with apt's own
// helper and compares with what apt would install.
func TestPendingUpdatesAgreeWithApt(t *testing.T) {
	const helper = "/usr/lib/apt/apt-helper"
	names, _ := host{}.dir(aptLists)
	apt, err := exec.LookPath("apt")
	if err != nil || len(names) == 0 {
		return // nothing to compare with
	}
	files := map[string]string{}
	add := func(name, path string) {
		b, err := exec.Command(helper, "cat-file", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	add("var/lib/dpkg/status", "/var/lib/dpkg/status")
	for _, name := range names {
		if plain, _, ok := strings.Cut(name, "_Packages"); ok {
			add("var/lib/apt/lists/"+plain+"_Packages", aptLists+name)
		} else if strings.HasSuffix(name, "Release") {
			add("var/lib/apt/lists/"+name, aptLists+name)
		}
	}
	top := tree(t, files)
	for _, name := range []string{"preferences", "preferences.d", "apt.conf.d", "sources.list", "sources.list.d"} {
		if _, err := os.Stat("/etc/apt/" + name); err == nil {
			if err := os.MkdirAll(top+"/etc/apt", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/etc/apt/"+name, top+"/etc/apt/"+name); err != nil {
				t.Fatal(err)
			}
		}
	}
	rows := mustGather(t, host{top}.musterPendingUpdates())
	out, err := exec.Command(apt, "list", "--upgradable").Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line) // name/suite version arch [upgradable from: version]
		name, _, ok := strings.Cut(line, "/")
		if !ok || len(f) < 6 {
			continue
		}
		n++
		if rowWith(rows, muster.Row{"name": name, "candidate": f[1], "installed": strings.TrimSuffix(f[5], "]")}) == nil {
			t.Errorf("apt has %s, not we", strings.TrimSpace(line))
		}
	}
	if n != len(rows) {
		t.Errorf("%d updates, apt has %d", len(rows), n)
	}
}

// TestListNames: apt names the files of its lists after addresses.
func TestListNames(t *testing.T) {
	for line, want := range map[string]string{
		"deb http://u:p@h.example:8080/a_b/ stable main": "h.example:8080_a%5fb_dists_stable",
		"deb [trusted=yes] https://h.example/flat ./":    "h.example_flat_.",
		"deb https://h.example/flat /":                   "h.example_flat",
		"deb file:/srv/mirror bookworm/updates main":     "_srv_mirror_dists_bookworm_updates",
	} {
		if s := parseSourcesList(line); len(s) != 1 || s[0].listName() != want {
			t.Errorf("%s: got %v, want %s", line, s, want)
		}
	}
}

func TestPackageListGzip(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte("Package: a\nDescription: " + strings.Repeat("x", 200_000) + "\nVersion: 1\n\n\nPackage: b\n\nVersion: 3\n\nPackage: c\nVersion: 2"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	h := host{tree(t, map[string]string{"l_Packages.gz": b.String()})}
	if err := h.packageList(context.Background(), "l_Packages.gz", func(name, _, version string) { got = append(got, name+" "+version) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a 1", "c 2"}, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzDeb822: what is written as a paragraph comes back; of sources only those
// with an address, and never a password.
func FuzzDeb822(f *testing.F) {
	f.Add("Types: deb\nURIs: http://a:b@c/d\nSuites: x\n y\n", "deb [arch=a] http://u:secret@h/p s main # c\n")
	f.Add("# c\nEnabled: no\n\nTypes: deb-src", "deb cdrom:[A B]/ x")
	f.Add("Package: *\nPin: release a=b\nPin-Priority: 1", "deb\thttp://h x/")
	f.Fuzz(func(t *testing.T, paragraphs, lines string) {
		for p := range deb822(paragraphs) {
			for key, value := range p {
				if key != strings.ToLower(strings.TrimSpace(key)) || strings.Contains(key+value, "\n") {
					t.Errorf("bad field %q: %q", key, value)
				}
			}
		}
		for _, s := range append(parseSourcesList(lines), parseDeb822Sources(paragraphs)...) {
			r := s.row(nil)
			authority, _, _ := strings.Cut(s.address(), "/")
			if strings.Contains(authority, "@") || !strings.HasSuffix(r["base_uri"], s.address()) || strings.ContainsAny(s.listName(), "/ \n") {
				t.Errorf("bad source %v", r)
			}
		}
		if pins, err := parsePins(paragraphs); err == nil {
			for _, p := range pins {
				if len(p.packages) == 0 || len(p.patterns) == 0 {
					t.Errorf("bad pin %+v", p)
				}
			}
		}
		if err := scanPackages(strings.NewReader(paragraphs), func(name, _, version string) {
			if !strings.Contains(paragraphs, name) || name == "" || version == "" {
				t.Errorf("invented %q %q", name, version)
			}
		}); err != nil {
			t.Error(err)
		}
		parseRelease(paragraphs)
	})
}
