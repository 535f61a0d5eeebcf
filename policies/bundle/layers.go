package bundle

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies"
)

// Layers that a list can come from; those of a county or host name it after this.
const (
	LayerState    = "state"
	LayerCounty   = "county"
	LayerHost     = "host"
	LayerAttested = "attestations"
	LayerFile     = "file"
)

// attestations is the list that signed attestations are laid over.
const attestations = "attestations"

// For is the bundle as it judges one host at now: the lists of its host lie over
// those of its county, and these over the state's, each whole. Attestations that
// hold for the host are laid over the list of that name.
func (b *Bundle) For(h muster.Host, now time.Time) *Bundle {
	laid := *b
	laid.Lists = maps.Clone(b.Lists)
	maps.Copy(laid.Lists, b.counties[h.County])
	maps.Copy(laid.Lists, b.hosts[h.ID])
	laid.attest(h, now)
	return &laid
}

// attest lays <claim>_on, _by and _until over the list; the newest word counts.
func (b *Bundle) attest(h muster.Host, now time.Time) {
	newest := map[string]muster.Attestation{}
	for _, a := range b.Attestations {
		if a.Covers(h, now) && !a.On.Before(newest[a.Claim].On) {
			newest[a.Claim] = a
		}
	}
	l := b.Lists[attestations]
	given, _ := l.Value.(map[string]any)
	value := maps.Clone(given)
	for claim, a := range newest {
		if on, err := policies.ParseDate(given[claim+"_on"]); err == nil && on.After(a.On) && !on.After(now) {
			continue
		}
		if value == nil {
			value = map[string]any{}
		}
		value[claim+"_on"] = a.On.Format(time.DateOnly)
		value[claim+"_by"] = a.By
		value[claim+"_until"] = a.Until.Format(time.DateOnly)
		l.Value, l.Source, l.Layer = value, "signed attestations", LayerAttested
		if a.On.After(l.Dated) {
			l.Dated = a.On
		}
	}
	if l.Layer == LayerAttested {
		b.Lists[attestations] = l
	}
}

// readLayers reads the lists of single counties and hosts.
func (b *Bundle) readLayers() (err error) {
	if b.counties, err = parseLayers(b, "counties", LayerCounty, muster.ParseCounty); err != nil {
		return err
	}
	b.hosts, err = parseLayers(b, "hosts", LayerHost, muster.ParseHostID)
	return err
}

// parseLayers reads whose: {lists: {name: {dated, source, value}}}.
func parseLayers[K ~string](b *Bundle, folder, layer string, parse func(string) (K, error)) (map[K]map[string]List, error) {
	if b.data[folder] == nil {
		return nil, nil
	}
	var doc map[string]map[string]map[string]any
	if err := reshape(b.data[folder], &doc); err != nil {
		return nil, fmt.Errorf("read %s: want {lists: {name: {dated, source, value}}} in %s/<which>/data.yaml: %w", folder, folder, err)
	}
	layers := make(map[K]map[string]List, len(doc))
	for _, which := range slices.Sorted(maps.Keys(doc)) {
		key, err := parse(which)
		if err != nil {
			return nil, fmt.Errorf("read %s/%s: %w: rename the folder", folder, which, err)
		}
		for name := range doc[which] {
			if name != "lists" {
				return nil, fmt.Errorf("read %s/%s: %s is not known: only lists may differ there", folder, which, name)
			}
		}
		layers[key] = make(map[string]List, len(doc[which]["lists"]))
		for _, name := range slices.Sorted(maps.Keys(doc[which]["lists"])) {
			if !b.knows(name) {
				return nil, fmt.Errorf("read %s/%s: list %s is not known: write its name as in freshness/data.yaml, or add it there", folder, which, name)
			}
			l, err := parseDatedList(doc[which]["lists"][name])
			if err != nil {
				return nil, fmt.Errorf("read %s/%s: list %s: %w", folder, which, name, err)
			}
			l.MaxAge, l.Layer = maxAge(b.freshness, name), layer+" "+which
			layers[key][name] = l
		}
	}
	return layers, nil
}

// knows reports whether there is a list of this name, or a control asks for one.
func (b *Bundle) knows(list string) bool {
	_, aged := b.freshness[list]
	_, here := b.Lists[list]
	return aged || here || b.reads(list)
}

// parseDatedList reads {dated, source, value} and nothing else.
func parseDatedList(entry any) (l List, err error) {
	fields, ok := entry.(map[string]any)
	if !ok {
		return l, errors.New("want {dated, source, value}")
	}
	for name := range fields {
		if !slices.Contains([]string{"dated", "source", "value"}, name) {
			return l, fmt.Errorf("%s is not known: want {dated, source, value}", name)
		}
	}
	if l.Value = fields["value"]; l.Value == nil {
		return l, errors.New("value is missing: want {dated, source, value}")
	}
	if l.Dated, err = policies.ParseDate(fields["dated"]); err != nil {
		return l, fmt.Errorf("dated: %w", err)
	}
	if l.Dated.IsZero() {
		return l, errors.New("dated is missing: say on which day it was known to be right")
	}
	l.Source, ok = fields["source"].(string)
	if !ok || strings.TrimSpace(l.Source) == "" {
		return l, errors.New("source is missing: say who says so")
	}
	return l, nil
}

func maxAge(freshness map[string]int, list string) time.Duration {
	return time.Duration(freshness[list]) * 24 * time.Hour
}
