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
		diskInfoTable(),
		driversTable(),
		h.etcHosts(systemFolder()+`\drivers\etc\hosts`, systemFolder()+`\drivers\etc\hosts.ics`),
		filesTable(),
		groupsTable(),
		h.hashes(),
		interfaceAddressesTable(),
		interfaceDetailsTable(),
		listeningPortsTable(),
		loggedInUsersTable(),
		logicalDrivesTable(),
		accountsTable(),
		groupMembersTable(),
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
		servicesTable(),
		sharedResourcesTable(),
		startupItemsTable(),
		systemInfoTable(),
		timeTable(),
		tpmTable(),
		h.uptime(),
		userGroupsTable(),
		usersTable(),
		optionalFeaturesTable(),
		securityCenterTable(),
		securityProductsTable(),
	}
}
