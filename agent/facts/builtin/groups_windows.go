package builtin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// group is one local group.
type group struct {
	name, comment, sid string
	rid                uint32
}

// member of a local group: an account or group, of this computer or a domain.
type member struct {
	sid string
	rid uint32
}

// localGroups lists the groups that this computer keeps itself.
func localGroups() ([]group, error) {
	if err := notOnDomainController(); err != nil {
		return nil, err
	}
	enum := netapi32.NewProc("NetLocalGroupEnum")
	var all []group
	err := eachNetPage(func(buf **byte, read, total *uint32, resume *uintptr) error {
		return callCode(enum, 0, 1, uintptr(unsafe.Pointer(buf)), maxPreferredLength, uintptr(unsafe.Pointer(read)),
			uintptr(unsafe.Pointer(total)), uintptr(unsafe.Pointer(resume)))
	}, func(buf *byte, n uint32) error {
		for _, g := range unsafe.Slice((*struct{ name, comment *uint16 })(unsafe.Pointer(buf)), n) {
			name := wide(g.name)
			sid, err := localGroupSID(name)
			if err != nil {
				return err
			}
			all = append(all, group{name: name, comment: wide(g.comment), sid: sid.String(), rid: rid(sid)})
		}
		return nil
	})
	if err != nil {
		return nil, failed("list local groups", err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("list local groups: %w: there are none, not even Administrators", facts.ErrUnavailable)
	}
	return all, nil
}

// localGroupSID finds a group's SID. A group that has the name of the computer
// or of a user is only found with its domain before it.
func localGroupSID(name string) (*windows.SID, error) {
	sid, _, kind, err := windows.LookupSID("", name)
	if err == nil && (kind == windows.SidTypeAlias || kind == windows.SidTypeWellKnownGroup || kind == windows.SidTypeGroup) {
		return sid, nil
	}
	computer, nameErr := computerName(windows.ComputerNamePhysicalNetBIOS)
	if nameErr != nil {
		return nil, nameErr
	}
	if sid, _, _, err = windows.LookupSID("", computer+`\`+name); err != nil {
		return nil, failed("find the SID of the group "+name, err)
	}
	return sid, nil
}

// members lists who is directly in a local group. Unlike osquery's it has
// members of a domain or of Entra ID too; the members of a domain group that is
// itself a member are the domain's to tell, so that group stands for them.
func (g group) members() ([]member, error) {
	name, err := windows.UTF16PtrFromString(g.name)
	if err != nil {
		return nil, err
	}
	get := netapi32.NewProc("NetLocalGroupGetMembers")
	var all []member
	err = eachNetPage(func(buf **byte, read, total *uint32, resume *uintptr) error {
		// Level 0, SIDs alone: names could take a domain controller to find.
		return callCode(get, 0, uintptr(unsafe.Pointer(name)), 0, uintptr(unsafe.Pointer(buf)), maxPreferredLength,
			uintptr(unsafe.Pointer(read)), uintptr(unsafe.Pointer(total)), uintptr(unsafe.Pointer(resume)))
	}, func(buf *byte, n uint32) error {
		for _, sid := range unsafe.Slice((**windows.SID)(unsafe.Pointer(buf)), n) {
			all = append(all, member{sid: sid.String(), rid: rid(sid)})
		}
		return nil
	})
	if err != nil {
		return nil, failed("list the members of the group "+g.name, err)
	}
	return all, nil
}

// eachMember calls f for every member of every local group.
func eachMember(ctx context.Context, f func(group, member) error) error {
	groups, err := localGroups()
	if err != nil {
		return err
	}
	for _, g := range groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		members, err := g.members()
		if errors.Is(err, syscall.Errno(nerrGroupNotFound)) || errors.Is(err, windows.ERROR_NO_SUCH_ALIAS) {
			continue // removed since it was listed
		}
		if err != nil {
			return err
		}
		for _, m := range members {
			if err := f(g, m); err != nil {
				return err
			}
		}
	}
	return nil
}

const nerrGroupNotFound = 2220

// firstGroups maps SIDs of members to the first local group that has them,
// which osquery calls a user's gid.
func firstGroups(ctx context.Context) (map[string]uint32, error) {
	first := map[string]uint32{}
	err := eachMember(ctx, func(g group, m member) error {
		if _, ok := first[m.sid]; !ok {
			first[m.sid] = g.rid
		}
		return nil
	})
	return first, err
}

// groupsTable is the local groups.
func groupsTable() facts.Table {
	return facts.Table{
		Name: "groups", Platforms: onWindows, Source: "local groups",
		Columns: columns(`gid bigint, gid_signed bigint, groupname text, group_sid text, comment text`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			groups, err := localGroups()
			if err != nil {
				return nil, err
			}
			var rows []muster.Row
			for _, g := range groups {
				rows = append(rows, muster.Row{
					"gid": unum(g.rid), "gid_signed": num(int32(g.rid)), "groupname": g.name, "group_sid": g.sid, "comment": g.comment,
				})
			}
			return rows, nil
		}),
	}
}

// userGroupsTable is who is in which local group, by the last numbers of their
// SIDs. A member of a domain is there too; muster_group_members says which.
func userGroupsTable() facts.Table {
	return facts.Table{
		Name: "user_groups", Platforms: onWindows, Source: "local groups", Preferred: true,
		Columns: columns(`uid bigint, gid bigint`),
		Rows: func(ctx context.Context, _ facts.Query, emit emitFunc) error {
			return eachMember(ctx, func(g group, m member) error {
				return emit(muster.Row{"uid": unum(m.rid), "gid": unum(g.rid)})
			})
		},
	}
}

// groupMembersTable is who is in which local group, by full SID and name:
// uid alone cannot tell a domain's user from a local one. member_type is user,
// group, alias, well_known_group, deleted, computer or unknown; the name of a
// member that cannot be found (deleted, or its domain is out of reach) is "".
func groupMembersTable() facts.Table {
	return facts.Table{
		Name: "muster_group_members", Platforms: onWindows, Source: "local groups",
		Columns: columns(`group_sid text, groupname text, member_sid text, member_name text, member_type text`),
		Rows: func(ctx context.Context, q facts.Query, emit emitFunc) error {
			return eachMember(ctx, func(g group, m member) error {
				row := muster.Row{"group_sid": g.sid, "groupname": g.name, "member_sid": m.sid}
				if want, ok := q.Equals("group_sid"); ok && want != g.sid {
					return nil
				}
				if usesAny(q, "member_name", "member_type") {
					row["member_name"], row["member_type"] = accountOf(m.sid)
				}
				return emit(row)
			})
		},
	}
}

// accountOf is the name of a SID, with its domain, and what kind of account it is.
func accountOf(s string) (name, kind string) {
	sid, err := windows.StringToSid(s)
	if err != nil {
		return "", "unknown"
	}
	account, domain, use, err := sid.LookupAccount("")
	if err != nil {
		return "", "unknown"
	}
	return strings.TrimPrefix(domain+`\`+account, `\`), sidType(use)
}

func sidType(kind uint32) string {
	switch kind {
	case windows.SidTypeUser:
		return "user"
	case windows.SidTypeGroup:
		return "group"
	case windows.SidTypeAlias:
		return "alias"
	case windows.SidTypeWellKnownGroup:
		return "well_known_group"
	case windows.SidTypeDeletedAccount:
		return "deleted"
	case windows.SidTypeComputer:
		return "computer"
	}
	return "unknown"
}
