package agent

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/wire"
)

// ReadReport reads a report to show it, and believes nothing: the signature is
// not verified. which is "latest", the number of a report that waits in the
// state folder, or a file: one of an outbox, or a signed envelope.
func ReadReport(stateDir, which string) (*muster.Report, error) {
	envelope, err := readEnvelope(stateDir, which)
	if err != nil {
		return nil, err
	}
	content, err := wire.Payload(wire.KindReport, envelope)
	if err != nil {
		return nil, fmt.Errorf("read report %s: it is no signed report: %w", which, err)
	}
	opened, err := wire.DecodeReport(content)
	if err != nil {
		return nil, fmt.Errorf("read report %s: %w", which, err)
	}
	return opened.Report()
}

func readEnvelope(stateDir, which string) ([]byte, error) {
	if seq, ok := seqOfFile(filepath.Base(which)); ok {
		box, err := outbox.OpenReader(filepath.Dir(which))
		if err != nil {
			return nil, err
		}
		return box.Read(seq)
	}
	seq, err := strconv.ParseUint(which, 10, 64)
	if err != nil && which != "latest" {
		return readBounded(which, wire.MaxEnvelope)
	}
	folder, err := state.OpenReader(stateDir)
	if err != nil {
		return nil, err
	}
	box, err := outbox.OpenReader(folder.OutboxDir())
	if err != nil {
		return nil, err
	}
	if which == "latest" {
		d, err := box.Depth()
		if err != nil {
			return nil, err
		}
		if seq = d.Newest; seq == 0 {
			if base := box.Base(); base != nil {
				return base, nil // the newest is with the state already
			}
			return nil, errors.New("there is no report yet: run muster audit first")
		}
	}
	return box.Read(seq)
}

// seqOfFile reads the number from a name such as 00000042.report.
func seqOfFile(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, ".report")
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, ok && err == nil
}
