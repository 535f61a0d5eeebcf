package builtin

import "strconv"

// dnsType names a type of DNS record as osquery does; one without name is its
// number.
func dnsType(n uint16) string {
	names := map[uint16]string{
		1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 24: "SIG",
		25: "KEY", 28: "AAAA", 29: "LOC", 33: "SRV", 35: "NAPTR", 36: "KX", 37: "CERT", 39: "DNAME", 41: "OPT", 42: "APL",
		43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3",
		51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC",
		63: "ZONEMD", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 255: "*", 256: "URI", 257: "CAA", 32768: "TA",
		32769: "DLV",
	}
	if name := names[n]; name != "" {
		return name
	}
	return strconv.Itoa(int(n))
}
