package state

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// rights are the access lists that a new folder gets, in SDDL: SYSTEM and the
// administrators have everything, users read what everyone may see, and
// LocalService, which the uplink runs as, has what it carries. "" is the folder
// itself; a sub-folder that is not here inherits it.
var rights = map[string]string{
	"":         base + "(A;OICI;FRFX;;;BU)",
	"key":      base,
	"outbox":   base + "(A;OICI;FRFX;;;LS)",
	"receipts": base + mail,
	"inbox":    base + mail,
	// Each changes its own files only, as under the sticky bit.
	"status":     base + "(A;OICI;FRFX;;;BU)(A;OICI;FRFX;;;LS)(A;;0x2;;;LS)(A;OICIIO;FA;;;CO)",
	"relay/out":  base + "(A;OICI;FRFX;;;LS)",
	"relay/in":   base + mail,
	uplinkFolder: base + "(A;OICI;FA;;;LS)",
}

const (
	base = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
	mail = "(A;OICI;0x1301bf;;;LS)" // read, write, delete; no rights over rights
)

// Bits of an access mask.
const (
	readsData   = windows.FILE_READ_DATA | windows.GENERIC_READ | windows.GENERIC_ALL
	changesData = windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA | 0x40 /* FILE_DELETE_CHILD */ |
		windows.DELETE | windows.WRITE_DAC | windows.WRITE_OWNER | windows.GENERIC_WRITE | windows.GENERIC_ALL
)

// everybody are the groups that an ordinary user of the computer is in.
var everybody = []windows.WELL_KNOWN_SID_TYPE{
	windows.WinWorldSid, windows.WinAuthenticatedUserSid, windows.WinBuiltinUsersSid, windows.WinBuiltinGuestsSid,
	windows.WinInteractiveSid, windows.WinNetworkSid, windows.WinAnonymousSid,
}

// restrict gives a folder that muster has just made its access list. Who is no
// administrator keeps his own access.
func restrict(path, name string) error {
	text, ok := rights[name]
	if !ok {
		return nil
	}
	me, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return fmt.Errorf("ask who runs muster: %w", err)
	}
	sd, err := windows.SecurityDescriptorFromString(text + "(A;OICI;FA;;;" + me.User.Sid.String() + ")")
	if err != nil {
		return fmt.Errorf("rights of %s: %w", path, err)
	}
	if err := setRights(path, sd); err != nil {
		return fmt.Errorf("set the rights of %s: %w", path, err)
	}
	return nil
}

// setRights takes the access list as it is, without what the parent would hand down.
func setRights(path string, sd *windows.SECURITY_DESCRIPTOR) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	h, err := windows.CreateFile(name, windows.READ_CONTROL|windows.WRITE_DAC, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
	if err != nil {
		return err
	}
	defer windows.CloseHandle(h)
	return windows.SetKernelObjectSecurity(h, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, sd)
}

// checkRights refuses what belongs to an ordinary user other than this one, what
// everybody may change, and, where it is secret, what everybody may read.
func checkRights(path string, secret bool) error {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("ask for the rights of %s: %w", path, err)
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return fmt.Errorf("ask for the owner of %s: %w", path, err)
	}
	if !trusted(owner) {
		return fmt.Errorf("%s belongs to %s, who is no administrator: delete it if it is not yours, or give another folder with --state", path, account(owner))
	}
	dacl, _, err := sd.DACL()
	if err != nil || dacl == nil {
		return fmt.Errorf("%s has no access list, so everybody may change it: run icacls %q /reset, or delete it", path, path)
	}
	for i := range uint32(dacl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(dacl, i, &ace); err != nil {
			return fmt.Errorf("read the rights of %s: %w", path, err)
		}
		if ace.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE {
			continue
		}
		sid := (*windows.SID)(unsafe.Pointer(&ace.SidStart))
		if !inEverybody(sid) {
			continue
		}
		switch mask := uint32(ace.Mask); {
		case mask&changesData != 0:
			return fmt.Errorf("%s may be changed by %s: run icacls %q /remove:g %q as administrator", path, account(sid), path, "*"+sid.String())
		case secret && mask&readsData != 0:
			return fmt.Errorf("%s may be read by %s, and whoever has read the host key can sign as this computer: run icacls %q /remove:g %q as administrator, and ask your state whether to enroll as a new host",
				path, account(sid), path, "*"+sid.String())
		}
	}
	return nil
}

func trusted(owner *windows.SID) bool {
	if owner.IsWellKnown(windows.WinLocalSystemSid) || owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) {
		return true
	}
	me, err := windows.GetCurrentProcessToken().GetTokenUser()
	return err == nil && owner.Equals(me.User.Sid)
}

func inEverybody(sid *windows.SID) bool {
	for _, kind := range everybody {
		if sid.IsWellKnown(kind) {
			return true
		}
	}
	return false
}

// account is the name of a SID for people.
func account(sid *windows.SID) string {
	name, domain, _, err := sid.LookupAccount("")
	if err != nil {
		return sid.String()
	}
	return strings.TrimPrefix(domain+`\`+name, `\`)
}
