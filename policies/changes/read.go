package changes

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies"
)

// policy is what a bundle says, in comparable form.
type policy struct {
	manifest map[string]any // of metadata.muster, and revision; nil where there is none
	controls map[string]muster.Control
	rules    map[string]string            // Rego without comments, by package
	helpers  map[string]map[string]string // file -> {"Rego": code}
	facts    map[string]map[string]string // name -> {"SQL on linux": statement}
	lists    map[string]list
	waivers, attestations,
	other map[string]map[string]string
}

type list struct {
	dated, source, limit string
	value                any
}

func read(files map[string][]byte) (*policy, error) {
	p := &policy{controls: map[string]muster.Control{}, rules: map[string]string{}}
	data := map[string]any{}
	rego := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var err error
		switch base := path.Base(name); {
		case name == ".manifest":
			err = p.readManifest(files[name])
		case name == "controls.json":
			err = p.readCatalogue(files[name])
		case strings.HasSuffix(name, "_test.rego"):
		case path.Ext(name) == ".rego":
			rego[name] = code(files[name])
		case base == "data.yaml" || base == "data.yml" || base == "data.json":
			err = graft(data, path.Dir(name), files[name])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	p.sortRego(rego)
	return p, p.readData(data)
}

func (p *policy) readManifest(text []byte) error {
	var m struct {
		Revision string
		Metadata struct{ Muster map[string]any }
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	p.manifest = map[string]any{"revision": m.Revision}
	maps.Copy(p.manifest, m.Metadata.Muster)
	return nil
}

func (p *policy) readCatalogue(text []byte) error {
	var controls []muster.Control
	if err := json.Unmarshal(text, &controls); err != nil {
		return err
	}
	for _, c := range controls {
		p.controls[c.ID] = c
	}
	return nil
}

// code is Rego without comments and empty lines.
func code(source []byte) string {
	var b strings.Builder
	for row := range strings.Lines(string(source)) {
		if text := strings.TrimSpace(row); text != "" && text[0] != '#' {
			b.WriteString(strings.TrimRight(row, " \r\n") + "\n")
		}
	}
	return b.String()
}

// sortRego tells the rules of controls from what they share.
func (p *policy) sortRego(rego map[string]string) {
	p.helpers = map[string]map[string]string{}
	packages := map[string]bool{}
	for _, c := range p.controls {
		packages[c.Package] = true
	}
	for _, name := range slices.Sorted(maps.Keys(rego)) {
		first, _, _ := strings.Cut(rego[name], "\n")
		if pkg := strings.TrimSpace(strings.TrimPrefix(first, "package ")); packages[pkg] {
			p.rules[pkg] += rego[name]
			continue
		}
		p.helpers[name] = map[string]string{"Rego": rego[name]}
	}
}

// graft reads a data file and puts it where its folder says.
func graft(root map[string]any, dir string, text []byte) error {
	var v any
	if err := policies.ParseData(text, &v); err != nil {
		return err
	}
	return policies.Graft(root, dir, v)
}

func (p *policy) readData(data map[string]any) error {
	var doc struct {
		Facts                 map[string]map[string]map[string]string
		Freshness             map[string]float64
		Lists                 map[string]any
		Counties              map[string]map[string]map[string]any
		Hosts                 map[string]map[string]map[string]any
		Waivers, Attestations []map[string]any
	}
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("read the data: %w", err)
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("read the data: %w", err)
	}
	p.facts = map[string]map[string]string{}
	for _, area := range doc.Facts {
		for name, statements := range area {
			p.facts[name] = map[string]string{}
			for platform, sql := range statements {
				p.facts[name]["SQL on "+platform] = sql
			}
		}
	}
	p.lists = map[string]list{}
	for name, v := range doc.Lists {
		p.lists[name] = newList(v)
	}
	for name, days := range doc.Freshness {
		l := p.lists[name]
		l.limit = fmt.Sprintf("%v days", days)
		p.lists[name] = l
	}
	for layer, which := range map[string]map[string]map[string]map[string]any{"county": doc.Counties, "host": doc.Hosts} {
		for one, parts := range which {
			for name, v := range parts["lists"] {
				p.lists[name+" ("+layer+" "+one+")"] = newList(v)
			}
		}
	}
	p.waivers, p.attestations = byID(doc.Waivers), byID(doc.Attestations)
	p.other = map[string]map[string]string{}
	for name, v := range data {
		if !slices.Contains([]string{"facts", "freshness", "lists", "counties", "hosts", "waivers", "attestations"}, name) {
			p.other[name] = map[string]string{"value": line(v)}
		}
	}
	return nil
}

func newList(v any) list {
	own, ok := v.(map[string]any)
	if !ok || own["value"] == nil || own["dated"] == nil {
		return list{value: v}
	}
	return list{dated: day(own["dated"]), source: line(own["source"]), value: own["value"]}
}

// byID tells entries apart by their id, or, without one, by all they say.
func byID(entries []map[string]any) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, entry := range entries {
		fields := map[string]string{}
		for name, v := range entry {
			fields[name] = day(v)
		}
		id, _ := entry["id"].(string)
		if id == "" {
			id = line(entry)
		}
		all[id] = fields
	}
	return all
}

// line writes any value on one line, texts without quotes.
func line(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// day shortens midnights to their date.
func day(v any) string { return strings.TrimSuffix(line(v), "T00:00:00Z") }
