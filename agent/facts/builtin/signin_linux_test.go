package builtin

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// mustHost makes a computer of these files.
func mustHost(tb testing.TB, files map[string]string) host {
	tb.Helper()
	root := tb.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return host{root}
}

func mustColumn(t *testing.T, table facts.Table, column string, where func(muster.Row) bool) []string {
	t.Helper()
	rows, err := gather(t, table)
	if err != nil {
		t.Fatal(err)
	}
	values := []string{}
	for _, r := range rows {
		if where(r) {
			values = append(values, r[column])
		}
	}
	return values
}

// Ways to be signed in that are easily overlooked.
func TestAutologinIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string // the sources that are in effect
	}{
		"comment that ends in a backslash": {map[string]string{
			"/etc/gdm3/daemon.conf": "[daemon]\n# see C:\\\nAutomaticLoginEnable=true\n",
		}, []string{"/etc/gdm3/daemon.conf"}},
		"another system's file says no": {map[string]string{
			"/etc/gdm3/custom.conf": "[daemon]\nAutomaticLoginEnable=true\n",
			"/etc/gdm3/daemon.conf": "[daemon]\nAutomaticLoginEnable=false\n",
		}, []string{"/etc/gdm3/custom.conf"}},
		"comment after the section": {map[string]string{
			"/etc/greetd/config.toml": "[initial_session] # kiosk\nuser = \"clerk\"\n",
		}, []string{"/etc/greetd/config.toml"}},
		"file that ends in a backslash": {map[string]string{
			"/etc/sddm.conf": "[Autologin]\nUser=clerk\\",
		}, []string{"/etc/sddm.conf"}},
		"command on two lines": {map[string]string{
			"/etc/systemd/system/getty@tty1.service.d/a.conf": "[Service]\nExecStart=-/sbin/agetty\\\n# no comment ends it\n--autologin clerk %I\n",
		}, []string{"/etc/systemd/system/getty@tty1.service.d/a.conf"}},
		"short option": {map[string]string{
			"/etc/systemd/system/getty@.service": "[Service]\nExecStart=-/sbin/agetty -aroot %I\n",
		}, []string{"/etc/systemd/system/getty@.service"}},
		"drop-in that systemd does not read": {map[string]string{
			"/etc/systemd/system/getty@tty1.service.d/a.conf.off": "[Service]\nExecStart=-/sbin/agetty -a clerk %I\n",
		}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustColumn(t, mustHost(t, c.files).musterAutologin(), "source", func(r muster.Row) bool { return r["enabled"] == "1" })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An account is what the C library takes for one, and a rule what sudo does.
func TestAdministratorsAreSeen(t *testing.T) {
	h := mustHost(t, map[string]string{
		"/etc/passwd":  "root:x:0:0:root:/root:/bin/bash\ntoor::0:0\n toor2::0:0::/root\nbroken:x:0\nlong:x:1:1::/:/bin/sh:more\n",
		"/etc/sudoers": "# 1000 is nobody's\n#1000 ALL=(ALL) \\\n ALL\n#\n#a\\\n#include\nclerk ALL=(ALL) ALL\n",
	})
	all := func(muster.Row) bool { return true }
	if diff := cmp.Diff([]string{"root", "toor", "toor2", "long"}, mustColumn(t, h.users(), "username", all)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"#1000", "clerk"}, mustColumn(t, h.sudoers(), "header", all)); diff != "" {
		t.Error(diff)
	}
}
