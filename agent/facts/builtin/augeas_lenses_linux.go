package builtin

import (
	"strconv"
	"strings"
)

// The shapes in which augeas' lenses show files. Each function adds a file's
// nodes to top.

// augeasLoginDefs: KEY = value.
func augeasLoginDefs(top *augeasNode, text string) {
	for _, s := range parseWords(text) {
		top.add(s.key, s.value)
	}
}

// augeasApt: one tree a statement, its levels without ::; the members of a list
// are called @elem.
func augeasApt(top *augeasNode, text string) {
	var tree *augeasNode
	statement := 0
	for _, s := range parseApt(text) {
		names := strings.Split(s.key, "::")
		if names[0] != "APT" && names[0] != "Unattended-Upgrade" {
			continue
		}
		if tree == nil || s.statement != statement {
			tree, statement = top.add(names[0], ""), s.statement
		}
		if len(names) == 1 {
			tree.value = s.value
			continue
		}
		at := tree
		for _, name := range names[1 : len(names)-1] {
			at = at.below(name)
		}
		if last := names[len(names)-1]; last != "" {
			at.add(last, s.value)
		} else {
			at.add("@elem", s.value)
		}
	}
}

// augeasPAM: numbered lines with type, control, module and arguments.
func augeasPAM(top *augeasNode, text string) {
	number := 0
	for _, s := range parseWords(text) {
		if s.key == "@include" {
			top.add("include", s.value)
			continue
		}
		number++
		line := top.add(strconv.Itoa(number), "")
		kind, optional := strings.CutPrefix(s.key, "-")
		if optional {
			line.add("optional", "")
		}
		line.add("type", kind)
		for i, word := range bracketWords(s.value) {
			line.add([]string{"control", "module", "argument"}[min(i, 2)], word)
		}
	}
}

// bracketWords splits at spaces, but not within [brackets].
func bracketWords(s string) []string {
	var words []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		end := strings.IndexByte(s, ' ')
		if s[0] == '[' {
			end = strings.IndexByte(s, ']') + 1
		}
		if end <= 0 {
			end = len(s)
		}
		words = append(words, s[:end])
		s = s[end:]
	}
	return words
}

// augeasExports: dir = folder, below it its clients, below each its options.
func augeasExports(top *augeasNode, text string) {
	for _, s := range parseWords(text) {
		dir := top.add("dir", s.key)
		for client := range strings.FieldsSeq(s.value) {
			name, options, _ := strings.Cut(strings.TrimSuffix(client, ")"), "(")
			at := dir.add("client", name)
			if defaults, ok := strings.CutPrefix(name, "-"); ok {
				dir.nodes = dir.nodes[:len(dir.nodes)-1]
				at, options = dir, defaults
			}
			for option := range strings.SplitSeq(options, ",") {
				if option != "" {
					at.add("option", option)
				}
			}
		}
	}
}

// iniSections gives the settings of a file by section, in order. Sections of one
// name that follow each other count as one, and empty ones not at all.
func iniSections(text string, visit func(section string, settings []setting)) {
	all := parseINI(text)
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].section == all[0].section {
			n++
		}
		visit(all[0].section, all[:n])
		all = all[n:]
	}
}

// augeasLightdm: sections, below them key = value.
func augeasLightdm(top *augeasNode, text string) {
	iniSections(text, func(section string, settings []setting) {
		at := top
		if section != "" {
			at = top.add(section, "")
		}
		addSettings(at, settings)
	})
}

// augeasSamba: target = section, below it key = value.
func augeasSamba(top *augeasNode, text string) {
	iniSections(text, func(section string, settings []setting) {
		addSettings(top.add("target", section), settings)
	})
}

func addSettings(at *augeasNode, settings []setting) {
	for _, s := range settings {
		if s.key != "" && !strings.HasSuffix(s.key, "password") {
			at.add(s.key, s.value)
		}
	}
}

// augeasSystemd: sections, below them the keys, below each its words as value.
func augeasSystemd(top *augeasNode, text string) {
	iniSections(text, func(section string, settings []setting) {
		at := top.add(section, "")
		for _, s := range settings {
			key := at.add(s.key, "")
			for word := range strings.FieldsSeq(s.value) {
				key.add("value", word)
			}
		}
	})
}

// sshdLists are the keys whose values augeas numbers, with what divides them.
// The numbers of one key go on in its next line.
var sshdLists = map[string]string{"acceptenv": " ", "allowgroups": " ", "allowusers": " ", "denygroups": " ", "denyusers": " ",
	"macs": ",", "ciphers": ",", "kexalgorithms": ",", "hostkeyalgorithms": ",", "gssapikexalgorithms": ",",
	"casignaturealgorithms": ",", "pubkeyacceptedkeytypes": ","}

// augeasSSHD: Key = value; a Match has its conditions below Condition and what
// they are for below Settings.
func augeasSSHD(top *augeasNode, text string) {
	at := top
	numbers := map[string]int{}
	for line := range strings.Lines(text) {
		key, value := sshdWords(line)
		divider, isList := sshdLists[strings.ToLower(key)]
		switch {
		case key == "":
		case strings.EqualFold(key, "Match"):
			match := top.add(key, "")
			conditions := match.add("Condition", "")
			words := strings.Fields(value)
			for i := 0; i < len(words); i += 2 {
				conditions.add(words[i], strings.Join(words[i+1:min(i+2, len(words))], ""))
			}
			at = match.add("Settings", "")
		case strings.EqualFold(key, "Subsystem"):
			name, command, _ := strings.Cut(strings.ReplaceAll(value, "\t", " "), " ")
			at.add(key, "").add(name, strings.TrimSpace(command))
		case isList:
			node := at.add(key, "")
			for word := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ' ' || r == '\t' || string(r) == divider }) {
				numbers[strings.ToLower(key)]++
				node.add(strconv.Itoa(numbers[strings.ToLower(key)]), strings.Trim(word, `"`))
			}
		default:
			at.add(key, value)
		}
	}
}
