package bundle

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"

	opa "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/util"
)

var (
	// ErrUnsigned: the bundle carries no signature. Sign it with muster policy build --key.
	ErrUnsigned = errors.New("it is not signed")
	// ErrUntrusted: no key that this host trusts made the signature. The site
	// file may be of another state, or older than the last change of keys.
	ErrUntrusted = errors.New("it is signed by a key that is not trusted here")
)

const algorithm = "ES256"

// Sign adds a signature to a built bundle, or replaces the one it has. key is a
// P-256 key. OPA verifies it with the algorithm ES256 and the key id KeyID.
func Sign(data []byte, key *ecdsa.PrivateKey) ([]byte, error) {
	if key.Curve != elliptic.P256() {
		return nil, errors.New("sign policy bundle: the key is not a P-256 key: make one with muster policy keygen")
	}
	files, err := unpack(data)
	if err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	delete(files, signaturesFile)
	infos, err := hashes(files)
	if err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	token, err := opa.GenerateSignedToken(infos, opa.NewSigningConfig(string(block), algorithm, ""), KeyID(public))
	if err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	if files[signaturesFile], err = json.Marshal(opa.SignaturesConfig{Signatures: []string{token}}); err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	return pack(files)
}

// KeyID names a public key (DER SubjectPublicKeyInfo): the first 16 hex digits
// of its SHA-256.
func KeyID(public []byte) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

func hashes(files map[string][]byte) ([]opa.FileInfo, error) {
	hasher, err := opa.NewSignatureHasher(opa.SHA256)
	if err != nil {
		return nil, err
	}
	var infos []opa.FileInfo
	for _, name := range slices.Sorted(maps.Keys(files)) {
		// OPA hashes the meaning of data files and the bytes of all others.
		var value any = files[name]
		if opa.IsStructuredDoc(name) {
			value = nil
			if err := util.Unmarshal(files[name], &value); err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
		}
		sum, err := hasher.HashFile(value)
		if err != nil {
			return nil, fmt.Errorf("hash %s: %w", name, err)
		}
		infos = append(infos, opa.NewFile(name, hex.EncodeToString(sum), opa.SHA256.String()))
	}
	return infos, nil
}

// verify reports whether a trusted key signed exactly these files.
func verify(files map[string][]byte, opts OpenOptions) (signed bool, err error) {
	raw, ok := files[signaturesFile]
	if !ok {
		if opts.Unsigned {
			return false, nil
		}
		return false, fmt.Errorf("%w: ask whoever sent it for a signed one", ErrUnsigned)
	}
	var sc opa.SignaturesConfig
	if err := json.Unmarshal(raw, &sc); err != nil {
		return false, fmt.Errorf("read %s: %w", signaturesFile, err)
	}
	sc.Plugin = "" // the bundle does not choose who verifies it
	infos, err := signedFiles(sc, opts.Keys)
	if err != nil {
		if opts.Unsigned && len(opts.Keys) == 0 {
			return false, nil // nothing to hold the signature against
		}
		return false, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == signaturesFile {
			continue
		}
		if err := opa.VerifyBundleFile(name, *bytes.NewBuffer(files[name]), infos); err != nil {
			return false, fmt.Errorf("it was changed after it was signed: %w", err)
		}
	}
	for name := range infos { // VerifyBundleFile took out those it has seen
		return false, fmt.Errorf("it was changed after it was signed: %s is missing", name)
	}
	return true, nil
}

// signedFiles tries each key in turn, so that keys can rotate.
func signedFiles(sc opa.SignaturesConfig, keys [][]byte) (map[string]opa.FileInfo, error) {
	reason := errors.New("no key is trusted here")
	for _, der := range keys {
		id := KeyID(der)
		block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		config := map[string]*opa.KeyConfig{id: {Key: string(block), Algorithm: algorithm}}
		infos, err := opa.VerifyBundleSignature(sc, opa.NewVerificationConfig(config, id, "", nil))
		if err == nil {
			return infos, nil
		}
		reason = err
	}
	return nil, fmt.Errorf("%w: check that the site file is of this state and up to date (%v)", ErrUntrusted, reason)
}
