package builtin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// registryTable answers from the registry where a key or a path is given, by
// = or LIKE; without either it lists the hives' first level. A key that is not
// there has no rows; one that may not be read makes the whole answer denied.
//
// It is better than osquery's in three points: a zero-length value does not
// end the list, a value's mtime is its own key's, and a hive's name that does
// not exist (HKLM for HKEY_LOCAL_MACHINE) is an error, not an empty answer.
// DWORD is printed signed, as osquery does: 0xFFFFFFFF is -1.
func registryTable() facts.Table {
	return facts.Table{
		Name:      "registry",
		Columns:   columns(`key text, path text, name text, type text, data text, mtime bigint`),
		Platforms: onWindows,
		Source:    "registry",
		Preferred: true,
		Rows:      registryRows,
	}
}

func registryRows(ctx context.Context, q facts.Query, emit emitFunc) error {
	subkeys := func(key string) ([]string, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return regSubkeys(key)
	}
	visit := func(key string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return emitRegKey(key, emit)
	}
	for _, p := range registryPatterns(q) {
		if _, err := hive(p.hive); err != nil {
			return err
		}
		if err := p.expand(subkeys, visit); err != nil {
			return err
		}
	}
	return nil
}

// registryPatterns says which keys a query is about.
func registryPatterns(q facts.Query) []regPattern {
	// Exact before LIKE, key before path: the narrowest that the query gives.
	for _, op := range []facts.Op{facts.Equal, facts.Like} {
		for _, column := range []string{"key", "path"} {
			for _, c := range q.Constraints {
				if c.Op != op || c.Column != column {
					continue
				}
				key := c.Value
				if column == "path" && (op == facts.Equal || !strings.HasSuffix(key, "%%")) {
					key = key[:max(strings.LastIndex(key, `\`), 0)]
				}
				p := parseRegPattern(key)
				if op == facts.Equal {
					p = regPattern{hive: p.hive}
					_, rest, below := strings.Cut(key, `\`)
					if below {
						p.elems = []string{rest}
					}
				}
				if strings.Contains(p.hive, "%") {
					return allHives(p)
				}
				return []regPattern{p}
			}
		}
	}
	return allHives(regPattern{})
}

func allHives(p regPattern) []regPattern {
	var all []regPattern
	for _, h := range []string{"HKEY_CLASSES_ROOT", "HKEY_CURRENT_CONFIG", "HKEY_LOCAL_MACHINE", "HKEY_USERS"} {
		all = append(all, regPattern{hive: h, elems: p.elems, deep: p.deep})
	}
	return all
}

// emitRegKey emits the subkeys and then the values of one key.
func emitRegKey(key string, emit emitFunc) error {
	k, err := openReg(key)
	if k == 0 || err != nil {
		return err
	}
	defer k.Close()
	err = eachSubkey(k, func(name string, mtime int64) error {
		return emit(muster.Row{"key": key, "path": key + `\` + name, "name": name, "type": "subkey", "mtime": num(mtime)})
	})
	if err != nil {
		return err
	}
	info, err := k.Stat()
	if err != nil {
		return failed("read the registry key "+key, err)
	}
	mtime := num(info.ModTime().Unix())
	return eachValue(k, key, func(name string, typ uint32, data []byte) error {
		row := muster.Row{"key": key, "path": key + `\` + name, "name": name, "type": regType(typ), "data": regData(typ, data), "mtime": mtime}
		if name == "" {
			row["name"] = "(Default)"
		}
		return emit(row)
	})
}

// hive finds the root key of a name such as HKEY_LOCAL_MACHINE.
func hive(name string) (registry.Key, error) {
	switch name {
	case "HKEY_LOCAL_MACHINE":
		return registry.LOCAL_MACHINE, nil
	case "HKEY_USERS":
		return registry.USERS, nil
	case "HKEY_CLASSES_ROOT":
		return registry.CLASSES_ROOT, nil
	case "HKEY_CURRENT_CONFIG":
		return registry.CURRENT_CONFIG, nil
	}
	return 0, fmt.Errorf("registry hive %q cannot be asked for: write HKEY_LOCAL_MACHINE, HKEY_USERS, HKEY_CLASSES_ROOT or HKEY_CURRENT_CONFIG", name)
}

// openReg opens a key given with its hive's name, in the 64-bit view. A key
// that is not there is 0 without an error.
func openReg(key string) (registry.Key, error) {
	name, rest, _ := strings.Cut(key, `\`)
	root, err := hive(name)
	if err != nil {
		return 0, err
	}
	k, err := registry.OpenKey(root, rest, registry.READ|registry.WOW64_64KEY)
	switch {
	case errors.Is(err, registry.ErrNotExist), errors.Is(err, windows.ERROR_PATH_NOT_FOUND), errors.Is(err, windows.ERROR_KEY_DELETED):
		return 0, nil
	case err != nil:
		return 0, failed("open the registry key "+key, err)
	}
	return k, nil
}

// regSubkeys lists the names of the keys below a key; none where it is not there.
func regSubkeys(key string) ([]string, error) {
	k, err := openReg(key)
	if k == 0 || err != nil {
		return nil, err
	}
	defer k.Close()
	var names []string
	err = eachSubkey(k, func(name string, _ int64) error {
		names = append(names, name)
		return nil
	})
	return names, err
}

// regValues reads the values of a key by lower-case name, as regData writes
// them; nil where the key is not there.
func regValues(key string) (map[string]string, error) {
	k, err := openReg(key)
	if k == 0 || err != nil {
		return nil, err
	}
	defer k.Close()
	values := map[string]string{}
	err = eachValue(k, key, func(name string, typ uint32, data []byte) error {
		values[strings.ToLower(name)] = regData(typ, data)
		return nil
	})
	return values, err
}

// eachSubkey calls f with name and Unix time of the last write of each subkey.
func eachSubkey(k registry.Key, f func(name string, mtime int64) error) error {
	var name [256]uint16 // a key's name has at most 255 characters
	for i := uint32(0); ; i++ {
		size, written := uint32(len(name)), windows.Filetime{}
		err := windows.RegEnumKeyEx(windows.Handle(k), i, &name[0], &size, nil, nil, nil, &written)
		if errors.Is(err, windows.ERROR_NO_MORE_ITEMS) {
			return nil
		}
		if err != nil {
			return failed("list registry keys", err)
		}
		if err := f(windows.UTF16ToString(name[:size]), unixTime(written)); err != nil {
			return err
		}
	}
}

func eachValue(k registry.Key, key string, f func(name string, typ uint32, data []byte) error) error {
	names, err := k.ReadValueNames(0)
	if err != nil {
		return failed("list the values of the registry key "+key, err)
	}
	for _, name := range names {
		typ, data, err := regValue(k, name)
		if errors.Is(err, registry.ErrNotExist) {
			continue // deleted since it was listed
		}
		if err != nil {
			return failed("read the registry value "+key+`\`+name, err)
		}
		if err := f(name, typ, data); err != nil {
			return err
		}
	}
	return nil
}

// regValue reads one value, which may change its size meanwhile.
func regValue(k registry.Key, name string) (typ uint32, data []byte, err error) {
	data, err = grow(128, func(buf []byte, size *uint32) error {
		n, t, err := k.GetValue(name, buf)
		*size, typ = uint32(n), t
		if errors.Is(err, registry.ErrShortBuffer) {
			return windows.ERROR_MORE_DATA
		}
		return err
	})
	return typ, data, err
}
