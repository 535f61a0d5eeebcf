package builtin

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

// newRoot makes a self-signed certificate.
func newRoot(t testing.TB, key crypto.Signer, subject pkix.Name) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x0a1b2c), Subject: subject, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(1_900_000_000, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{0xab, 0xcd},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestWinCertificate(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der := newRoot(t, rsaKey, pkix.Name{Country: []string{"US"}, Organization: []string{"County, Inc."}, CommonName: "Test Root"})
	want := muster.Row{
		"sha1": fmt.Sprintf("%X", sha1.Sum(der)), "common_name": "Test Root", "subject": `US, "County, Inc.", Test Root`,
		"issuer": `US, "County, Inc.", Test Root`, "ca": "1", "self_signed": "1", "not_valid_before": "1700000000",
		"not_valid_after": "1900000000", "signing_algorithm": "sha256RSA", "key_algorithm": "RSA", "key_strength": "2048",
		"key_usage":      "CERT_OFFLINE_CRL_SIGN_KEY_USAGE,CERT_KEY_CERT_SIGN_KEY_USAGE",
		"subject_key_id": "ABCD", "authority_key_id": "", "serial": "0A1B2C",
	}
	if diff := cmp.Diff(want, winCertificate(der)); diff != "" {
		t.Error(diff)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := winCertificate(newRoot(t, ecKey, pkix.Name{OrganizationalUnit: []string{"Elections"}}))
	if r["common_name"] != "Elections" || r["key_algorithm"] != "ECC" || r["key_strength"] != "384" || r["signing_algorithm"] != "sha384ECDSA" {
		t.Error(r)
	}
}

// FuzzWinCertificate: a certificate keeps its fingerprint, however broken it is.
func FuzzWinCertificate(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(newRoot(f, key, pkix.Name{CommonName: "Test Root"}))
	f.Add([]byte("no certificate"))
	f.Fuzz(func(t *testing.T, der []byte) {
		if r := winCertificate(der); r["sha1"] != fmt.Sprintf("%X", sha1.Sum(der)) {
			t.Error(r)
		}
	})
}
