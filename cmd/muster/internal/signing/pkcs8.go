package signing

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// Cost of a guess at the passphrase, in rounds of PBKDF2-HMAC-SHA256. A file
// that asks for more than maxRounds is refused.
const (
	rounds    = 600_000
	maxRounds = 10_000_000
)

const keyBytes, saltBytes = 32, 16

var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// ErrPassphrase: ask again, or look for another copy of the file.
var ErrPassphrase = errors.New("the passphrase is wrong, or the file is damaged")

// sealed is EncryptedPrivateKeyInfo of RFC 5958; the others are of RFC 8018.
type sealed struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2 struct {
	KDF, Cipher pkix.AlgorithmIdentifier
}

type kdf struct {
	Salt      []byte
	Rounds    int
	KeyLength int                      `asn1:"optional"`
	PRF       pkix.AlgorithmIdentifier `asn1:"optional"`
}

// seal encrypts a PKCS #8 key: PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC.
func seal(der, passphrase []byte, rounds int) ([]byte, error) {
	random := make([]byte, saltBytes+aes.BlockSize)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	salt, iv := random[:saltBytes], random[saltBytes:]
	block, err := derive(passphrase, salt, rounds)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(der)%aes.BlockSize
	data := append(bytes.Clone(der), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)

	k, err := asn1.Marshal(kdf{salt, rounds, 0, pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: asn1.NullRawValue}})
	if err != nil {
		return nil, err
	}
	v, err := asn1.Marshal(iv)
	if err != nil {
		return nil, err
	}
	p, err := asn1.Marshal(pbes2{algorithm(oidPBKDF2, k), algorithm(oidAES256CBC, v)})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(sealed{algorithm(oidPBES2, p), data})
}

func algorithm(oid asn1.ObjectIdentifier, parameters []byte) pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: parameters}}
}

// unseal decrypts what seal or `openssl pkcs8 -topk8` wrote.
func unseal(file, passphrase []byte) ([]byte, error) {
	var s sealed
	var p pbes2
	var k kdf
	var iv []byte
	if err := parse(file, &s); err != nil {
		return nil, err
	}
	if !s.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, errCipher(s.Algorithm.Algorithm)
	}
	if err := parse(s.Algorithm.Parameters.FullBytes, &p); err != nil {
		return nil, err
	}
	if !p.KDF.Algorithm.Equal(oidPBKDF2) {
		return nil, errCipher(p.KDF.Algorithm)
	}
	if !p.Cipher.Algorithm.Equal(oidAES256CBC) {
		return nil, errCipher(p.Cipher.Algorithm)
	}
	if err := parse(p.KDF.Parameters.FullBytes, &k); err != nil {
		return nil, err
	}
	if err := parse(p.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	switch {
	case !k.PRF.Algorithm.Equal(oidHMACSHA256):
		return nil, errCipher(k.PRF.Algorithm)
	case k.Rounds < 1 || k.Rounds > maxRounds:
		return nil, fmt.Errorf("it asks for %d rounds, and the most is %d", k.Rounds, maxRounds)
	case len(iv) != aes.BlockSize || len(s.Data) == 0 || len(s.Data)%aes.BlockSize != 0:
		return nil, ErrPassphrase
	}
	block, err := derive(passphrase, k.Salt, k.Rounds)
	if err != nil {
		return nil, err
	}
	data := bytes.Clone(s.Data)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(data, data)
	pad := int(data[len(data)-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.HasSuffix(data, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, ErrPassphrase
	}
	return data[:len(data)-pad], nil
}

func derive(passphrase, salt []byte, rounds int) (cipher.Block, error) {
	key, err := pbkdf2.Key(sha256.New, string(passphrase), salt, rounds, keyBytes)
	if err != nil {
		return nil, err
	}
	return aes.NewCipher(key)
}

func parse(der []byte, into any) error {
	rest, err := asn1.Unmarshal(der, into)
	if err != nil || len(rest) > 0 {
		return errors.New("it is no encrypted PKCS #8 key")
	}
	return nil
}

func errCipher(oid asn1.ObjectIdentifier) error {
	return fmt.Errorf("it is encrypted in another way (%v): convert it with openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256", oid)
}
