package builtin

import (
	"context"
	"fmt"
	"strconv"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// securityCenterTable is what the Security Center shows. Windows Server has
// none. Update settings count as Poor while a service that they need is
// disabled, as osquery found they must.
func securityCenterTable() facts.Table {
	return facts.Table{
		Name: "windows_security_center", Platforms: onWindows, Source: "Security Center (wscapi)",
		Columns: columns(`firewall text, autoupdate text, antivirus text, antispyware text hidden, internet_settings text,
			windows_security_center_service text, user_account_control text`),
		Rows: list(func(_ context.Context, q facts.Query) ([]muster.Row, error) {
			if err := clientOnly("the Security Center"); err != nil {
				return nil, err
			}
			row := muster.Row{}
			for column, provider := range map[string]uintptr{
				"firewall": 1, "autoupdate": 2, "antivirus": 4, "antispyware": 8, "internet_settings": 16,
				"user_account_control": 32, "windows_security_center_service": 64,
			} {
				if !q.Used(column) {
					continue
				}
				var health uint32
				if err := callCode(wscapi.NewProc("WscGetSecurityProviderHealth"), provider, uintptr(unsafe.Pointer(&health))); err != nil {
					return nil, failed("ask the Security Center for "+column, err)
				}
				row[column] = healthName(health)
			}
			if row["autoupdate"] == "Good" {
				for _, name := range []string{"wuauserv", "UsoSvc"} {
					service, err := regValues(`HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\` + name)
					if err != nil {
						return nil, err
					}
					if start := service["start"]; start == "4" || start == "" {
						row["autoupdate"] = "Poor"
					}
				}
			}
			return []muster.Row{row}, nil
		}),
	}
}

// clientOnly gives facts.ErrUnavailable on Windows Server.
func clientOnly(what string) error {
	if windows.RtlGetVersion().ProductType == productWorkstation {
		return nil
	}
	return fmt.Errorf("%s: %w: Windows Server has none", what, facts.ErrUnavailable)
}

// securityProductsTable is the products that registered with the Security
// Center, which no Windows Server has. Windows' own firewall is not among
// them; its state is in the registry.
func securityProductsTable() facts.Table {
	return facts.Table{
		Name: "windows_security_products", Platforms: onWindows, Source: `WMI root\SecurityCenter2`,
		Columns: columns(`type text, name text, state text, state_timestamp text, remediation_path text, signatures_up_to_date integer`),
		Rows:    list(securityProductRows),
	}
}

func securityProductRows(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
	if err := clientOnly("the Security Center"); err != nil {
		return nil, err
	}
	var all []muster.Row
	for _, kind := range []struct{ name, class string }{
		{"Firewall", "FirewallProduct"}, {"Antivirus", "AntiVirusProduct"}, {"Antispyware", "AntiSpywareProduct"},
	} {
		rows, err := wmiQuery(ctx, `root\SecurityCenter2`, "SELECT * FROM "+kind.class, func(o comObject) (muster.Row, error) {
			p, err := o.texts("displayName", "productState", "timestamp", "pathToSignedProductExe")
			if err != nil {
				return nil, err
			}
			bits, err := strconv.ParseInt(p[1], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read the state of the product %s: %w", p[0], err)
			}
			state, fresh := productState(uint32(bits))
			return muster.Row{
				"type": kind.name, "name": p[0], "state": state, "state_timestamp": p[2], "remediation_path": p[3],
				"signatures_up_to_date": flag(fresh),
			}, nil
		})
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}
