package builtin

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// account is one local user account.
type account struct {
	name, comment, sid string
	rid, flags         uint32
}

// userInfo1 is USER_INFO_1.
type userInfo1 struct {
	name, password    *uint16
	passwordAge, priv uint32
	homeDir, comment  *uint16
	flags             uint32
	scriptPath        *uint16
}

// notOnDomainController keeps from listing a whole domain: on a domain
// controller the local accounts and groups are the domain's.
func notOnDomainController() error {
	if windows.RtlGetVersion().ProductType != productDomainController {
		return nil
	}
	return fmt.Errorf("list local accounts: %w: a domain controller has only the domain's", facts.ErrUnavailable)
}

// localAccounts lists the accounts that this computer keeps itself.
func localAccounts(ctx context.Context) ([]account, error) {
	if err := notOnDomainController(); err != nil {
		return nil, err
	}
	computer, err := computerName(windows.ComputerNamePhysicalNetBIOS)
	if err != nil {
		return nil, err
	}
	const normalAccount = 2
	var all []account
	err = eachNetPage(func(buf **byte, read, total *uint32, resume *uintptr) error {
		return windows.NetUserEnum(nil, 0, normalAccount, buf, maxPreferredLength, read, total, (*uint32)(unsafe.Pointer(resume)))
	}, func(buf *byte, n uint32) error {
		for _, name := range unsafe.Slice((**uint16)(unsafe.Pointer(buf)), n) {
			if err := ctx.Err(); err != nil {
				return err
			}
			sid, _, _, err := windows.LookupSID("", computer+`\`+wide(name))
			if err != nil {
				return failed("find the SID of the user "+wide(name), err)
			}
			a, err := localAccount(name, sid)
			if err != nil {
				return err
			}
			all = append(all, a)
		}
		return nil
	})
	if err != nil {
		return nil, failed("list local users", err)
	}
	return all, nil
}

func localAccount(name *uint16, sid *windows.SID) (account, error) {
	var buf *byte
	if err := windows.NetUserGetInfo(nil, name, 1, &buf); err != nil {
		return account{}, failed("read the user "+wide(name), err)
	}
	defer windows.NetApiBufferFree(buf)
	u := (*userInfo1)(unsafe.Pointer(buf))
	return account{name: wide(u.name), comment: wide(u.comment), sid: sid.String(), rid: rid(sid), flags: u.flags}, nil
}

const maxPreferredLength = 0xffffffff

// eachNetPage calls list, a Net…Enum function, until there is no more, and use
// with what each call gave.
func eachNetPage(list func(buf **byte, read, total *uint32, resume *uintptr) error, use func(buf *byte, n uint32) error) error {
	var resume uintptr
	for {
		var buf *byte
		var read, total uint32
		err := list(&buf, &read, &total, &resume)
		more := errors.Is(err, windows.ERROR_MORE_DATA)
		if err != nil && !more {
			return err
		}
		if buf != nil {
			err = nil
			if read > 0 {
				err = use(buf, read)
			}
			windows.NetApiBufferFree(buf)
			if err != nil {
				return err
			}
		}
		if !more || read == 0 {
			return nil
		}
	}
}

// usersTable is the local accounts, and as type roaming whoever else has a
// profile here: domain and Entra users. Types special are the system's own.
func usersTable() facts.Table {
	return facts.Table{
		Name: "users", Platforms: onWindows, Source: "local accounts and profiles",
		Columns: columns(`uid bigint, gid bigint, uid_signed bigint, gid_signed bigint, username text, description text,
			directory text, shell text, uuid text, type text`),
		Rows: list(userRows),
	}
}

const profileList = currentVersionKey + `\ProfileList`

func userRows(ctx context.Context, q facts.Query) ([]muster.Row, error) {
	locals, err := localAccounts(ctx)
	if err != nil {
		return nil, err
	}
	var memberships map[string]uint32
	if usesAny(q, "gid", "gid_signed") {
		if memberships, err = firstGroups(ctx); err != nil {
			return nil, err
		}
	}
	var rows []muster.Row
	seen := map[string]bool{}
	add := func(a account, kind string) error {
		seen[a.sid] = true
		gid, ok := memberships[a.sid]
		if !ok {
			gid = a.rid
		}
		profile, err := regValues(profileList + `\` + a.sid)
		if err != nil {
			return err
		}
		rows = append(rows, muster.Row{
			"uid": unum(a.rid), "gid": unum(gid), "uid_signed": num(int32(a.rid)), "gid_signed": num(int32(gid)),
			"username": a.name, "description": a.comment, "directory": expandEnv(profile["profileimagepath"]),
			"shell": systemFolder() + `\cmd.exe`, "uuid": a.sid, "type": kind,
		})
		return nil
	}
	for _, a := range locals {
		if err := add(a, "local"); err != nil {
			return nil, err
		}
	}
	profiles, err := regSubkeys(profileList)
	if err != nil {
		return nil, err
	}
	for _, s := range profiles {
		sid, err := windows.StringToSid(s)
		if err != nil || seen[s] {
			continue
		}
		kind := "roaming"
		if sid.SubAuthorityCount() == 1 {
			kind = "special"
		}
		// The name of an account that no longer exists, or whose domain is out of reach, is "".
		name, _, _, _ := sid.LookupAccount("")
		if err := add(account{name: name, sid: s, rid: rid(sid)}, kind); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// accountsTable is the state of the local accounts, which osquery does not
// tell on Windows. last_logon is seconds since 1970, or "" where this computer
// knows of none.
func accountsTable() facts.Table {
	return facts.Table{
		Name: "muster_accounts", Platforms: onWindows, Source: "local accounts",
		Columns: columns(`username text, uid bigint, uuid text, enabled integer, locked integer, password_required integer,
			password_expires integer, last_logon bigint`),
		Rows: list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
			accounts, err := localAccounts(ctx)
			if err != nil {
				return nil, err
			}
			var rows []muster.Row
			for _, a := range accounts {
				row := a.row()
				if q.Used("last_logon") {
					if row["last_logon"], err = a.lastLogon(); err != nil {
						return nil, err
					}
				}
				rows = append(rows, row)
			}
			return rows, nil
		}),
	}
}

// userInfo2 is USER_INFO_2 up to what we read of it.
type userInfo2 struct {
	userInfo1
	authFlags                                  uint32
	fullName, userComment, parms, workstations *uint16
	lastLogon                                  uint32
}

// lastLogon is when the account last signed in here, in Unix seconds; Windows
// writes 0 where it does not know.
func (a account) lastLogon() (string, error) {
	name, err := windows.UTF16PtrFromString(a.name)
	if err != nil {
		return "", err
	}
	var buf *byte
	if err := windows.NetUserGetInfo(nil, name, 2, &buf); err != nil {
		if err = failed("read the last sign-in of "+a.name, err); errors.Is(err, facts.ErrUnavailable) {
			return "", nil
		}
		return "", err
	}
	defer windows.NetApiBufferFree(buf)
	if at := (*userInfo2)(unsafe.Pointer(buf)).lastLogon; at != 0 {
		return unum(at), nil
	}
	return "", nil
}

func (a account) row() muster.Row {
	const disabled, locked, noPassword, neverExpires = 0x2, 0x10, 0x20, 0x10000
	return muster.Row{
		"username": a.name, "uid": unum(a.rid), "uuid": a.sid, "enabled": flag(a.flags&disabled == 0), "locked": flag(a.flags&locked != 0),
		"password_required": flag(a.flags&noPassword == 0), "password_expires": flag(a.flags&neverExpires == 0),
	}
}
