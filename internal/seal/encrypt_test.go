package seal

import (
	"bytes"
	"testing"

	"filippo.io/age"

	"github.com/passmuster/muster/internal/wire"
)

// mustEncryptRaw seals any bytes, as a hostile writer would.
func mustEncryptRaw(tb testing.TB, keys Keys, b []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := age.Encrypt(&out, keys[0].Recipient())
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func mustEncrypt(tb testing.TB, keys Keys, v any) []byte {
	tb.Helper()
	b, err := wire.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return mustEncryptRaw(tb, keys, b)
}
