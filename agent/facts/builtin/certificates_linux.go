package builtin

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// certificates are the roots that this host trusts: osquery's bundles of the
// system and, unlike osquery, the files that somebody put into the folders for
// local roots (path tells). sha1 is in lower case as osquery's on Linux. A
// certificate that Go cannot read, because it breaks the rules, has path and
// sha1 only. path = reads another PEM file. With no bundle and no such folder
// the table is unavailable. Anybody may read it. The stores that browsers and
// Java keep for themselves are not seen.
func (h host) certificates() facts.Table {
	return facts.Table{
		Name: "certificates", Platforms: onLinux, Source: "system bundle, local roots", Preferred: true,
		Columns: columns(`common_name text, subject text, subject2 text, issuer text, issuer2 text, ca integer,
			self_signed integer, not_valid_before datetime, not_valid_after datetime, signing_algorithm text,
			key_algorithm text, key_strength text, key_usage text, subject_key_id text, authority_key_id text, sha1 text,
			path text, serial text`),
		Rows: list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
			var paths []string
			if path, one := q.Equals("path"); one {
				paths = []string{path}
			} else {
				var err error
				if paths, err = h.rootFiles(ctx); err != nil {
					return nil, err
				}
			}
			var rows []muster.Row
			for _, path := range paths {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				text, err := h.textIfAny(path)
				if err != nil {
					return nil, err
				}
				for _, der := range certificatesIn(text) {
					r := opensslRow(der)
					r["path"] = path
					rows = append(rows, r)
				}
			}
			return rows, nil
		}),
	}
}

// rootFolders hold local roots: every file counts, or those of the extension.
var rootFolders = []struct{ path, ext string }{
	{"/usr/local/share/ca-certificates", ".crt"}, {"/etc/pki/ca-trust/source/anchors", ""},
	{"/etc/pki/trust/anchors", ""}, {"/etc/ca-certificates/trust-source/anchors", ""},
}

// rootFiles lists the bundles and the local roots that are there.
func (h host) rootFiles(ctx context.Context) ([]string, error) {
	var paths []string
	looked := false
	for _, bundle := range []string{"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt",
		"/var/lib/ca-certificates/ca-bundle.pem"} {
		if h.exists(bundle) {
			paths, looked = append(paths, bundle), true
		}
	}
	for _, folder := range rootFolders {
		if !h.exists(folder.path) {
			continue
		}
		looked = true
		err := h.walk(ctx, folder.path, func(path string) error {
			if !endsInSeparator(path) && (folder.ext == "" || filepath.Ext(path) == folder.ext) {
				paths = append(paths, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if !looked {
		return nil, fmt.Errorf("no bundle of roots: %w", facts.ErrUnavailable)
	}
	return paths, nil
}

// certificatesIn takes the certificates out of a PEM or DER file. Those of
// OpenSSL's kind "trusted" have further data behind.
func certificatesIn(text string) [][]byte {
	var all [][]byte
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
			if der := firstElement(block.Bytes); der != nil {
				all = append(all, der)
			}
		}
	}
	if len(all) == 0 {
		if _, err := x509.ParseCertificate([]byte(text)); err == nil {
			all = append(all, []byte(text))
		}
	}
	return all
}

func opensslRow(der []byte) muster.Row {
	sum := sha1.Sum(der)
	r := muster.Row{"sha1": hex.EncodeToString(sum[:])}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return r
	}
	// Where a name comes twice osquery gives the first, Go the last.
	subject, issuer := parseName(c.RawSubject), parseName(c.RawIssuer)
	for _, a := range subject {
		if a.name == "CN" && r["common_name"] == "" {
			r["common_name"] = string(a.value)
		}
	}
	r["subject"], r["subject2"] = subject.slashes(), subject.commas()
	r["issuer"], r["issuer2"] = issuer.slashes(), issuer.commas()
	hasUsage := c.KeyUsage != 0
	signs := c.KeyUsage&x509.KeyUsageCertSign != 0
	own := string(c.RawSubject) == string(c.RawIssuer) &&
		(len(c.AuthorityKeyId) == 0 || len(c.SubjectKeyId) == 0 || string(c.AuthorityKeyId) == string(c.SubjectKeyId))
	r["self_signed"] = flag(own && (!hasUsage || signs))
	// X509_check_ca: without basic constraints a certificate of version 1 that
	// signs itself, or one whose key may sign certificates.
	r["ca"] = flag(c.BasicConstraintsValid && c.IsCA && (!hasUsage || signs) ||
		!c.BasicConstraintsValid && (c.Version == 1 && own || signs))
	r["not_valid_before"] = strconv.FormatInt(c.NotBefore.Unix(), 10)
	r["not_valid_after"] = strconv.FormatInt(c.NotAfter.Unix(), 10)
	r["signing_algorithm"] = signatureNames[c.SignatureAlgorithm]
	r["key_algorithm"], r["key_strength"] = keyNames(c)
	r["key_usage"] = opensslUsage(c.KeyUsage)
	r["subject_key_id"], r["authority_key_id"] = hex.EncodeToString(c.SubjectKeyId), hex.EncodeToString(c.AuthorityKeyId)
	r["serial"] = serialText(c.SerialNumber)
	return r
}

// serialText writes whole bytes in upper case.
func serialText(n *big.Int) string {
	digits := strings.ToUpper(new(big.Int).Abs(n).Text(16))
	if len(digits)%2 == 1 && digits != "0" {
		digits = "0" + digits
	}
	if n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// signatureNames are OpenSSL's long names.
var signatureNames = map[x509.SignatureAlgorithm]string{
	x509.MD2WithRSA: "md2WithRSAEncryption", x509.MD5WithRSA: "md5WithRSAEncryption",
	x509.SHA1WithRSA: "sha1WithRSAEncryption", x509.SHA256WithRSA: "sha256WithRSAEncryption",
	x509.SHA384WithRSA: "sha384WithRSAEncryption", x509.SHA512WithRSA: "sha512WithRSAEncryption",
	x509.DSAWithSHA1: "dsaWithSHA1", x509.DSAWithSHA256: "dsa_with_SHA256", x509.ECDSAWithSHA1: "ecdsa-with-SHA1",
	x509.ECDSAWithSHA256: "ecdsa-with-SHA256", x509.ECDSAWithSHA384: "ecdsa-with-SHA384",
	x509.ECDSAWithSHA512: "ecdsa-with-SHA512", x509.SHA256WithRSAPSS: "rsassaPss", x509.SHA384WithRSAPSS: "rsassaPss",
	x509.SHA512WithRSAPSS: "rsassaPss", x509.PureEd25519: "ED25519",
}

// keyNames gives OpenSSL's long names of the key's kind and its size: bits, or
// the name of the curve.
func keyNames(c *x509.Certificate) (algorithm, strength string) {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return "rsaEncryption", strconv.Itoa(8 * key.Size())
	case *ecdsa.PublicKey:
		curve := map[string]string{"P-224": "secp224r1", "P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1"}
		return "id-ecPublicKey", curve[key.Params().Name]
	}
	return map[x509.PublicKeyAlgorithm]string{x509.DSA: "dsaEncryption", x509.Ed25519: "ED25519"}[c.PublicKeyAlgorithm], ""
}

func opensslUsage(usage x509.KeyUsage) string {
	var names []string
	for _, u := range []struct {
		bit  x509.KeyUsage
		name string
	}{
		{x509.KeyUsageEncipherOnly, "Encipher Only"}, {x509.KeyUsageCRLSign, "CRL Sign"}, {x509.KeyUsageCertSign, "Key Cert Sign"},
		{x509.KeyUsageKeyAgreement, "Key Agreement"}, {x509.KeyUsageDataEncipherment, "Data Encipherment"},
		{x509.KeyUsageKeyEncipherment, "Key Encipherment"}, {x509.KeyUsageContentCommitment, "Non Repudiation"},
		{x509.KeyUsageDigitalSignature, "Digital Signature"}, {x509.KeyUsageDecipherOnly, "Decipher Only"},
	} {
		if usage&u.bit != 0 {
			names = append(names, u.name)
		}
	}
	return strings.Join(names, ", ")
}
