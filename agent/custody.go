package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
)

const (
	custodyFile = "custody.json"
	// maxCustody bounds the steps that wait for the next report.
	maxCustody      = 256
	maxCustodyBytes = 1 << 20
)

func (k *keeper) custodyPath() string { return filepath.Join(k.folder.Dir(), custodyFile) }

// custody is what the courier brought back since the report before. A file that is
// damaged is none: it is no evidence any more.
func (k *keeper) custody() []muster.CustodyEvent {
	b, err := durable.ReadForeign(k.custodyPath(), maxCustodyBytes)
	if err != nil {
		return nil
	}
	var steps []muster.CustodyEvent
	if json.Unmarshal(b, &steps) != nil {
		return nil
	}
	steps = slices.DeleteFunc(steps, func(e muster.CustodyEvent) bool { return !e.Sane() })
	return steps[max(0, len(steps)-maxCustody):]
}

// addCustody keeps steps for the next report, each once.
func (k *keeper) addCustody(steps []muster.CustodyEvent) error {
	kept := k.custody()
	before := len(kept)
	for _, e := range steps {
		if e.Sane() && !slices.Contains(kept, e) {
			kept = append(kept, e)
		}
	}
	if len(kept) == before {
		return nil
	}
	b, err := json.Marshal(kept[max(0, len(kept)-maxCustody):])
	if err != nil {
		return fmt.Errorf("keep the custody: %w", err)
	}
	if err := durable.WriteFile(k.custodyPath(), b, 0o640); err != nil {
		return fmt.Errorf("keep the custody: %w", err)
	}
	return nil
}

// custodyTold forgets what a report that is kept now tells.
func (k *keeper) custodyTold() error {
	if _, err := durable.ReadForeign(k.custodyPath(), maxCustodyBytes); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return durable.Remove(k.custodyPath())
}
