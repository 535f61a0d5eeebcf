package policies

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

// Exceptions reads the waivers and attestations from the files of a bundle, to be
// shown. It verifies nothing.
func Exceptions(files map[string][]byte) (waivers []muster.Waiver, attestations []muster.Attestation, err error) {
	data := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		dir, file := path.Dir(name), path.Base(name)
		if !slices.Contains([]string{".", "waivers", "attestations"}, dir) || !slices.Contains([]string{"data.yaml", "data.yml", "data.json"}, file) {
			continue
		}
		var v any
		if err := ParseData(files[name], &v); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", name, err)
		}
		if v == nil {
			continue
		}
		if err := Graft(data, dir, v); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	if err := ParseExceptions(data["waivers"], &waivers, false); err != nil {
		return nil, nil, fmt.Errorf("read waivers: %w", err)
	}
	if err := ParseExceptions(data["attestations"], &attestations, false); err != nil {
		return nil, nil, fmt.Errorf("read attestations: %w", err)
	}
	return waivers, attestations, nil
}

// ParseExceptions decodes a list of objects whose dates are days or RFC 3339, into a
// slice of muster.Waiver or muster.Attestation; strict refuses fields that these do
// not have.
func ParseExceptions(v, into any, strict bool) error {
	if v == nil {
		return nil
	}
	entries, ok := v.([]any)
	if !ok {
		return errors.New("want a list that starts with \"- id: …\"")
	}
	dated := make([]any, len(entries))
	for i, entry := range entries {
		fields, ok := entry.(map[string]any)
		if !ok {
			return fmt.Errorf("entry %d: want an object that starts with \"- id: …\"", i+1)
		}
		fields = maps.Clone(fields)
		for _, name := range []string{"approved", "expires", "on", "until"} {
			if fields[name] == nil {
				continue
			}
			day, err := ParseDate(fields[name])
			if err != nil {
				return fmt.Errorf("entry %d: %s: %w", i+1, name, err)
			}
			fields[name] = day
		}
		dated[i] = fields
	}
	text, err := json.Marshal(dated)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: write dates and county codes in quotes", err)
	}
	return nil
}

// ParseDate reads "2026-11-20" or RFC 3339, or what YAML made of either; nothing is
// the zero time.
func ParseDate(v any) (time.Time, error) {
	if t, ok := v.(time.Time); ok {
		return t.UTC(), nil
	}
	s, ok := v.(string)
	if v == nil || ok && s == "" {
		return time.Time{}, nil
	}
	if !ok {
		return time.Time{}, errors.New("want a date in quotes, for example \"2026-11-20\"")
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no date: write 2026-11-20", s)
	}
	return t.UTC(), nil
}
