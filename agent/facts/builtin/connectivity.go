package builtin

import "github.com/passmuster/muster"

// connectivityRow reads NLM_CONNECTIVITY: none of its bits means disconnected.
func connectivityRow(bits uint32) muster.Row {
	row := muster.Row{"disconnected": flag(bits == 0)}
	for column, bit := range map[string]uint32{
		"ipv4_no_traffic": 0x1, "ipv6_no_traffic": 0x2,
		"ipv4_subnet": 0x10, "ipv4_local_network": 0x20, "ipv4_internet": 0x40,
		"ipv6_subnet": 0x100, "ipv6_local_network": 0x200, "ipv6_internet": 0x400,
	} {
		row[column] = flag(bits&bit != 0)
	}
	return row
}
