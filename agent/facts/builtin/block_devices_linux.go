package builtin

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

const blockClass = "/sys/class/block/"

// blockDevices are disks, partitions and what lies on them. uuid, type and
// label are what udev found.
func (h host) blockDevices() facts.Table {
	return facts.Table{
		Name: "block_devices", Platforms: onLinux, Whole: true, Source: "/sys/class/block, udev",
		Columns: columns(`name text, parent text, vendor text, model text, serial text, size bigint, block_size integer,
			uuid text, type text, label text`),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			devices, err := h.blocks()
			var rows []muster.Row
			for _, d := range devices {
				r := muster.Row{"name": "/dev/" + d.name, "uuid": d.udev["ID_FS_UUID"], "type": d.udev["ID_FS_TYPE"],
					"label": d.udev["ID_FS_LABEL"]}
				if len(d.parents) > 0 {
					r["parent"] = "/dev/" + d.parents[0]
				}
				top := blockClass + root(d.name, devices)
				for column, files := range map[string][]string{
					"model": {top + "/device/model"}, "vendor": {top + "/device/vendor", top + "/device/device/vendor"},
					"serial": {top + "/device/wwid", top + "/device/serial"}, "size": {blockClass + d.name + "/size"},
					"block_size": {blockClass + d.name + "/queue/logical_block_size"},
				} {
					for _, f := range files {
						if r[column] == "" {
							// A drive need not know these; the kernel then answers with an error.
							r[column], _ = h.value(f)
						}
					}
				}
				rows = append(rows, r)
			}
			return rows, err
		}),
	}
}

// diskEncryption says of every block device whether what is written to it ends
// up encrypted by dm-crypt: it is a crypt device or lies on such devices only.
// Unlike osquery it takes dm-verity, which only checks, for no encryption, and
// needs no rights; type is the format (LUKS2) without the cipher.
func (h host) diskEncryption() facts.Table {
	return facts.Table{
		Name: "disk_encryption", Platforms: onLinux, Whole: true, Source: "/sys/class/block", Preferred: true,
		Columns: columns("name text, uuid text, encrypted integer, type text, encryption_status text"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			devices, err := h.blocks()
			var rows []muster.Row
			for _, d := range devices {
				r := muster.Row{"name": "/dev/" + d.name, "uuid": d.udev["ID_FS_UUID"], "encrypted": "0",
					"encryption_status": "not encrypted"}
				if format := encryptionOf(d.name, devices, 0); format != "" {
					r["encrypted"], r["type"], r["encryption_status"] = "1", format, "encrypted"
				}
				rows = append(rows, r)
			}
			return rows, err
		}),
	}
}

type blockDevice struct {
	name, dmUUID string
	parents      []string
	udev         map[string]string
}

func (h host) blocks() ([]blockDevice, error) {
	if !h.exists(blockClass) {
		return nil, fmt.Errorf("list block devices: no %s: %w", blockClass, facts.ErrUnavailable)
	}
	names, err := h.dir(blockClass)
	if err != nil {
		return nil, err
	}
	var devices []blockDevice
	for _, name := range names {
		d := blockDevice{name: name}
		if d.parents, err = h.dir(blockClass + name + "/slaves"); err != nil {
			return nil, err
		}
		// A partition's folder lies in its disk's: …/block/sda/sda1.
		if h.exists(blockClass + name + "/partition") {
			d.parents = []string{filepath.Base(filepath.Dir(h.link(blockClass + name)))}
		}
		if d.dmUUID, err = h.value(blockClass + name + "/dm/uuid"); err != nil {
			return nil, err
		}
		number, err := h.value(blockClass + name + "/dev")
		if err != nil {
			return nil, err
		}
		udev, err := h.textIfAny("/run/udev/data/b" + number)
		if err != nil {
			return nil, err
		}
		d.udev = parseUdev(udev)
		devices = append(devices, d)
	}
	return devices, nil
}

// parseUdev reads the properties of udev's record of a device: "E:KEY=value".
func parseUdev(text string) map[string]string {
	properties := map[string]string{}
	for line := range strings.Lines(text) {
		if property, ok := strings.CutPrefix(strings.TrimSpace(line), "E:"); ok {
			key, value, _ := strings.Cut(property, "=")
			properties[key] = value
		}
	}
	return properties
}

func find(name string, devices []blockDevice) blockDevice {
	for _, d := range devices {
		if d.name == name {
			return d
		}
	}
	return blockDevice{name: name}
}

// maxStack bounds how deep block devices are followed into each other.
const maxStack = 16

// root is the device at the bottom, whose vendor and model count.
func root(name string, devices []blockDevice) string {
	for range maxStack {
		d := find(name, devices)
		if len(d.parents) == 0 {
			break
		}
		name = d.parents[0]
	}
	return name
}

// encryptionOf names the format of the encryption that the device is under, or "".
func encryptionOf(name string, devices []blockDevice, depth int) string {
	d := find(name, devices)
	if format := cryptFormat(d.dmUUID); format != "" || depth == maxStack {
		return format
	}
	format := ""
	for _, p := range d.parents {
		if format = encryptionOf(p, devices, depth+1); format == "" {
			return ""
		}
	}
	return format
}

// cryptFormat reads the id that cryptsetup gives its devices:
// CRYPT-LUKS2-<uuid>-<name>. Other targets of its, such as CRYPT-VERITY and
// CRYPT-INTEGRITY, do not encrypt.
func cryptFormat(dmUUID string) string {
	rest, ok := strings.CutPrefix(dmUUID, "CRYPT-")
	format, _, _ := strings.Cut(rest, "-")
	if !ok {
		return ""
	}
	switch format {
	case "LUKS1", "LUKS2", "PLAIN", "LOOPAES", "TCRYPT", "BITLK", "FVAULT2":
		return format
	}
	return ""
}
