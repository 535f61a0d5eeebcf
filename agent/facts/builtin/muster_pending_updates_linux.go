package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterPendingUpdates are the packages that apt would bring to a newer
// version, by the archives' lists as they are on this computer: how old these
// are the table cannot tell. candidate is the version that apt's preferences
// choose, origin where it comes from, such as "Debian:stable-security";
// security is 1 where any newer version lies in an archive for security, held
// 1 where the package is held back and will stay as it is. Without apt, and
// with lists that are missing or that cannot be read, the table is unavailable. Anybody
// may read it; packages of other kinds (snap, flatpak) are not seen.
func (h host) musterPendingUpdates() facts.Table {
	return facts.Table{
		Name: "muster_pending_updates", Platforms: onLinux, Whole: true, Source: "dpkg status, apt lists",
		Columns: columns("name text, installed text, candidate text, origin text, security integer, held integer"),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			status, err := h.text(dpkgFolder + "/status")
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("no dpkg here: %w", facts.ErrUnavailable)
			}
			if err != nil {
				return nil, err
			}
			policy, err := h.aptPolicy()
			if err != nil {
				return nil, err
			}
			archives, err := h.aptArchives()
			if err != nil {
				return nil, err
			}
			packages := installedPackages(status)
			for i := range archives {
				a := &archives[i]
				err := h.packageList(ctx, a.file, func(name, arch, version string) {
					if p := packages.find(name, arch); p != nil {
						p.offers = append(p.offers, aptOffer{version, a})
					}
				})
				if err != nil {
					return nil, err
				}
			}
			var rows []muster.Row
			for _, p := range packages.all {
				if r := p.pending(policy); r != nil {
					rows = append(rows, r)
				}
			}
			return rows, nil
		}),
	}
}

// aptArchive is one list of packages and what its archive says of itself.
type aptArchive struct {
	file, host, component string
	release               aptRelease
}

// isSecurity reports whether the archive brings security updates: Debian's
// label is Debian-Security, Ubuntu's suites end in -security.
func (a aptArchive) isSecurity() bool {
	return strings.HasSuffix(a.release["Suite"], "-security") || strings.HasSuffix(a.release["Codename"], "-security") ||
		strings.HasSuffix(a.release["Label"], "-Security")
}

// aptArchives are the lists of packages that are here. That none is, or that a
// source of the network has none, is facts.ErrUnavailable.
func (h host) aptArchives() ([]aptArchive, error) {
	names, err := h.dir(aptLists)
	if err != nil {
		return nil, err
	}
	releases, err := h.aptReleases()
	if err != nil {
		return nil, err
	}
	var archives []aptArchive
	for _, name := range names {
		plain, _, _ := strings.Cut(name, "_Packages")
		if plain == name {
			continue
		}
		a := aptArchive{file: aptLists + name}
		a.host, _, _ = strings.Cut(name, "_")
		prefix := ""
		for archive, release := range releases {
			if strings.HasPrefix(plain, archive) && len(archive) > len(prefix) {
				prefix, a.release = archive, release
			}
		}
		a.component, _, _ = strings.Cut(strings.Trim(strings.TrimPrefix(plain, prefix), "_"), "_")
		archives = append(archives, a)
	}
	if len(archives) == 0 {
		return nil, fmt.Errorf("no lists in %s, run apt update: %w", aptLists, facts.ErrUnavailable)
	}
	sources, err := h.aptSuites()
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		list := s.listName()
		fetched := slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, list+"_") })
		if strings.HasPrefix(s.uri, "http") && !fetched {
			return nil, fmt.Errorf("the lists of %s %s were never fetched, run apt update: %w", s.address(), s.suite,
				facts.ErrUnavailable)
		}
	}
	return archives, nil
}

// aptOffer is a version that an archive has.
type aptOffer struct {
	version string
	archive *aptArchive
}

type installedPackage struct {
	name, version string
	held          bool
	offers        []aptOffer
}

// pending is the package's row, nil where apt would leave it as it is.
func (p *installedPackage) pending(policy aptPolicy) muster.Row {
	// apt goes back to an older version only when told to, see apt_preferences(5).
	const ofInstalled = 100
	best, bestPriority, security := aptOffer{version: p.version}, ofInstalled, false
	if n, pinned := policy.pinned(p.name, best); pinned {
		bestPriority = n
	}
	for _, o := range p.offers {
		if compareVersions(o.version, p.version) == 0 {
			bestPriority = max(bestPriority, policy.priority(p.name, o))
		}
	}
	for _, o := range p.offers {
		if compareVersions(o.version, p.version) <= 0 {
			continue
		}
		security = security || o.archive.isSecurity()
		priority, order := policy.priority(p.name, o), compareVersions(o.version, best.version)
		better := priority > bestPriority || priority == bestPriority && order > 0
		same := priority == bestPriority && order == 0 && o.archive.isSecurity() && !best.archive.isSecurity()
		if priority > 0 && (better || same) {
			best, bestPriority = o, priority
		}
	}
	if best.archive == nil {
		return nil
	}
	return muster.Row{"name": p.name, "installed": p.version, "candidate": best.version, "security": flag(security),
		"origin": best.archive.release["Origin"] + ":" + best.archive.release["Suite"], "held": flag(p.held)}
}

// installedSet finds packages by name and processor.
type installedSet struct {
	native string
	all    []*installedPackage
	byName map[[2]string]*installedPackage
}

// find takes a package for all processors as one for this host's own, as apt does.
func (s *installedSet) find(name, arch string) *installedPackage {
	if arch == "all" {
		arch = s.native
	}
	return s.byName[[2]string{name, arch}]
}

func installedPackages(status string) *installedSet {
	s := &installedSet{byName: map[[2]string]*installedPackage{}}
	var rows []muster.Row
	_ = parseDpkg(status, func(column string) bool { return column == "arch" || column == "status" }, func(r muster.Row) error {
		rows = append(rows, r)
		if r["name"] == "dpkg" {
			s.native = r["arch"]
		}
		return nil
	})
	for _, r := range rows {
		words := strings.Fields(r["status"]) // what is wanted, errors, what is
		if len(words) != 3 || words[2] == "config-files" || words[2] == "not-installed" {
			continue
		}
		p := &installedPackage{name: r["name"], version: r["version"], held: words[0] == "hold"}
		arch := r["arch"]
		if arch == "all" {
			arch = s.native
		}
		s.all = append(s.all, p)
		s.byName[[2]string{p.name, arch}] = p
	}
	return s
}
