# METADATA
# title: PowerShell leaves a record
# description: >-
#   Most intruders use PowerShell; without its log there is no way to know what they did.
# custom:
#   id: MVS-APP-03
#   severity: medium
#   profiles: [workstation, ems]
#   platforms: [windows]
#   facts: [powershell, smb1]
#   maps:
#     cis: ["8.8"]
#     cpg1: ["2.T"]
#     cpg2: ["3.Q"]
#     csf: ["PR.PS-04"]
#     belfer: ["8"]
#     nist: ["AU-2", "AU-12"]
#     vvsg: ["15.1-D"]
#   remedy: >-
#     Ask IT to switch on PowerShell script block logging through policy. Remove the old PowerShell 2.0 feature.
package muster.controls.app_03

import data.muster.lib

values(name) := lib.values(input.facts.powershell, name)

violations contains {"subject": "EnableScriptBlockLogging", "found": "off", "want": "1"} if {
	not "1" in values("enablescriptblocklogging")
}

violations contains {"subject": "PowerShell 2.0", "found": f.statename, "want": "removed"} if {
	some f in input.facts.smb1
	startswith(f.name, "MicrosoftWindowsPowerShellV2")
	f.state == "1"
}

unknown contains "Windows does not say whether PowerShell 2.0 is there" if {
	some f in input.facts.smb1
	startswith(f.name, "MicrosoftWindowsPowerShellV2")
	not f.state in {"1", "2", "3"}
}

unknown contains "Windows does not list its optional features" if count(input.facts.smb1) == 0

notes contains sprintf("%s is not on", [name]) if {
	some name in ["EnableModuleLogging", "EnableTranscripting", "ProcessCreationIncludeCmdLine_Enabled"]
	not "1" in values(lower(name))
}
