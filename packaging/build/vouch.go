package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	sumsName = "SHA256SUMS"
	// releaseKey names the file with the private SSH key that signs SHA256SUMS.
	releaseKey = "MUSTER_RELEASE_KEY"
)

// vouch writes what lets others check the artefacts: a list of what is in each, and
// SHA256SUMS over them and the lists.
func (r *release) vouch(ctx context.Context, made []string) error {
	all := slices.Clone(made)
	known := map[string][]terms{} // several artefacts have the same programs
	for _, artefact := range made {
		goos, programs := inside(filepath.Base(artefact))
		set := fmt.Sprint(goos, programs)
		if known[set] == nil {
			t, err := r.terms(ctx, goos, programs...)
			if err != nil {
				return err
			}
			known[set] = t
		}
		list, err := r.sbom(artefact, known[set])
		if err != nil {
			return err
		}
		all = append(all, list)
	}
	return r.sums(ctx, all)
}

// sums writes SHA256SUMS, and its signature where there is a key.
func (r *release) sums(ctx context.Context, files []string) error {
	slices.Sort(files)
	var text strings.Builder
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(content), filepath.Base(name))
	}
	path := filepath.Join(r.out, sumsName)
	if err := os.Remove(path + ".sig"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return err
	}
	key := os.Getenv(releaseKey)
	if key == "" {
		fmt.Fprintf(os.Stderr, "build: %s is unsigned: set %s to the file of an SSH key to sign it\n", sumsName, releaseKey)
		return nil
	}
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-Y", "sign", "-q", "-n", "file", "-f", key, path)
	cmd.Stdin, cmd.Stderr = os.Stdin, os.Stderr // it may ask for a passphrase
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("sign %s with the key in %s: %w", sumsName, key, err)
	}
	return nil
}
