package wire

import (
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"

	"github.com/passmuster/muster"
)

// The schema numbers of receipts and enrollments that this code writes.
const (
	ReceiptSchema    = 1
	EnrollmentSchema = 1
)

// SignReceipt writes a receipt, signed with a key of the collector. It fills
// in the schema.
func SignReceipt(r muster.Receipt, signer crypto.Signer) ([]byte, error) {
	r.Schema, r.ReceivedAt = ReceiptSchema, utc(r.ReceivedAt)
	payload, err := Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode the receipt for report %d: %w", r.Seq, err)
	}
	keyID, err := HostIDOf(signer.Public())
	if err != nil {
		return nil, err
	}
	return Sign(KindReceipt, payload, signer, string(keyID))
}

// VerifyReceipt reads a receipt that one of the keys has signed. Its error
// wraps ErrMalformed, ErrFutureSchema or ErrBadSignature.
func VerifyReceipt(envelope []byte, keys []*ecdsa.PublicKey) (muster.Receipt, error) {
	e, err := parseSign1(envelope)
	if err != nil {
		return muster.Receipt{}, err
	}
	for _, key := range keys {
		payload, err := e.verify(KindReceipt, key)
		if err != nil {
			continue
		}
		var r muster.Receipt
		if err := decodeStatement(payload, &r, func() int { return r.Schema }, ReceiptSchema); err != nil {
			return muster.Receipt{}, fmt.Errorf("receipt: %w", err)
		}
		r.ReceivedAt = r.ReceivedAt.UTC()
		return r, nil
	}
	return muster.Receipt{}, fmt.Errorf("receipt: %w: none of the %d trusted keys made it", ErrBadSignature, len(keys))
}

// SignEnrollment writes a host's statement about itself, signed with the host
// key. It fills in the schema and the public key.
func SignEnrollment(e muster.Enrollment, hostKey crypto.Signer) ([]byte, error) {
	der, err := MarshalPublicKey(hostKey.Public())
	if err != nil {
		return nil, err
	}
	e.Schema, e.PublicKey, e.MadeAt = EnrollmentSchema, der, utc(e.MadeAt)
	payload, err := Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode the enrollment: %w", err)
	}
	return Sign(KindEnrollment, payload, hostKey, string(muster.NewHostID(der)))
}

// VerifyEnrollment reads an enrollment and checks that the key inside signed it
// and is the one that its key id names. It proves that the sender holds the
// key, not that the statement is true. Its error wraps ErrMalformed,
// ErrFutureSchema or ErrBadSignature.
func VerifyEnrollment(envelope []byte) (muster.Enrollment, muster.HostID, error) {
	fail := func(err error) (muster.Enrollment, muster.HostID, error) {
		return muster.Enrollment{}, "", fmt.Errorf("enrollment: %w", err)
	}
	sealed, err := parseSign1(envelope)
	if err != nil {
		return fail(err)
	}
	var e muster.Enrollment
	if err := decodeStatement(sealed.payload, &e, func() int { return e.Schema }, EnrollmentSchema); err != nil {
		return fail(err)
	}
	pub, err := ParsePublicKey(e.PublicKey)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrMalformed, err))
	}
	// The id is taken over our own encoding: a key has many DER forms, a host one id.
	id, err := HostIDOf(pub)
	if err != nil {
		return fail(err)
	}
	if string(sealed.header.Key) != string(id) {
		return fail(fmt.Errorf("%w: its key id is not that of the key inside", ErrBadSignature))
	}
	if _, err := sealed.verify(KindEnrollment, pub); err != nil {
		return fail(err)
	}
	if len(e.Hostname) > maxHostname {
		return fail(fmt.Errorf("%w: the hostname is too long", ErrMalformed))
	}
	e.MadeAt = e.MadeAt.UTC()
	return e, id, nil
}

func decodeStatement(payload []byte, v any, schema func() int, known int) error {
	err := Unmarshal(payload, v)
	var peek struct {
		Schema int `cbor:"1,keyasint"`
	}
	if err != nil && Unmarshal(payload, &peek) == nil && peek.Schema > known || err == nil && schema() > known {
		return ErrFutureSchema
	}
	if err == nil && schema() < 1 {
		err = fmt.Errorf("%w: %w", ErrMalformed, errors.New("it has no schema number"))
	}
	return err
}
