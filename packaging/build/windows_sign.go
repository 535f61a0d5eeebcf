package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// signer signs for Windows (Authenticode). Nil signs nothing.
type signer struct {
	r         *release
	cert, key string
}

// newSigner takes the files of the key and its certificates from MUSTER_SIGN_KEY and
// MUSTER_SIGN_CERT, and the key's passphrase from MUSTER_SIGN_PASS; nil without them.
func newSigner(r *release) (*signer, error) {
	s := &signer{r, os.Getenv("MUSTER_SIGN_CERT"), os.Getenv("MUSTER_SIGN_KEY")}
	if s.cert == "" && s.key == "" {
		return nil, nil
	}
	if s.cert == "" || s.key == "" {
		return nil, errors.New("only one of MUSTER_SIGN_CERT and MUSTER_SIGN_KEY is set: set both to sign, or neither")
	}
	for _, path := range []*string{&s.cert, &s.key} {
		var err error
		if *path, err = filepath.Abs(*path); err == nil {
			_, err = os.Stat(*path)
		}
		if err != nil {
			return nil, fmt.Errorf("the key to sign with: %w", err)
		}
	}
	return s, nil
}

// sign writes the file that came from one place, signed, to another. The time in the
// signature is the commit's, and no server is asked for another: so the same key gives
// the same bytes.
func (s *signer) sign(ctx context.Context, from, to string, more ...string) error {
	if s == nil {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	}
	if err := os.RemoveAll(to); err != nil { // osslsigncode writes over nothing
		return err
	}
	args := append([]string{"sign", "-certs", s.cert, "-key", s.key, "-h", "sha256", "-n", "Muster",
		"-i", "https://github.com/passmuster/muster", "-time", strconv.FormatInt(s.r.time.Unix(), 10)}, more...)
	if pass := os.Getenv("MUSTER_SIGN_PASS"); pass != "" { // on a command line everybody could read it
		dir, err := os.MkdirTemp("", "muster-sign-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, "pass")
		if err := os.WriteFile(file, []byte(pass), 0o600); err != nil {
			return err
		}
		args = append(args, "-readpass", file)
	}
	if _, err := s.r.run(ctx, nil, "osslsigncode", append(args, "-in", from, "-out", to)...); err != nil {
		return fmt.Errorf("sign %s: %w", filepath.Base(to), err)
	}
	return nil
}
