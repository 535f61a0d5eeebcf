package builtin

import (
	"context"
	"regexp"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// programsTable is the installed programs, of the computer (64 and 32 bit) and
// of every user whose hive is loaded, and the packages of the Store that users
// have. A Store package's name, version and publisher come from its full name;
// its manifest, which may be anywhere, is not read.
func programsTable() facts.Table {
	return facts.Table{
		Name: "programs", Platforms: onWindows, Source: "registry",
		Columns: columns(`name text, version text, install_location text, install_source text, language text, publisher text,
			uninstall_string text, install_date text, identifying_number text, package_family_name text,
			upgrade_code text`),
		Rows: programRows,
	}
}

var guidAtEnd = regexp.MustCompile(`\{[0-9A-Fa-f]+(-[0-9A-Fa-f]+){4}\}$`)

func programRows(ctx context.Context, q facts.Query, emit emitFunc) error {
	upgrades := map[string]string{}
	if q.Used("upgrade_code") {
		var err error
		if upgrades, err = upgradeCodes(); err != nil {
			return err
		}
	}
	const uninstall = `\Microsoft\Windows\CurrentVersion\Uninstall\%`
	for _, pattern := range []string{
		`HKEY_LOCAL_MACHINE\SOFTWARE` + uninstall, `HKEY_LOCAL_MACHINE\SOFTWARE\WOW6432Node` + uninstall,
		`HKEY_USERS\%\Software` + uninstall, `HKEY_USERS\%\Software\WOW6432Node` + uninstall,
	} {
		err := parseRegPattern(pattern).expand(regSubkeys, func(key string) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			v, err := regValues(key)
			if len(v) == 0 || err != nil {
				return err
			}
			id := guidAtEnd.FindString(key)
			upgrade := upgrades[strings.ToUpper(id)]
			if id == "" {
				id = v["bundleidentifier"]
			}
			return emit(muster.Row{
				"name": v["displayname"], "version": v["displayversion"], "install_location": v["installlocation"],
				"install_source": v["installsource"], "language": v["language"], "publisher": v["publisher"],
				"uninstall_string": v["uninstallstring"], "install_date": v["installdate"], "identifying_number": id, "upgrade_code": upgrade,
			})
		})
		if err != nil {
			return err
		}
	}
	return storePackages(ctx, emit)
}

func storePackages(ctx context.Context, emit emitFunc) error {
	const packages = `HKEY_USERS\%\Software\Classes\Local Settings\Software\Microsoft\Windows\CurrentVersion\AppModel\Repository\Packages\%`
	seen := map[string]bool{}
	return parseRegPattern(packages).expand(regSubkeys, func(key string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, ok := parsePackage(key[strings.LastIndex(key, `\`)+1:])
		if !ok || seen[p.family()+p.version] {
			return nil
		}
		seen[p.family()+p.version] = true
		v, err := regValues(key)
		if err != nil {
			return err
		}
		return emit(muster.Row{
			"name": p.name, "version": p.version, "install_location": v["packagerootfolder"], "package_family_name": p.family(),
		})
	})
}

// upgradeCodes maps product codes to upgrade codes.
func upgradeCodes() (map[string]string, error) {
	codes := map[string]string{}
	for _, root := range []string{`HKEY_LOCAL_MACHINE\SOFTWARE\`, `HKEY_LOCAL_MACHINE\SOFTWARE\WOW6432Node\`} {
		err := parseRegPattern(root+`Classes\Installer\UpgradeCodes\%`).expand(regSubkeys, func(key string) error {
			upgrade := msiGUID(key[strings.LastIndex(key, `\`)+1:])
			products, err := regValues(key)
			for packed := range products {
				if product := msiGUID(strings.ToUpper(packed)); product != "" && upgrade != "" {
					codes[product] = upgrade
				}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return codes, nil
}
