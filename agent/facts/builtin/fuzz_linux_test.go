package builtin

import (
	"bytes"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// textParsers are those that pass words of a file on as they stand.
func textParsers() map[string]func(string) []muster.Row {
	return map[string]func(string) []muster.Row{
		"crontab":        func(s string) []muster.Row { return parseCrontab("", s) },
		"dns_resolvers":  parseResolvConf,
		"etc_hosts":      parseHosts,
		"kernel_modules": parseModules,
		"deb_packages": func(s string) (rows []muster.Row) {
			_ = parseDpkg(s, func(string) bool { return true }, func(r muster.Row) error {
				delete(r, "admindir")
				rows = append(rows, r)
				return nil
			})
			return rows
		},
		"processes": func(s string) []muster.Row {
			r := parseStatus(s)
			delete(r, "resident_size")
			delete(r, "total_size")
			return []muster.Row{r}
		},
	}
}

// FuzzText: whatever a file holds, a parser makes no more rows than there are
// words, gives declared columns only, and invents no word.
func FuzzText(f *testing.F) {
	h := host{"testdata/hosts/debian"}
	for _, path := range []string{"/etc/crontab", "/etc/resolv.conf", "/etc/hosts", "/proc/modules", "/var/lib/dpkg/status",
		"/proc/412/status", "/etc/passwd"} {
		text, err := h.text(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	declared := map[string][]facts.Column{}
	for _, table := range h.tables() {
		declared[table.Name] = table.Columns
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, parse := range textParsers() {
			rows := parse(text)
			if words := len(strings.Fields(text)); len(rows) > max(words, 1) {
				t.Errorf("%s: %d rows of %d words", name, len(rows), words)
			}
			for _, r := range rows {
				for column, value := range r {
					if !slices.ContainsFunc(declared[name], func(c facts.Column) bool { return c.Name == column }) {
						t.Errorf("%s: column %q is not declared", name, column)
					}
					invented := slices.Contains([]string{"id", "type", "netmask"}, column)
					for _, word := range strings.Fields(value) {
						if !invented && !strings.Contains(text, word) {
							t.Errorf("%s: %q is not in the file", name, word)
						}
					}
				}
			}
		}
	})
}

// FuzzAccounts: nothing of a password's field ever leaves, whatever it holds.
func FuzzAccounts(f *testing.F) {
	f.Add("alice", "$y$j9T$salt$hash", "20300")
	f.Add("bob", "!!", "")
	f.Fuzz(func(t *testing.T, name, field, day string) {
		if name == "" || strings.ContainsAny(name+field+day, ":\n") {
			return
		}
		rows := accountRows([]account{{name: name, password: "x", uid: "1000", shell: "/bin/sh"}},
			name+":"+field+":"+day+":0:99999:7:::\n")
		status, locked := passwordStatus(field)
		want := muster.Row{"username": name, "uid": "1000", "shell": "/bin/sh", "login_shell": "1", "password_status": status,
			"locked": locked, "last_change": day, "expire": ""}
		for column, value := range rows[0] {
			if value != want[column] {
				t.Errorf("%s is %q, want %q", column, value, want[column])
			}
		}
		if !slices.Contains([]string{"active", "locked", "not_set", "empty"}, status) {
			t.Errorf("status is %q", status)
		}
	})
}

// FuzzPasswd: what is written as a line comes back, and ids are numbers.
func FuzzPasswd(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/bash\n+nis::::::\nroot:x:0:\n")
	f.Add("toor::0:0\nroot:x:0:0:root:/bin/bash\n")
	f.Fuzz(func(t *testing.T, text string) {
		accounts, groups := parsePasswd(text), parseGroup(text)
		for _, a := range accounts {
			line := strings.Join([]string{a.name, a.password, a.uid, a.gid, a.gecos, a.home, a.shell}, ":")
			if !strings.Contains(text, strings.TrimRight(line, ":")) { // what is missing at the end is empty
				t.Errorf("%q is not in the file", line)
			}
			if n, err := strconv.Atoi(signed(a.uid)); err != nil || int(int32(n)) != n {
				t.Errorf("uid %q signed is %q", a.uid, signed(a.uid))
			}
		}
		for _, r := range memberships(accounts, groups) {
			if !isID(r["uid"]) || !isID(r["gid"]) {
				t.Errorf("ids are no numbers: %v", r)
			}
		}
	})
}

// FuzzSudoers: rules keep every character that is no space, comment or include
// sign; no header is a comment.
func FuzzSudoers(f *testing.F) {
	f.Add("Defaults env_reset\n%sudo ALL=(ALL) \\\n ALL\n#include x\n@includedir \"a b\"\n# c")
	f.Add("#1000 ALL=(ALL) ALL\n#6@\n#a")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range parseSudoers(text) {
			isInclude := r.header == "#include" || r.header == "#includedir"
			isUser := len(r.header) > 1 && r.header[0] == '#' && r.header[1] >= '0' && r.header[1] <= '9'
			if r.header == "" || strings.ContainsAny(r.header+r.details, "\n") || r.header[0] == '#' && !isInclude && !isUser {
				t.Errorf("bad rule %q", r)
			}
		}
	})
}

// FuzzSettings: keys of sshd_config are lower case and no comment; those of a
// file with sections hold no sign that would end them.
func FuzzSettings(f *testing.F) {
	f.Add("Port 22\nPermitRootLogin=\"no\"\nMatch User a\n[Seat:*]\nautologin-user = a\\\nb\n; c")
	f.Add("[a\\\nb\nc = d")
	f.Add("APT::Periodic { Enable \"1\"; // c\n A { \"x\"; B 2; }; };\nMIN 14 # c")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseSSHD(text) {
			if s.key != strings.ToLower(s.key) || strings.HasPrefix(s.key, "#") || strings.ContainsAny(s.key, " \t\n") ||
				s.value != strings.TrimSpace(s.value) && !strings.Contains(text, `"`) {
				t.Errorf("bad setting %+v", s)
			}
		}
		for _, s := range append(parseINI(text), parseWords(text)...) {
			invented := func(word string) bool { return !strings.Contains(text, word) } // lines that go on are joined by a space
			if strings.Contains(s.key+s.value, "\n") || slices.ContainsFunc(strings.Fields(s.section), invented) {
				t.Errorf("bad setting %+v", s)
			}
		}
		for _, s := range parseApt(text) {
			if !strings.Contains(text, s.value) || strings.ContainsAny(s.key, " \t\n{};") {
				t.Errorf("bad setting %+v", s)
			}
		}
		gettyAutologin(text)
		parseDesktop(text)
		parseSession(text)
		parseUdev(text)
	})
}

// FuzzSockets: an address that is read is one, and a port fits.
func FuzzSockets(f *testing.F) {
	for _, name := range []string{"tcp", "tcp6", "unix", "packet"} {
		text, err := host{"testdata/hosts/debian"}.text("/proc/self/net/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseInetSockets(text, unix.AF_INET, unix.IPPROTO_TCP) {
			for _, address := range []string{s.local, s.remote} {
				if _, err := netip.ParseAddr(address); err != nil {
					t.Error(err)
				}
			}
			if s.localPort < 0 || s.localPort > 65535 || s.remotePort < 0 || s.remotePort > 65535 {
				t.Errorf("ports %d and %d", s.localPort, s.remotePort)
			}
		}
		for _, s := range append(parseUnixSockets(text), parsePacketSockets(text)...) {
			if s.inode == "" || !strings.Contains(text, s.path) {
				t.Errorf("bad socket %+v", s)
			}
		}
	})
}

// FuzzNetlink: any answer of the kernel makes rows or an error.
func FuzzNetlink(f *testing.F) {
	for _, what := range []int{unix.RTM_GETLINK, unix.RTM_GETADDR, unix.RTM_GETROUTE} {
		b, err := syscall.NetlinkRIB(what, unix.AF_UNSPEC)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		messages, err := parseNetlink(b)
		if err != nil {
			return
		}
		chainRows(messages)
		for _, m := range messages {
			switch len(m.body) {
			case unix.SizeofIfInfomsg:
				linkRow(m)
			case unix.SizeofIfAddrmsg:
				addressRow(m, nil)
			case unix.SizeofRtMsg:
				if n, err := strconv.Atoi(routeRow(m, nil)["netmask"]); err != nil || n < 0 || n > 255 {
					t.Errorf("netmask %d: %v", n, err)
				}
			}
		}
	})
}

// FuzzMounts: a path that is read escapes no character, and stat adds numbers
// or an error.
func FuzzMounts(f *testing.F) {
	f.Add("/dev/sda1 / ext4 rw 0 0\ns:/x /a\\040b nfs rw 0 0\n", "1 (a) b) S 1 1 1 0 -1 0 0 0 0 0 1 2 0 0 20 0 1 0 5 0")
	f.Fuzz(func(t *testing.T, mounts, stat string) {
		for _, r := range parseMounts(mounts) {
			if r["device"] == "" || r["path"] == "" || r["type"] == "" || strings.Contains(r["path"], `\040`) && !strings.Contains(mounts, `\134`) {
				t.Errorf("bad mount %v", r)
			}
		}
		r := muster.Row{}
		if err := parseStat(stat, 0, r); err == nil {
			for _, column := range []string{"user_time", "system_time", "start_time"} {
				if _, err := strconv.ParseInt(r[column], 10, 64); err != nil {
					t.Error(err)
				}
			}
		}
		parseCPUInfo(mounts)
		parseOSRelease(mounts)
		kernelRow(mounts, stat)
	})
}

// FuzzUtmp: one row a record at most, and texts end at their first zero.
func FuzzUtmp(f *testing.F) {
	layout := utmpLayout("amd64")
	record := make([]byte, layout.size)
	record[0], record[4] = 7, 99
	copy(record[8:], "tty2")
	copy(record[44:], "alice")
	f.Add(record)
	f.Add(bytes.Repeat(record, 3)[:layout.size*2+10])
	f.Fuzz(func(t *testing.T, b []byte) {
		rows := parseUtmp(b, layout)
		if len(rows) > len(b)/layout.size {
			t.Errorf("%d rows of %d bytes", len(rows), len(b))
		}
		for _, r := range rows {
			if strings.ContainsRune(r["user"]+r["tty"]+r["host"], 0) || r["pid"] == "1" {
				t.Errorf("bad row %q", r)
			}
		}
	})
}

// FuzzPattern compares a pattern's part with a regular expression.
func FuzzPattern(f *testing.F) {
	f.Add("%.conf", "a.conf")
	f.Add("a%b%%c", "abbc")
	f.Add("%a%a", "a")
	f.Fuzz(func(t *testing.T, part, name string) {
		if !strings.Contains(part, "%") || !utf8.ValidString(part) || !utf8.ValidString(name) {
			return
		}
		want := regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(part), "%", ".*") + "$")
		if got := matchPart(part, name); got != want.MatchString(name) {
			t.Errorf("%q matches %q: %v", part, name, got)
		}
	})
}
