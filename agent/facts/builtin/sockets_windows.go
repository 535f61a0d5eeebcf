package builtin

import (
	"context"
	"strings"

	"github.com/shirou/gopsutil/v3/net"
	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// socketsTable is the TCP and UDP sockets of all processes; Windows tells the
// owner of each to everyone. It has no file descriptors: fd and socket are 0.
func socketsTable() facts.Table {
	return facts.Table{
		Name: "process_open_sockets", Platforms: onWindows, Source: "GetExtendedTcpTable and GetExtendedUdpTable",
		Columns: columns(`pid integer, fd bigint, socket bigint, family integer, protocol integer, local_address text,
			remote_address text, local_port integer, remote_port integer, path text, state text`),
		Rows: list(socketRows),
	}
}

func socketRows(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
	all, err := net.ConnectionsWithContext(ctx, "inet")
	if err != nil {
		return nil, failed("list sockets", err)
	}
	rows := make([]muster.Row, len(all))
	for i, c := range all {
		rows[i] = muster.Row{
			"pid": num(c.Pid), "fd": "0", "socket": "0", "family": unum(c.Family), "protocol": "6",
			"local_address": c.Laddr.IP, "local_port": unum(c.Laddr.Port),
			"remote_address": c.Raddr.IP, "remote_port": unum(c.Raddr.Port), "state": socketState(c.Status),
		}
		if c.Type == windows.SOCK_DGRAM {
			rows[i]["protocol"], rows[i]["remote_address"], rows[i]["state"] = "17", "0", ""
		}
	}
	return rows, nil
}

// socketState turns gopsutil's words into osquery's.
func socketState(s string) string {
	switch s {
	case "":
		return "UNKNOWN"
	case "SYN_RECEIVED":
		return "SYN_RCVD"
	case "FIN_WAIT_1", "FIN_WAIT_2":
		return strings.Replace(s, "WAIT_", "WAIT", 1)
	case "DELETE":
		return "DELETE_TCB"
	}
	return s
}

// listeningPortsTable is the TCP sockets that listen and every UDP socket.
func listeningPortsTable() facts.Table {
	return facts.Table{
		Name: "listening_ports", Platforms: onWindows, Source: "GetExtendedTcpTable and GetExtendedUdpTable",
		Columns: columns(`pid integer, port integer, protocol integer, family integer, address text, fd bigint, socket bigint, path text`),
		Rows: list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
			sockets, err := socketRows(ctx, q)
			if err != nil {
				return nil, err
			}
			var rows []muster.Row
			for _, s := range sockets {
				if s["protocol"] == "6" && s["state"] != "LISTEN" {
					continue
				}
				rows = append(rows, muster.Row{
					"pid": s["pid"], "port": s["local_port"], "protocol": s["protocol"], "family": s["family"],
					"address": s["local_address"], "fd": "0", "socket": "0",
				})
			}
			return rows, nil
		}),
	}
}
