package ingest_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/internal/wire"
)

// witness is a store that looks at what it is given to keep.
type witness struct {
	ingest.Store
	t    *testing.T
	keys map[muster.HostID]*ecdsa.PublicKey
}

func (w *witness) Commit(ctx context.Context, list []muster.Accepted) ([]muster.Committed, error) {
	for _, a := range list {
		chain := []muster.StoredEnvelope{a.Envelope}
		if a.Envelope.BaseSeq > 0 {
			under, err := w.Store.Base(ctx, a.Header.Host, a.Envelope.Base)
			if err != nil {
				w.t.Errorf("stored against a base that is not there: %v", err)
			}
			chain = append(chain, under...)
		}
		envelope, err := ingest.OpenStored(a.Header.Host, chain)
		if err != nil {
			w.t.Errorf("stored what does not open: %v", err)
			continue
		}
		content, err := wire.Verify(wire.KindReport, envelope, w.keys[a.Header.Host])
		if err != nil {
			w.t.Errorf("stored what does not verify: %v", err)
			continue
		}
		if r, err := wire.DecodeReport(content); err != nil || r.Header.Seq != a.Header.Seq || r.Header.Host != a.Header.Host {
			w.t.Errorf("stored as another report: %v", err)
		}
	}
	return w.Store.Commit(ctx, list)
}

// FuzzReports: whatever the body, the collector answers, never stores what its
// host did not sign, and receipts nothing but what it stored.
func FuzzReports(f *testing.F) {
	w := &witness{keys: map[muster.HostID]*ecdsa.PublicKey{}}
	var handler http.Handler
	l := newLab(f, func(o *ingest.Options) {
		w.Store, o.Store = o.Store, w
		o.Limits.Work = ingest.Rate{PerSecond: 1e6, Burst: 1 << 30} // of no concern here
		g, err := ingest.New(*o)
		must(f, err)
		ctx, cancel := context.WithCancel(context.Background())
		f.Cleanup(cancel)
		go func() { _ = g.Run(ctx) }()
		handler = g
	})
	h := newHost(f, 1)
	for c := range h.report.Detail.Evidence {
		if c > "MVS-002" {
			delete(h.report.Detail.Evidence, c) // small inputs are tried more often
		}
	}
	h.enrolled(l.url)
	w.keys[h.id] = &h.key.PublicKey
	one, two := h.next(), h.next()
	unknown := newHost(f, 2).next()
	f.Add(batch(f, one))
	f.Add(batch(f, one, two))
	f.Add(batch(f, two, one, one))
	f.Add(batch(f, unknown, two))
	f.Add(batch(f, &wire.Frame{Host: h.id, Seq: 3, Size: 1 << 31, Body: one.Body}))
	f.Add([]byte{0x85, 0x60, 0x01, 0x40, 0x01, 0x40})
	f.Fuzz(func(t *testing.T, body []byte) {
		w.t = t
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/v1/reports", bytes.NewReader(body)))
		if answer.Code != http.StatusOK {
			return
		}
		for _, o := range outcomes(t, answer.Body) {
			if o.Receipt == nil {
				continue
			}
			r, err := wire.VerifyReceipt(o.Receipt, []*ecdsa.PublicKey{&l.key.PublicKey})
			must(t, err)
			chain, err := l.store.Envelope(t.Context(), r.Host, r.Seq)
			if err != nil || chain[0].Digest != r.Digest {
				t.Errorf("receipted and not stored: %v", err)
			}
		}
	})
}
