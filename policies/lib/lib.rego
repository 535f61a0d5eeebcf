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
