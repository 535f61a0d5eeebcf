package main

import (
	"fmt"
	"regexp"
	"strings"
)

// manual is a program's part of the manual: its section, and its purpose in a line.
type manual struct {
	name    string
	section int
	short   string
}

// page of the manual, of a command: its words with hyphens between them.
type page struct {
	name string
	text []byte
}

// help is what a command prints for --help, taken apart.
type help struct {
	about, usage, examples string
	commands               [][2]string // name, purpose
	flags                  [][2]string // as written, meaning
	status                 string
}

var (
	helpHeading = regexp.MustCompile(`^(Usage|Aliases|Examples|Available Commands|Flags|Global Flags|EXIT STATUS):?$`)
	helpFlag    = regexp.MustCompile(`^ {2,6}(-.*?)(?: {2,}(.*))?$`)
	helpCommand = regexp.MustCompile(`^  (\S+) +(.*)$`)
	exitCodes   = regexp.MustCompile(`(?ms)^Exit codes: (.*?)(\n\n|\z)`)
	exitCode    = regexp.MustCompile(`(?s)^\s*(\d+)\s+(.*)$`)
)

// parseHelp reads what cobra prints.
func parseHelp(text string) help {
	var h help
	sections := map[string]*strings.Builder{"": {}}
	at := sections[""]
	for line := range strings.Lines(text) {
		if m := helpHeading.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			if sections[m[1]] == nil {
				sections[m[1]] = &strings.Builder{}
			}
			at = sections[m[1]]
			continue
		}
		if strings.HasPrefix(line, `Use "`) && strings.Contains(line, "more information about a command") {
			continue
		}
		at.WriteString(line)
	}
	section := func(name string) string {
		if sections[name] == nil {
			return ""
		}
		return strings.Trim(sections[name].String(), "\n")
	}
	h.about, h.usage, h.examples, h.status = section(""), section("Usage"), section("Examples"), section("EXIT STATUS")
	if m := exitCodes.FindStringSubmatch(h.about); m != nil {
		h.about = strings.TrimSpace(strings.Replace(h.about, m[0], "", 1))
		for _, code := range strings.Split(strings.TrimSuffix(m[1], "."), "; ") {
			h.status += "  " + exitCode.ReplaceAllString(strings.ReplaceAll(code, "\n", " "), "$1  $2") + "\n"
		}
	}
	h.commands = items(helpCommand, section("Available Commands"))
	h.flags = append(items(helpFlag, section("Flags")), items(helpFlag, section("Global Flags"))...)
	return h
}

// items reads lines of a name and what it means.
func items(form *regexp.Regexp, text string) (list [][2]string) {
	for line := range strings.Lines(text) {
		m := form.FindStringSubmatch(strings.TrimRight(line, "\n"))
		switch {
		case m != nil:
			list = append(list, [2]string{m[1], m[2]})
		case len(list) > 0:
			list[len(list)-1][1] += " " + strings.TrimSpace(line)
		}
	}
	return list
}

// pages are those of a program and of each of its commands, from what they print for
// --help. ask runs the program.
func (m manual) pages(ask func(args ...string) (string, error), r *release) ([]page, error) {
	var list []page
	var walk func(short string, path ...string) error
	walk = func(short string, path ...string) error {
		text, err := ask(append(path[1:len(path):len(path)], "--help")...)
		if err != nil {
			return err
		}
		h := parseHelp(text)
		if words := strings.Join(path, " "); !strings.HasPrefix(strings.TrimSpace(h.usage)+" ", words+" ") {
			return fmt.Errorf("%s --help is not the help of that command", words)
		}
		name := strings.Join(path, "-")
		var also []string
		if len(path) > 1 {
			also = append(also, strings.Join(path[:len(path)-1], "-"))
		}
		for _, c := range h.commands {
			if c[0] == "help" || c[0] == "completion" {
				continue
			}
			also = append(also, name+"-"+c[0])
			if err := walk(c[1], append(path[:len(path):len(path)], c[0])...); err != nil {
				return err
			}
		}
		list = append(list, page{name, m.render(name, short, h, also, r)})
		return nil
	}
	err := walk(m.short, m.name)
	return list, err
}

// render writes a page in the language of man(7).
func (m manual) render(name, short string, h help, also []string, r *release) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s %d %s \"Muster %s\"\n", roff(strings.ToUpper(name)), m.section, r.time.Format("2006-01-02"), roff(r.version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(name), roff(lowerFirst(short)))
	b.WriteString(".SH SYNOPSIS\n")
	for i, line := range strings.Split(h.usage, "\n") {
		if i > 0 {
			b.WriteString(".br\n")
		}
		fmt.Fprintf(&b, "%s\n", roff(strings.TrimSpace(line)))
	}
	b.WriteString(".SH DESCRIPTION\n")
	about := h.about
	if about == "" {
		about = short + "."
	}
	b.WriteString(prose(about))
	list := func(title string, items [][2]string) {
		if len(items) == 0 {
			return
		}
		fmt.Fprintf(&b, ".SH %s\n", title)
		for _, i := range items {
			fmt.Fprintf(&b, ".TP\n\\fB%s\\fR\n%s\n", roff(i[0]), roff(i[1]))
		}
	}
	list("COMMANDS", h.commands)
	list("OPTIONS", h.flags)
	b.WriteString(".SH EXIT STATUS\n")
	status := h.status
	if status == "" {
		status = "  0  done\n  1  failed\n  2  wrong command line or configuration\n"
	}
	if !strings.Contains(status, "130") {
		status = strings.TrimRight(status, "\n") + "\n  130  stopped by a signal before it was done\n"
	}
	after := ""
	for line := range strings.Lines(status) {
		if code := exitCode.FindStringSubmatch(strings.TrimSpace(line)); code != nil && strings.HasPrefix(line, " ") {
			fmt.Fprintf(&b, ".TP\n%s\n%s\n", code[1], roff(code[2]))
		} else {
			after += line
		}
	}
	if after != "" {
		b.WriteString(".PP\n" + prose(strings.TrimSpace(after)))
	}
	if h.examples != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", lines(h.examples))
	}
	for i, other := range also {
		if i == 0 {
			b.WriteString(".SH SEE ALSO\n")
		}
		comma := " ,"
		if i == len(also)-1 {
			comma = ""
		}
		fmt.Fprintf(&b, ".BR %s (%d)%s\n", roff(other), m.section, comma)
	}
	return []byte(b.String())
}

// prose are paragraphs; what is indented stays as it is.
func prose(text string) string {
	var b strings.Builder
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.HasPrefix(paragraph, "  ") {
			fmt.Fprintf(&b, ".nf\n%s\n.fi\n", lines(paragraph))
			continue
		}
		b.WriteString(lines(strings.TrimSpace(paragraph)) + "\n")
	}
	return b.String()
}

func lines(text string) string {
	var list []string
	for line := range strings.Lines(text) {
		list = append(list, roff(strings.TrimRight(line, "\n")))
	}
	return strings.Join(list, "\n")
}

var roffEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\(ga", "^", `\(ha`, "~", `\(ti`)

// roff escapes a line.
func roff(line string) string {
	line = roffEscapes.Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}

func lowerFirst(s string) string {
	if s == "" || len(s) > 1 && s[1] >= 'A' && s[1] <= 'Z' {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
