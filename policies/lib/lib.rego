# METADATA
# title: Helpers for controls
# description: >-
#   A builtin that fails makes the whole control unknown, so these look before
#   they convert.
package muster.lib

windows if input.host.platform == "windows"

ems if input.host.profile == "ems"

now_ns := time.parse_rfc3339_ns(input.time)

# The start of a day written as 2026-11-20.
day_ns(date) := time.parse_ns("2006-01-02", substring(date, 0, 10))

day := (24 * 3600) * 1000000000

num(text) := to_number(text) if regex.match(`^-?[0-9]+$`, text)

# osquery prints a DWORD as a signed number.
dword(text) := num(text) if num(text) >= 0

dword(text) := num(text) + 4294967296 if num(text) < 0

# The data of the registry values of this name, which is given in lower case.
values(rows, name) := {r.data | some r in rows; lower(r.name) == name}

basename(path) := regex.replace(path, `(?s)^.*[\\/]`, "")

# Installed programs as "name version". The statement joins the two: for
# thousands of packages Rego would take longer than for everything else.
programs := [p.program | some p in input.facts.software]

# Windows does not tell upper case from lower case in names and paths.
folded(text) := lower(text) if windows

folded(text) := text if not windows

# A list that names something. A list of another shape would match nothing, and
# finding nothing must not look like a pass.
named(list) if {
	is_array(list)
	count(list) > 0
	every text in list {
		is_string(text)
		text != ""
	}
}

# The texts that match one of the patterns, in which * stands for anything, and no
# other character for anything but itself; case does not matter, and a pattern may
# leave out the last words. Most patterns match nothing, so each is first looked
# for in all texts at once.
matching(texts, patterns) := {text |
	all := lower(concat("\n", texts))
	some pattern in patterns
	pieces := split(lower(pattern), "*")
	{contains(all, piece) | some piece in pieces} == {true}
	literal := concat("*", [glob.quote_meta(piece) | some piece in pieces])
	some text in texts
	some form in [literal, concat("", [literal, " *"])]
	glob.match(form, null, lower(text))
}

# The whole number at the start of a version, after an epoch such as 1:.
major(version) := to_number(found[0][1]) if {
	found := regex.find_all_string_submatch_n(`^(?:[0-9]+:)?([0-9]+)`, version, 1)
	count(found) > 0
}

# A virtual machine, by what it says of its hardware.
virtual contains sprintf("virtual machine (%s)", [trim_space(concat(" ", [h.vendor, h.model]))]) if {
	some h in input.facts.hardware
	regex.match(
		`vmware|virtualbox|innotek|qemu|kvm|xen|parallels|amazon ec2|google compute|virtual machine|bochs|openstack|nutanix|bhyve|hvm dom`,
		lower(concat(" ", [h.vendor, h.model])),
	)
}

# Routes that lead to everywhere else.
ways_out contains r if {
	some r in input.facts.routes
	not r.gateway in {"", "0.0.0.0", "::"}
}

# A modem, a tunnel or several gateways at once show no gateway on Linux. Routes
# that refuse what is sent there have another type.
ways_out contains r if {
	not windows
	some r in input.facts.routes
	r.type == "gateway"
}

# Names of the domains that the computer belongs to.
domains contains d.domain_name if {
	some d in input.facts.domain
	d.domain_name != ""
}

domains contains r.data if {
	some r in input.facts.domain_registry
	lower(r.name) in {"domain", "nv domain"}
	r.data != ""
}

domains contains "Microsoft Entra ID" if {
	some r in input.facts.domain_registry
	contains(lower(r.key), "clouddomainjoin")
}

# Volumes on Windows that are no part of the computer. The text is Windows' own
# and translated: what is not known to be removable counts as fixed.
removable contains d.volume if {
	windows
	some d in input.facts.disk_space
	lower(d.description) in {"removable disk", "cd-rom disc", "network connection", "ram disk"}
}

# What a registry value of this name, given in lower case, says: a policy's word
# before the computer's own, "absent" where there is neither.
setting(rows, name) := array.flatten([
	[r.data | some r in rows; lower(r.name) == name; contains(lower(r.key), `\policies\`)],
	[r.data | some r in rows; lower(r.name) == name],
	"absent",
])[0]

# Windows' firewall on each kind of network. A policy calls the private kind by
# another name than the computer itself does.
firewall[network] := {"on": setting(rows, "enablefirewall"), "inbound": setting(rows, "defaultinboundaction")} if {
	some network, names in {"domain": {"domainprofile"}, "private": {"privateprofile", "standardprofile"}, "public": {"publicprofile"}}
	rows := [r | some r in input.facts.firewall_profiles; lower(basename(r.key)) in names]
}

# A group policy brought rules that no table shows.
group_rules if {
	some r in input.facts.firewall_profiles
	r.name == "rule"
}

# Whether a rule of Windows' firewall may let somebody in by this door. Rules of
# apps from the store (@{...}) are for the app alone, which no column shows.
lets_in(rule, door) if {
	upper(rule.protocol) in {upper(door.protocol), "ANY"}
	not startswith(rule.name, "@{")
	not other_program(lower(basename(rule.app_name)), lower(basename(door.path)))
	covers(rule.local_ports, door.port)
}

other_program(a, b) if {
	a != b
	not "" in {a, b}
}

# A word, such as RPC, stands for ports that Windows chooses.
covers(ports, _) if not regex.match(`^[0-9][0-9,\s-]*$`, ports)

covers(ports, port) if {
	some part in split(ports, ",")
	bounds := [to_number(n) | some n in regex.find_n(`[0-9]+`, part, -1)]
	port >= min(bounds)
	port <= max(bounds)
}

# Days since a time in Unix seconds.
days_since(seconds) := (now_ns - (num(seconds) * 1000000000)) / day

# The day of 2026-11-20 or 2026-11-20T08:00:00Z, for comparing. Other texts have none.
date(text) := substring(text, 0, 10) if regex.match(`^20[0-9]{2}-[01][0-9]-[0-3][0-9](T|$)`, text)

# Addresses that never leave the computer or its own cable.
harmless := ["127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10"]

# Linux writes the interface behind an address: fe80::1%eth0.
inside(address, networks) if {
	some network in networks
	net.cidr_contains(network, split(address, "%")[0])
}

# Names that nobody on the internet answers for: of one word, with an ending that
# is kept for private use, or in the closed domain.
private_name(name, _) if not contains(trim_suffix(name, "."), ".")

private_name(name, _) if regex.match(`\.(arpa|local|localdomain|localhost|internal|lan|invalid|test)\.?$`, lower(name))

private_name(name, closed_domain) if {
	closed_domain != ""
	endswith(sprintf(".%s", [lower(trim_suffix(name, "."))]), sprintf(".%s", [lower(closed_domain)]))
}

# A server of the closed network, by address or by name.
ours(server, closed_network, _) if {
	regex.match(`^[0-9.]+$|:`, server)
	inside(server, closed_network)
}

ours(server, _, closed_domain) if {
	not regex.match(`^[0-9.]+$|:`, server)
	private_name(server, closed_domain)
}

# Lines of PAM of one kind, such as auth, by their file.
pam(kind) := {source: lines |
	some source in {r.source | some r in input.facts.password_rules; r.key == kind}
	lines := {r.value | some r in input.facts.password_rules; r.key == kind; r.source == source}
}

# What the program's own file says of a word, or else what it does without.
rule(program, key, fallback) := array.flatten([
	[r.value | some r in input.facts.password_rules; r.name == program; r.key == key],
	fallback,
])[0]

# A line of PAM may say it better: deny=5.
argument(line, word, fallback) := num(array.flatten([
	[found[1] | some found in regex.find_all_string_submatch_n(sprintf(`\s%s=([0-9]+)`, [word]), line, 1)],
	fallback,
])[0])

# Who is an administrator and not switched off, by Windows' own list where there
# is one. Guest and the accounts that Windows keeps for itself never are.
administrators contains m if {
	some m in input.facts.admin_members
	object.get(m, "enabled", "") != "0"
	m.type != "deleted"
	not regex.match(`-(501|503|504)$`, m.sid)
}

administrators contains m if {
	not input.facts.admin_members
	some m in input.facts.admins
	not regex.match(`-(501|503|504)$`, object.get(m, "sid", ""))
}

# Subcategories of Windows' audit policy that have to be recorded, by the start of
# their GUID; 1 is success, 2 failure, 3 both.
audited := {
	"0cce9215": ["sign-ins", 3], "0cce9217": ["account lockouts", 2], "0cce9235": ["changes to accounts", 3],
	"0cce9237": ["changes to groups", 1], "0cce922f": ["changes to the audit policy", 1], "0cce9210": ["start and stop of Windows", 1],
	"0cce9211": ["new parts of the security system", 1], "0cce922b": ["programs that start", 1],
	"0cce9248": ["new devices", 1], "0cce9245": ["use of removable storage", 3],
}

audited_as := ["nothing", "successes", "failures", "successes and failures"]

# The old categories that these belong to.
audit_categories := ["audit_logon_events", "audit_account_manage", "audit_policy_change", "audit_system_events", "audit_process_tracking", "audit_object_access"]

# What of it is recorded; undefined where that was not said.
audit_recorded[guid] := num(r.success) + (2 * num(r.failure)) if {
	some r in input.facts.audit_subcategories
	guid := substring(lower(r.guid), 0, 8)
	{r.success, r.failure} - {"0", "1"} == set()
}

# What this computer does not write down though it should, as violations.
audit_gaps contains {"subject": what, "found": sprintf("%s recorded", [audited_as[audit_recorded[guid]]]), "want": sprintf("%s recorded", [audited_as[need]])} if {
	some guid, [what, need] in audited
	bits.and(audit_recorded[guid], need) != need
}

audit_gaps contains {"subject": name, "found": "nothing recorded", "want": "successes and failures recorded"} if {
	not input.facts.audit_subcategories
	some r in input.facts.audit_policy
	r.subcategories == "0"
	some name in audit_categories
	r[name] == "0"
}

audit_gaps contains {"subject": "audit", "found": "off", "want": "auditd runs and auditing is enabled"} if {
	some a in input.facts.audit_daemon
	"0" in {a.enabled, a.pid}
}

audit_gaps contains {"subject": "journal", "found": "does not run", "want": "systemd-journald runs"} if count(input.facts.journal) == 0

audit_unknown contains sprintf("cannot see whether %s are recorded", [what]) if {
	count(input.facts.audit_subcategories) >= 0
	some guid, [what, _] in audited
	not audit_recorded[guid]
}

audit_unknown contains "only the old audit categories can be seen, and they do not prove what is recorded" if {
	windows
	not input.facts.audit_subcategories
	not audit_by_category
}

audit_by_category if {
	some r in input.facts.audit_policy
	r.subcategories == "0"
	{r[name] | some name in audit_categories} == {"3"}
}

audit_unknown contains "cannot see whether auditing is on" if {
	not windows
	not audit_on
}

audit_on if {
	some a in input.facts.audit_daemon
	a.enabled in {"0", "1", "2"}
	num(a.pid) >= 0
	input.facts.journal
}
