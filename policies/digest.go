package policies

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
)

// SignaturesFile holds the signature of a bundle.
const SignaturesFile = ".signatures.json"

// Digest names the contents of a bundle, as reports do: the lower-case hex
// SHA-256 over the names and contents of all files but the signature, however
// they were packed.
func Digest(files map[string][]byte) string {
	h := sha256.New()
	field := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == SignaturesFile {
			continue
		}
		field([]byte(name))
		field(files[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}
