package builtin

import (
	"context"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterProxies are the proxies that the system sets for everybody: in the
// environment of sessions and services, and for apt and dnf. value is as it is
// written, but for the password of a URL. Desktops have their own
// (muster_desktop_settings). Anybody may read it, as far as the files allow; what
// a person's own shell or session sets is not seen.
func (h host) musterProxies() facts.Table {
	return facts.Table{
		Name: "muster_proxies", Platforms: onLinux, Whole: true, Source: "/etc/environment, profile.d, apt, dnf, systemd",
		Columns: columns("source text, key text, value text"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			var rows []muster.Row
			for _, f := range []struct {
				paths []string
				parse func(text string) []setting
				is    func(key string) bool
			}{
				{[]string{"/etc/environment", "/etc/environment.d/*.conf", "/etc/profile"}, parseProxyVariables, nil},
				{append(systemdFiles("system"), systemdFiles("user")...), parseManagerEnvironment, nil},
				{aptFiles, parseApt, func(key string) bool { return strings.Contains(strings.ToLower(key), "::proxy") }},
				{[]string{"/etc/dnf/dnf.conf", "/etc/yum.conf"}, parseINI, func(key string) bool { return key == "proxy" }},
			} {
				settings, err := h.settings(f.paths, f.parse)
				if err != nil {
					return nil, err
				}
				rows = append(rows, proxyRows(settings, f.is)...)
			}
			const folder = "/etc/profile.d/"
			names, err := h.dir(folder)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				settings, err := h.settings([]string{folder + name}, parseProxyVariables)
				if err != nil {
					return nil, err
				}
				rows = append(rows, proxyRows(settings, nil)...)
			}
			return rows, nil
		}),
	}
}

// proxyRows are the settings whose keys are a proxy's; is nil takes all.
func proxyRows(settings []setting, is func(key string) bool) (rows []muster.Row) {
	for _, s := range settings {
		if is == nil || is(s.key) {
			rows = append(rows, muster.Row{"source": s.source, "key": s.key, "value": maskPassword(s.value)})
		}
	}
	return rows
}

// parseManagerEnvironment reads the variables that systemd hands to services.
func parseManagerEnvironment(text string) (settings []setting) {
	for _, s := range parseINI(text) {
		if s.key == "DefaultEnvironment" || s.key == "ManagerEnvironment" {
			settings = append(settings, parseProxyVariables(s.value)...)
		}
	}
	return settings
}

// parseProxyVariables finds what is given to a variable such as http_proxy in
// lines of a shell, of environment(5) or of systemd. It runs nothing: a value
// that a shell would compute stays as it is written.
func parseProxyVariables(text string) []setting {
	const ending = "_proxy"
	var settings []setting
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if words := strings.Fields(line); len(words) > 2 && words[0] == "setenv" {
			line = words[1] + "=" + words[2]
		}
		for {
			before, after, found := cutFold(line, ending+"=")
			if !found {
				break
			}
			start := strings.LastIndexFunc(before, func(r rune) bool { return r != '_' && !isLetter(r) }) + 1
			value := endOfWord(after)
			settings = append(settings, setting{key: before[start:] + line[len(before):len(before)+len(ending)], value: unquote(value)})
			line = after[len(value):]
		}
	}
	return settings
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// cutFold is strings.Cut for a sep of ASCII in either case.
func cutFold(s, sep string) (before, after string, found bool) {
	for i := 0; i+len(sep) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(sep)], sep) {
			return s[:i], s[i+len(sep):], true
		}
	}
	return s, "", false
}

// endOfWord is the word that s begins with: quoted, or up to what ends one.
func endOfWord(s string) string {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		if end := strings.IndexByte(s[1:], s[0]); end >= 0 {
			return s[:end+2]
		}
	}
	if end := strings.IndexAny(s, " \t;&\"'"); end >= 0 {
		return s[:end]
	}
	return s
}

// maskPassword hides what stands between the first colon after a URL's scheme
// and its last @.
func maskPassword(url string) string {
	at := strings.LastIndex(url, "@")
	if at < 0 {
		return url
	}
	scheme, rest, found := strings.Cut(url[:at], "://")
	if found {
		scheme += "://"
	} else {
		scheme, rest = "", url[:at]
	}
	user, _, found := strings.Cut(rest, ":")
	if !found {
		return url
	}
	return scheme + user + ":***" + url[at:]
}
