package bundle

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	opa "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/passmuster/muster/policies"
)

var (
	// ErrUnsigned: the bundle carries no signature. Sign it with muster policy sign.
	ErrUnsigned = errors.New("it is not signed")
	// ErrUntrusted: no key that this host trusts made the signature. The site
	// file may be of another state, or older than the last change of keys.
	ErrUntrusted = errors.New("it is signed by a key that is not trusted here")
)

const algorithm = "ES256"

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
	if files[signaturesFile], err = json.Marshal(opa.SignaturesConfig{Signatures: []string{token}}); err != nil {
		return nil, fmt.Errorf("sign policy bundle: %w", err)
	}
	return pack(files)
}

// signingInput is the JWS signing input (RFC 7515) over the hashes of the files.
func signingInput(files map[string][]byte, keyID string) ([]byte, error) {
	infos, err := hashes(files)
	if err != nil {
		return nil, err
	}
	var input []byte
	for i, part := range []any{
		map[string]any{"alg": algorithm, "kid": keyID},
		// OPA still looks for keyid here, too; digest is ours, see verify.
		map[string]any{"files": infos, "keyid": keyID, "digest": policies.Digest(files)},
	} {
		text, err := json.Marshal(part)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			input = append(input, '.')
		}
		input = base64.RawURLEncoding.AppendEncode(input, text)
	}
	return input, nil
}

// rawSignature gives the form that JWS wants, of a signature that is proved good.
func rawSignature(key *ecdsa.PublicKey, input, answer []byte) ([]byte, error) {
	const half = 32
	sum := sha256.Sum256(input)
	if ecdsa.VerifyASN1(key, sum[:], answer) {
		var pair struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(answer, &pair); err != nil {
			return nil, err
		}
		raw := make([]byte, 2*half)
		pair.R.FillBytes(raw[:half])
		pair.S.FillBytes(raw[half:])
		return raw, nil
	}
	if len(answer) == 2*half && ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(answer[:half]), new(big.Int).SetBytes(answer[half:])) {
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

// verify gives the id of the trusted key that signed exactly these files; "" where
// none has to.
func verify(files map[string][]byte, opts OpenOptions) (signedBy string, err error) {
	raw, ok := files[signaturesFile]
	if !ok {
		if opts.Unsigned {
			return "", nil
		}
		return "", fmt.Errorf("%w: ask whoever sent it for a signed one", ErrUnsigned)
	}
	var sc opa.SignaturesConfig
	if err := json.Unmarshal(raw, &sc); err != nil {
		return "", fmt.Errorf("read %s: %w", signaturesFile, err)
	}
	sc.Plugin = "" // the bundle does not choose who verifies it
	infos, id, err := signedFiles(sc, opts.Keys)
	if err != nil {
		if opts.Unsigned && len(opts.Keys) == 0 {
			return "", nil // nothing to hold the signature against
		}
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(infos)) {
		if _, ok := files[name]; !ok {
			return "", fmt.Errorf("it was changed after it was signed: %s is missing", name)
		}
	}
	if err := checkDigest(sc.Signatures[0], files); err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == signaturesFile {
			continue
		}
		if err := opa.VerifyBundleFile(name, *bytes.NewBuffer(files[name]), infos); err != nil {
			return "", fmt.Errorf("it was changed after it was signed: %w", err)
		}
	}
	return id, nil
}

// checkDigest holds the bytes against the digest in a token that is verified, before
// OPA's hash parses any of them: parsing is dear. Tokens of `opa sign` have none.
func checkDigest(token string, files map[string][]byte) error {
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	if err != nil {
		return fmt.Errorf("read %s: %w", signaturesFile, err)
	}
	var claims struct{ Digest string }
	if err := json.Unmarshal(payload, &claims); err != nil {
		return fmt.Errorf("read %s: %w", signaturesFile, err)
	}
	if claims.Digest != "" && claims.Digest != policies.Digest(files) {
		return errors.New("it was changed after it was signed: ask whoever sent it for the original")
	}
	return nil
}

// signedFiles tries each key in turn, so that keys can rotate, and names the one
// that signed.
func signedFiles(sc opa.SignaturesConfig, keys [][]byte) (map[string]opa.FileInfo, string, error) {
	reason := errors.New("no key is trusted here")
	for _, der := range keys {
		id := KeyID(der)
		block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		config := map[string]*opa.KeyConfig{id: {Key: string(block), Algorithm: algorithm}}
		infos, err := opa.VerifyBundleSignature(sc, opa.NewVerificationConfig(config, id, "", nil))
		if err == nil {
			return infos, id, nil
		}
		reason = err
	}
	return nil, "", fmt.Errorf("%w: check that the site file is of this state and up to date (%v)", ErrUntrusted, reason)
}
