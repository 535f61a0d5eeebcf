package builtin

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// users are the local accounts; like osquery it asks no directory service.
func (h host) users() facts.Table {
	return facts.Table{
		Name: "users", Platforms: onLinux, Whole: true, Source: "/etc/passwd",
		Columns: columns(`uid bigint, gid bigint, uid_signed bigint, gid_signed bigint, username text,
			description text, directory text, shell text, uuid text`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			accounts, err := h.accounts()
			var rows []muster.Row
			for _, a := range accounts {
				rows = append(rows, muster.Row{
					"uid": a.uid, "gid": a.gid, "uid_signed": signed(a.uid), "gid_signed": signed(a.gid),
					"username": a.name, "description": a.gecos, "directory": a.home, "shell": a.shell,
				})
			}
			return rows, err
		}),
	}
}

// groups are the local groups.
func (h host) groups() facts.Table {
	return facts.Table{
		Name: "groups", Platforms: onLinux, Whole: true, Source: "/etc/group",
		Columns: columns("gid bigint, gid_signed bigint, groupname text"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			text, err := h.text("/etc/group")
			var rows []muster.Row
			for _, g := range parseGroup(text) {
				rows = append(rows, muster.Row{"gid": g.gid, "gid_signed": signed(g.gid), "groupname": g.name})
			}
			return rows, err
		}),
	}
}

// userGroups pairs every user with the groups it is in, the primary one first.
// Two names with one uid share their groups here.
func (h host) userGroups() facts.Table {
	return facts.Table{
		Name: "user_groups", Platforms: onLinux, Whole: true, Source: "/etc/passwd, /etc/group",
		Columns: columns("uid bigint, gid bigint"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			accounts, err := h.accounts()
			if err != nil {
				return nil, err
			}
			text, err := h.text("/etc/group")
			return memberships(accounts, parseGroup(text)), err
		}),
	}
}

func memberships(accounts []account, groups []group) []muster.Row {
	byMember := map[string][]string{}
	for _, g := range groups {
		for _, m := range g.members {
			byMember[m] = append(byMember[m], g.gid)
		}
	}
	var rows []muster.Row
	seen := map[[2]string]bool{}
	for _, a := range accounts {
		for _, gid := range append([]string{a.gid}, byMember[a.name]...) {
			if pair := [2]string{a.uid, gid}; !seen[pair] {
				seen[pair] = true
				rows = append(rows, muster.Row{"uid": a.uid, "gid": gid})
			}
		}
	}
	return rows
}

type account struct{ name, password, uid, gid, gecos, home, shell string }

func (h host) accounts() ([]account, error) {
	text, err := h.text("/etc/passwd")
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return parsePasswd(text), nil
}

// parsePasswd reads passwd(5) as the C library does, to which "toor::0:0" is an
// account: it may not be one that nobody sees.
func parsePasswd(text string) []account {
	var accounts []account
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.Trim(line, " \t\r\n"), ":", 7)
		if len(f) >= 4 && isID(f[2]) && isID(f[3]) {
			f = append(f, "", "", "")
			accounts = append(accounts, account{f[0], f[1], f[2], f[3], f[4], f[5], f[6]})
		}
	}
	return accounts
}

type group struct {
	name, gid string
	members   []string
}

func parseGroup(text string) []group {
	var groups []group
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) == 4 && isID(f[2]) {
			groups = append(groups, group{f[0], f[2], strings.FieldsFunc(f[3], func(r rune) bool { return r == ',' })})
		}
	}
	return groups
}

func isID(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}

// signed writes an id as a 32-bit signed number: 4294967294 is -2.
func signed(id string) string {
	n, _ := strconv.ParseUint(id, 10, 32)
	return strconv.Itoa(int(int32(uint32(n))))
}
