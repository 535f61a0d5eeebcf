package builtin

import "strings"

// storePackage is the full name of a package of the Store, such as
// MSTeams_25060.205.3499.6849_arm64__8wekyb3d8bbwe, in parts.
type storePackage struct{ name, version, arch, resource, publisher string }

// parsePackage reads a package's full name: five parts with _ between.
func parsePackage(full string) (storePackage, bool) {
	p := strings.Split(full, "_")
	if len(p) != 5 || p[0] == "" || p[1] == "" || p[4] == "" {
		return storePackage{}, false
	}
	return storePackage{p[0], p[1], p[2], p[3], p[4]}, true
}

// family names the package whatever its version.
func (p storePackage) family() string { return p.name + "_" + p.publisher }
