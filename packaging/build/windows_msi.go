package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/passmuster/muster/packaging/build/cab"
)

// msi is one that is being made. Its tables are documented by Microsoft in "Installer
// database reference"; what wixl writes of them, and what it drops in silence, was
// found by trying.
type msi struct {
	r *release
	// path of the file, and dir with what goes into it.
	path, dir string
}

// build makes the whole of it, but for the signature.
func (m msi) build(ctx context.Context, comments string) error {
	var content [][]byte
	for _, name := range []string{"muster.wxs", "muster.ico", "muster.exe", "muster-uplink.exe", "LICENSE.txt", "THIRD-PARTY-NOTICES.txt"} {
		b, err := os.ReadFile(filepath.Join(m.dir, name))
		if err != nil {
			return err
		}
		content = append(content, b)
		if err := os.Chtimes(filepath.Join(m.dir, name), m.r.time, m.r.time); err != nil { // wixl's cabinet has it
			return err
		}
	}
	product := guid(append(content, []byte(m.r.version))...)
	if err := m.quietly(ctx, "wixl", "-a", "x64", "-D", "Number="+m.r.number(), "-D", "Version="+m.r.version,
		"-D", "Comments="+comments, "-D", "ProductCode="+product, "-o", m.path, "muster.wxs"); err != nil {
		return err
	}
	if err := m.compress(ctx); err != nil {
		return fmt.Errorf("replace the cabinet: %w", err)
	}
	if err := m.mend(ctx); err != nil {
		return err
	}
	return m.summary(ctx, guid([]byte(product)))
}

// quietly runs wixl or msibuild in the folder. They leave out what they do not know or
// find, merely say so, and exit with 0.
func (m msi) quietly(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC0")
	said, err := cmd.CombinedOutput()
	if err == nil && len(said) > 0 {
		err = errors.New("it leaves something out")
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(said))
	}
	return nil
}

// compress puts a smaller cabinet in the place of wixl's: the same files by their keys,
// in the order of their numbers.
func (m msi) compress(ctx context.Context) error {
	table, err := m.r.run(ctx, nil, "msiinfo", "export", m.path, "File")
	if err != nil {
		return err
	}
	lines := strings.Split(strings.ReplaceAll(table, "\r", ""), "\n")
	files := make([]cab.File, max(0, len(lines)-3)) // three lines tell the columns
	for _, line := range lines[len(lines)-len(files):] {
		f := strings.Split(line, "\t")
		key, name, number := f[0], f[2], f[len(f)-1]
		i, err := strconv.Atoi(number)
		if err != nil || i < 1 || i > len(files) {
			return fmt.Errorf("file %s has number %s of %d", key, number, len(files))
		}
		content, err := os.ReadFile(filepath.Join(m.dir, name))
		if err != nil {
			return err
		}
		files[i-1] = cab.File{Name: key, Time: m.r.time, Content: content}
	}
	var b bytes.Buffer
	if err := cab.Write(&b, files); err != nil {
		return err
	}
	file := filepath.Join(m.dir, "muster.cab")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		return err
	}
	return m.quietly(ctx, "msibuild", m.path, "-a", "muster.cab", file)
}

// mend changes the tables where wixl has no words for what is wanted.
func (m msi) mend(ctx context.Context) error {
	wxs, err := os.ReadFile(filepath.Join(m.dir, "muster.wxs"))
	if err != nil {
		return err
	}
	upgrade := regexp.MustCompile(`UpgradeCode="([0-9A-F-]+)"`).FindSubmatch(wxs)
	if upgrade == nil {
		return fmt.Errorf("muster.wxs has no UpgradeCode")
	}
	number := m.r.number()
	for _, query := range []string{
		// The removal of the older version is part of the transaction: where the newer one
		// cannot be installed, the older one stays.
		"UPDATE `InstallExecuteSequence` SET `Sequence` = 1501 WHERE `Action` = 'RemoveExistingProducts'",
		// Another build of the same version replaces this one: 256 and 512 include both
		// ends, 1 keeps the choice of features.
		"DELETE FROM `Upgrade` WHERE `ActionProperty` = 'WIX_UPGRADE_DETECTED'",
		"INSERT INTO `Upgrade` (`UpgradeCode`, `VersionMin`, `VersionMax`, `Attributes`, `ActionProperty`) VALUES ('{" + string(upgrade[1]) + "}', '0.0.0', '" + number + "', 769, 'WIX_UPGRADE_DETECTED')",
		// 256 more: it runs where the installation fails after it.
		"UPDATE `CustomAction` SET `Type` = 3410 WHERE `Action` = 'RollBack'",
		// A file with a version has no hash.
		"UPDATE `File` SET `Version` = '" + number + ".0', `Language` = '1033' WHERE `File` = 'muster.exe'",
		"UPDATE `File` SET `Version` = '" + number + ".0', `Language` = '1033' WHERE `File` = 'uplink.exe'",
		"DELETE FROM `MsiFileHash` WHERE `File_` = 'muster.exe'",
		"DELETE FROM `MsiFileHash` WHERE `File_` = 'uplink.exe'",
		// Windows' own words for a program that fails speak of a broken package.
		"INSERT INTO `Error` (`Error`, `Message`) VALUES (1722, 'Muster was not set up, and this computer is as it was: what it was given cannot be used, or it was refused something. The reason is in [WindowsFolder]Logs\\muster-setup.log. Correct it, and install again.')",
	} {
		if err := m.quietly(ctx, "msibuild", m.path, "-q", query); err != nil {
			return err
		}
	}
	return nil
}

// Rows of the summary information.
const (
	summaryPackage  = "9"
	summaryCreated  = "12"
	summaryModified = "13"
)

// summary replaces what wixl takes from the clock and from chance.
func (m msi) summary(ctx context.Context, pack string) error {
	table, err := m.r.run(ctx, nil, "msiinfo", "export", m.path, "_SummaryInformation")
	if err != nil {
		return err
	}
	when := m.r.time.Format("2006/01/02 15:04:05")
	lines := strings.Split(strings.ReplaceAll(table, "\r", ""), "\n")
	for i, line := range lines {
		switch key, _, _ := strings.Cut(line, "\t"); key {
		case summaryPackage:
			lines[i] = key + "\t" + pack
		case summaryCreated, summaryModified:
			lines[i] = key + "\t" + when
		}
	}
	file := filepath.Join(m.dir, "_SummaryInformation.idt")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\r\n")+"\r\n"), 0o644); err != nil {
		return err
	}
	return m.quietly(ctx, "msibuild", m.path, "-i", file)
}
