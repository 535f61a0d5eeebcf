package wire

import (
	"embed"
	"fmt"
	"sync"

	"github.com/passmuster/muster"
)

// Samples are typical reports, in envelopes without a signature, that the first
// frame of a host and the files in the outbox are compressed against. `go test
// ./internal/wire -run TestSample -update` rewrites the newest from
// testdata/*.json. Once released, a sample stays as it is, for files and
// programs that name it: add the next number instead.
//
//go:embed samples/*.cbor
var sampleFiles embed.FS

type sampleSet struct {
	byDigest map[muster.Digest][]byte
	newest   []byte
	digest   muster.Digest // of newest
}

var samples = sync.OnceValues(func() (*sampleSet, error) {
	s := &sampleSet{byDigest: map[muster.Digest][]byte{}}
	files, err := sampleFiles.ReadDir("samples") // in the order of names
	if err != nil {
		return nil, fmt.Errorf("read the embedded samples: %w", err)
	}
	for _, f := range files {
		b, err := sampleFiles.ReadFile("samples/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("read the embedded sample %s: %w", f.Name(), err)
		}
		s.newest, s.digest = b, EnvelopeDigest(b)
		s.byDigest[s.digest] = b
	}
	return s, nil
})

// SampleDigest names the sample that NewFrame uses where there is no base.
func SampleDigest() (muster.Digest, error) {
	s, err := samples()
	if err != nil {
		return muster.Digest{}, err
	}
	return s.digest, nil
}
