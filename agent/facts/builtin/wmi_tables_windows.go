package builtin

import (
	"errors"
	"strconv"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// patchesTable is the list of installed updates that Windows calls hotfixes.
func patchesTable() facts.Table {
	return wmiTable{
		name: "patches", namespace: cimv2, class: "Win32_QuickFixEngineering",
		columns: `csname text, hotfix_id text, caption text, description text, fix_comments text, installed_by text,
			install_date text, installed_on text`,
		properties: map[string]string{
			"csname": "CSName", "hotfix_id": "HotFixID", "caption": "Caption", "description": "Description",
			"fix_comments": "FixComments", "installed_by": "InstalledBy", "install_date": "InstallDate", "installed_on": "InstalledOn",
		},
	}.table()
}

// ntDomainsTable is the computer itself and the domain that it belongs to.
func ntDomainsTable() facts.Table {
	return wmiTable{
		name: "ntdomains", namespace: cimv2, class: "Win32_NTDomain",
		columns: `name text, client_site_name text, dc_site_name text, dns_forest_name text, domain_controller_address text,
			domain_controller_name text, domain_name text, status text`,
		properties: map[string]string{
			"name": "Name", "client_site_name": "ClientSiteName", "dc_site_name": "DcSiteName", "dns_forest_name": "DnsForestName",
			"domain_controller_address": "DomainControllerAddress", "domain_controller_name": "DomainControllerName",
			"domain_name": "DomainName", "status": "Status",
		},
	}.table()
}

// optionalFeaturesTable is Windows' own parts that can be switched on and off.
// All of them take seconds to list; one by name does not.
func optionalFeaturesTable() facts.Table {
	return wmiTable{
		name: "windows_optional_features", namespace: cimv2, class: "Win32_OptionalFeature",
		columns:    `name text, caption text, state integer, statename text`,
		properties: map[string]string{"name": "Name", "caption": "Caption", "state": "InstallState"},
		where:      "name",
		finish: func(o comObject, _ facts.Query, row muster.Row) error {
			state, err := o.get("InstallState")
			row["statename"] = map[string]string{"1": "Enabled", "2": "Disabled", "3": "Absent"}[state]
			if row["statename"] == "" {
				row["statename"] = "Unknown"
			}
			return err
		},
	}.table()
}

// encryptionMethods are osquery's names of BitLocker's methods, by number.
var encryptionMethods = []string{
	"None", "AES_128_WITH_DIFFUSER", "AES_256_WITH_DIFFUSER", "AES_128", "AES_256", "HARDWARE_ENCRYPTION", "XTS_AES_128", "XTS_AES_256",
}

// bitlockerTable asks each volume's methods for its state, never the cached
// properties, which can say protected where nothing is encrypted (osquery up
// to 5.23.1 believes them). What a method does not tell is -1.
func bitlockerTable() facts.Table {
	t := wmiTable{
		name: "bitlocker_info", namespace: cimv2 + `\Security\MicrosoftVolumeEncryption`, class: "Win32_EncryptableVolume",
		columns: `device_id text, drive_letter text, persistent_volume_id text, conversion_status integer,
			protection_status integer, encryption_method text, version integer, percentage_encrypted integer,
			lock_status integer`,
		properties: map[string]string{"device_id": "DeviceID", "drive_letter": "DriveLetter", "persistent_volume_id": "PersistentVolumeID"},
		finish: func(o comObject, q facts.Query, row muster.Row) error {
			for _, m := range []struct{ column, method, result string }{
				{"conversion_status", "GetConversionStatus", "ConversionStatus"},
				{"percentage_encrypted", "GetConversionStatus", "EncryptionPercentage"},
				{"protection_status", "GetProtectionStatus", "ProtectionStatus"},
				{"encryption_method", "GetEncryptionMethod", "EncryptionMethod"},
				{"lock_status", "GetLockStatus", "LockStatus"},
				{"version", "GetVersion", "Version"},
			} {
				if !q.Used(m.column) {
					continue
				}
				// A locked volume refuses some methods; that is no error of the table.
				value, err := o.ask(m.method, m.result)
				if errors.Is(err, facts.ErrDenied) {
					return err
				}
				if err != nil || value == "" {
					value = "-1"
				}
				row[m.column] = value
			}
			if n, err := strconv.ParseUint(row["encryption_method"], 10, 32); err == nil {
				row["encryption_method"] = word(encryptionMethods, uint32(n))
			} else {
				row["encryption_method"] = "UNKNOWN"
			}
			return nil
		},
	}.table()
	t.Preferred = true
	return t
}

// deviceGuardTable is what the hypervisor protects, in osquery's words.
func deviceGuardTable() facts.Table {
	enforcement := []string{"OFF", "AUDIT_MODE", "ENFORCED_MODE"}
	services := []string{"NONE", "CREDENTIAL_GUARD", "MEMORY_INTEGRITY", "SYSTEM_GUARD_SECURE_LAUNCH", "SMM_FIRMWARE_MEASUREMENT"}
	words := map[string][]string{
		"vbs_status": {"VBS_NOT_ENABLED", "VBS_ENABLED_AND_NOT_RUNNING", "VBS_ENABLED_AND_RUNNING"},
		"code_integrity_policy_enforcement_status": enforcement, "umci_policy_status": enforcement,
		"configured_security_services": services, "running_security_services": services,
	}
	return wmiTable{
		name: "deviceguard_status", namespace: `root\Microsoft\Windows\DeviceGuard`, class: "Win32_DeviceGuard",
		columns: `version text, instance_identifier text, vbs_status text, code_integrity_policy_enforcement_status text,
			configured_security_services text, running_security_services text, umci_policy_status text`,
		properties: map[string]string{
			"version": "Version", "instance_identifier": "InstanceIdentifier", "vbs_status": "VirtualizationBasedSecurityStatus",
			"code_integrity_policy_enforcement_status": "CodeIntegrityPolicyEnforcementStatus",
			"umci_policy_status":                       "UsermodeCodeIntegrityPolicyEnforcementStatus",
			"configured_security_services":             "SecurityServicesConfigured",
			"running_security_services":                "SecurityServicesRunning",
		},
		finish: func(_ comObject, _ facts.Query, row muster.Row) error {
			for column, names := range words {
				row[column] = wordList(names, row[column])
			}
			return nil
		},
	}.table()
}

// tpmTable tells about the TPM; a computer without one has no row.
func tpmTable() facts.Table {
	return wmiTable{
		name: "tpm_info", namespace: cimv2 + `\Security\MicrosoftTpm`, class: "Win32_Tpm",
		columns: `activated integer, enabled integer, owned integer, manufacturer_version text, manufacturer_id integer,
			manufacturer_name text, product_name text, physical_presence_version text, spec_version text`,
		properties: map[string]string{
			"manufacturer_version": "ManufacturerVersion", "manufacturer_id": "ManufacturerId", "manufacturer_name": "ManufacturerIdTxt",
			"product_name": "ManufacturerVersionInfo", "physical_presence_version": "PhysicalPresenceVersionInfo", "spec_version": "SpecVersion",
		},
		finish: func(o comObject, q facts.Query, row muster.Row) error {
			for column, method := range map[string]string{"activated": "IsActivated", "enabled": "IsEnabled", "owned": "IsOwned"} {
				if !q.Used(column) {
					continue
				}
				var err error
				if row[column], err = o.ask(method, method); err != nil {
					return err
				}
			}
			return nil
		},
	}.table()
}

// diskInfoTable is the physical disks.
func diskInfoTable() facts.Table {
	return wmiTable{
		name: "disk_info", namespace: cimv2, class: "Win32_DiskDrive",
		columns: `partitions integer, disk_index integer, type text, id text, pnp_device_id text, disk_size bigint,
			manufacturer text, hardware_model text, name text, serial text, description text`,
		properties: map[string]string{
			"partitions": "Partitions", "disk_index": "Index", "type": "InterfaceType", "id": "DeviceID", "pnp_device_id": "PNPDeviceID",
			"disk_size": "Size", "manufacturer": "Manufacturer", "hardware_model": "Model", "name": "Name", "serial": "SerialNumber",
			"description": "Description",
		},
	}.table()
}

// sharedResourcesTable is the folders, printers and pipes that are shared.
func sharedResourcesTable() facts.Table {
	return wmiTable{
		name: "shared_resources", namespace: cimv2, class: "Win32_Share",
		columns: `description text, install_date text, status text, allow_maximum integer, maximum_allowed bigint, name text,
			path text, type bigint, type_name text`,
		properties: map[string]string{
			"description": "Description", "install_date": "InstallDate", "status": "Status", "allow_maximum": "AllowMaximum",
			"maximum_allowed": "MaximumAllowed", "name": "Name", "path": "Path", "type": "Type",
		},
		finish: func(_ comObject, _ facts.Query, row muster.Row) error {
			if row["maximum_allowed"] == "" {
				row["maximum_allowed"] = "-1"
			}
			// WMI's unsigned number comes signed over COM.
			if n, err := strconv.ParseInt(row["type"], 10, 64); err == nil {
				row["type"] = unum(uint32(n))
				row["type_name"] = shareType(uint32(n))
			}
			return nil
		},
	}.table()
}

func shareType(kind uint32) string {
	const administrative = 0x80000000
	names := []string{"Disk Drive", "Print Queue", "Device", "IPC"}
	name := word(names, kind&^administrative)
	if kind&administrative != 0 {
		name += " Admin"
	}
	return name
}
