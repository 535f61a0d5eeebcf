package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// keys sign what is published, by the variables that name their files.
var keys = []struct{ variable, signs string }{
	{"MUSTER_SIGN_CERT", "certificate for the programs and the package for Windows"},
	{"MUSTER_SIGN_KEY", "the key of that certificate"},
	{"MUSTER_GPG_KEY", "deb and rpm"},
	{releaseKey, sumsName},
}

// ready says why no release can be made of this checkout, all at once.
func (r *release) ready(ctx context.Context) error {
	var errs []error
	changes, err := r.run(ctx, nil, "git", "status", "--porcelain", "--untracked-files=all")
	if err != nil {
		return err
	}
	if changes != "" {
		errs = append(errs, fmt.Errorf("the checkout has changes that are in no commit: commit or remove them\n%s", changes))
	}
	if _, err := r.run(ctx, nil, "git", "describe", "--tags", "--exact-match", "--match", "v[0-9]*"); err != nil {
		errs = append(errs, errors.New("the commit has no tag: git tag -s v1.2.3 gives it one, once CHANGELOG.md tells of that version"))
	}
	log, err := os.ReadFile(filepath.Join(r.root, "CHANGELOG.md"))
	if err != nil {
		errs = append(errs, err)
	} else if first := logSection.FindSubmatch(log); first == nil || string(first[1]) != r.version {
		errs = append(errs, fmt.Errorf("CHANGELOG.md does not begin with a section of %s", r.version))
	}
	missing := false
	if os.Getenv("UNSIGNED") != "1" {
		for _, k := range keys {
			if path := os.Getenv(k.variable); path == "" {
				errs = append(errs, fmt.Errorf("%s names no file: %s", k.variable, k.signs))
				missing = true
			} else if _, err := os.Stat(path); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", k.variable, err))
			}
		}
	}
	if missing {
		errs = append(errs, errors.New("UNSIGNED=1 makes a release without signatures, for trials"))
	}
	before, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	if len(before) > 0 {
		errs = append(errs, fmt.Errorf("%s has the files of an earlier time: make clean", r.out))
	}
	if len(errs) > 0 {
		return fmt.Errorf("this is no release:\n%w", errors.Join(errs...))
	}
	return nil
}

// remaining is what no program does.
func (r *release) remaining() string {
	var unsigned string
	if os.Getenv("UNSIGNED") == "1" {
		unsigned = "UNSIGNED: do not publish it. "
	}
	return strings.NewReplacer("{version}", r.version, "{out}", r.out, "{unsigned}", unsigned).Replace(`
Muster {version} is in {out}. {unsigned}What remains for a person, as docs/release.md says:
  1. go run golang.org/x/vuln/cmd/govulncheck@latest ./... tells of no known weakness
  2. on a Windows 10 and on a Windows 11: install the MSI over the version before, run
     "Check this computer", remove it; wine knows only a part of what Windows does
  3. a second person makes the same tag elsewhere and compares SHA256SUMS without the signed files
  4. push the tag, publish what is in the folder, all of it, with the part of CHANGELOG.md
`)
}
