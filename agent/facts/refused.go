package facts

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// refusedTables lists what no policy may read, whoever signed it, and why.
func refusedTables() map[string][]string {
	return map[string][]string{
		"it asks the network": {
			"azure_instance_metadata", "azure_instance_tags", "carbon_black_info", "curl", "curl_certificate",
			"ec2_instance_metadata", "ec2_instance_tags", "prometheus_metrics", "ycloud_instance_metadata",
		},
		"it reads or copies the content of files and disks": {
			"carves", "device_file", "device_hash", "device_partitions", "magic", "mdfind", "mdls", "plist",
			"windows_search", "yara_events", "yara_file", "yara_process",
		},
		"it holds secrets": {
			"docker_container_envs", "kernel_keys", "keychain_acls", "keychain_items", "lxd_instance_config",
			"process_envs", "user_ssh_keys",
		},
		"it tells what people did, not how the computer is set up": {
			"office_mru", "quicklook_cache", "recent_files", "running_apps", "shell_history", "shellbags", "unified_log",
		},
	}
}

// Refused says why a table is out of every policy's reach; nil where it is not.
func Refused(table string) error {
	for reason, tables := range refusedTables() {
		if slices.Contains(tables, table) {
			return fmt.Errorf("table %s is %w: %s", table, ErrRefused, reason)
		}
	}
	return nil
}

// BuiltinOnly reports tables that can be pointed at password hashes and
// secrets (/etc/shadow, HKLM\SAM). No other live engine is asked for them,
// because only ours withholds those rows.
func BuiltinOnly(table string) bool { return table == "augeas" || table == "registry" }

// withhold keeps secrets from leaving a table: it refuses the scan that
// reaches a password hash and blanks a stored password.
func withhold(table string, row muster.Row) (muster.Row, error) {
	switch table {
	case "augeas":
		switch strings.TrimSuffix(row["path"], "-") {
		case "/etc/shadow", "/etc/gshadow":
			return nil, fmt.Errorf("password hashes in %s: %w", row["path"], ErrRefused)
		}
	case "registry":
		for _, where := range []string{row["key"], row["path"]} {
			where = strings.ToUpper(where) + `\`
			for _, secret := range []string{`HKEY_LOCAL_MACHINE\SAM\SAM\`, `HKEY_LOCAL_MACHINE\SECURITY\`} {
				if strings.HasPrefix(where, secret) {
					return nil, fmt.Errorf("password hashes in %s: %w", row["key"], ErrRefused)
				}
			}
		}
		if strings.EqualFold(row["name"], "DefaultPassword") && row["data"] != "" {
			row = maps.Clone(row)
			row["data"] = "present"
		}
	}
	return row, nil
}
