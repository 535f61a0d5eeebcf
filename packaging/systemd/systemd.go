// Package systemd holds the units of Muster as they are installed, for the
// packages and for `muster service install` alike.
package systemd

import (
	"embed"
	"path"
)

//go:embed *.service *.timer *.path sysusers.conf
var files embed.FS

// File is one file to install.
type File struct {
	// Path is absolute.
	Path    string
	Content []byte
}

// Enabled are the units that start by themselves; muster-audit.service is started
// by the others.
func Enabled() []string {
	return []string{"muster-audit.timer", "muster-audit-boot.timer", "muster-audit.path", "muster-uplink.service"}
}

// Files are the units below unitDir, and below sysusersDir the user of the uplink.
func Files(unitDir, sysusersDir string) ([]File, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var list []File
	for _, e := range entries {
		content, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		to := path.Join(unitDir, e.Name())
		if e.Name() == "sysusers.conf" {
			to = path.Join(sysusersDir, "muster-uplink.conf")
		}
		list = append(list, File{to, content})
	}
	return list, nil
}
