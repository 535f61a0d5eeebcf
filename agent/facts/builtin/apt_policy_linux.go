package builtin

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/passmuster/muster/agent/facts"
)

// aptPolicy is apt_preferences(5): which of several versions apt takes.
type aptPolicy struct {
	target string // APT::Default-Release
	pins   []aptPin
}

// aptPin gives a priority to versions of packages. Patterns have * and ?.
type aptPin struct {
	packages []string
	general  bool   // it speaks of all packages, so that others go first
	kind     string // release, origin or version
	patterns []string
	priority int
}

// aptPolicy reads the preferences. A pin of a kind that it does not know is
// facts.ErrUnavailable, for then the wrong version could look right.
func (h host) aptPolicy() (aptPolicy, error) {
	var policy aptPolicy
	settings, err := h.settings(aptFiles, parseApt)
	if err != nil {
		return policy, err
	}
	for _, s := range settings {
		if strings.EqualFold(s.key, "APT::Default-Release") {
			policy.target = s.value
		}
	}
	const folder = "/etc/apt/preferences.d/"
	names, err := h.dir(folder)
	if err != nil {
		return policy, err
	}
	files := []string{"/etc/apt/preferences"}
	for _, name := range names {
		if ext := filepath.Ext(name); ext == "" || ext == ".pref" {
			files = append(files, folder+name)
		}
	}
	for _, file := range files {
		text, err := h.textIfAny(file)
		if err != nil {
			return policy, err
		}
		pins, err := parsePins(text)
		if err != nil {
			return policy, fmt.Errorf("read %s: %w", file, err)
		}
		policy.pins = append(policy.pins, pins...)
	}
	return policy, nil
}

func parsePins(text string) ([]aptPin, error) {
	var pins []aptPin
	for p := range deb822(text) {
		kind, rest, _ := strings.Cut(p["pin"], " ")
		priority, err := strconv.Atoi(p["pin-priority"])
		pin := aptPin{packages: strings.Fields(p["package"]), kind: strings.ToLower(kind), priority: priority}
		if p["package"] == "" && p["pin"] == "" {
			continue
		}
		for part := range strings.SplitSeq(rest, ",") {
			pin.patterns = append(pin.patterns, strings.Trim(strings.TrimSpace(part), `"`))
		}
		known := slices.Contains([]string{"release", "origin", "version"}, pin.kind) && err == nil && len(pin.packages) > 0
		for _, s := range slices.Concat(pin.packages, pin.patterns) {
			_, bad := path.Match(s, "")
			expression := strings.HasPrefix(s, "/") || strings.Contains(s, "=/") // a regular one
			known = known && bad == nil && !expression && !strings.HasPrefix(s, "src:")
		}
		if !known {
			return nil, fmt.Errorf("cannot tell what the pin of %q does: %w", p["package"], facts.ErrUnavailable)
		}
		pin.general = slices.Contains(pin.packages, "*")
		pins = append(pins, pin)
	}
	return pins, nil
}

// priority is apt's for this version of the package.
func (p aptPolicy) priority(name string, o aptOffer) int {
	if n, pinned := p.pinned(name, o); pinned {
		return n
	}
	release := o.archive.release
	switch {
	case p.target != "" && slices.Contains([]string{release["Suite"], release["Codename"], release["Version"]}, p.target):
		return 990
	case release["NotAutomatic"] != "yes":
		return 500
	case release["ButAutomaticUpgrades"] == "yes":
		return 100
	}
	return 1
}

// pinned is what the first pin says that speaks of the version, those of single
// packages before those of all.
func (p aptPolicy) pinned(name string, o aptOffer) (priority int, ok bool) {
	for _, general := range []bool{false, true} {
		for _, pin := range p.pins {
			if pin.general == general && pin.matches(name, o) {
				return pin.priority, true
			}
		}
	}
	return 0, false
}

// matches reports whether the pin speaks of the version; one that is installed
// only has no archive.
func (p aptPin) matches(name string, o aptOffer) bool {
	if !slices.ContainsFunc(p.packages, func(pattern string) bool { return matchGlob(pattern, name) }) {
		return false
	}
	switch {
	case p.kind == "version":
		return matchGlob(p.patterns[0], o.version)
	case o.archive == nil:
		return false
	case p.kind == "origin":
		return matchGlob(p.patterns[0], o.archive.host)
	}
	for _, pattern := range p.patterns {
		if !o.archive.is(pattern) {
			return false
		}
	}
	return true
}

// is compares the archive with one part of "release o=Debian,n=bookworm".
func (a aptArchive) is(pattern string) bool {
	key, value, named := strings.Cut(pattern, "=")
	if !named {
		return matchGlob(key, a.release["Suite"]) || matchGlob(key, a.release["Codename"]) || matchGlob(key, a.release["Version"])
	}
	switch key {
	case "a":
		return matchGlob(value, a.release["Suite"])
	case "n":
		return matchGlob(value, a.release["Codename"])
	case "v":
		return matchGlob(value, a.release["Version"])
	case "o":
		return matchGlob(value, a.release["Origin"])
	case "l":
		return matchGlob(value, a.release["Label"])
	case "c":
		return matchGlob(value, a.component)
	case "b":
		return strings.Contains(a.file, "_binary-"+value+"_Packages")
	}
	return false
}

func matchGlob(pattern, s string) bool {
	ok, err := path.Match(pattern, s)
	return ok && err == nil
}
