package builtin

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// startupItemsTable is what starts when someone signs in: the Run keys and the
// Startup folders of all users and of each user whose hive is loaded.
func startupItemsTable() facts.Table {
	return facts.Table{
		Name: "startup_items", Platforms: onWindows, Source: "registry and Startup folders",
		Columns: columns(`name text, path text, args text, type text, source text, status text, username text`),
		Rows:    list(startupRows),
	}
}

func startupRows(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
	approved, err := startupApproved(ctx)
	if err != nil {
		return nil, err
	}
	var rows []muster.Row
	add := func(name, command, source, username string) {
		program, args := startupCommand(expandEnv(command), fileExists)
		status := "enabled"
		if !startupEnabled(approved[username+`\`+strings.ToLower(name)]) {
			status = "disabled"
		}
		rows = append(rows, muster.Row{
			"name": name, "path": program, "args": args, "type": "Startup Item", "source": source, "status": status, "username": username,
		})
	}
	for _, pattern := range []string{
		`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run%`,
		`HKEY_LOCAL_MACHINE\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Run%`,
		`HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\Explorer\Run%`,
		`HKEY_USERS\%\SOFTWARE\Microsoft\Windows\CurrentVersion\Run%`,
		`HKEY_USERS\%\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Run%`,
		`HKEY_USERS\%\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\Explorer\Run%`,
	} {
		err := parseRegPattern(pattern).expand(regSubkeys, func(key string) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			k, err := openReg(key)
			if k == 0 || err != nil {
				return err
			}
			defer k.Close()
			return eachValue(k, key, func(name string, typ uint32, data []byte) error {
				if name != "" {
					add(name, regData(typ, data), key, hiveUser(key))
				}
				return nil
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, eachStartupFile(func(dir, name, username string) { add(name, dir+`\`+name, dir, username) })
}

// startupApproved maps user\item, lower-case, to what Windows keeps of an item
// that was switched on or off.
func startupApproved(ctx context.Context) (map[string]string, error) {
	const approved = `SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\%`
	items := map[string]string{}
	for _, pattern := range []string{`HKEY_LOCAL_MACHINE\` + approved, `HKEY_USERS\%\` + approved} {
		err := parseRegPattern(pattern).expand(regSubkeys, func(key string) error {
			values, err := regValues(key)
			for name, data := range values {
				items[hiveUser(key)+`\`+name] = data
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return items, ctx.Err()
}

// hiveUser is whose a registry key is: SYSTEM for the computer's own, else the
// user's name, or the SID where it has none.
func hiveUser(key string) string {
	parts := strings.Split(key, `\`)
	if parts[0] != "HKEY_USERS" || len(parts) < 2 {
		return "SYSTEM"
	}
	if sid, err := windows.StringToSid(parts[1]); err == nil {
		if name, _, _, err := sid.LookupAccount(""); err == nil {
			return name
		}
	}
	return parts[1]
}

// eachStartupFile calls f for every file in a Startup folder.
func eachStartupFile(f func(dir, name, username string)) error {
	const below = `\Microsoft\Windows\Start Menu\Programs\Startup`
	folders := map[string]string{}
	if common, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, 0); err == nil {
		folders[common+below] = "SYSTEM"
	}
	profiles, err := regSubkeys(profileList)
	if err != nil {
		return err
	}
	for _, sid := range profiles {
		profile, err := regValues(profileList + `\` + sid)
		if err != nil {
			return err
		}
		home := expandEnv(profile["profileimagepath"])
		folders[home+`\AppData\Roaming`+below] = home[strings.LastIndex(home, `\`)+1:]
	}
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		names, err := host{}.children(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !strings.EqualFold(name, "desktop.ini") {
				f(dir, name, folders[dir])
			}
		}
	}
	return nil
}

func fileExists(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir()
}
