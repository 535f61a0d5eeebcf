package bundle

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"math/big"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/util"
)

// The signature of a bundle has OPA's form: a JWS (RFC 7515, ES256) over the hash
// of every file. OPA's own package for it links 2.2 MB of protobuf; the tests hold
// this file against it.

const (
	algorithm     = "ES256"
	hashAlgorithm = "SHA-256"
	rawHalf       = 32 // bytes of r, and of s
)

// signatures is the file .signatures.json.
type signatures struct {
	Signatures []string `json:"signatures"`
}

// claims is what a token signs.
type claims struct {
	Files []fileHash `json:"files"`
	// KeyID is for OPA, which still looks for it here, too.
	KeyID string `json:"keyid"`
	Scope string `json:"scope,omitempty"`
	// Digest of the bytes is ours, see checkDigest. Tokens of `opa sign` have none.
	Digest string `json:"digest,omitempty"`
}

type fileHash struct {
	Name      string `json:"name"`
	Hash      string `json:"hash"` // hex
	Algorithm string `json:"algorithm"`
}

// hashes gives the hash of every file, by name.
func hashes(files map[string][]byte) ([]fileHash, error) {
	var all []fileHash
	for _, name := range slices.Sorted(maps.Keys(files)) {
		sum, err := hashFile(name, files[name])
		if err != nil {
			return nil, err
		}
		all = append(all, fileHash{name, hex.EncodeToString(sum), hashAlgorithm})
	}
	return all, nil
}

// hashFile hashes as OPA does: the meaning of data files, the bytes of all others.
func hashFile(name string, data []byte) ([]byte, error) {
	h := sha256.New()
	switch path.Base(name) {
	case "data.json", "data.yaml", "data.yml", manifestFile:
		var value any
		if err := util.Unmarshal(data, &value); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if err := hashValue(h, value); err != nil {
			return nil, fmt.Errorf("hash %s: %w", name, err)
		}
	default:
		h.Write(data)
	}
	return h.Sum(nil), nil
}

// hashValue writes a JSON value with its keys in order and no space.
func hashValue(h hash.Hash, value any) error {
	switch v := value.(type) {
	case map[string]any:
		h.Write([]byte("{"))
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				h.Write([]byte(","))
			}
			if err := hashValue(h, key); err != nil {
				return err
			}
			h.Write([]byte(":"))
			if err := hashValue(h, v[key]); err != nil {
				return err
			}
		}
		h.Write([]byte("}"))
	case []any:
		h.Write([]byte("["))
		for i, item := range v {
			if i > 0 {
				h.Write([]byte(","))
			}
			if err := hashValue(h, item); err != nil {
				return err
			}
		}
		h.Write([]byte("]"))
	default:
		var text bytes.Buffer
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return err
		}
		h.Write(bytes.TrimSuffix(text.Bytes(), []byte("\n")))
	}
	return nil
}

// encodeToken gives a token without its signature: the signing input.
func encodeToken(keyID string, c claims) ([]byte, error) {
	var input []byte
	for i, part := range []any{map[string]any{"alg": algorithm, "kid": keyID}, c} {
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

// verifyToken gives what the key has signed.
func verifyToken(token string, key *ecdsa.PublicKey) (*claims, error) {
	input, last, ok := cutLast(token, ".")
	head, body, both := strings.Cut(input, ".")
	if !ok || !both || strings.Contains(body, ".") {
		return nil, errors.New("its signature is no token of three parts")
	}
	parts := make([][]byte, 3)
	for i, text := range []string{head, body, last} {
		var err error
		if parts[i], err = base64.RawURLEncoding.Strict().DecodeString(text); err != nil {
			return nil, fmt.Errorf("its signature: %w", err)
		}
	}
	var header struct {
		Algorithm string   `json:"alg"`
		Critical  []string `json:"crit"`
	}
	if err := json.Unmarshal(parts[0], &header); err != nil {
		return nil, fmt.Errorf("its signature: %w", err)
	}
	if header.Algorithm != algorithm || header.Critical != nil {
		return nil, fmt.Errorf("its signature is of the kind %q: want plain %s", header.Algorithm, algorithm)
	}
	if !verifyRaw(key, []byte(input), parts[2]) {
		return nil, errors.New("its signature does not match")
	}
	var c claims
	if err := json.Unmarshal(parts[1], &c); err != nil {
		return nil, fmt.Errorf("its signature: %w", err)
	}
	if c.Scope != "" {
		return nil, fmt.Errorf("its signature is for the scope %q only", c.Scope)
	}
	return &c, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// verifyRaw checks a signature in the form of JWS, r and s one after the other.
func verifyRaw(key *ecdsa.PublicKey, input, raw []byte) bool {
	sum := sha256.Sum256(input)
	return len(raw) == 2*rawHalf &&
		ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(raw[:rawHalf]), new(big.Int).SetBytes(raw[rawHalf:]))
}
