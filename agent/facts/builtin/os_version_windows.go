package builtin

import (
	"context"
	"fmt"
	"strconv"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

const currentVersionKey = `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion`

// osVersionTable names the release by the registry and its build, as the
// registry alone still says Windows 10 on Windows 11.
func osVersionTable() facts.Table {
	return facts.Table{
		Name: "os_version", Platforms: onWindows, Source: "registry and RtlGetVersion",
		Columns: columns(`name text, version text, major integer, minor integer, patch integer, build text, platform text,
			platform_like text, codename text, arch text, install_date bigint, revision integer`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			values, err := regValues(currentVersionKey)
			if err != nil {
				return nil, err
			}
			v := windows.RtlGetVersion()
			name := windowsName(values["productname"], values["editionid"], v.BuildNumber, v.ProductType == productWorkstation)
			arch := "64-bit"
			if strconv.IntSize == 32 && !isWow64() {
				arch = "32-bit"
			}
			return []muster.Row{{
				"name": name, "codename": name, "major": unum(v.MajorVersion), "minor": unum(v.MinorVersion), "build": unum(v.BuildNumber),
				"version":  fmt.Sprintf("%d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber),
				"platform": "windows", "platform_like": "windows", "arch": arch,
				"install_date": values["installdate"], "revision": values["ubr"],
			}}, nil
		}),
	}
}

// OSVERSIONINFOEX.wProductType.
const (
	productWorkstation      = 1
	productDomainController = 2
)

func isWow64() bool {
	var wow bool
	return windows.IsWow64Process(windows.CurrentProcess(), &wow) == nil && wow
}
