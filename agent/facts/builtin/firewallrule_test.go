package builtin

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

func TestFirewallRule(t *testing.T) {
	for _, c := range []struct {
		text string
		want muster.Row
	}{
		{`v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Private|Profile=Public|LPort=3389|LPort2_10=5000-5010|RA4=LocalSubnet|RA4=10.0.0.0/255.0.0.0|RA6=LocalSubnet|App=%SystemRoot%\system32\svchost.exe|Svc=TermService|Name=@FirewallAPI.dll,-28775|Desc=a=b|EmbedCtxt=@FirewallAPI.dll,-28752|`,
			muster.Row{"name": "@FirewallAPI.dll,-28775", "app_name": `%SystemRoot%\system32\svchost.exe`, "action": "Allow", "enabled": "1",
				"grouping": "@FirewallAPI.dll,-28752", "direction": "In", "protocol": "TCP", "local_addresses": "*",
				"remote_addresses": "LocalSubnet,10.0.0.0/255.0.0.0,LocalSubnet", "local_ports": "3389,5000-5010", "remote_ports": "*",
				"profile_domain": "0", "profile_private": "1", "profile_public": "1", "service_name": "TermService"}},
		{`v2.10|Action=Block|Active=FALSE|Dir=Out|Name=x|`,
			muster.Row{"name": "x", "app_name": "", "action": "Block", "enabled": "0", "grouping": "", "direction": "Out", "protocol": "Any",
				"local_addresses": "*", "remote_addresses": "*", "local_ports": "*", "remote_ports": "*", "profile_domain": "1",
				"profile_private": "1", "profile_public": "1", "service_name": ""}},
		{`v2.0|Action=ByPass|Active=TRUE|Dir=In|Protocol=58|Profile=Domain|ICMP6=128:*|Name=ping|`,
			muster.Row{"name": "ping", "app_name": "", "action": "Allow", "enabled": "1", "grouping": "", "direction": "In",
				"local_addresses": "*", "remote_addresses": "*", "icmp_types_codes": "128:*", "profile_domain": "1", "profile_private": "0",
				"profile_public": "0", "service_name": ""}},
		{`v2.30|Action=Allow|Active=TRUE|Dir=In|LUOwn=S-1-5-21-1-2-3-1001|AppPkgId=S-1-15-2-1-2|Name=@{a?ms-resource://a/x}|`,
			muster.Row{"name": "@{a?ms-resource://a/x}", "app_name": "S-1-15-2-1-2", "action": "Allow", "enabled": "1", "grouping": "",
				"direction": "In", "protocol": "Any", "local_addresses": "*", "remote_addresses": "*", "local_ports": "*",
				"remote_ports": "*", "profile_domain": "1", "profile_private": "1", "profile_public": "1", "service_name": ""}},
	} {
		got, ok := firewallRule(c.text)
		if diff := cmp.Diff(c.want, got); !ok || diff != "" {
			t.Errorf("%s: %v\n%s", c.text, ok, diff)
		}
	}
	for _, none := range []string{"", "v", "v2.x|Action=Allow|", "Action=Allow|Active=TRUE|Dir=In|"} {
		if row, ok := firewallRule(none); ok {
			t.Errorf("%q became %v", none, row)
		}
	}
}

// TestPackagedRuleName: only a packaged program's rule has the mark by which the
// controls pass it over.
func TestPackagedRuleName(t *testing.T) {
	for _, c := range []struct {
		rule, name string
		resolve    bool
	}{
		{`AppPkgId=S-1-15-2-1|Name=@{a?b}`, "@{a?b}", false},
		{`AppPkgId=S-1-15-2-1|Name=Game`, "Game", true},
		{`App=C:\evil.exe|Name=@{a?b}`, "{a?b}", false},
		{`Name=@{a?b}`, "{a?b}", false},
		{`Name=@FirewallAPI.dll,-28775`, "@FirewallAPI.dll,-28775", true},
	} {
		row, ok := firewallRule("v2.30|Action=Allow|Active=TRUE|Dir=In|" + c.rule + "|")
		if name, resolve := nameToResolve(row); !ok || name != c.name || resolve != c.resolve {
			t.Errorf("%s: %q, %v", c.rule, name, resolve)
		}
	}
}

// FuzzFirewallRule: what a rule says comes out, and only a rule that says so
// lets anything in.
func FuzzFirewallRule(f *testing.F) {
	f.Add("rdp", `C:\a.exe`, "3389", "v2.30|Action=Allow|Active=TRUE|Dir=In|")
	f.Fuzz(func(t *testing.T, name, app, port, raw string) {
		if row, ok := firewallRule(raw); ok && row["enabled"] == "1" && row["action"] == "Allow" && row["direction"] == "In" {
			fields := strings.Split(raw, "|")
			if !slices.Contains(fields, "Dir=In") || !slices.Contains(fields, "Action=Allow") && !slices.Contains(fields, "Action=ByPass") ||
				!strings.Contains(strings.ToUpper(raw), "|ACTIVE=TRUE") {
				t.Errorf("%q lets in", raw)
			}
		}
		if strings.Contains(name+app+port, "|") {
			return
		}
		row, ok := firewallRule("v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=17|LPort=" + port + "|App=" + app + "|Name=" + name + "|")
		if !ok || row["name"] != name || row["app_name"] != app || row["local_ports"] != port || row["protocol"] != "UDP" {
			t.Errorf("%q %q %q became %v", name, app, port, row)
		}
	})
}
