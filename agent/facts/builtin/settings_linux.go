package builtin

import (
	"path/filepath"
	"strings"
)

// setting is one line "key=value" of a file, which may have [sections]. In the
// files of apt the settings of one block share the number of its statement.
type setting struct {
	section, key, value, source string
	statement                   int
}

// settings reads files in their order; a missing one has no settings. A path
// that ends in /*.conf stands for such files of the folder in order of name, one
// that ends in /* also for files without an extension.
func (h host) settings(paths []string, parse func(text string) []setting) ([]setting, error) {
	var all []setting
	for _, path := range paths {
		files, err := h.expand(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := h.textIfAny(file)
			if err != nil {
				return nil, err
			}
			for _, s := range parse(text) {
				s.source = file
				all = append(all, s)
			}
		}
	}
	return all, nil
}

func (h host) expand(path string) ([]string, error) {
	dir, pattern := filepath.Split(path)
	if !strings.HasPrefix(pattern, "*") {
		return []string{path}, nil
	}
	names, err := h.dir(dir)
	var files []string
	for _, name := range names {
		if ext := filepath.Ext(name); ext == ".conf" || ext == "" && pattern == "*" {
			files = append(files, dir+name)
		}
	}
	return files, err
}

// lastOf maps section and key to the place of the last such setting, the one
// that takes effect.
func lastOf(settings []setting) map[[2]string]int {
	last := map[[2]string]int{}
	for i, s := range settings {
		last[[2]string{s.section, s.key}] = i
	}
	return last
}

// parseINI reads the form that desktops, systemd, samba and many others use: #
// and ; begin comments, a \ at the end goes on in the next line that is none, and
// a key without = is a setting without value.
func parseINI(text string) []setting {
	var settings []setting
	section, continued := "", ""
	// The empty line ends a file whose last line wants to go on.
	for line := range strings.Lines(text + "\n\n") {
		line = strings.TrimSpace(line)
		if line != "" && (line[0] == '#' || line[0] == ';') {
			continue
		}
		line = continued + line
		if before, more := strings.CutSuffix(line, `\`); more {
			continued = before + " "
			continue
		}
		continued = ""
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if line[0] == '[' {
			name, _, _ := strings.Cut(line, "]")
			section = strings.Trim(name, "[ \t")
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		settings = append(settings, setting{section: section, key: strings.TrimSpace(key),
			value: unquote(strings.TrimSpace(value))})
	}
	return settings
}

// unquote takes off a pair of quotes around the whole value.
func unquote(s string) string {
	if n := len(s); n > 1 && s[0] == s[n-1] && (s[0] == '"' || s[0] == '\'') {
		return s[1 : n-1]
	}
	return s
}

// parseWords reads lines of a key, spaces and a value, such as login.defs(5).
func parseWords(text string) []setting {
	var settings []setting
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 0 {
			settings = append(settings, setting{key: words[0], value: strings.Join(words[1:], " ")})
		}
	}
	return settings
}

// parseApt reads the settings of apt.conf(5) that are text or numbers: names
// with :: between their parts, or blocks in braces. Values of a list, which
// have no name, all have the key of their block and ::.
func parseApt(text string) []setting {
	var settings []setting
	var blocks []string // the names of the open blocks
	name, value := "", ""
	statement := 1
	full := func() string {
		parts := strings.Join(blocks, "::")
		switch {
		case parts == "":
			return name
		case name == "":
			return parts + "::"
		}
		return parts + "::" + name
	}
	for token := range aptTokens(text) {
		switch {
		case token == "{":
			blocks = append(blocks, name)
			name, value = "", ""
		case token == "}":
			blocks = blocks[:max(len(blocks)-1, 0)]
			name, value = "", ""
			if len(blocks) == 0 {
				statement++
			}
		case token == ";":
			if value != "" {
				settings = append(settings, setting{key: full(), value: value[1:], statement: statement})
			}
			if len(blocks) == 0 {
				statement++
			}
			name, value = "", ""
		case token[0] == '"':
			value = token
		case name == "":
			name = token
		default:
			value = `"` + token
		}
	}
	return settings
}

// aptTokens are the signs { } ; words, and quoted texts, which keep their first
// quote. // and # begin comments, /* */ holds one.
func aptTokens(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for text != "" {
			end := 1
			switch c := text[0]; {
			case strings.ContainsRune(" \t\r\n", rune(c)):
				text = text[1:]
				continue
			case strings.HasPrefix(text, "//"), c == '#':
				_, text, _ = strings.Cut(text, "\n")
				continue
			case strings.HasPrefix(text, "/*"):
				_, text, _ = strings.Cut(text[2:], "*/")
				continue
			case c == '{' || c == '}' || c == ';':
			case c == '"':
				quoted, rest, _ := strings.Cut(text[1:], `"`)
				if !yield(`"` + quoted) {
					return
				}
				text = rest
				continue
			default:
				if end = strings.IndexAny(text, " \t\r\n{};\""); end < 0 {
					end = len(text)
				}
			}
			if !yield(text[:end]) {
				return
			}
			text = text[end:]
		}
	}
}
