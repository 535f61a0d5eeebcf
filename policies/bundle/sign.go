package bundle

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/passmuster/muster/policies"
)

var (
	// ErrUnsigned: the bundle carries no signature. Sign it with muster policy sign.
	ErrUnsigned = errors.New("it is not signed")
	// ErrUntrusted: no key that this host trusts made the signature. The site
	// file may be of another state, or older than the last change of keys.
	ErrUntrusted = errors.New("it is signed by a key that is not trusted here")
)

// Sign adds a signature to a built bundle, or replaces the one it has. key is a
// P-256 key. OPA verifies it with the algorithm ES256 and the key id KeyID.
func Sign(data []byte, key *ecdsa.PrivateKey) ([]byte, error) {
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	return SignWith(data, public, func(input []byte) ([]byte, error) {
		sum := sha256.Sum256(input)
		return ecdsa.SignASN1(rand.Reader, key, sum[:])
	})
}

// SignWith signs like Sign with a key that is elsewhere. sign gets the bytes to
// sign and gives the ECDSA signature of their SHA-256, in DER or as 64 raw bytes;
// public is the other half of its key, DER SubjectPublicKeyInfo.
func SignWith(data, public []byte, sign func(input []byte) ([]byte, error)) ([]byte, error) {
	parsed, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("sign policy bundle: read the public key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("sign policy bundle: the key is not a P-256 key: make one with muster policy keygen")
	}
	files, err := policies.Unpack(data)
	if err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	delete(files, signaturesFile)
	input, err := signingInput(files, KeyID(public))
	if err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	answer, err := sign(input)
	if err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	signature, err := rawSignature(key, input, answer)
	if err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	token := string(input) + "." + base64.RawURLEncoding.EncodeToString(signature)
	if files[signaturesFile], err = json.Marshal(signatures{[]string{token}}); err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	return pack(files)
}

// signingInput is the JWS signing input (RFC 7515) over the hashes of the files.
func signingInput(files map[string][]byte, keyID string) ([]byte, error) {
	all, err := hashes(files)
	if err != nil {
		return nil, err
	}
	return encodeToken(keyID, claims{Files: all, KeyID: keyID, Digest: policies.Digest(files)})
}

// rawSignature gives the form that JWS wants, of a signature that is proved good.
func rawSignature(key *ecdsa.PublicKey, input, answer []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	if ecdsa.VerifyASN1(key, sum[:], answer) {
		var pair struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(answer, &pair); err != nil {
			return nil, err
		}
		raw := make([]byte, 2*rawHalf)
		pair.R.FillBytes(raw[:rawHalf])
		pair.S.FillBytes(raw[rawHalf:])
		return raw, nil
	}
	if verifyRaw(key, input, answer) {
		return answer, nil
	}
	return nil, errors.New("the signature does not fit the public key: want ECDSA P-256 over the SHA-256 of the input, in DER or as 64 raw bytes")
}

// KeyID names a public key (DER SubjectPublicKeyInfo): the first 16 hex digits
// of its SHA-256.
func KeyID(public []byte) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

// verify gives the id of the trusted key that signed exactly these files; "" where
// none has to.
func verify(files map[string][]byte, opts OpenOptions) (keyID string, err error) {
	raw, ok := files[signaturesFile]
	if !ok {
		if opts.Unsigned {
			return "", nil
		}
		return "", fmt.Errorf("%w: ask whoever sent it for a signed one", ErrUnsigned)
	}
	var file signatures
	if err := json.Unmarshal(raw, &file); err != nil {
		return "", fmt.Errorf("read %s: %w", signaturesFile, err)
	}
	if len(file.Signatures) != 1 {
		return "", fmt.Errorf("%w: %s has %d signatures, want one", ErrUntrusted, signaturesFile, len(file.Signatures))
	}
	signed, id, err := signedBy(file.Signatures[0], opts.Keys)
	if err != nil {
		if opts.Unsigned && len(opts.Keys) == 0 {
			return "", nil // nothing to hold the signature against
		}
		return "", err
	}
	return id, signed.check(files)
}

// check holds the files against what was signed. The bytes go first: parsing a data
// file for its hash is dear.
func (c *claims) check(files map[string][]byte) error {
	want := make(map[string]fileHash, len(c.Files))
	for _, f := range c.Files {
		if _, ok := files[f.Name]; !ok {
			return fmt.Errorf("it was changed after it was signed: %s is missing", f.Name)
		}
		want[f.Name] = f
	}
	if c.Digest != "" && c.Digest != policies.Digest(files) {
		return errors.New("it was changed after it was signed: ask whoever sent it for the original")
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == signaturesFile {
			continue
		}
		f, ok := want[name]
		switch {
		case !ok:
			return fmt.Errorf("it was changed after it was signed: %s was added", name)
		case f.Algorithm != hashAlgorithm:
			return fmt.Errorf("its signature hashes %s by %q: want %s", name, f.Algorithm, hashAlgorithm)
		}
		sum, err := hashFile(name, files[name])
		if err != nil {
			return fmt.Errorf("it was changed after it was signed: %w", err)
		}
		if hex.EncodeToString(sum) != f.Hash {
			return fmt.Errorf("it was changed after it was signed: %s", name)
		}
	}
	return nil
}

// signedBy tries each key in turn, so that keys can rotate, and names the one
// that signed.
func signedBy(token string, keys [][]byte) (*claims, string, error) {
	reason := errors.New("no key is trusted here")
	for _, der := range keys {
		key, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			reason = fmt.Errorf("read a trusted key: %w", err)
			continue
		}
		p256, ok := key.(*ecdsa.PublicKey)
		if !ok || p256.Curve != elliptic.P256() {
			reason = errors.New("a trusted key is not a P-256 key")
			continue
		}
		c, err := verifyToken(token, p256)
		if err == nil {
			return c, KeyID(der), nil
		}
		reason = err
	}
	return nil, "", fmt.Errorf("%w: check that the site file is of this state and up to date (%v)", ErrUntrusted, reason)
}
