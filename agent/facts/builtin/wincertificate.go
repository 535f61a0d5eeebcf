package builtin

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
)

// winCertificate writes a certificate as osquery does on Windows. One that is
// not well formed has its fingerprint only, so that nothing trusted is left out.
// Unlike osquery's, ca says what the certificate says, and key_strength is the
// key's bits, not those of its encoding.
func winCertificate(der []byte) muster.Row {
	sum := sha1.Sum(der)
	row := muster.Row{"sha1": upperHex(sum[:])}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return row
	}
	row["common_name"] = displayName(c.Subject)
	row["subject"], row["issuer"] = simpleName(c.RawSubject), simpleName(c.RawIssuer)
	row["ca"], row["self_signed"] = flag(c.IsCA), flag(string(c.RawSubject) == string(c.RawIssuer))
	row["not_valid_before"] = strconv.FormatInt(c.NotBefore.Unix(), 10)
	row["not_valid_after"] = strconv.FormatInt(c.NotAfter.Unix(), 10)
	row["signing_algorithm"] = winSigningAlgorithms[c.SignatureAlgorithm]
	row["key_algorithm"], row["key_strength"] = winPublicKey(c.PublicKey)
	row["key_usage"] = winKeyUsage(c.KeyUsage)
	row["subject_key_id"], row["authority_key_id"] = upperHex(c.SubjectKeyId), upperHex(c.AuthorityKeyId)
	row["serial"] = upperHex(c.SerialNumber.Bytes())
	return row
}

func upperHex(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }

// winSigningAlgorithms are Windows' names.
var winSigningAlgorithms = map[x509.SignatureAlgorithm]string{
	x509.MD2WithRSA: "md2RSA", x509.MD5WithRSA: "md5RSA", x509.SHA1WithRSA: "sha1RSA", x509.SHA256WithRSA: "sha256RSA",
	x509.SHA384WithRSA: "sha384RSA", x509.SHA512WithRSA: "sha512RSA", x509.SHA256WithRSAPSS: "RSASSA-PSS",
	x509.SHA384WithRSAPSS: "RSASSA-PSS", x509.SHA512WithRSAPSS: "RSASSA-PSS", x509.DSAWithSHA1: "sha1DSA",
	x509.DSAWithSHA256: "sha256DSA", x509.ECDSAWithSHA1: "sha1ECDSA", x509.ECDSAWithSHA256: "sha256ECDSA",
	x509.ECDSAWithSHA384: "sha384ECDSA", x509.ECDSAWithSHA512: "sha512ECDSA", x509.PureEd25519: "Ed25519",
}

func winPublicKey(key any) (algorithm, bits string) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return "RSA", strconv.Itoa(k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECC", strconv.Itoa(k.Params().BitSize)
	case ed25519.PublicKey:
		return "Ed25519", "256"
	}
	return "", ""
}

func winKeyUsage(usage x509.KeyUsage) string {
	var names []string
	for _, u := range []struct {
		bit  x509.KeyUsage
		name string
	}{
		{x509.KeyUsageCRLSign, "CERT_OFFLINE_CRL_SIGN_KEY_USAGE"}, {x509.KeyUsageCertSign, "CERT_KEY_CERT_SIGN_KEY_USAGE"},
		{x509.KeyUsageKeyAgreement, "CERT_KEY_AGREEMENT_KEY_USAGE"}, {x509.KeyUsageDataEncipherment, "CERT_DATA_ENCIPHERMENT_KEY_USAGE"},
		{x509.KeyUsageKeyEncipherment, "CERT_KEY_ENCIPHERMENT_KEY_USAGE"},
		{x509.KeyUsageContentCommitment, "CERT_NON_REPUDIATION_KEY_USAGE"},
		{x509.KeyUsageDigitalSignature, "CERT_DIGITAL_SIGNATURE_KEY_USAGE"},
	} {
		if usage&u.bit != 0 {
			names = append(names, u.name)
		}
	}
	return strings.Join(names, ",")
}

// displayName is the part of a name that Windows shows: the common name, else
// the unit, else the organization.
func displayName(n pkix.Name) string {
	for _, parts := range [][]string{{n.CommonName}, n.OrganizationalUnit, n.Organization} {
		for _, s := range parts {
			if s != "" {
				return s
			}
		}
	}
	return ""
}

// simpleName writes a name as CertNameToStr does in its simple form: the
// values alone, in their order. A name that cannot be read is "".
func simpleName(raw []byte) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &name); err != nil || len(rest) > 0 {
		return ""
	}
	var parts []string
	for _, set := range name {
		var values []string
		for _, a := range set {
			s, _ := a.Value.(string)
			if strings.ContainsAny(s, ",+=\"\r\n<>#;") || strings.TrimSpace(s) != s || s == "" {
				s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
			}
			values = append(values, s)
		}
		parts = append(parts, strings.Join(values, " + "))
	}
	return strings.Join(parts, ", ")
}
