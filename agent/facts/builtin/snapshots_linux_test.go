package builtin

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

const lvmText = `contents = "Text Format Volume Group"
version = 1
creation_time = 1795392087	# Mon Nov 23 00:01:27 2026

vg {
	id = "P1e7WK-cIps-gXYz-wcSH-1aaJ-er9S-8Rrivr"
	status = ["RESIZEABLE", "READ", "WRITE"]

	physical_volumes {

		pv0 {
			id = "cqcBMN-oEXb-Qq3w-rMUo-G4hN-DAZ0-zQWNKr"
		}
	}

	logical_volumes {

		root {
			id = "mZZbC0-qzy6-hW2y-Eqcp-Oys6-Htqq-q13mK5"
			creation_time = 1795392087	# 2026-11-23 00:01:27 +0000
			segment_count = 1

			segment1 {
				start_extent = 0
				extent_count = 5	# 20 Megabytes

				type = "striped"
				stripe_count = 1	# linear

				stripes = [
					"pv0", 0
				]
			}
		}

		before {
			id = "aZZbC0-qzy6-hW2y-Eqcp-Oys6-Htqq-q13mK5"
			creation_time = 1795392100

			segment1 {
				type = "striped"
			}
		}

		data-before {
			id = "bZZbC0-qzy6-hW2y-Eqcp-Oys6-Htqq-q13mK5"
			creation_time = 1795392200

			segment1 {
				type = "thin"
				thin_pool = "pool"
				origin = "data"
			}
		}

		snapshot0 {
			id = "cZZbC0-qzy6-hW2y-Eqcp-Oys6-Htqq-q13mK5"

			segment1 {
				type = "snapshot"
				chunk_size = 8
				origin = "root"
				cow_store = "before"
			}
		}

		fast {
			segment1 {
				type = "cache"
				origin = "fast_corig"
			}
		}
	}
}
`

const rootVolume = "LVM-P1e7WKcIpsgXYzwcSH1aaJer9S8RrivrmZZbC0qzy6hW2yEqcpOys6Htqqq13mK5"

func TestSnapshots(t *testing.T) {
	h := host{tree(t, map[string]string{
		"proc/mounts":                                       "/dev/dm-0 / ext4 rw 0 0\nrpool/home /home zfs rw 0 0\nrpool/home@a /home/.zfs/snapshot/a zfs ro 0 0\nsrv:/x /net nfs4 rw 0 0\n",
		"etc/snapper/configs/root":                          "# one\nSUBVOLUME=\"/\"\nFSTYPE=\"btrfs\"\n",
		".snapshots/12/info.xml":                            "<?xml version=\"1.0\"?>\n<snapshot>\n  <type>single</type>\n  <num>12</num>\n  <date>2026-11-20 08:00:00</date>\n</snapshot>\n",
		".snapshots/13/snapshot/x":                          "",
		"etc/timeshift/timeshift.json":                      `{"backup_device_uuid": "aa-bb"}`,
		"timeshift/snapshots/2026-11-21_09-00-01/info.json": `{"created": "1795251601", "type": "rsync"}`,
		"timeshift/snapshots/2026-11-22_09-00-01/.partial":  "",
		"home/.zfs/snapshot/before-update/.keep":            "",
		"net/timeshift/snapshots/elsewhere/info.json":       "{}",
		"etc/lvm/backup/vg":                                 lvmText,
		"sys/class/block/dm-0/dm/uuid":                      rootVolume + "\n",
		"sys/class/block/dm-1/dm/uuid":                      rootVolume + "-real\n",
		"sys/class/block/dm-2/dm/uuid":                      "CRYPT-LUKS2-0123-crypt\n",
	})}
	rows := mustGather(t, h.musterSnapshots())
	want := []muster.Row{
		{"volume": "/", "kind": "snapper", "name": "12", "created": "1795161600"},
		{"volume": "/", "kind": "timeshift", "name": "2026-11-21_09-00-01", "created": "1795251601"},
		{"volume": "/home", "kind": "zfs", "name": "before-update", "created": "0"},
		{"volume": "/dev/vg/data", "kind": "lvm", "name": "data-before", "created": "1795392200"},
		{"volume": "/dev/vg/root", "kind": "lvm", "name": "before", "created": "1795392100"},
	}
	for _, w := range want {
		if rowWith(rows, w) == nil {
			t.Errorf("no row %v", w)
		}
	}
	if len(rows) != len(want) {
		t.Errorf("rows are %v", rows)
	}
}

// TestSnapshotsUnknown: what is out of sight is not none.
func TestSnapshotsUnknown(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"timeshift's disk is not mounted":        {"etc/timeshift/timeshift.json": `{"backup_device_uuid": "aa-bb"}`},
		"LVM keeps no settings":                  {"sys/class/block/dm-0/dm/uuid": rootVolume + "\n"},
		"LVM's settings do not know all volumes": {"sys/class/block/dm-0/dm/uuid": strings.Replace(rootVolume, "mZ", "zZ", 1), "etc/lvm/backup/vg": lvmText},
	} {
		files["proc/mounts"] = "/dev/sda1 / ext4 rw 0 0\n"
		if rows, err := gather(t, host{tree(t, files)}.musterSnapshots()); !errors.Is(err, facts.ErrUnavailable) {
			t.Errorf("%s: got %v and %v", name, rows, err)
		}
	}
	h := host{tree(t, map[string]string{"proc/mounts": "/dev/sda1 / ext4 rw 0 0\n"})}
	if rows := mustGather(t, h.musterSnapshots()); len(rows) != 0 {
		t.Errorf("a plain disk has %v", rows)
	}
}

// TestBtrfsItems reads what a kernel answered of a file system with one
// subvolume and two snapshots of it.
func TestBtrfsItems(t *testing.T) {
	all := parseSubvolumes(parseBtrfsSearch([]byte(testFile(t, "btrfs-roots.bin"))))
	want := []subvolume{
		{id: 256, parent: 5, folder: 256, name: "@home", created: 1795391912},
		{id: 257, parent: 256, folder: 258, name: "snapshot", copied: true, created: 1795391912},
		{id: 258, parent: 5, folder: 256, name: "before-update", copied: true, created: 1795391912},
	}
	if !slices.Equal(all, want) {
		t.Errorf("got %+v, want %+v", all, want)
	}
}

// FuzzBtrfs: no more subvolumes than items, and no name that is not there.
func FuzzBtrfs(f *testing.F) {
	f.Add([]byte(testFile(f, "btrfs-roots.bin")))
	f.Fuzz(func(t *testing.T, b []byte) {
		items := parseBtrfsSearch(b)
		if len(items)*btrfsSearchHeader > len(b) {
			t.Errorf("%d items of %d bytes", len(items), len(b))
		}
		all := parseSubvolumes(items)
		if len(all) > len(items) {
			t.Errorf("%d subvolumes of %d items", len(all), len(items))
		}
		for _, s := range all {
			if !strings.Contains(string(b), s.name) {
				t.Errorf("%q is not there", s.name)
			}
		}
	})
}

// FuzzSnapshots: nothing is made of what is not in the text.
func FuzzSnapshots(f *testing.F) {
	f.Add(lvmText)
	f.Add("<snapshot><date>2026-11-20 08:00:00</date></snapshot>")
	f.Add(`{"created": "1795251601"}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseLVM(text).snapshots {
			if s.name == "" || !strings.Contains(text, s.name) || !strings.Contains(text, s.volume) {
				t.Errorf("invented %+v", s)
			}
		}
		if at, err := parseSnapper(text); err == nil && !strings.Contains(text, "date") {
			t.Errorf("invented %d", at)
		}
		if at := parseTimeshift(text); at < 0 {
			t.Errorf("created at %d", at)
		}
	})
}
