package courier

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
)

const (
	custodyLog = "custody.jsonl"
	maxLog     = 4 << 20 // bytes
	// keepSteps is how many steps stay on the stick; each is about 200 bytes.
	keepSteps = 4096
)

// Step is what someone did with the file.
func (f *File) Step(act, by string, at time.Time) muster.CustodyEvent {
	return muster.CustodyEvent{At: at.UTC().Truncate(time.Second), Act: act, By: by, File: f.ID(), Host: f.Host, From: f.From, To: f.To}
}

// Log gives the steps on the stick in the order in which they were written, and
// how many lines are none: cut off, or someone else's.
func (s *Stick) Log() (steps []muster.CustodyEvent, damaged int, err error) {
	b, err := durable.ReadForeign(s.path(custodyLog), maxLog)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, nil
	case errors.Is(err, durable.ErrForeign):
		return nil, 1, nil // written anew by the next step
	case err != nil:
		return nil, 0, fmt.Errorf("stick: %w", err)
	}
	steps, damaged = parseLog(b)
	return steps, damaged, nil
}

func parseLog(b []byte) (steps []muster.CustodyEvent, damaged int) {
	for line := range bytes.Lines(b) {
		var e muster.CustodyEvent
		if json.Unmarshal(line, &e) != nil || !e.Sane() || e.At.Year() < 1 || e.At.Year() > 9999 {
			damaged++
			continue
		}
		e.At = e.At.UTC().Truncate(time.Second)
		steps = append(steps, e)
	}
	return steps, damaged
}

// Note adds the steps that are not in the log yet. Lines that are none go.
func (s *Stick) Note(steps ...muster.CustodyEvent) error {
	log, damaged, err := s.Log()
	if err != nil {
		return err
	}
	before := len(log)
	for _, e := range steps {
		if e.Sane() && !slices.Contains(log, e) {
			log = append(log, e)
		}
	}
	if len(log) == before && damaged == 0 {
		return nil
	}
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	for _, e := range log[max(0, len(log)-keepSteps):] {
		if err := out.Encode(e); err != nil {
			return fmt.Errorf("encode a step of custody: %w", err)
		}
	}
	if err := s.disk.WriteFile(s.path(custodyLog), b.Bytes(), fileMode); err != nil {
		return fmt.Errorf("stick: %w", err)
	}
	return nil
}

// of are the steps of one host.
func of(steps []muster.CustodyEvent, host muster.HostID) []muster.CustodyEvent {
	return slices.DeleteFunc(slices.Clone(steps), func(e muster.CustodyEvent) bool { return e.Host != host })
}
