package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// stick is what the state puts onto media beside the programs: paths of files, from
// the root of the sources.
type stick struct{ key, site, bundle string }

// media makes a folder that is copied onto a stick as it is: muster for Windows and
// Linux with their licences, the site file, the policy, instructions, and a signed list
// of them all.
func (r *release) media(ctx context.Context) ([]string, error) {
	if r.stick.key == "" || r.stick.site == "" {
		return nil, errors.New("it needs a key and a site file: make media KEY=policy-key.pem SITE=site.json BUNDLE=baseline.tar.gz; " +
			"the key is that of the policy (muster policy keygen), the site file is the county's (muster-collector site), and without a bundle the computers are judged by the policy in muster")
	}
	program, err := r.program(ctx, "muster", "linux")
	if err != nil {
		return nil, err
	}
	s, err := newSigner(r)
	if err != nil {
		return nil, err
	}
	if s == nil {
		fmt.Fprintln(os.Stderr, "build: muster.exe on the media is unsigned: set MUSTER_SIGN_CERT and MUSTER_SIGN_KEY to sign it")
	}
	staged := filepath.Join(r.out, ".media")
	if err := os.MkdirAll(staged, 0o755); err != nil {
		return nil, err
	}
	exe, err := r.windowsProgram(ctx, staged, "muster", s)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(r.out, "media")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	args := []string{"media", "make", dir, "--key", r.stick.key, "--site", r.stick.site, "--program", program, "--program", exe}
	if r.stick.bundle != "" {
		args = append(args, "--bundle", r.stick.bundle)
	}
	licence, err := os.ReadFile(filepath.Join(r.root, "LICENSE"))
	if err != nil {
		return nil, err
	}
	texts := map[string][]byte{"LICENSE.txt": licence}
	for _, goos := range []string{"linux", "windows"} {
		if texts["THIRD-PARTY-NOTICES-"+goos+".txt"], err = r.notices(ctx, goos, "muster"); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		path := filepath.Join(staged, name)
		if err := os.WriteFile(path, windowsText(texts[name]), 0o644); err != nil {
			return nil, err
		}
		args = append(args, "--licence", path)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = r.root, os.Stdin, os.Stdout, os.Stderr // it asks for the passphrase
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("muster media make: %w", err)
	}
	fmt.Printf("Copy what is in %s to a new stick, print MUSTER/INSTRUCTIONS.html, and check the stick: muster verify-media\n", dir)
	return nil, nil
}
