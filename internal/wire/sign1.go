package wire

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/veraison/go-cose"
)

// Kind says what an envelope signs. It is the content type in the protected
// header, so that a signature over one kind never counts for another.
type Kind string

const (
	KindReport     Kind = "application/vnd.muster.report+cbor"
	KindReceipt    Kind = "application/vnd.muster.receipt+cbor"
	KindEnrollment Kind = "application/vnd.muster.enrollment+cbor"
	// KindMedia is the manifest of removable media, as its JSON text.
	KindMedia Kind = "application/vnd.muster.media+json"
)

const signatureSize = 64

// protected is the only protected header that this package writes or reads.
type protected struct {
	Alg  int64  `cbor:"1,keyasint"`
	Type Kind   `cbor:"3,keyasint"`
	Key  []byte `cbor:"4,keyasint"`
}

// Sign wraps the payload into an envelope. keyID is the host id of the signer's
// public key; see HostIDOf.
func Sign(kind Kind, payload []byte, signer crypto.Signer, keyID string) ([]byte, error) {
	s, err := cose.NewSigner(cose.AlgorithmES256, signer)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", kind, err)
	}
	m := cose.NewSign1Message()
	m.Headers.Protected = protectedHeader(kind, keyID)
	m.Payload = payload
	if err := m.Sign(rand.Reader, nil, s); err != nil {
		return nil, fmt.Errorf("sign %s: %w", kind, err)
	}
	lower(m.Signature)
	b, err := m.MarshalCBOR()
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", kind, err)
	}
	return b, nil
}

func protectedHeader(kind Kind, keyID string) cose.ProtectedHeader {
	return cose.ProtectedHeader{
		cose.HeaderLabelAlgorithm:   cose.AlgorithmES256,
		cose.HeaderLabelContentType: string(kind),
		cose.HeaderLabelKeyID:       []byte(keyID),
	}
}

// Verify checks the envelope's kind, form and signature and returns its
// payload, which shares the envelope's memory. Its error wraps ErrMalformed or
// ErrBadSignature.
//
// Of every (payload, signature) exactly one envelope passes: whoever carries
// it cannot make a second one with another digest and so a false conflict.
func Verify(kind Kind, envelope []byte, pub *ecdsa.PublicKey) ([]byte, error) {
	e, err := parseSign1(envelope)
	if err != nil {
		return nil, err
	}
	return e.verify(kind, pub)
}

// Payload reads what the envelope claims to sign. Nothing is verified but its
// form and kind: it is for showing, never for believing.
func Payload(kind Kind, envelope []byte) ([]byte, error) {
	e, err := parseSign1(envelope)
	if err != nil {
		return nil, err
	}
	if e.header.Type != kind {
		return nil, fmt.Errorf("envelope: %w: %q where %q is wanted", ErrMalformed, e.header.Type, kind)
	}
	return e.payload, nil
}

// KeyID reads which key claims to have signed. Nothing is verified.
func KeyID(envelope []byte) (string, error) {
	e, err := parseSign1(envelope)
	if err != nil {
		return "", err
	}
	return string(e.header.Key), nil
}

// sign1 is an envelope taken apart.
type sign1 struct {
	header    protected
	protected []byte // as signed
	payload   []byte
	signature []byte // r and s, 32 bytes each
}

// parseSign1 accepts one form only: tag 18, an array of four, shortest lengths,
// nothing unprotected, nothing after it.
func parseSign1(b []byte) (*sign1, error) {
	malformed := func(what string) error { return fmt.Errorf("envelope: %w: %s", ErrMalformed, what) }
	if len(b) > MaxEnvelope {
		return nil, fmt.Errorf("envelope of %d bytes: %w", len(b), ErrTooLarge)
	}
	rest, ok := bytes.CutPrefix(b, []byte{0xd2, 0x84})
	if !ok {
		return nil, malformed("not a COSE_Sign1")
	}
	e := &sign1{}
	if e.protected, rest, ok = cutBytes(rest); !ok {
		return nil, malformed("no protected header")
	}
	if rest, ok = bytes.CutPrefix(rest, []byte{0xa0}); !ok {
		return nil, malformed("something is unprotected")
	}
	if e.payload, rest, ok = cutBytes(rest); !ok {
		return nil, malformed("no payload")
	}
	if e.signature, rest, ok = cutBytes(rest); !ok || len(rest) != 0 || len(e.signature) != signatureSize {
		return nil, malformed("no ES256 signature at its end")
	}
	if err := Unmarshal(e.protected, &e.header); err != nil {
		return nil, fmt.Errorf("envelope: protected header: %w", err)
	}
	if again, err := Marshal(e.header); err != nil || !bytes.Equal(again, e.protected) {
		return nil, malformed("the protected header has an unknown form")
	}
	if e.header.Alg != int64(cose.AlgorithmES256) {
		return nil, malformed("not signed with ES256")
	}
	return e, nil
}

func (e *sign1) verify(kind Kind, pub *ecdsa.PublicKey) ([]byte, error) {
	if e.header.Type != kind {
		return nil, fmt.Errorf("envelope: %w: %q where %q is wanted", ErrBadSignature, e.header.Type, kind)
	}
	// go-cose would check the key's point again for each envelope.
	sigR := new(big.Int).SetBytes(e.signature[:signatureSize/2])
	sigS := new(big.Int).SetBytes(e.signature[signatureSize/2:])
	if !isLow(sigS) || pub.Curve != elliptic.P256() || !ecdsa.Verify(pub, e.digest(), sigR, sigS) {
		return nil, fmt.Errorf("envelope: %w", ErrBadSignature)
	}
	return e.payload, nil
}

// digest hashes the Sig_structure of RFC 9052 section 4.4 without building it.
func (e *sign1) digest() []byte {
	h := sha256.New()
	head := append(make([]byte, 0, 64+len(e.protected)), 0x84, 0x6a)
	head = append(head, "Signature1"...)
	head = appendBytesHead(head, len(e.protected))
	head = append(head, e.protected...)
	head = append(head, 0x40) // no external data
	head = appendBytesHead(head, len(e.payload))
	h.Write(head)
	h.Write(e.payload)
	return h.Sum(nil)
}

// cutBytes cuts a CBOR byte string of shortest form from the front of b.
func cutBytes(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 || b[0]>>5 != 2 {
		return nil, nil, false
	}
	info, b := b[0]&0x1f, b[1:]
	var n, least uint64
	switch {
	case info < 24:
		n = uint64(info)
	case info == 24 && len(b) >= 1:
		n, least, b = uint64(b[0]), 24, b[1:]
	case info == 25 && len(b) >= 2:
		n, least, b = uint64(binary.BigEndian.Uint16(b)), 1<<8, b[2:]
	case info == 26 && len(b) >= 4:
		n, least, b = uint64(binary.BigEndian.Uint32(b)), 1<<16, b[4:]
	default:
		return nil, nil, false
	}
	if n < least || n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

func appendBytesHead(b []byte, n int) []byte {
	switch {
	case n < 24:
		return append(b, 0x40|byte(n))
	case n < 1<<8:
		return append(b, 0x58, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 0x59), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(b, 0x5a), uint32(n))
	}
}

// For every ECDSA signature (r, s) there is a second one, (r, n-s). Only the
// lower s is written and accepted.

func lower(signature []byte) {
	half := signature[signatureSize/2:]
	if s := new(big.Int).SetBytes(half); !isLow(s) {
		s.Sub(elliptic.P256().Params().N, s).FillBytes(half)
	}
}

func isLow(s *big.Int) bool {
	return new(big.Int).Lsh(s, 1).Cmp(elliptic.P256().Params().N) <= 0
}
