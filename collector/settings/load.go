package settings

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Sample is a file with every key and what it means.
//
//go:embed sample.yaml
var Sample []byte

const (
	// maxFile bounds a configuration file, in bytes.
	maxFile = 1 << 20
	// prefix of environment variables: MUSTER_LISTEN, MUSTER_TLS_KEY.
	prefix = "MUSTER_"
)

// Source of settings.
type Source struct {
	// File to read; "" means DefaultFile where that is there.
	File string
	// Environ as os.Environ gives it.
	Environ []string
	// Flags that were given: key, such as tailnet.hostname, to value; Names says how
	// the flag of a key is called.
	Flags, Names map[string]string
}

// Loaded settings, and where each comes from.
type Loaded struct {
	Settings
	File    string            // that was read; "" for none
	origins map[string]string // by key; one that is not here has its default
}

// Load reads the settings and checks them. Its error names everything that is wrong, a
// line each.
func Load(from Source) (*Loaded, error) {
	l := &Loaded{Settings: Default(), origins: map[string]string{}}
	var errs []error
	name, required := from.File, from.File != ""
	if !required {
		name = DefaultFile
	}
	text, err := readFile(name)
	switch {
	case err == nil:
		l.File = name
		errs = append(errs, l.parse(text, name)...)
	case required || !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	errs = append(errs, l.environ(from.Environ)...)
	for key, value := range from.Flags {
		errs = append(errs, l.override(key, value, "--"+from.Names[key]))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := errors.Join(l.check()...); err != nil {
		return nil, err
	}
	return l, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s: more than %d bytes are no configuration", name, maxFile)
	}
	return b, err
}

// parse takes what a file says.
func (l *Loaded) parse(text []byte, name string) []error {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&doc); err == io.EOF {
		return nil // only comments
	} else if err != nil {
		return []error{fmt.Errorf("%s: %w", name, err)}
	}
	if dec.Decode(&yaml.Node{}) != io.EOF {
		return []error{fmt.Errorf("%s: there is more than one document in it: leave --- out", name)}
	}
	p := &parser{l: l, file: name}
	p.value(reflect.ValueOf(&l.Settings).Elem(), "", doc.Content[0])
	return p.errs
}

// parser puts nodes into settings.
type parser struct {
	l    *Loaded
	file string
	errs []error
}

func (p *parser) fail(at *yaml.Node, key, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s line %d: %s%w", p.file, at.Line, lead(key), fmt.Errorf(format, args...)))
}

func lead(key string) string {
	if key == "" {
		return ""
	}
	return key + ": "
}

func (p *parser) value(v reflect.Value, key string, n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		p.fail(n, key, "anchors and aliases are not read: write the value out")
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		if key != "" {
			p.fail(n, key, "it has no value: give it one, or leave it out")
		}
	case v.Kind() == reflect.Struct:
		p.section(v, key, n)
	case v.Kind() == reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			p.fail(n, key, "want a list, an item a line after a dash")
			return
		}
		list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, item := range n.Content {
			p.value(list.Index(i), fmt.Sprintf("%s[%d]", key, i), item)
		}
		v.Set(list)
		p.l.origins[key] = p.where(n)
	case n.Kind != yaml.ScalarNode:
		p.fail(n, key, "want one value")
	default:
		if err := set(v, n.Value); err != nil {
			p.fail(n, key, "%w", err)
		}
		p.l.origins[key] = p.where(n)
	}
}

func (p *parser) where(n *yaml.Node) string { return fmt.Sprintf("%s line %d", p.file, n.Line) }

func (p *parser) section(v reflect.Value, key string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.fail(n, key, "want keys with values, %s", strings.Join(keys(v.Type()), ", "))
		return
	}
	p.l.origins[key] = p.where(n)
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		f, ok := field(v, name.Value)
		switch {
		case !ok:
			p.fail(name, key, "there is no key %q: use %s", name.Value, strings.Join(keys(v.Type()), ", "))
		case seen[name.Value]:
			p.fail(name, key, "the key %q is there twice", name.Value)
		default:
			p.value(f, join(key, name.Value), n.Content[i+1])
		}
		seen[name.Value] = true
	}
}

func join(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}

func keys(t reflect.Type) (list []string) {
	for f := range t.Fields() {
		list = append(list, f.Tag.Get("key"))
	}
	return list
}

func field(v reflect.Value, key string) (reflect.Value, bool) {
	i := slices.Index(keys(v.Type()), key)
	if i < 0 {
		return v, false
	}
	return v.Field(i), true
}

// set reads a value from text; a list is separated by commas.
func set(v reflect.Value, text string) error {
	switch into := v.Addr().Interface().(type) {
	case *string:
		*into = text
	case *bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*into = text == "true"
	case *Duration:
		d, err := parseDuration(text)
		if err != nil {
			return err
		}
		*into = d
	case *[]string:
		*into = nil
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*into = append(*into, item)
			}
		}
	default:
		return errors.New("it can only be set in the configuration file")
	}
	return nil
}

// override sets one key from elsewhere than the file.
func (l *Loaded) override(key, text, origin string) error {
	v, ok := reflect.ValueOf(&l.Settings).Elem(), true
	for part := range strings.SplitSeq(key, ".") {
		if ok = ok && v.Kind() == reflect.Struct; ok {
			v, ok = field(v, part)
		}
	}
	if !ok || v.Kind() == reflect.Struct {
		return fmt.Errorf("%s: there is no such setting", origin)
	}
	if err := set(v, text); err != nil {
		return fmt.Errorf("%s: %w", origin, err)
	}
	l.origins[key] = origin
	return nil
}

// environ takes MUSTER_KEY and MUSTER_SECTION_KEY. Others of a section are errors,
// because they are misspelled; what else begins with MUSTER_ is of other programs.
func (l *Loaded) environ(environ []string) (errs []error) {
	t := reflect.TypeFor[Settings]()
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		rest = strings.ToLower(rest)
		for f := range t.Fields() {
			top := f.Tag.Get("key")
			key, in := strings.CutPrefix(rest, top+"_")
			switch {
			case rest == top && f.Type.Kind() != reflect.Struct:
				errs = append(errs, l.override(top, value, name))
			case in && f.Type.Kind() == reflect.Struct:
				errs = append(errs, l.override(top+"."+key, value, name))
			}
		}
	}
	return errs
}

// Show writes the settings as a configuration file, each with where it comes from.
func (l *Loaded) Show(w io.Writer) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	return errors.Join(enc.Encode(l.node(reflect.ValueOf(l.redacted()), "")), enc.Close())
}

func (l *Loaded) node(v reflect.Value, key string) *yaml.Node {
	n := &yaml.Node{}
	switch v.Kind() {
	case reflect.Struct:
		n.Kind = yaml.MappingNode
		for f, value := range v.Fields() {
			name := f.Tag.Get("key")
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, l.node(value, join(key, name)))
		}
	case reflect.Slice:
		n.Kind = yaml.SequenceNode
		if v.Len() == 0 {
			n.Style, n.LineComment = yaml.FlowStyle, l.origin(key)
		}
		for i := range v.Len() {
			n.Content = append(n.Content, l.node(v.Index(i), fmt.Sprintf("%s[%d]", key, i)))
		}
	default:
		n.SetString(fmt.Sprint(v.Interface()))
		if b, ok := v.Interface().(bool); ok {
			n.Tag, n.Value, n.Style = "!!bool", strconv.FormatBool(b), 0
		}
		n.LineComment = l.origin(key)
	}
	return n
}

// origin says where a key comes from.
func (l *Loaded) origin(key string) string {
	if o, ok := l.origins[key]; ok {
		return o
	}
	return "default"
}
