package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// controlID is the form of an id: MVS-NET-03 is net_03.rego.
var controlID = regexp.MustCompile(`^[A-Z]+-([A-Z]{2,8})-([0-9]{1,3})$`)

// Scaffold is a new control, ready to be edited.
type Scaffold struct {
	// ID like "MVS-NET-03", and what the control demands, as a sentence.
	ID, Title string
	// Area is the folder in facts that gets its fact; "" is named after the id.
	Area string
}

// Files writes the control, its tests and its fact into the sources in fsys: the
// files to write, by name. Together they pass Lint and Test. It refuses an id, a
// file or a fact that is there.
func (s Scaffold) Files(fsys fs.FS) (map[string][]byte, error) {
	parts := controlID.FindStringSubmatch(s.ID)
	if parts == nil {
		return nil, fmt.Errorf("%q is no id of a control: write it like MVS-NET-03", s.ID)
	}
	b, err := OpenDir(fsys)
	if err != nil && !errors.Is(err, errNoSources) {
		return nil, err
	}
	name := strings.ToLower(parts[1] + "_" + parts[2])
	area := s.Area
	if area == "" {
		area = strings.ToLower(parts[1])
	}
	if !factName.MatchString(area) {
		return nil, fmt.Errorf("%q is no name for a folder of facts: use lower-case letters, digits and _", area)
	}
	if b != nil && b.hasControl(s.ID) {
		return nil, fmt.Errorf("control %s is there already", s.ID)
	}
	if b != nil && b.Facts[name].Name != "" {
		return nil, fmt.Errorf("fact %s is there already, in facts/%s/data.yaml", name, b.areas[name])
	}
	title, err := json.Marshal(s.Title) // a JSON text is a YAML text
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for file, source := range map[string]string{".rego": newControl, "_test.rego": newControlTest} {
		file = path.Join("controls", name+file)
		if _, err := fs.Stat(fsys, file); err == nil {
			return nil, fmt.Errorf("%s is there already", file)
		}
		text := strings.NewReplacer("{{.ID}}", s.ID, "{{.Title}}", string(title), "{{.Name}}", name).Replace(source)
		if files[file], err = Format(file, []byte(text)); err != nil {
			return nil, fmt.Errorf("write %s: %w", file, err)
		}
	}
	facts := path.Join("facts", area, "data.yaml")
	old, err := fs.ReadFile(fsys, facts)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = []byte("# See README.md.\n")
	case err != nil:
		return nil, err
	}
	const statement = "SELECT name, version FROM os_version;"
	files[facts] = fmt.Appendf(bytes.TrimRight(old, "\n"), "\n\n%s:\n  windows: %s\n  linux: %s\n", name, statement, statement)
	return files, nil
}

// newControl asks for the version of the system, which every host has, and leaves
// the rest to the author.
const newControl = `# METADATA
# title: {{.Title}}
# description: >-
#   Say here what happens to an election office where this is not so.
# custom:
#   id: {{.ID}}
#   severity: medium
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [{{.Name}}]
#   maps: {cis: ["4.1"]}
#   remedy: >-
#     Say here, in one or two sentences, what the clerk does or asks IT to do.
package muster.controls.{{.Name}}

violations contains {"subject": r.name, "found": "no version", "want": "a version"} if {
	some r in input.facts.{{.Name}}
	r.version == ""
}
`

const newControlTest = `package muster.controls.{{.Name}}_test

import data.muster.controls.{{.Name}}

system(version) := {"facts": {"{{.Name}}": [{"name": "Example OS", "version": version}]}}

test_pass if count({{.Name}}.violations) == 0 with input as system("1.0")

test_fail if {{.Name}}.violations == {{"subject": "Example OS", "found": "no version", "want": "a version"}} with input as system("")

# The engine answers unknown where the fact is not ok: nothing is claimed here.
test_unknown_without_the_fact if count({{.Name}}.violations) == 0 with input as {"facts": {}}
`
