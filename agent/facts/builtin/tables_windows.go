package builtin

import (
	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// onWindows are the platforms of a table that only Windows has.
var onWindows = []muster.Platform{muster.Windows}

// tables is every table of this system, in the order of their names.
func tables() []facts.Table {
	h := host{}
	return []facts.Table{
		bitlockerTable(),
		certificatesTable(),
		h.chromeExtensions(),
		connectivityTable(),
		deviceGuardTable(),
		diskInfoTable(),
		dnsCacheTable(),
		driversTable(),
		h.etcHosts(systemFolder()+`\drivers\etc\hosts`, systemFolder()+`\drivers\etc\hosts.ics`),
		filesTable(),
		h.firefoxAddons(),
		groupsTable(),
		h.hashes(),
		interfaceAddressesTable(),
		interfaceDetailsTable(),
		listeningPortsTable(),
		loggedInUsersTable(),
		logicalDrivesTable(),
		accountsTable(),
		auditPolicyTable(),
		defenderTable(),
		groupMembersTable(),
		snapshotsTable(),
		timeSyncTable(),
		ntDomainsTable(),
		osVersionTable(),
		patchesTable(),
		platformInfoTable(),
		socketsTable(),
		processesTable(),
		programsTable(),
		registryTable(),
		routesTable(),
		scheduledTasksTable(),
		secureBootTable(),
		securityProfileTable(),
		servicesTable(),
		sharedResourcesTable(),
		startupItemsTable(),
		systemInfoTable(),
		timeTable(),
		tpmTable(),
		h.uptime(),
		userGroupsTable(),
		usersTable(),
		eventLogTable(),
		firewallRulesTable(),
		optionalFeaturesTable(),
		securityCenterTable(),
		securityProductsTable(),
		updateHistoryTable(),
		cliConsumersTable(),
		eventFiltersTable(),
		scriptConsumersTable(),
	}
}
