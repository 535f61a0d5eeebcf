package wire

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/passmuster/muster"
)

func BenchmarkEncodeReport(b *testing.B) {
	r := typical(b, mustHost(b, mustKey(b)), 1)
	for b.Loop() {
		if _, err := EncodeReport(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeReport(b *testing.B) {
	content, err := EncodeReport(typical(b, mustHost(b, mustKey(b)), 1))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := DecodeReport(content); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	key := mustKey(b)
	payload := make([]byte, 10_000)
	for b.Loop() {
		if _, err := Sign(KindReport, payload, key, "k"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	key := mustKey(b)
	envelope, err := Sign(KindReport, make([]byte, 10_000), key, "k")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Verify(KindReport, envelope, &key.PublicKey); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFrame reports the bytes on the wire, and their share of the report's JSON.
func BenchmarkFrame(b *testing.B) {
	key := mustKey(b)
	host := mustHost(b, key)
	r := typical(b, host, 2)
	asJSON, err := json.Marshal(r)
	if err != nil {
		b.Fatal(err)
	}
	base := mustEnvelope(b, typical(b, host, 1), key)
	same := mustEnvelope(b, r, key)
	for i := range 3 {
		r.Verdicts[i*7].Status = (r.Verdicts[i*7].Status + 1) % 4
		r.Detail.Evidence[r.Verdicts[i*7].Control] = muster.Evidence{Violations: []muster.Violation{{Subject: fmt.Sprint("subject ", i), Found: "found", Want: "want"}}}
	}
	changed := mustEnvelope(b, r, key)
	for _, c := range []struct {
		name     string
		envelope []byte
		base     []byte
	}{{"plain", same, []byte{}}, {"first", same, nil}, {"unchanged", same, base}, {"changed3", changed, base}} {
		frame, err := NewFrame(host, 2, c.envelope, c.base)
		if err != nil {
			b.Fatal(err)
		}
		encoded, err := Marshal(frame)
		if err != nil {
			b.Fatal(err)
		}
		report := func(b *testing.B) {
			b.ReportMetric(float64(len(encoded)), "wire_bytes")
			b.ReportMetric(100*float64(len(encoded))/float64(len(asJSON)), "%_of_JSON")
		}
		b.Run("new/"+c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := NewFrame(host, 2, c.envelope, c.base); err != nil {
					b.Fatal(err)
				}
			}
			report(b)
		})
		b.Run("open/"+c.name, func(b *testing.B) {
			find := func(muster.Digest) []byte { return c.base }
			for b.Loop() {
				if _, err := OpenFrame(frame, find, 0); err != nil {
					b.Fatal(err)
				}
			}
			report(b)
		})
	}
}
