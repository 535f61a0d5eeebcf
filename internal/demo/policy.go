package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// stateLists are what only a state can say, for the computer of the demo.
const stateLists = `
admins_allowed:
  {dated: "%[1]s", source: demo, value: [root, Administrator, countyit, emsadmin, vendorsvc]}
ports_allowed:
  dated: "%[1]s"
  source: demo
  value:
    - {protocol: tcp, port: 22, path: ""}
    - {protocol: udp, port: 68, path: ""}
`

// stateSources copies the baseline and adds the state's lists, as a security
// officer would.
func stateSources(dir string, now time.Time) error {
	if err := os.CopyFS(dir, sourcesOnly{os.DirFS("policies")}); err != nil {
		return fmt.Errorf("copy the baseline: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lists", "data.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f, stateLists, now.Format(time.DateOnly)); err != nil {
		return err
	}
	return f.Close()
}

// sourcesOnly leaves the Go code out of the policies folder.
type sourcesOnly struct{ fs.FS }

func (s sourcesOnly) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(s.FS, name)
	if name != "." {
		return entries, err
	}
	var kept []fs.DirEntry
	for _, e := range entries {
		if e.IsDir() && e.Name() != "bundle" {
			kept = append(kept, e)
		}
	}
	return kept, err
}
