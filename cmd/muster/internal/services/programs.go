package services

import "path/filepath"

// Names of the Windows services, and of their sources in the event log.
const (
	auditService  = "MusterAudit"
	uplinkService = "MusterUplink"
)

// program is one Windows service, as the service manager knows it. The installer of
// the MSI says the same (packaging/windows/muster.wxs).
type program struct {
	name, what, exe      string
	args                 []string
	display, description string
	// account that it runs as; "" means LocalSystem.
	account string
}

func programs(folder string) []program {
	return []program{
		{
			name: auditService, what: "audits every hour, after a start and on request",
			exe: filepath.Join(folder, "muster.exe"), args: []string{"service", "run"},
			display: "Muster audit", description: "Audits this computer against the election security baseline. It has no network.",
		},
		{
			name: uplinkService, what: "carries the reports",
			exe: filepath.Join(folder, "muster-uplink.exe"), args: []string{"run"},
			display: "Muster uplink", description: "Carries the reports of Muster to the state. It has no rights.",
			account: `NT AUTHORITY\LocalService`,
		},
	}
}
