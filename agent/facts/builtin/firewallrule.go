package builtin

import (
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// firewallRule reads one rule as the registry keeps it (MS-GPFAS 2.2.2.19):
//
//	v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Public|LPort=3389|App=C:\a.exe|Name=…|
//
// and gives osquery's columns. What a rule leaves out matches anything, *. A
// rule for a packaged program (AppPkgId) names no file: osquery's app_name is ""
// then, as if it spoke of every program; here it is the package's SID. Text that
// is no rule, which Windows passes over too, is not ok.
func firewallRule(text string) (row muster.Row, ok bool) {
	version, rest, _ := strings.Cut(text, "|")
	if len(version) < 2 || version[0] != 'v' || strings.Trim(version[1:], "0123456789.") != "" {
		return nil, false
	}
	fields := strings.Split(rest, "|")
	// all gives the values of the fields whose names start so, in their order:
	// the numbers after LPort or RA4 tell the version that brought a form.
	all := func(prefix string) (values []string) {
		for _, field := range fields {
			if key, value, ok := strings.Cut(field, "="); ok && strings.HasPrefix(key, prefix) {
				values = append(values, value)
			}
		}
		return values
	}
	orAny := func(prefix string) string {
		if values := all(prefix); len(values) > 0 {
			return strings.Join(values, ",")
		}
		return "*"
	}
	one := func(name string) string {
		for _, field := range fields {
			if value, ok := strings.CutPrefix(field, name+"="); ok {
				return value
			}
		}
		return ""
	}
	row = muster.Row{
		"name": one("Name"), "app_name": one("App"), "grouping": one("EmbedCtxt"), "service_name": one("Svc"),
		// ByPass lets in what IPsec has authenticated.
		"action":          map[string]string{"Allow": "Allow", "ByPass": "Allow", "Block": "Block"}[one("Action")],
		"direction":       map[string]string{"In": "In", "Out": "Out"}[one("Dir")],
		"enabled":         flag(strings.EqualFold(one("Active"), "TRUE")),
		"local_addresses": orAny("LA"), "remote_addresses": orAny("RA"),
	}
	switch protocol := one("Protocol"); protocol {
	case "", "256":
		row["protocol"] = "Any"
		row["local_ports"], row["remote_ports"] = "*", "*"
	case "6", "17":
		row["protocol"] = map[string]string{"6": "TCP", "17": "UDP"}[protocol]
		row["local_ports"], row["remote_ports"] = orAny("LPort"), orAny("RPort")
	case "1", "58": // ICMP
		row["icmp_types_codes"] = orAny("ICMP")
	}
	if row["app_name"] == "" {
		row["app_name"] = one("AppPkgId")
	}
	profiles := all("Profile")
	for _, p := range []struct{ column, name string }{
		{"profile_domain", "Domain"}, {"profile_private", "Private"}, {"profile_public", "Public"},
	} {
		row[p.column] = flag(len(profiles) == 0 || slices.Contains(profiles, p.name))
	}
	return row, true
}

// isPackaged reports whether a rule is for a packaged program alone.
func isPackaged(row muster.Row) bool { return strings.HasPrefix(row["app_name"], "S-1-15-") }

// nameToResolve is a rule's name as Windows is to look it up. The name of a
// packaged program's rule, @{package?resource}, stays as it is, because by it
// the controls know such a rule, also where osquery answered; and no other rule
// may look like one.
func nameToResolve(row muster.Row) (name string, resolve bool) {
	name = row["name"]
	if !strings.HasPrefix(name, "@{") {
		return name, true
	}
	if !isPackaged(row) {
		name = name[1:]
	}
	return name, false
}
