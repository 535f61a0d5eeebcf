package policies_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
	"github.com/passmuster/muster/agent/facts/recorded"
	"github.com/passmuster/muster/policies/bundle"
)

// What a statement leaves out no control can judge, so each of these says which
// rows must come through, and which must not.
func TestStatements(t *testing.T) {
	b, err := bundle.OpenDir(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	type tables = map[string][]muster.Row
	for _, c := range []struct {
		name, fact string
		platform   muster.Platform
		tables     tables
		column     string
		want       []string
	}{
		{"a tunnel takes everything in halves", "routes", muster.Linux, tables{"routes": {
			{"destination": "0.0.0.0", "netmask": "1", "gateway": "10.8.0.1", "interface": "tun0", "type": "gateway"},
			{"destination": "128.0.0.0", "netmask": "1", "gateway": "10.8.0.1", "interface": "tun0", "type": "gateway"},
			{"destination": "2000::", "netmask": "3", "gateway": "", "interface": "tun0", "type": "gateway"},
			{"destination": "10.0.0.0", "netmask": "8", "gateway": "10.8.0.1", "interface": "tun0", "type": "gateway"},
			{"destination": "10.8.0.2", "netmask": "0", "gateway": "", "interface": "tun0", "type": "local"},
			{"destination": "::", "netmask": "0", "gateway": "", "interface": "lo", "type": "other"},
		}}, "destination", []string{"0.0.0.0", "128.0.0.0", "2000::"}},
		{"Windows has multicast routes", "routes", muster.Windows, tables{"routes": {
			{"destination": "0.0.0.0", "netmask": "0", "gateway": "10.0.0.1"},
			{"destination": "224.0.0.0", "netmask": "4", "gateway": "10.0.0.1"},
		}}, "destination", []string{"0.0.0.0"}},
		{"the servers behind systemd-resolved", "dns_servers", muster.Linux, tables{
			"dns_resolvers":      {{"type": "nameserver", "address": "127.0.0.53"}},
			"muster_dns_servers": {{"address": "8.8.8.8", "source": "resolved"}},
		}, "address", []string{"8.8.8.8"}},
		{"a folder is no journal", "eventlog_config", muster.Linux, tables{"file": {
			{"path": "/var/log/journal", "mtime": "1"},
			{"path": "/var/log/journal/0123/system.journal", "mtime": "2"},
			{"path": "/var/log/auth.log", "mtime": "3"},
		}}, "path", []string{"/var/log/auth.log", "/var/log/journal/0123/system.journal"}},
		{"a ping has no port", "listening", muster.Linux, tables{"processes": {{"pid": "1", "name": "p"}}, "listening_ports": {
			{"pid": "1", "port": "22", "protocol": "6", "address": "0.0.0.0"},
			{"pid": "1", "port": "1", "protocol": "255", "address": "0.0.0.0"},
			{"pid": "1", "port": "53", "protocol": "17", "address": "127.0.0.54"},
			{"pid": "-1", "port": "2049", "protocol": "136", "address": "::"},
		}}, "port", []string{"22", "2049"}},
		{"a file system that does not answer", "disk_space", muster.Linux, tables{"mounts": {
			{"path": "/", "type": "ext4", "blocks": "0", "blocks_available": "0", "blocks_size": "0"},
			{"path": "/proc", "type": "proc", "blocks": "0", "blocks_available": "0", "blocks_size": "4096"},
		}}, "volume", []string{"/"}},
		{"a locked drive", "disk_space", muster.Windows, tables{"logical_drives": {
			{"device_id": "C:", "size": "-1"}, {"device_id": "D:", "size": ""}, {"device_id": "E:", "size": "0"},
		}}, "volume", []string{"C:", "D:"}},
		{"a restart is one", "reboot_pending", muster.Linux, tables{"file": {
			{"path": "/run/reboot-required", "filename": "reboot-required"},
			{"path": "/var/run/reboot-required", "filename": "reboot-required"},
		}}, "name", []string{"reboot-required"}},
		{"a program without version", "software", muster.Windows, tables{"programs": {{"name": "AnyDesk", "version": ""}}}, "program", []string{"AnyDesk "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema, err := facts.NewSchema(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer schema.Close()
			recording := &recorded.Recording{Version: recorded.Version, RecordedAt: time.Now(), Platform: c.platform, Tables: c.tables}
			engine, err := recording.Engine(schema)
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close()
			g := &facts.Gatherer{Builtin: engine, Schema: schema, Platform: c.platform}
			r := g.Gather(context.Background(), []muster.Fact{b.Facts[c.fact]}, nil)[0]
			if r.Status != muster.FactOK {
				t.Fatal(r.Status, r.Reason)
			}
			var got []string
			for _, row := range r.Rows {
				got = append(got, row[c.column])
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
