package builtin

import (
	"context"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterAccounts tells of each local account whether a password opens it,
// without ever giving the hash. password_status is osquery's word (active,
// locked, not_set, empty), or "" where the account has no shadow entry. locked
// is 1 where no password can open it, 0, or unknown. last_change and expire
// count days since 1970.
func (h host) musterAccounts() facts.Table {
	return facts.Table{
		Name: "muster_accounts", Platforms: onLinux, Whole: true, Source: "/etc/passwd, /etc/shadow",
		Columns: columns(`username text, uid bigint, shell text, login_shell integer, password_status text, locked text,
			last_change bigint, expire bigint`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			accounts, err := h.accounts()
			if err != nil {
				return nil, err
			}
			shadow, err := h.textIfAny("/etc/shadow")
			return accountRows(accounts, shadow), err
		}),
	}
}

func accountRows(accounts []account, shadow string) []muster.Row {
	entries := map[string][]string{}
	for line := range strings.Lines(shadow) {
		if f := strings.Split(strings.TrimRight(line, "\n"), ":"); len(f) == 9 {
			entries[f[0]] = f
		}
	}
	var rows []muster.Row
	for _, a := range accounts {
		r := muster.Row{"username": a.name, "uid": a.uid, "shell": a.shell, "login_shell": flag(isLoginShell(a.shell))}
		r["password_status"], r["locked"] = "", "unknown"
		if f, ok := entries[a.name]; ok {
			r["password_status"], r["locked"] = passwordStatus(f[1])
			r["last_change"], r["expire"] = f[2], f[7]
		} else if a.password != "x" {
			r["password_status"], r["locked"] = passwordStatus(a.password)
		}
		rows = append(rows, r)
	}
	return rows
}

// passwordStatus reads the password field of shadow(5) as osquery does.
func passwordStatus(field string) (status, locked string) {
	switch {
	case field == "":
		return "empty", "0"
	case field == "!!":
		return "not_set", "1"
	case strings.ContainsRune("!*x", rune(field[0])):
		return "locked", "1"
	}
	return "active", "0"
}

// isLoginShell reports whether the shell lets somebody in. An empty one is
// /bin/sh, see passwd(5).
func isLoginShell(shell string) bool {
	return !strings.HasSuffix(shell, "/nologin") && !strings.HasSuffix(shell, "/false") &&
		!strings.HasSuffix(shell, "/sync") && !strings.HasSuffix(shell, "/shutdown") && !strings.HasSuffix(shell, "/halt")
}
