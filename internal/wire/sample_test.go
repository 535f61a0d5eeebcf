package wire

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/veraison/go-cose"

	"github.com/passmuster/muster"
)

var update = flag.Bool("update", false, "rewrite the newest sample from testdata/*.json")

const newestSample = "samples/0001.cbor"

func readReport(tb testing.TB, file string) *muster.Report {
	tb.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	r := &muster.Report{}
	if err := json.Unmarshal(b, r); err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	return r
}

// unsigned is an envelope with zeros for a signature, so that a sample looks
// like what is compressed against it and comes out the same each time.
func unsigned(tb testing.TB, payload []byte, keyID string) []byte {
	tb.Helper()
	m := cose.NewSign1Message()
	m.Headers.Protected = protectedHeader(KindReport, keyID)
	m.Payload, m.Signature = payload, make([]byte, signatureSize)
	b, err := m.MarshalCBOR()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestSample(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no reports in testdata: %v", err)
	}
	var want []byte
	for _, file := range files {
		r := readReport(t, file)
		b, err := EncodeReport(r)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		want = append(want, unsigned(t, b, string(r.Header.Host))...)
	}
	if *update {
		if err := os.WriteFile(newestSample, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(newestSample)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not made of testdata/*.json: run go test ./internal/wire -run TestSample -update", newestSample)
	}
}
