package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/blakesmith/ar"
	"github.com/goreleaser/nfpm/v2"
	"github.com/klauspost/compress/zstd"
)

// debWindow is how far back the compression of a deb looks for repetitions, in bytes:
// across both programs of the agent, half of whose code is the same. dpkg reads up to
// 128 MiB.
const debWindow = 32 << 20

// pack writes one package; without sign it is unsigned.
func pack(packager nfpm.Packager, info *nfpm.Info, sign *gpgSigner, path string) error {
	if sign != nil {
		info.RPM.Signature.SignFn = sign.binary
	}
	var b bytes.Buffer
	if err := packager.Package(info, &b); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	if filepath.Ext(path) == ".deb" {
		small, err := shrink(&b, sign)
		if err != nil {
			return err
		}
		b = *small
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// shrink compresses the files of a deb, with zstd, which Debian knows since 12 and
// Ubuntu since 18.04, and signs it as debsig-verify wants it. nfpm's own compressors
// take three times as long for 2 MB more.
func shrink(deb io.Reader, sign *gpgSigner) (*bytes.Buffer, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(debWindow), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	var out, signed bytes.Buffer
	w := ar.NewWriter(&out)
	if err := w.WriteGlobalHeader(); err != nil {
		return nil, err
	}
	write := func(h ar.Header, content []byte) error {
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	var last ar.Header
	for members := ar.NewReader(deb); ; {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(members)
		if err != nil {
			return nil, err
		}
		last = *h
		if last.Name == "data.tar" {
			last.Name, content = "data.tar.zst", z.EncodeAll(content, nil)
		}
		if err := write(last, content); err != nil {
			return nil, err
		}
		signed.Write(content)
	}
	if sign != nil {
		signature, err := sign.armored(&signed)
		if err != nil {
			return nil, err
		}
		last.Name = "_gpgorigin"
		if err := write(last, signature); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

// gpgSigner signs packages. The same key makes the same signature of the same bytes, if
// it is an RSA or an EdDSA key.
type gpgSigner struct {
	key    *openpgp.Entity
	config *packet.Config
}

// openSigner reads a private OpenPGP key, armored or not. Signatures bear the time at,
// or where the key or its part that signs is younger, the first time that it can sign.
func openSigner(path, passphrase string, at time.Time) (*gpgSigner, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	read := openpgp.ReadKeyRing
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("-----BEGIN")) {
		read = openpgp.ReadArmoredKeyRing
	}
	ring, err := read(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if len(ring) != 1 || ring[0].PrivateKey == nil {
		return nil, fmt.Errorf("%s does not hold one private key: gpg --export-secret-keys --armor ID writes such a file", path)
	}
	key := ring[0]
	if key.PrivateKey.Encrypted {
		if err := key.DecryptPrivateKeys([]byte(passphrase)); err != nil {
			return nil, fmt.Errorf("%s: %w: is the passphrase in %s its own?", path, err, gpgPassphrase)
		}
	}
	times := []time.Time{at, key.PrimaryKey.CreationTime}
	if own, _ := key.PrimarySelfSignature(); own != nil {
		times = append(times, own.CreationTime)
	}
	for _, sub := range key.Subkeys {
		times = append(times, sub.Sig.CreationTime)
	}
	slices.SortFunc(times, time.Time.Compare)
	i := slices.IndexFunc(times, func(t time.Time) bool {
		_, signs := key.SigningKey(t)
		return signs && !t.Before(at)
	})
	if i < 0 {
		return nil, fmt.Errorf("%s has no key that signs, or none that is still good: gpg --show-keys tells which it has", path)
	}
	at = times[i]
	return &gpgSigner{key, &packet.Config{
		Time:                                  func() time.Time { return at },
		NonDeterministicSignaturesViaNotation: packet.BoolPointer(false),
	}}, nil
}

func (s *gpgSigner) binary(message io.Reader) ([]byte, error) {
	var b bytes.Buffer
	err := openpgp.DetachSign(&b, s.key, message, s.config)
	return b.Bytes(), err
}

func (s *gpgSigner) armored(message io.Reader) ([]byte, error) {
	var b bytes.Buffer
	err := openpgp.ArmoredDetachSign(&b, s.key, message, s.config)
	return b.Bytes(), err
}
