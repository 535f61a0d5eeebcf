package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/internal/wire"
)

// sizes prints what a first report and an unchanged next one weigh on the wire,
// for each recorded host and for this computer.
func sizes(ctx context.Context, w io.Writer, _ options, _ string) error {
	key, err := wire.NewKey()
	if err != nil {
		return err
	}
	id, err := wire.HostIDOf(key.Public())
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%-28s %12s %12s %8s %12s   %s\n", "report of", "JSON bytes", "first", "share", "unchanged", "target: first at most 20%, unchanged at most 700 bytes")
	for _, recording := range []string{"", "win11-workstation", "win10-ems"} {
		o, name := agent.Options{}, "this computer"
		if recording != "" {
			o.Recording, name = filepath.Join("testdata", "hosts", recording+".json"), recording
		}
		res, err := agent.Audit(ctx, o)
		if err != nil {
			return err
		}
		audit := res.Audit
		audit.HostID = id
		r := agent.NewReport(&audit, "56021", "00000000-0000-0000-0000-000000000000", res.Results)
		seal := func(seq uint64, prev muster.Digest) ([]byte, error) {
			r.Header.Seq, r.Header.Prev = seq, prev
			r.Header.CollectedAt = audit.AuditedAt.Add(time.Duration(seq) * time.Hour)
			content, err := wire.EncodeReport(r)
			if err != nil {
				return nil, err
			}
			return wire.Sign(wire.KindReport, content, key, string(id))
		}
		first, err := seal(1, muster.Digest{})
		if err != nil {
			return err
		}
		next, err := seal(2, wire.EnvelopeDigest(first))
		if err != nil {
			return err
		}
		a, err := wire.NewFrame(id, 1, first, nil)
		if err != nil {
			return err
		}
		b, err := wire.NewFrame(id, 2, next, first)
		if err != nil {
			return err
		}
		asJSON, err := json.Marshal(r)
		if err != nil {
			return err
		}
		onWire := func(f *wire.Frame) int {
			b, err := wire.Marshal(f)
			if err != nil {
				return -1
			}
			return len(b)
		}
		fmt.Fprintf(w, "%-28s %12d %12d %7.1f%% %12d\n", name, len(asJSON), onWire(a), 100*float64(onWire(a))/float64(len(asJSON)), onWire(b))
	}
	return nil
}
