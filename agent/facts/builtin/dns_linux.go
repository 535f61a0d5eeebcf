package builtin

import (
	"context"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// dnsResolvers is resolv.conf(5): servers and search domains. All servers are
// given, though the C library asks only the first three; options is "".
func (h host) dnsResolvers() facts.Table {
	return facts.Table{
		Name: "dns_resolvers", Platforms: onLinux, Whole: true, Source: "/etc/resolv.conf",
		Columns: columns("id integer, type text, address text, netmask text, options bigint"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			text, err := h.textIfAny("/etc/resolv.conf")
			return parseResolvConf(text), err
		}),
	}
}

func parseResolvConf(text string) []muster.Row {
	var servers, search []muster.Row
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			servers = append(servers, muster.Row{"id": strconv.Itoa(len(servers)), "type": "nameserver", "address": f[1],
				"netmask": "32"})
		case "search", "domain": // the last such line counts
			search = nil
			for i, domain := range f[1:] {
				search = append(search, muster.Row{"id": strconv.Itoa(i), "type": "search", "address": domain})
			}
		}
	}
	return append(servers, search...)
}

// musterDNSServers are the servers that are asked in the end: where
// /etc/resolv.conf names systemd-resolved's own address, those behind it.
func (h host) musterDNSServers() facts.Table {
	return facts.Table{
		Name: "muster_dns_servers", Platforms: onLinux, Whole: true, Source: "resolv.conf, systemd-resolved",
		Columns: columns("address text, source text"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			var rows []muster.Row
			paths := []string{"/etc/resolv.conf"}
			for i := 0; i < len(paths); i++ {
				text, err := h.textIfAny(paths[i])
				if err != nil {
					return nil, err
				}
				for _, r := range parseResolvConf(text) {
					switch {
					case r["type"] != "nameserver":
					case i == 0 && (r["address"] == "127.0.0.53" || r["address"] == "127.0.0.54"):
						paths = []string{paths[0], "/run/systemd/resolve/resolv.conf"}
					default:
						rows = append(rows, muster.Row{"address": r["address"], "source": paths[i]})
					}
				}
			}
			return rows, nil
		}),
	}
}
