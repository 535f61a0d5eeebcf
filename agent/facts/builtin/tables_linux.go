package builtin

import "github.com/passmuster/muster/agent/facts"

func tables() []facts.Table { return host{}.tables() }

func (h host) tables() []facts.Table {
	return []facts.Table{
		h.blockDevices(),
		h.crontab(),
		h.debPackages(),
		h.diskEncryption(),
		h.dnsResolvers(),
		h.etcHosts("/etc/hosts"),
		h.files(),
		h.groups(),
		h.hashes(),
		h.interfaceAddresses(),
		h.interfaceDetails(),
		h.kernelInfo(),
		h.kernelModules(),
		h.listeningPorts(),
		h.loggedInUsers(),
		h.mounts(),
		h.musterAccounts(),
		h.musterAutologin(),
		h.musterDNSServers(),
		h.musterFailedLogins(),
		h.musterFirewall(),
		h.musterLSM(),
		h.musterRadios(),
		h.musterSettings(),
		h.musterSSHD(),
		h.musterTimeSync(),
		h.musterTPM(),
		h.osVersion(),
		h.platformInfo(),
		h.processOpenSockets(),
		h.processes(),
		h.routes(),
		h.secureBoot(),
		h.startupItems(),
		h.sudoers(),
		h.systemInfo(),
		h.systemdUnits(),
		h.clock(),
		h.uptime(),
		h.usbDevices(),
		h.userGroups(),
		h.users(),
	}
}
