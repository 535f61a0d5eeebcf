package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

const (
	// gpgKey names the file with the private OpenPGP key that signs deb and rpm, and
	// gpgPassphrase what it is locked with; the name is nfpm's.
	gpgKey        = "MUSTER_GPG_KEY"
	gpgPassphrase = "NFPM_PASSPHRASE"

	maintainer = "Muster maintainers <passmuster@users.noreply.github.com>"
	homepage   = "https://github.com/passmuster/muster"
)

// products are the packages for Linux, and the programs in each with the section of
// the manual that they are in.
var products = []struct {
	name     string
	programs []manual
}{
	{"muster", []manual{
		{"muster", 1, "inspect this computer against the election security baseline"},
		{"muster-uplink", 8, "carry this computer's reports to the state"},
	}},
	{"muster-collector", []manual{
		{"muster-collector", 8, "receive the counties' reports and show where they stand"},
	}},
}

// linux makes deb and rpm of the agent and of the collector.
func (r *release) linux(ctx context.Context) ([]string, error) {
	var sign *gpgSigner
	if key := os.Getenv(gpgKey); key == "" {
		fmt.Fprintf(os.Stderr, "build: unsigned: deb and rpm: set %s to the file of a private OpenPGP key to sign them\n", gpgKey)
	} else {
		var err error
		if sign, err = openSigner(key, os.Getenv(gpgPassphrase), r.time); err != nil {
			return nil, fmt.Errorf("open the key that signs packages: %w", err)
		}
	}
	var paths []string
	for _, p := range products {
		made, err := r.generate(ctx, p.name, p.programs)
		if err != nil {
			return nil, fmt.Errorf("files of %s: %w", p.name, err)
		}
		var packing []func() error // deb and rpm at once, as soon as nothing else can fail
		for _, format := range []string{"deb", "rpm"} {
			info, err := r.describe(p.name, format, made)
			if err != nil {
				return nil, fmt.Errorf("describe %s: %w", p.name, err)
			}
			packager, err := nfpm.Get(format)
			if err != nil {
				return nil, err
			}
			path := filepath.Join(r.out, packager.ConventionalFileName(info))
			paths = append(paths, path)
			packing = append(packing, func() error { return pack(packager, info, sign, path) })
		}
		var both sync.WaitGroup
		results := make([]error, len(packing))
		for i, pack := range packing {
			both.Go(func() { results[i] = pack() })
		}
		both.Wait()
		if err := errors.Join(results...); err != nil {
			return nil, fmt.Errorf("pack %s: %w", p.name, err)
		}
	}
	return paths, nil
}

// describe reads what packaging/linux says of a package and adds what was generated.
// Nothing of it comes from this computer: not a time, an owner, a mode or a name.
func (r *release) describe(name, format string, made files.Contents) (*nfpm.Info, error) {
	f, err := os.Open(filepath.Join(r.root, "packaging", "linux", name, "package.yaml"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	config, err := nfpm.ParseWithEnvMapping(f, func(string) string { return "" })
	if err != nil {
		return nil, err
	}
	config.Version, config.Prerelease = r.version, "" // taken apart by nfpm.WithDefaults
	config.Arch, config.MTime, config.Umask = "amd64", r.time, 0o022
	config.Maintainer, config.Vendor, config.Homepage, config.License = maintainer, "Muster", homepage, "Apache-2.0"
	config.RPM.BuildHost, config.RPM.Compression = "localhost", "zstd:22"
	config.Deb.Compression = "none" // shrink compresses better
	for _, script := range []*string{&config.Scripts.PostInstall, &config.Scripts.PreRemove, &config.Scripts.PostRemove} {
		*script = filepath.Join(r.root, *script)
	}
	for _, c := range config.Contents {
		mode := os.FileMode(0o644)
		if c.Type == files.TypeDir {
			mode = 0o755
		} else {
			c.Source = filepath.Join(r.root, c.Source)
		}
		c.FileInfo = r.fileInfo(mode)
	}
	for _, c := range made {
		own := *c // packing changes it
		config.Contents = append(config.Contents, &own)
	}
	info, err := config.Get(format)
	if err != nil {
		return nil, err
	}
	return nfpm.WithDefaults(info), nil
}

func (r *release) fileInfo(mode os.FileMode) *files.ContentFileInfo {
	return &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: r.time}
}
