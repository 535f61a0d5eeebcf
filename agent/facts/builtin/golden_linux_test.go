package builtin

import (
	"bytes"
	"encoding/json"
	cmdline "flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

var update = cmdline.Bool("update", false, "write the golden files anew")

// live are the columns and, with *, whole tables that the running kernel
// answers, whatever files a host has.
var live = []string{
	"interface_addresses.*", "interface_details.*", "muster_time_sync.*", "muster_firewall.*", "routes.*", "time.*", "uptime.*", "file.*", "hash.*",
	"block_devices.*", "disk_encryption.*", "iptables.*", "muster_audit.*",
	"mounts.blocks", "mounts.blocks_size", "mounts.blocks_free", "mounts.blocks_available", "mounts.inodes",
	"mounts.inodes_free", "os_version.arch", "system_info.cpu_type", "system_info.physical_memory",
	"system_info.hostname", "system_info.computer_name", "system_info.local_hostname", "processes.on_disk",
}

// TestGoldenHost reads the copy of a host in testdata and compares every table
// with what is written beside it.
func TestGoldenHost(t *testing.T) {
	const folder = "testdata/hosts/debian"
	got := map[string][]muster.Row{}
	for _, table := range (host{folder}).tables() {
		if slices.Contains(live, table.Name+".*") {
			continue
		}
		rows, err := gather(t, table)
		if err != nil {
			got[table.Name] = []muster.Row{{"error": err.Error()}}
			continue
		}
		for _, r := range rows {
			for column := range r {
				if slices.Contains(live, table.Name+"."+column) {
					delete(r, column)
				}
			}
		}
		got[table.Name] = rows
	}
	golden := folder + ".json"
	if *update {
		if err := os.WriteFile(golden, goldenText(t, got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]muster.Row{}
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tables differ from %s (-want +got):\n%s", filepath.Base(golden), diff)
	}
}

// goldenText writes one row a line.
func goldenText(t *testing.T, tables map[string][]muster.Row) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	write := func(before string, v any) {
		b.WriteString(before)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		b.Truncate(b.Len() - 1) // its line end
	}
	sep := "{"
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		write(sep, name)
		sep = ",\n"
		rows := tables[name]
		if rows == nil {
			b.WriteString(":null")
			continue
		}
		before := ":[\n "
		for _, r := range rows {
			write(before, r)
			before = ",\n "
		}
		b.WriteString("]")
	}
	b.WriteString("}\n")
	return b.Bytes()
}
