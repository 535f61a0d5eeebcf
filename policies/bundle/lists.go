package bundle

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/util"

	"github.com/passmuster/muster/policies"
)

// WithLists lays lists over those of the bundle. jsonBytes is an object of list
// names; "dated" in it dates the whole set, and an entry {dated, source, value}
// dates itself. Lists that it does not name stay as they are.
func (b *Bundle) WithLists(jsonBytes []byte) (*Bundle, error) {
	var set map[string]any
	if err := util.UnmarshalJSON(jsonBytes, &set); err != nil {
		return nil, fmt.Errorf("read lists: want one JSON object of list names: %w", err)
	}
	over, err := parseLists(set, b.freshness)
	if err != nil {
		return nil, err
	}
	if len(over) > 0 && !slices.ContainsFunc(slices.Collect(maps.Keys(over)), b.reads) {
		return nil, fmt.Errorf("read lists: the file names none of the lists that this policy reads: %s", strings.Join(b.listNames(), ", "))
	}
	laid := *b
	laid.Lists = maps.Clone(b.Lists)
	for name, l := range over {
		l.Layer = LayerFile
		laid.Lists[name] = l
	}
	return &laid, nil
}

// reads reports whether a control reads the list.
func (b *Bundle) reads(list string) bool { return slices.Contains(b.listNames(), list) }

// ListNames lists every list that the bundle has or that a control reads, in order.
func (b *Bundle) ListNames() []string {
	names := slices.AppendSeq(b.listNames(), maps.Keys(b.Lists))
	slices.Sort(names)
	return slices.Compact(names)
}

// MaxAge is the time after which a list of this name is stale; 0 means never.
func (b *Bundle) MaxAge(list string) time.Duration { return maxAge(b.freshness, list) }

// listNames lists those that a control reads.
func (b *Bundle) listNames() []string {
	var names []string
	for _, c := range b.Controls {
		names = append(names, c.Lists...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func parseLists(set map[string]any, freshness map[string]int) (map[string]List, error) {
	dated, err := policies.ParseDate(set["dated"])
	if err != nil {
		return nil, fmt.Errorf("read lists: dated: %w", err)
	}
	lists := make(map[string]List, len(set))
	for name, entry := range set {
		if name == "dated" {
			continue
		}
		l := List{Value: entry, Dated: dated, MaxAge: maxAge(freshness, name), Layer: LayerState}
		if own, ok := entry.(map[string]any); ok && own["value"] != nil && own["dated"] != nil {
			l.Value = own["value"]
			l.Source, _ = own["source"].(string)
			if l.Dated, err = policies.ParseDate(own["dated"]); err != nil {
				return nil, fmt.Errorf("read list %s: dated: %w", name, err)
			}
		}
		lists[name] = l
	}
	return lists, nil
}

// parseFreshness reads the freshness document.
func parseFreshness(v any) (map[string]int, error) {
	days := map[string]int{}
	if v == nil {
		return days, nil
	}
	if err := reshape(v, &days); err != nil {
		return nil, fmt.Errorf("read freshness: want list names with a number of days: %w", err)
	}
	return days, nil
}

// reshape decodes an already parsed document into typed form, so that what was
// verified and what is used are one reading of the bytes.
func reshape(v, into any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}
