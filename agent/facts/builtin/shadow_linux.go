package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// shadow is how the passwords of local accounts are kept, never the hash:
// hash_alg names its method as crypt(5) does (6, y, 2b…), "" where the field
// does not begin with one. As in osquery a number that is not set is -1. Root
// only; a host without /etc/shadow is unavailable.
func (h host) shadow() facts.Table {
	return facts.Table{
		Name: "shadow", Platforms: onLinux, Whole: true, Source: "/etc/shadow",
		Columns: columns(`password_status text, hash_alg text, last_change bigint, min bigint, max bigint, warning bigint,
			inactive bigint, expire bigint, flag bigint, username text`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			text, err := h.text("/etc/shadow")
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("no /etc/shadow: %w", facts.ErrUnavailable)
			}
			return parseShadow(text), err
		}),
	}
}

// hashMethods are the prefixes of crypt(5). Another word between dollar signs
// may be part of somebody's password.
var hashMethods = []string{"1", "2", "2a", "2b", "2x", "2y", "3", "5", "6", "7", "gy", "md5", "sha1", "sm3", "sm3y", "y"}

func parseShadow(text string) []muster.Row {
	var rows []muster.Row
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) != 9 || f[0] == "" || f[0][0] == '+' || f[0][0] == '-' {
			continue // the C library skips these too
		}
		r := muster.Row{"username": f[0]}
		r["password_status"], _ = passwordStatus(f[1])
		if rest, ok := strings.CutPrefix(f[1], "$"); ok {
			if method, _, ok := strings.Cut(rest, "$"); ok && slices.Contains(hashMethods, method) {
				r["hash_alg"] = method
			}
		}
		for i, column := range []string{"last_change", "min", "max", "warning", "inactive", "expire"} {
			r[column] = "-1"
			if n, err := strconv.ParseInt(f[2+i], 10, 64); err == nil {
				r[column] = strconv.FormatInt(n, 10)
			}
		}
		if n, err := strconv.ParseInt(f[8], 10, 64); err == nil {
			r["flag"] = strconv.FormatInt(n, 10)
		}
		rows = append(rows, r)
	}
	return rows
}
