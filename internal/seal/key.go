package seal

import (
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
)

// Keys unseal. The first one's public half goes into site files; the others are
// older ones, so that sticks on their way still open.
type Keys []*age.X25519Identity

// NewKey makes a key in the form of ParseKeys.
func NewKey() ([]byte, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("make an age key: %w", err)
	}
	return []byte(id.String() + "\n"), nil
}

// ParseKeys reads the keys of a file, one a line as age-keygen writes them. Empty
// lines and those that begin with # are left out.
func ParseKeys(b []byte) (Keys, error) {
	var keys Keys
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		id, err := age.ParseX25519Identity(line)
		if err != nil {
			return nil, fmt.Errorf("line %d is not an age key (AGE-SECRET-KEY-1…)", n) // its words may hold the secret
		}
		keys = append(keys, id)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no age key in it")
	}
	return keys, nil
}

// Recipient is whom a file is sealed to.
type Recipient = age.X25519Recipient

// Recipient is what the newest key is sealed to, for the site file: "age1…".
func (k Keys) Recipient() string { return k[0].Recipient().String() }

func (k Keys) identities() []age.Identity {
	ids := make([]age.Identity, len(k))
	for i, id := range k {
		ids[i] = id
	}
	return ids
}

// ParseRecipient reads the age_recipient of a site file.
func ParseRecipient(s string) (*Recipient, error) {
	r, err := age.ParseX25519Recipient(s)
	if err != nil {
		return nil, fmt.Errorf("%q is not an age recipient (age1…)", s)
	}
	return r, nil
}
