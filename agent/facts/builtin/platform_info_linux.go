package builtin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

const (
	efiFolder = "/sys/firmware/efi"
	// efiGlobal is the GUID of the variables that the UEFI specification defines.
	efiGlobal = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
)

// platformInfo is the firmware; where in memory it lies is "". A machine without
// DMI and UEFI, such as a small virtual one, has no row.
func (h host) platformInfo() facts.Table {
	return facts.Table{
		Name: "platform_info", Platforms: onLinux, Whole: true, Source: "/sys/class/dmi",
		Columns: columns(`vendor text, version text, date text, revision text, extra text, firmware_type text, address text,
			size text, volume_size integer`),
		Rows: list(func(_ context.Context, q facts.Query) ([]muster.Row, error) {
			row, err := h.dmiRow(q, map[string]string{"vendor": "bios_vendor", "version": "bios_version",
				"date": "bios_date", "revision": "bios_release"})
			switch {
			case err != nil:
				return nil, err
			case h.exists(efiFolder):
				row["firmware_type"] = "uefi"
			case h.exists(dmiFolder):
				row["firmware_type"] = "bios"
			default:
				return nil, nil
			}
			return []muster.Row{row}, nil
		}),
	}
}

// secureBoot has no row where the firmware is not UEFI, and "" for a variable
// that the firmware does not have.
func (h host) secureBoot() facts.Table {
	return facts.Table{
		Name: "secureboot", Platforms: onLinux, Whole: true, Source: "efivars",
		Columns: columns("secure_boot integer, setup_mode integer"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			if !h.exists(efiFolder) {
				return nil, nil
			}
			if !h.exists(efiFolder + "/efivars") {
				return nil, fmt.Errorf("read %s/efivars: is not mounted: %w", efiFolder, facts.ErrUnavailable)
			}
			boot, err := h.efiFlag("SecureBoot")
			if err != nil {
				return nil, err
			}
			setup, err := h.efiFlag("SetupMode")
			return []muster.Row{{"secure_boot": boot, "setup_mode": setup}}, err
		}),
	}
}

// efiFlag reads a variable of one byte, which four bytes of attributes precede.
func (h host) efiFlag(name string) (string, error) {
	path := efiFolder + "/efivars/" + name + "-" + efiGlobal
	f, err := os.Open(h.path(path))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", readError(path, err)
	}
	defer f.Close()
	var b [5]byte
	if _, err := io.ReadFull(f, b[:]); err != nil {
		return "", readError(path, err)
	}
	if b[4] > 1 {
		return "-1", nil
	}
	return flag(b[4] == 1), nil
}

// musterTPM lists the TPM devices that the kernel found.
func (h host) musterTPM() facts.Table {
	return facts.Table{
		Name: "muster_tpm", Platforms: onLinux, Whole: true, Source: "/sys/class/tpm",
		Columns: columns("device text, version_major integer, description text"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			const class = "/sys/class/tpm/"
			names, err := h.dir(class)
			if err != nil {
				return nil, err
			}
			var rows []muster.Row
			for _, name := range names {
				major, err := h.value(class + name + "/tpm_version_major")
				if err != nil {
					return nil, err
				}
				description, err := h.value(class + name + "/device/description")
				if err != nil {
					return nil, err
				}
				rows = append(rows, muster.Row{"device": name, "version_major": major, "description": description})
			}
			return rows, nil
		}),
	}
}
