package builtin

import (
	"context"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// firewallRuleKeys are where Windows keeps its rules: those of this computer,
// those of packaged programs, and group policy's.
var firewallRuleKeys = []string{
	`HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\FirewallRules`,
	`HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\RestrictedServices\AppIso\FirewallRules`,
	`HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\WindowsFirewall\FirewallRules`,
}

// firewallRulesTable is the rules of Windows' firewall, group policy's
// included, which osquery leaves out. Names that stand for a text of Windows
// are given in its language, those of packaged programs' rules (@{…}) as they
// are. Filters of the system's own services and of other products that use the
// filtering platform directly are not among them. Anybody may read it.
func firewallRulesTable() facts.Table {
	return facts.Table{
		Name: "windows_firewall_rules", Platforms: onWindows, Source: "registry", Preferred: true,
		Columns: columns(`name text, app_name text, action text, enabled integer, grouping text, direction text,
			protocol text, local_addresses text, remote_addresses text, local_ports text, remote_ports text,
			icmp_types_codes text, profile_domain integer, profile_private integer, profile_public integer,
			service_name text`),
		Rows: func(ctx context.Context, q facts.Query, emit emitFunc) error {
			names := map[string]string{}
			return eachFirewallRule(ctx, firewallRuleKeys, func(row muster.Row) error {
				name, resolve := nameToResolve(row)
				if row["name"] = name; resolve && q.Used("name") {
					row["name"] = indirectText(name, names)
				}
				if q.Used("grouping") {
					row["grouping"] = indirectText(row["grouping"], names)
				}
				return emit(row)
			})
		},
	}
}

// eachFirewallRule calls use for the rules of several keys, of which the first
// is always there where there is a firewall.
func eachFirewallRule(ctx context.Context, keys []string, use func(muster.Row) error) error {
	for i, key := range keys {
		k, err := openReg(key)
		if err != nil {
			return err
		}
		if k == 0 {
			if i == 0 {
				return fmt.Errorf("list the firewall's rules: %w: there is no %s", facts.ErrUnavailable, key)
			}
			continue
		}
		err = eachValue(k, key, func(_ string, typ uint32, data []byte) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if row, ok := firewallRule(regData(typ, data)); ok {
				return use(row)
			}
			return nil
		})
		k.Close()
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// indirectText finds the text that a reference such as @FirewallAPI.dll,-28502
// stands for; what cannot be found stays as it is. Known keeps what was found.
func indirectText(s string, known map[string]string) string {
	if !strings.HasPrefix(s, "@") {
		return s
	}
	if text, ok := known[s]; ok {
		return text
	}
	known[s] = s
	if reference, err := windows.UTF16PtrFromString(s); err == nil {
		var text [1024]uint16
		err := callStatus(shlwapi.NewProc("SHLoadIndirectString"), uintptr(unsafe.Pointer(reference)), uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)), 0)
		if found := windows.UTF16ToString(text[:]); err == nil && found != "" {
			known[s] = found
		}
	}
	return known[s]
}
