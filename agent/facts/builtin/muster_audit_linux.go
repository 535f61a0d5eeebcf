package builtin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterAudit is the kernel's audit, as auditctl -s shows it: enabled is 0
// (off), 1 or 2 (on and locked until the next start), pid is auditd's or 0
// where nobody listens, failure is 0 (silent), 1 (log) or 2 (halt), lost counts
// records, rules the rules. Root only; a kernel without audit, and a container,
// which may not see it, are unavailable.
func (h host) musterAudit() facts.Table {
	return facts.Table{
		Name: "muster_audit", Platforms: onLinux, Whole: true, Source: "netlink",
		Columns: columns("enabled integer, pid bigint, failure integer, lost bigint, rules integer"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			status, err := askNetlink(unix.NETLINK_AUDIT, auditGet, unix.NLM_F_REQUEST, nil, auditGet)
			if err != nil {
				return nil, auditError(err)
			}
			rules, err := askNetlink(unix.NETLINK_AUDIT, auditListRules, unix.NLM_F_REQUEST, nil, unix.NLMSG_DONE)
			if err != nil {
				return nil, auditError(err)
			}
			return auditRow(status, rules)
		}),
	}
}

// Message types of linux/audit.h.
const (
	auditGet       = 1000
	auditListRules = 1013
)

func auditError(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		err = facts.ErrDenied
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.EAFNOSUPPORT):
		err = facts.ErrUnavailable
	}
	return fmt.Errorf("ask the kernel for its audit: %w", err)
}

// auditRow reads struct audit_status: mask, enabled, failure, pid, rate_limit,
// backlog_limit, lost, each of four bytes.
func auditRow(status, rules []syscall.NetlinkMessage) ([]muster.Row, error) {
	for _, m := range status {
		if m.Header.Type != auditGet || len(m.Data) < 28 {
			continue
		}
		number := func(at int) string {
			return strconv.FormatUint(uint64(binary.NativeEndian.Uint32(m.Data[4*at:])), 10)
		}
		count := 0
		for _, r := range rules {
			if r.Header.Type == auditListRules {
				count++
			}
		}
		return []muster.Row{{"enabled": number(1), "failure": number(2), "pid": number(3), "lost": number(6),
			"rules": strconv.Itoa(count)}}, nil
	}
	return nil, errors.New("ask the kernel for its audit: no status in its answer")
}
