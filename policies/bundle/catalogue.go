package bundle

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/passmuster/muster"
)

// ControlPackage is where the packages of controls live.
const ControlPackage = "muster.controls."

// custom is the part of a control's annotations that OPA leaves to us.
type custom struct {
	ID        string                     `json:"id"`
	Severity  *muster.Severity           `json:"severity"`
	Profiles  []muster.Profile           `json:"profiles"`
	Platforms []muster.Platform          `json:"platforms"`
	Facts     []anyOf                    `json:"facts"`
	Also      []string                   `json:"also"`
	Lists     []string                   `json:"lists"`
	Maps      map[string][]string        `json:"maps"`
	Remedy    string                     `json:"remedy"`
	Remedies  map[muster.Platform]string `json:"remedies"`
}

// anyOf reads a fact's name, or {any: [names]}.
type anyOf []string

func (a *anyOf) UnmarshalJSON(b []byte) error {
	var name string
	if json.Unmarshal(b, &name) == nil {
		*a = anyOf{name}
		return nil
	}
	var set struct {
		Any []string `json:"any"`
	}
	if err := json.Unmarshal(b, &set); err != nil || len(set.Any) == 0 {
		return errors.New("want a fact's name or {any: [names]}")
	}
	*a = set.Any
	return nil
}

// annotated reads the catalogue from the annotations of the controls.
func annotated(modules map[string][]byte) ([]muster.Control, error) {
	var controls []muster.Control
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		m, err := parse(name, modules[name])
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if !strings.HasPrefix(packageOf(m), ControlPackage) {
			continue
		}
		c, err := control(m)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		controls = append(controls, c)
	}
	slices.SortFunc(controls, func(a, b muster.Control) int { return cmp.Compare(a.ID, b.ID) })
	return controls, nil
}

func parse(name string, source []byte) (*ast.Module, error) {
	m, err := ast.ParseModuleWithOpts(name, string(source), ast.ParserOptions{
		Capabilities: Capabilities(), RegoVersion: ast.RegoV1, ProcessAnnotation: true,
	})
	if err == nil && m == nil {
		err = errors.New("the file is empty")
	}
	return m, err
}

func packageOf(m *ast.Module) string {
	return strings.TrimPrefix(m.Package.Path.String(), "data.")
}

// control reads one module's package annotations, and says what is missing.
func control(m *ast.Module) (muster.Control, error) {
	var notes *ast.Annotations
	for _, a := range m.Annotations {
		if a.Scope == "package" {
			notes = a
		}
	}
	if notes == nil {
		return muster.Control{}, errors.New("the package has no METADATA: start the file with one, as the other controls do")
	}
	var x custom
	if err := reshape(notes.Custom, &x); err != nil {
		return muster.Control{}, fmt.Errorf("custom metadata: %w", err)
	}
	c := muster.Control{
		ID: x.ID, Title: notes.Title, Why: notes.Description, Package: packageOf(m),
		Profiles: x.Profiles, Platforms: x.Platforms, Also: x.Also, Lists: x.Lists, Maps: x.Maps, Remedy: x.Remedy, Remedies: x.Remedies,
	}
	for _, f := range x.Facts {
		c.Facts = append(c.Facts, f)
	}
	var missing []string
	need := func(name string, there bool) {
		if !there {
			missing = append(missing, name)
		}
	}
	need("title", c.Title != "")
	need("description", c.Why != "")
	need("id", c.ID != "")
	need("severity", x.Severity != nil)
	need("profiles", len(c.Profiles) > 0)
	need("platforms", len(c.Platforms) > 0)
	need("facts", len(c.Facts) > 0)
	need("maps", len(c.Maps) > 0)
	need("remedy", c.Remedy != "")
	if missing != nil {
		return c, fmt.Errorf("the METADATA lacks %s", strings.Join(missing, ", "))
	}
	c.Severity = *x.Severity
	for _, p := range c.Profiles {
		if _, err := muster.ParseProfile(string(p)); err != nil {
			return c, err
		}
	}
	for _, p := range append(slices.Collect(maps.Keys(c.Remedies)), c.Platforms...) {
		if p != muster.Windows && p != muster.Linux {
			return c, fmt.Errorf("platform %q is not known: use windows or linux", p)
		}
	}
	return c, nil
}

// marshalCatalogue writes controls.json, one control a line so that a change
// shows as one.
func marshalCatalogue(controls []muster.Control) ([]byte, error) {
	var buf bytes.Buffer
	for i, c := range controls {
		line, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		buf.WriteString([]string{"[\n", ",\n"}[min(i, 1)])
		buf.Write(line)
	}
	buf.WriteString("\n]\n")
	return buf.Bytes(), nil
}

// Catalogue makes the text of controls.json for the sources of a bundle.
func (b *Bundle) Catalogue() ([]byte, error) { return marshalCatalogue(b.Controls) }
