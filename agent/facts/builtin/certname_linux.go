package builtin

import (
	"encoding/asn1"
	"fmt"
	"strings"
	"unicode/utf16"
)

// A distinguished name of X.509 in the two forms in which OpenSSL writes it.

type nameAttribute struct {
	name  string // short, or numbers with dots
	value []byte
	joint bool // it belongs to one part with the attribute before
}

type distinguishedName []nameAttribute

// nameShort are OpenSSL's short names.
var nameShort = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description",
	"2.5.4.15": "businessCategory", "2.5.4.17": "postalCode", "2.5.4.41": "name", "2.5.4.42": "GN", "2.5.4.43": "initials",
	"2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym", "2.5.4.97": "organizationIdentifier",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress",
	"1.2.840.113549.1.9.2": "unstructuredName", "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
	"1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST", "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

// parseName reads the DER of a name; what it cannot read it leaves out.
func parseName(der []byte) distinguishedName {
	var parts []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		return nil
	}
	var name distinguishedName
	for _, part := range parts {
		joint := false
		for rest := part.Bytes; len(rest) > 0; joint = true {
			var a struct {
				Type  asn1.ObjectIdentifier
				Value asn1.RawValue
			}
			var err error
			if rest, err = asn1.Unmarshal(rest, &a); err != nil {
				break
			}
			short := nameShort[a.Type.String()]
			if short == "" {
				short = a.Type.String()
			}
			name = append(name, nameAttribute{short, nameValue(a.Value), joint})
		}
	}
	return name
}

// nameValue is the text in UTF-8; one of two bytes a character is converted.
func nameValue(v asn1.RawValue) []byte {
	if v.Tag != asn1.TagBMPString {
		return v.Bytes
	}
	var units []uint16
	for i := 0; i+1 < len(v.Bytes); i += 2 {
		units = append(units, uint16(v.Bytes[i])<<8|uint16(v.Bytes[i+1]))
	}
	return []byte(string(utf16.Decode(units)))
}

// slashes is the form of X509_NAME_oneline: /C=US/O=County, other than plain
// characters as \xNN.
func (n distinguishedName) slashes() string {
	var b strings.Builder
	for _, a := range n {
		b.WriteString("/" + a.name + "=")
		for _, c := range a.value {
			if c < ' ' || c > '~' {
				fmt.Fprintf(&b, `\x%02X`, c)
			} else {
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}

// commas is the form of X509_NAME_print_ex with XN_FLAG_ONELINE: C = US, O =
// County; values with signs of their own are quoted, other than plain
// characters are \NN.
func (n distinguishedName) commas() string {
	var b strings.Builder
	for i, a := range n {
		switch {
		case a.joint:
			b.WriteString(" + ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(a.name + " = ")
		quote := strings.ContainsAny(string(a.value), `,+<>;`) || len(a.value) > 0 &&
			(strings.ContainsRune(" #", rune(a.value[0])) || a.value[len(a.value)-1] == ' ')
		if quote {
			b.WriteByte('"')
		}
		for _, c := range a.value {
			switch {
			case c == '"' || c == '\\':
				b.WriteString(`\` + string(rune(c)))
			case c < ' ' || c > '~':
				fmt.Fprintf(&b, `\%02X`, c)
			default:
				b.WriteByte(c)
			}
		}
		if quote {
			b.WriteByte('"')
		}
	}
	return b.String()
}

// firstElement is the first ASN.1 value of b with its head, nil where there is
// none.
func firstElement(b []byte) []byte {
	var v asn1.RawValue
	if _, err := asn1.Unmarshal(b, &v); err != nil {
		return nil
	}
	return v.FullBytes
}
