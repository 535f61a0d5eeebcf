package wire

import (
	"bytes"
	"crypto/ecdsa"
	"io"
	"reflect"
	"testing"

	"github.com/veraison/go-cose"

	"github.com/passmuster/muster"
)

// What can be read can be written, and reads the same again.
func FuzzDecodeReport(f *testing.F) {
	content, err := EncodeReport(typical(f, mustHost(f, mustKey(f)), 7))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	f.Add([]byte{0xa1, 0x01, 0xa1, 0x01, 0x02})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := DecodeReport(b)
		if err != nil {
			return
		}
		r, err := o.Report()
		if err != nil {
			return
		}
		once, err := EncodeReport(r)
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		o, err = DecodeReport(once)
		if err != nil {
			t.Fatalf("written but not read: %v", err)
		}
		again, err := o.Report()
		if err != nil {
			t.Fatal(err)
		}
		twice, err := EncodeReport(again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("the second round differs: %v", err)
		}
	})
}

// A frame opens to exactly the size that it declares, or not at all.
func FuzzOpenFrame(f *testing.F) {
	key := mustKey(f)
	host := mustHost(f, key)
	base := mustEnvelope(f, typical(f, host, 1), key)
	next := mustEnvelope(f, typical(f, host, 2), key)
	for _, with := range [][]byte{nil, base} {
		frame, err := NewFrame(host, 2, next, with)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame.Base[:], frame.Size, frame.Body)
	}
	frame, err := NewPlainFrame(host, 2, next)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame.Base[:], frame.Size, frame.Body)
	const bound = 64 << 10
	f.Fuzz(func(t *testing.T, digest []byte, size uint32, body []byte) {
		frame := &Frame{Size: size, Body: body}
		copy(frame.Base[:], digest)
		envelope, err := OpenFrame(frame, func(muster.Digest) []byte { return base }, bound)
		if err != nil {
			return
		}
		if len(envelope) != int(size) || cap(envelope) > bound+1<<10 {
			t.Fatalf("%d bytes, room for %d, of %d", len(envelope), cap(envelope), size)
		}
		closed, err := NewFrame(host, 1, envelope, base)
		if err != nil {
			t.Fatal(err)
		}
		again, err := OpenFrame(closed, func(muster.Digest) []byte { return base }, bound)
		if err != nil || !bytes.Equal(again, envelope) {
			t.Fatalf("closed and opened again: %v", err)
		}
	})
}

// Only the one envelope that was signed verifies; and what verifies here, any
// COSE library verifies.
func FuzzVerify(f *testing.F) {
	key := mustKey(f)
	signed, err := Sign(KindReport, []byte("payload"), key, "k")
	if err != nil {
		f.Fatal(err)
	}
	receipt, err := SignReceipt(muster.Receipt{Seq: 1, ReceivedAt: testTime}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, byte(0), signed)
	f.Add(5, byte(1), signed)
	f.Add(0, byte(0), receipt)
	v, err := cose.NewVerifier(cose.AlgorithmES256, &key.PublicKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, at int, flip byte, junk []byte) {
		tampered := bytes.Clone(signed)
		tampered[uint(at)%uint(len(tampered))] ^= flip
		for _, b := range [][]byte{tampered, junk} {
			_, err := Verify(KindReport, b, &key.PublicKey)
			if (err == nil) != bytes.Equal(b, signed) {
				t.Fatalf("%x verifies: %v", b, err)
			}
			var m cose.Sign1Message
			if err == nil && (m.UnmarshalCBOR(b) != nil || m.Verify(nil, v) != nil) {
				t.Fatalf("%x verifies here and not with go-cose", b)
			}
		}
	})
}

// A statement that a key signed reads as it was written; junk and changes never
// verify.
func FuzzStatements(f *testing.F) {
	key := mustKey(f)
	keys := []*ecdsa.PublicKey{&key.PublicKey}
	f.Add(uint64(1), []byte("digest"), "PC-1", 3, byte(4))
	f.Fuzz(func(t *testing.T, seq uint64, digest []byte, hostname string, at int, flip byte) {
		r := muster.Receipt{Schema: ReceiptSchema, Host: "h", Seq: seq, Digest: EnvelopeDigest(digest), ReceivedAt: testTime}
		e := muster.Enrollment{Hostname: hostname, County: "17031", MadeAt: testTime}
		receipt, err := SignReceipt(r, key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := VerifyReceipt(receipt, keys); err != nil || got != r {
			t.Fatalf("%+v, %v", got, err)
		}
		enrollment, err := SignEnrollment(e, key)
		if err != nil {
			t.Fatal(err)
		}
		got, id, err := VerifyEnrollment(enrollment)
		if err == nil {
			e.Schema, e.PublicKey = got.Schema, got.PublicKey
			if !reflect.DeepEqual(got, e) || id != mustHost(t, key) {
				t.Fatalf("%+v, %s", got, id)
			}
		}
		if flip == 0 {
			return
		}
		receipt[uint(at)%uint(len(receipt))] ^= flip
		enrollment[uint(at)%uint(len(enrollment))] ^= flip
		if _, err := VerifyReceipt(receipt, keys); err == nil {
			t.Fatal("a changed receipt verifies")
		}
		if _, id, err := VerifyEnrollment(enrollment); err == nil {
			t.Fatalf("a changed enrollment verifies as %s", id)
		}
	})
}

// However the bytes come, the reader stays within its bounds, and what it gives
// encodes to no more than what came.
func FuzzSeqReader(f *testing.F) {
	var b bytes.Buffer
	w := NewSeqWriter(&b)
	for i := range 3 {
		if err := w.Write(&Frame{Seq: uint64(i), Body: make([]byte, 50)}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		const maxItem, maxTotal = 256, 1024
		s, err := NewSeqReader(bytes.NewReader(b), maxItem, maxTotal)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for {
			var frame Frame
			err := s.Read(&frame)
			if err == io.EOF && total > len(b) {
				t.Fatalf("%d bytes out of %d", total, len(b))
			}
			if err != nil {
				return
			}
			again, err := Marshal(&frame)
			if err != nil || len(again) > maxItem+64 {
				t.Fatalf("an item of %d bytes, %v", len(again), err)
			}
			if total += len(frame.Body) + 1; total > maxTotal {
				t.Fatalf("%d bytes passed", total)
			}
		}
	})
}
