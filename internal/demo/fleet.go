package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/fips"
)

// What is mended on the recorded workstation, so that it meets the baseline.
var (
	chromeUpdated = all(set("programs", "Google Chrome", "version", "154.0.7811.40"),
		set("file", "chrome.exe", "file_version", "154.0.7811.40"), set("file", "chrome.exe", "product_version", "154.0.7811.40"))
	namesTrusted = all(value(`SOFTWARE\Policies\Microsoft\Windows NT\DNSClient`, "EnableMulticast", "REG_DWORD", "0"),
		set("registry", "NetbiosOptions", "data", "2"))
	domainLeft = all(drop("", "ntdomains"), set("registry", "county.example.gov", "data", ""))
	// mended is what all offices have done but for the worst.
	mended = all(
		drop("Java 8", "programs"),
		drop("AnyDesk", "processes", "file", "hash", "windows_firewall_rules"),
		drop("6012", "listening_ports", "process_open_sockets"),
		drop("Absentee2024", "shared_resources"),
		drop("Example PDF Converter", "chrome_extensions"),
		drop("VBAWarnings", "registry"),
		drop(`Exclusions\Paths`, "registry"),
		drop("4625", "windows_eventlog"),
		value(`SOFTWARE\Policies\Microsoft\Windows\Explorer`, "NoAutoplayfornonVolume", "REG_DWORD", "1"),
		value(`SYSTEM\CurrentControlSet\Services\EventLog\System`, "MaxSize", "REG_DWORD", "67108864"),
		value(`SYSTEM\CurrentControlSet\Services\EventLog\Application`, "MaxSize", "REG_DWORD", "67108864"),
		allAudited, longTerm, clockSet, snapshotMade, accountsKept, noFirefox)
	allAudited = all(value(`SYSTEM\CurrentControlSet\Control\Lsa`, "SCENoApplyLegacyAuditPolicy", "REG_DWORD", "0"),
		set("security_profile_info", "", "audit_account_manage", "3"), set("security_profile_info", "", "audit_logon_events", "3"),
		set("security_profile_info", "", "audit_object_access", "3"), set("security_profile_info", "", "audit_policy_change", "3"),
		set("security_profile_info", "", "audit_process_tracking", "3"), set("security_profile_info", "", "audit_system_events", "3"))
	// longTerm is the edition of Windows 11 that is supported longest, until 2034.
	longTerm = all(set("windows_update_history", "26200.8737", "title", "Cumulative Update for Windows 11, version 24H2 for x64-based Systems (KB5099611) (26100.8737)"),
		set("os_version", "26200", "name", "Microsoft Windows 11 IoT Enterprise LTSC"), set("registry", "EditionID", "data", "IoTEnterpriseS"),
		set("registry", "DisplayVersion", "data", "24H2"), set("os_version", "26200", "build", "26100"), set("registry", "26200", "data", "26100"))
	clockSet     = dated("muster_time_sync", muster.Row{"service": "W32Time"}, "last_sync")
	snapshotMade = dated("muster_snapshots", muster.Row{"volume": `C:\`, "kind": "restore point"}, "created")
	accountsKept = all(dated("muster_accounts", muster.Row{"username": "mrivera", "uuid": "S-1-5-21-3361044348-1724189302-884420118-1001", "enabled": "1"}, "last_logon"),
		dated("muster_accounts", muster.Row{"username": "countyit", "uuid": "S-1-5-21-3361044348-1724189302-884420118-1002", "enabled": "1"}, "last_logon"),
		dated("muster_accounts", muster.Row{"username": "seasonal02", "uuid": "S-1-5-21-3361044348-1724189302-884420118-1005", "enabled": "0"}, "last_logon"))
	noFirefox = func(r *recording) { r.tables["firefox_addons"] = []muster.Row{} }
	sound     = all(mended, chromeUpdated, namesTrusted, domainLeft)
)

// What goes wrong on a sound workstation.
var (
	diskOpen     = all(set("bitlocker_info", "C:", "protection_status", "0"), set("bitlocker_info", "C:", "conversion_status", "0"), set("bitlocker_info", "C:", "encryption_method", "None"))
	uacOff       = value(`SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System`, "EnableLUA", "REG_DWORD", "0")
	restartDue   = all(set("uptime", "", "days", "44"), set("uptime", "", "total_seconds", "3801600"))
	autoSignIn   = value(`SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon`, "AutoAdminLogon", "REG_SZ", "1")
	hostsChanged = add("etc_hosts", muster.Row{"address": "198.51.100.7", "hostnames": "sos.example.gov"})
	diskFull     = set("logical_drives", "C:", "free_space", "6442450944")
	oldWindows   = all(set("os_version", "LTSC", "name", "Microsoft Windows 11 Pro"), set("registry", "EditionID", "data", "Professional"))
	extraAdmin   = add("user_groups", muster.Row{"uid": "1001", "gid": "544"})
	noEncryption = func(r *recording) { delete(r.tables, "bitlocker_info") }
)

// What is mended, and goes wrong, on the recorded election management system.
var (
	emsEncrypted = all(set("bitlocker_info", "D:", "protection_status", "1"), set("bitlocker_info", "D:", "conversion_status", "1"), set("bitlocker_info", "D:", "encryption_method", "XTS_AES_256"))
	emsRoom      = set("logical_drives", "D:", "free_space", "400000000000")
	emsRecords   = all(value(`SOFTWARE\Policies\Microsoft\Windows\PowerShell\ScriptBlockLogging`, "EnableScriptBlockLogging", "REG_DWORD", "1"), set("windows_optional_features", "PowerShellV2Root", "state", "2"))
	emsGenuine   = set("hash", "ResultsTally", "sha256", "82274636172b1eb32bb2f6d2a48ae138cbc02f2958469ffc9ed27e04f69b892f")
	emsMedia     = all(drop("Ven_Generic", "registry"),
		value(`SOFTWARE\Policies\Microsoft\Windows\DeviceInstall\Restrictions`, "DenyRemovableDevices", "REG_DWORD", "1"),
		value(`SOFTWARE\Policies\Microsoft\Windows\DeviceInstall\Restrictions`, "AllowInstanceIDs", "REG_DWORD", "1"),
		value(`SOFTWARE\Policies\Microsoft\Windows\DeviceInstall\Restrictions\AllowInstanceIDs`, "1", "REG_SZ", `USBSTOR\Disk&Ven_Kingston&Prod_IronKey_S1000&Rev_PMAP\0123A4567B89&0`))
	emsMended   = all(emsEncrypted, emsRecords, emsMedia, drop("7-Zip", "programs"))
	emsSound    = all(emsMended, emsRoom, emsGenuine)
	emsRouteOut = add("routes", muster.Row{"destination": "0.0.0.0", "netmask": "0", "gateway": "192.168.77.1", "interface": "192.168.77.10", "metric": "25", "type": "remote"})
)

// variant is a kind of host: a recording and what is different on it.
type variant struct {
	profile muster.Profile
	change  change
}

// variants by name; the more often a name stands in mix, the more hosts of it.
var variants = map[string]variant{
	"sound":         {muster.Workstation, sound},
	"neglected":     {muster.Workstation, all()},
	"joined":        {muster.Workstation, all(mended, chromeUpdated, namesTrusted)},
	"browser":       {muster.Workstation, all(mended, namesTrusted, domainLeft)},
	"names":         {muster.Workstation, all(mended, chromeUpdated, domainLeft)},
	"open disk":     {muster.Workstation, all(sound, diskOpen)},
	"restart":       {muster.Workstation, all(sound, restartDue)},
	"no question":   {muster.Workstation, all(sound, uacOff, extraAdmin)},
	"signs in":      {muster.Workstation, all(sound, autoSignIn)},
	"hosts file":    {muster.Workstation, all(sound, hostsChanged)},
	"full":          {muster.Workstation, all(sound, diskFull)},
	"old":           {muster.Workstation, all(sound, oldWindows)},
	"cannot tell":   {muster.Workstation, all(sound, noEncryption)},
	"ems sound":     {muster.EMS, emsSound},
	"ems neglected": {muster.EMS, all()},
	"ems changed":   {muster.EMS, all(emsMended, emsRoom)},
	"ems connected": {muster.EMS, all(emsSound, emsRouteOut)},
	"ems full":      {muster.EMS, all(emsMended, emsGenuine)},
}

// mixes of a good county first, of a weak one last.
var mixes = [][]string{
	{"sound", "sound", "sound", "sound", "restart", "joined", "names"},
	{"sound", "browser", "names", "restart", "joined", "open disk", "full", "cannot tell", "no question"},
	{"sound", "neglected", "neglected", "browser", "open disk", "no question", "signs in", "old", "hosts file", "joined"},
}

var emsMixes = [][]string{{"ems sound"}, {"ems sound", "ems full", "ems sound"}, {"ems neglected", "ems changed", "ems connected", "ems sound"}}

// demoHost is one invented host and the kinds of host it was, in order.
type demoHost struct {
	hostname string
	county   muster.County
	variants []string
	pending  bool
}

// fleet invents a state: the same one every time.
func fleet(state string) []demoHost {
	rng := rand.New(rand.NewPCG(20261103, 1))
	pick := func(list []string) string { return list[rng.IntN(len(list))] }
	var hosts []demoHost
	for n, county := range fips.Counties(state) {
		grade := []int{0, 1, 0, 1, 2}[n%5]
		name, _ := fips.County(county)
		short := strings.ToUpper(strings.ReplaceAll(strings.TrimSuffix(name, " County"), " ", ""))
		short = short[:min(len(short), 8)]
		for i := range 3 + rng.IntN(5) {
			h := demoHost{hostname: fmt.Sprintf("%s-CLERK-%02d", short, i+1), county: county, variants: []string{pick(mixes[grade])}}
			if next := pick(mixes[grade]); rng.IntN(3) == 0 && next != h.variants[0] {
				h.variants = append(h.variants, next)
			}
			h.pending = n%9 == 4 && i == 0
			hosts = append(hosts, h)
		}
		hosts = append(hosts, demoHost{hostname: short + "-EMS-01", county: county, variants: []string{pick(emsMixes[grade])}})
	}
	return hosts
}

// used names the variants that the fleet needs, in order.
func used(hosts []demoHost) []string {
	var names []string
	for _, h := range hosts {
		names = append(names, h.variants...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
