package builtin

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// maxSSHIncludes bounds how deep sshd_config files include each other, as sshd does.
const maxSSHIncludes = 16

// musterSSHD are the settings that the SSH server uses for everybody, includes
// in their place: keys in lower case, the first value wins, a key that may be
// given several times has several rows, and those that the baseline judges are
// given with sshd's own default (source "default") where no file has them.
// What stands in a Match block holds for some only and is left out; each block
// has a row with the key "match". No SSH server, no rows.
func (h host) musterSSHD() facts.Table {
	return facts.Table{
		Name: "muster_sshd", Platforms: onLinux, Whole: true, Source: "sshd_config",
		Columns: columns("key text, value text, source text"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			c := sshdConfig{host: h, seen: map[string]bool{}}
			for _, path := range []string{"/etc/ssh/sshd_config", "/usr/etc/ssh/sshd_config"} {
				if !h.exists(path) {
					continue
				}
				c.folder = filepath.Dir(path)
				if err := c.read(path, 0); err != nil {
					return nil, err
				}
				break
			}
			if c.folder == "" && !h.exists("/usr/sbin/sshd") {
				return nil, nil
			}
			return c.withDefaults(), nil
		}),
	}
}

// sshdDefaults are those of OpenSSH 9, in order; their values are words whose
// case does not count.
var sshdDefaults = []sshdSetting{
	{"port", "22"}, {"permitrootlogin", "prohibit-password"}, {"passwordauthentication", "yes"},
	{"kbdinteractiveauthentication", "yes"}, {"pubkeyauthentication", "yes"}, {"permitemptypasswords", "no"},
	{"hostbasedauthentication", "no"}, {"ignorerhosts", "yes"}, {"maxauthtries", "6"}, {"x11forwarding", "no"},
	{"allowtcpforwarding", "yes"}, {"permituserenvironment", "no"}, {"usepam", "no"}, {"loglevel", "info"},
	{"logingracetime", "120"}, {"clientaliveinterval", "0"}, {"strictmodes", "yes"},
}

// sshdRepeatable are the keys whose values add up instead of the first winning.
var sshdRepeatable = []string{"port", "listenaddress", "hostkey", "hostcertificate", "acceptenv", "allowusers", "denyusers",
	"allowgroups", "denygroups", "subsystem"}

// sshdAliases are old names that sshd still takes.
var sshdAliases = map[string]string{"challengeresponseauthentication": "kbdinteractiveauthentication",
	"skeyauthentication": "kbdinteractiveauthentication", "dsaauthentication": "pubkeyauthentication"}

type sshdSetting struct{ key, value string }

type sshdConfig struct {
	host   host
	folder string // where relative includes start
	seen   map[string]bool
	rows   []muster.Row
}

// read takes one file's settings. A Match block ends at the next one, or with
// its file.
func (c *sshdConfig) read(path string, depth int) error {
	if depth > maxSSHIncludes {
		return fmt.Errorf("read %s: more than %d includes in each other", path, maxSSHIncludes)
	}
	text, err := c.host.textIfAny(path)
	if err != nil {
		return err
	}
	matching := false
	for _, s := range parseSSHD(text) {
		switch {
		case s.key == "match":
			if matching = !strings.EqualFold(s.value, "all"); matching {
				c.rows = append(c.rows, muster.Row{"key": "match", "value": s.value, "source": path})
			}
		case matching:
		case s.key == "include":
			if err := c.include(s.value, depth); err != nil {
				return err
			}
		case !c.seen[s.key] || slices.Contains(sshdRepeatable, s.key):
			c.seen[s.key] = true
			c.rows = append(c.rows, muster.Row{"key": s.key, "value": s.value, "source": path})
		}
	}
	return nil
}

func (c *sshdConfig) include(patterns string, depth int) error {
	for _, pattern := range strings.Fields(patterns) {
		pattern = strings.Trim(pattern, `"`)
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(c.folder, pattern)
		}
		dir, name := filepath.Split(pattern)
		files, err := c.host.dir(dir)
		if err != nil {
			return err
		}
		for _, f := range files {
			if ok, _ := filepath.Match(name, f); !ok || f[0] == '.' {
				continue
			}
			if err := c.read(filepath.Join(dir, f), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *sshdConfig) withDefaults() []muster.Row {
	for _, d := range sshdDefaults {
		if !c.seen[d.key] {
			c.rows = append(c.rows, muster.Row{"key": d.key, "value": d.value, "source": "default"})
		}
	}
	return c.rows
}

// parseSSHD reads sshd_config(5): a keyword, spaces or one =, and the rest of
// the line.
func parseSSHD(text string) []sshdSetting {
	var settings []sshdSetting
	for line := range strings.Lines(text) {
		key, value := sshdWords(line)
		if key == "" {
			continue
		}
		if unquoted := strings.Trim(value, `"`); !strings.Contains(unquoted, `"`) {
			value = unquoted
		}
		key = strings.ToLower(key)
		if alias, ok := sshdAliases[key]; ok {
			key = alias
		}
		if slices.ContainsFunc(sshdDefaults, func(d sshdSetting) bool { return d.key == key }) {
			value = strings.ToLower(value)
			if key == "permitrootlogin" && value == "without-password" {
				value = "prohibit-password"
			}
		}
		settings = append(settings, sshdSetting{key, value})
	}
	return settings
}

// sshdWords splits a line into keyword and value; of a comment both are "".
func sshdWords(line string) (key, value string) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", ""
	}
	i := strings.IndexAny(line, " \t=")
	if i < 0 {
		return line, ""
	}
	value = strings.TrimLeft(line[i:], " \t")
	return line[:i], strings.TrimSpace(strings.TrimPrefix(value, "="))
}
