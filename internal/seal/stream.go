package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// magic begins every file that age has sealed.
var magic = []byte("age-encryption.org/v1")

// Encrypt seals a stream of any length, such as a backup. Close ends it, and leaves w
// open.
func Encrypt(w io.Writer, to *Recipient) (io.WriteCloser, error) { return age.Encrypt(w, to) }

// Sealed reports whether the first bytes of a file are those of a sealed one.
func Sealed(head []byte) bool { return bytes.HasPrefix(head, magic) }

// Decrypt reads what Encrypt wrote. Its error wraps ErrOtherKey where none of the keys
// fits.
func Decrypt(r io.Reader, keys Keys) (io.Reader, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("open the sealed file: %w", ErrOtherKey)
	}
	plain, err := age.Decrypt(r, keys.identities()...)
	var other *age.NoIdentityMatchError
	if errors.As(err, &other) {
		return nil, fmt.Errorf("open the sealed file: %w", ErrOtherKey)
	}
	return plain, err
}
