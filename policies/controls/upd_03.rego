# METADATA
# title: Updates install by themselves
# description: >-
#   Small offices have no one to remember updates during the busy weeks before an election.
# custom:
#   id: MVS-UPD-03
#   severity: high
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [security_center, update_policy, update_services]
#   lists: [managed_updates]
#   maps:
#     cis: ["7.3", "7.4"]
#     cpg1: ["1.E"]
#     cpg2: ["2.B"]
#     csf: ["PR.PS-02"]
#     belfer: ["7"]
#     nist: ["SI-2(2)"]
#   remedy: >-
#     Turn automatic updates back on in Settings, Windows Update. If your county IT manages updates for you, tell them this computer has stopped receiving them.
#   remedies:
#     linux: >-
#       Ask IT to switch on automatic security updates (unattended-upgrades or dnf-automatic). If your county IT manages updates for you, tell them this computer does not install them by itself.
package muster.controls.upd_03

import data.muster.lib

policy(name) := lib.setting(input.facts.update_policy, name)

inapplicable contains "the county manages its updates (list managed_updates)" if {
	policy("usewuserver") == "1"
	data.lists.managed_updates == true
}

# Windows: what it thinks of itself, what a policy tells it, and its services.
state := concat("", [s.autoupdate | some s in input.facts.security_center])

violations contains {"subject": "automatic updates", "found": sprintf("Windows says: %s", [state]), "want": "Good"} if {
	lib.windows
	state in {"Poor", "Snoozed"}
}

unknown contains "Windows does not say whether updates install by themselves" if {
	lib.windows
	not state in {"Good", "Poor", "Snoozed"}
}

# A policy may have Windows ask before it installs (2, 3, 7), or never look (1).
stops := {"noautoupdate": {"1"}, "auoptions": {"1", "2", "3", "7"}}

leaves := {"noautoupdate": {"0", "absent"}, "auoptions": {"4", "5", "absent"}}

violations contains {"subject": "a policy for Windows Update", "found": sprintf("%s = %s", [name, policy(name)]), "want": "updates install by themselves"} if {
	lib.windows
	some name, values in stops
	policy(name) in values
}

unknown contains sprintf("the policy for Windows Update says %s = %q", [name, policy(name)]) if {
	lib.windows
	some name, values in leaves
	not policy(name) in (values | stops[name])
}

start(service) := concat("", [s.start_type | some s in input.facts.update_services; lower(s.name) == service])

violations contains {"subject": sprintf("service %s", [service]), "found": "disabled", "want": "able to start"} if {
	lib.windows
	some service in ["wuauserv", "usosvc"]
	start(service) == "DISABLED"
}

unknown contains sprintf("cannot see whether service %s may start", [service]) if {
	lib.windows
	some service in ["wuauserv", "usosvc"]
	not start(service) in {"AUTO_START", "DEMAND_START", "DISABLED"}
}

# Linux: apt's daily timers with unattended-upgrades, or dnf-automatic.
files := {lib.basename(f.path) | some f in input.facts.update_services; f.type != "character"; not masked(f)}

masked(f) if {
	some other in input.facts.update_services
	other.type == "character"
	lib.basename(other.path) == lib.basename(f.path)
}

apt if "apt-get" in files

dnf if files & {"dnf", "dnf5"} != set()

violations contains {"subject": sprintf("apt setting %s", [name]), "found": policy(name), "want": "1"} if {
	not lib.windows
	apt
	some name in ["apt::periodic::update-package-lists", "apt::periodic::unattended-upgrade"]
	policy(name) in {"0", "absent"}
}

violations contains {"subject": "apt setting apt::periodic::enable", "found": "0", "want": "1"} if {
	not lib.windows
	apt
	policy("apt::periodic::enable") == "0"
}

unknown contains sprintf("apt setting %s is %q", [name, policy(name)]) if {
	not lib.windows
	apt
	some name in ["apt::periodic::update-package-lists", "apt::periodic::unattended-upgrade", "apt::periodic::enable"]
	not policy(name) in {"1", "always", "0", "absent"}
}

violations contains {"subject": name, "found": "not installed, or not enabled", "want": "updates install by themselves"} if {
	not lib.windows
	apt
	some name in ["unattended-upgrade", "apt-daily.timer", "apt-daily-upgrade.timer"]
	not name in files
}

# Its timer then starts nothing.
violations contains {"subject": name, "found": "masked", "want": "updates install by themselves"} if {
	not lib.windows
	apt
	some name in ["apt-daily.service", "apt-daily-upgrade.service"]
	some f in input.facts.update_services
	masked(f)
	lib.basename(f.path) == name
}

installs if "dnf-automatic-install.timer" in files

installs if {
	files & {"dnf-automatic.timer", "dnf5-automatic.timer"} != set()
	lower(policy("apply_updates")) in {"yes", "true", "1", "on"}
}

violations contains {"subject": "dnf-automatic", "found": "does not install updates", "want": "its timer enabled, and apply_updates = yes"} if {
	not lib.windows
	dnf
	not installs
}

unknown contains "neither apt nor dnf is here, and other ways to update are not judged" if {
	not lib.windows
	not apt
	not dnf
}
