package osquery

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// Find names the extension socket of the osqueryd that runs on this computer,
// at its well-known places; ok is false where there is none. It does not
// connect.
func Find() (socket string, ok bool) { return first(sockets()) }

// FindBinary names the osqueryd that is installed at a well-known place.
func FindBinary() (path string, ok bool) { return first(binaries()) }

func first(paths []string) (string, bool) {
	for _, p := range paths {
		if _, err := os.Lstat(p); err == nil {
			return p, true
		}
	}
	return "", false
}

func sockets() []string {
	if runtime.GOOS == "windows" {
		return []string{`\\.\pipe\osquery.em`, `\\.\pipe\shell.em`}
	}
	return []string{"/var/osquery/osquery.em", "/run/osquery/osquery.em", "/var/run/osquery.em"}
}

func binaries() []string {
	if runtime.GOOS == "windows" {
		return []string{filepath.Join(os.Getenv("ProgramFiles"), "osquery", "osqueryd", "osqueryd.exe")}
	}
	return []string{"/opt/osquery/bin/osqueryd", "/usr/bin/osqueryd", "/usr/local/bin/osqueryd"}
}

var errNotTrusted = errors.New("it is not trusted: somebody other than an administrator could have made or changed it")
