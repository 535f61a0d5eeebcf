package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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

// listDate is the day of each list of the baseline.
var listDate = regexp.MustCompile(`dated: "[0-9-]+"`)

// stateSources copies the baseline, looks through its lists today and adds the
// state's, as a security officer would.
func stateSources(dir string, now time.Time) error {
	if err := os.CopyFS(dir, sourcesOnly{os.DirFS("policies")}); err != nil {
		return fmt.Errorf("copy the baseline: %w", err)
	}
	path, today := filepath.Join(dir, "lists", "data.yaml"), now.Format(time.DateOnly)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b = listDate.ReplaceAll(b, fmt.Appendf(nil, "dated: %q", today))
	return os.WriteFile(path, fmt.Appendf(b, stateLists, today), 0o600)
}

// item is one thing that a county knows to start by itself.
type item struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Path string `json:"path"`
}

// startupApproved are the items of each recorded host.
var startupApproved = map[string][]item{
	"win11-workstation": {
		{"service", "osqueryd", `"C:\Program Files\osquery\osqueryd\osqueryd.exe" --flagfile="C:\Program Files\osquery\osquery.flags"`},
		{"startup", "OneDrive", `C:\Program Files\Microsoft OneDrive\OneDrive.exe /background`},
		{"task", "GoogleUpdaterTaskSystem148.0.7651.0", `"C:\Program Files (x86)\Google\GoogleUpdater\148.0.7651.0\updater.exe" --wake --system`},
		{"task", "OneDrive Standalone Update Task", `C:\Program Files\Microsoft OneDrive\OneDriveStandaloneUpdater.exe`},
	},
	"win10-ems": {
		{"service", "AppIDSvc", `C:\Windows\system32\svchost.exe -k LocalServiceNetworkRestricted -p`},
		{"service", "EventLog", `C:\Windows\System32\svchost.exe -k LocalServiceNetworkRestricted -p`},
		{"service", "MSSQL$EMS", `"C:\Program Files\Microsoft SQL Server\MSSQL15.EMS\MSSQL\Binn\sqlservr.exe" -sEMS`},
		{"service", "WinDefend", `"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.26050.7-0\MsMpEng.exe"`},
		{"service", "mpssvc", `C:\Windows\system32\svchost.exe -k LocalServiceNoNetworkFirewall -p`},
		{"startup", "SecurityHealth", `C:\Windows\system32\SecurityHealthSystray.exe`},
		{"wmi", "SCM Event Log Filter", "select * from MSFT_SCMEventLogEvent"},
	},
}

// countyLists are what a county says about a recorded host beside the lists that
// belong to it, as of today.
func countyLists(recording string, now time.Time) map[string]any {
	day := func(days int) string { return now.AddDate(0, 0, days).Format(time.DateOnly) }
	lists := map[string]any{
		"dated":            day(0),
		"startup_approved": startupApproved[recording],
		"accounts_known":   []string{"mrivera", "countyit"},
		"attestations":     map[string]string{"restore_tested_on": day(-40), "restore_tested_by": "County IT"},
	}
	if recording == "win10-ems" {
		lists["media_register"] = []map[string]string{{"serial": "0123A4567B89", "owner": "J. Lee", "purpose": "ballot definition transfer", "from": day(-600), "to": day(60)}}
		lists["trusted_time"] = now.Format(time.RFC3339)
	}
	return lists
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
