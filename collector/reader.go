package collector

import (
	"context"
	"errors"
	"io/fs"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/internal/wire"
)

// reader is what the pages read: the store, and evidence from its envelopes.
type reader struct{ store.Store }

var _ web.Reader = reader{}

// HostEvidence opens a report of a host, 0 for the newest, and verifies its signature
// once more.
func (r reader) HostEvidence(ctx context.Context, id muster.HostID, seq uint64) (map[string]muster.Evidence, error) {
	chain, err := r.Envelope(ctx, id, seq)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	envelope, err := ingest.OpenStored(id, chain)
	if err != nil {
		return nil, err
	}
	host, err := r.Enrolled(ctx, id)
	if err != nil {
		return nil, err
	}
	key, err := wire.ParsePublicKey(host.PublicKey)
	if err != nil {
		return nil, err
	}
	content, err := wire.Verify(wire.KindReport, envelope, key)
	if err != nil {
		return nil, err
	}
	report, err := wire.DecodeReport(content)
	if err != nil {
		return nil, err
	}
	detail, err := report.Detail()
	return detail.Evidence, err
}
