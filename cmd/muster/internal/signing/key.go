// Package signing holds the two ways to sign a policy bundle: a key in a file,
// encrypted under a passphrase (PKCS #8, RFC 8018), or a command that asks a key
// which never leaves its hardware.
package signing

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	plainType  = "PRIVATE KEY"
	sealedType = "ENCRYPTED PRIVATE KEY"
	publicType = "PUBLIC KEY"
)

// MarshalKey writes a private key as PKCS #8 in PEM, encrypted unless the
// passphrase is empty. OpenSSL reads both.
func MarshalKey(key *ecdsa.PrivateKey, passphrase []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the private key: %w", err)
	}
	if len(passphrase) == 0 {
		return pem.EncodeToMemory(&pem.Block{Type: plainType, Bytes: der}), nil
	}
	if der, err = seal(der, passphrase, rounds); err != nil {
		return nil, fmt.Errorf("encrypt the private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: sealedType, Bytes: der}), nil
}

// ParseKey reads a P-256 private key, PKCS #8 in PEM. passphrase is asked only
// where the key is encrypted.
func ParseKey(text []byte, passphrase func() ([]byte, error)) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("it is no PEM file")
	case block.Type != plainType && block.Type != sealedType:
		return nil, fmt.Errorf("it holds a %s, want a %s", block.Type, plainType)
	}
	der := block.Bytes
	if block.Type == sealedType {
		secret, err := passphrase()
		if err != nil {
			return nil, err
		}
		if der, err = unseal(der, secret); err != nil {
			return nil, err
		}
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil && block.Type == sealedType {
		return nil, ErrPassphrase // one wrong passphrase in 256 gives good padding
	}
	if err != nil {
		return nil, fmt.Errorf("it is no PKCS #8 key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("it is no ECDSA P-256 key: make one with muster policy keygen")
	}
	return key, nil
}

// MarshalPublic writes a public key (DER SubjectPublicKeyInfo) in PEM.
func MarshalPublic(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: publicType, Bytes: der})
}

// ParsePublic reads a public key in PEM and gives its DER.
func ParsePublic(text []byte) ([]byte, error) {
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("it is no PEM file")
	case block.Type != publicType:
		return nil, fmt.Errorf("it holds a %s, want a %s", block.Type, publicType)
	}
	if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		return nil, fmt.Errorf("it is no public key: %w", err)
	}
	return block.Bytes, nil
}
