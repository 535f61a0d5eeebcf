package builtin

import (
	"context"
	"errors"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// securityProfileTable is the rules for passwords and accounts, and the nine
// old categories of the audit policy (muster_audit_policy has what is in
// force). Ages are days, a maximum of -1 means that passwords never expire.
// Where one of its sources cannot be read its columns are "", never a number;
// where none can, the table gives the reason. lsa_anonymous_name_lookup has no
// documented source and is "" always. Administrators only, but for the first rules.
func securityProfileTable() facts.Table {
	return facts.Table{
		Name: "security_profile_info", Platforms: onWindows, Source: "NetUserModalsGet, SAM, LSA", Preferred: true,
		Columns: columns(`minimum_password_age integer, maximum_password_age integer, minimum_password_length integer,
			password_complexity integer, password_history_size integer, lockout_bad_count integer,
			logon_to_change_password integer, force_logoff_when_expire integer, new_administrator_name text,
			new_guest_name text, clear_text_password integer, lsa_anonymous_name_lookup integer,
			enable_admin_account integer, enable_guest_account integer, audit_system_events integer,
			audit_logon_events integer, audit_object_access integer, audit_privilege_use integer,
			audit_policy_change integer, audit_account_manage integer, audit_process_tracking integer,
			audit_ds_access integer, audit_account_logon integer`),
		Rows: list(securityProfileRows),
	}
}

func securityProfileRows(ctx context.Context, q facts.Query) ([]muster.Row, error) {
	row := muster.Row{}
	var errs []error
	asked := 0
	for _, source := range []struct {
		columns []string
		read    func(muster.Row) error
	}{
		{[]string{"minimum_password_age", "maximum_password_age", "minimum_password_length", "password_history_size",
			"force_logoff_when_expire"}, addPasswordRules},
		{[]string{"lockout_bad_count"}, addLockout},
		{[]string{"password_complexity", "clear_text_password", "logon_to_change_password"}, addPasswordProperties},
		{[]string{"enable_admin_account", "new_administrator_name"}, addAccount(500, "enable_admin_account", "new_administrator_name")},
		{[]string{"enable_guest_account", "new_guest_name"}, addAccount(501, "enable_guest_account", "new_guest_name")},
		{auditCategories, addAuditCategories},
	} {
		if !usesAny(q, source.columns...) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		asked++
		err := source.read(row)
		switch {
		case errors.Is(err, facts.ErrDenied), errors.Is(err, facts.ErrUnavailable):
			errs = append(errs, err)
		case err != nil:
			return nil, err
		}
	}
	if asked > 0 && len(errs) == asked {
		return nil, errs[0]
	}
	return []muster.Row{row}, nil
}

// userModals asks for one level of the rules for accounts and hands use the
// structure, which is freed after.
func userModals(level uintptr, use func(unsafe.Pointer)) error {
	var buf unsafe.Pointer
	if err := callCode(netapi32.NewProc("NetUserModalsGet"), 0, level, uintptr(unsafe.Pointer(&buf))); err != nil {
		return failed("read the rules for passwords", err)
	}
	defer windows.NetApiBufferFree((*byte)(buf))
	use(buf)
	return nil
}

// forever is TIMEQ_FOREVER.
const forever = 0xffffffff

func addPasswordRules(row muster.Row) error {
	return userModals(0, func(p unsafe.Pointer) {
		// USER_MODALS_INFO_0; ages are seconds.
		m := (*struct{ minLength, maxAge, minAge, forceLogoff, history uint32 })(p)
		row["minimum_password_length"], row["password_history_size"] = unum(m.minLength), unum(m.history)
		row["minimum_password_age"], row["maximum_password_age"] = ageDays(m.minAge), ageDays(m.maxAge)
		row["force_logoff_when_expire"] = flag(m.forceLogoff != forever)
	})
}

func ageDays(seconds uint32) string {
	if seconds == forever {
		return "-1"
	}
	return unum(seconds / 86400)
}

func addLockout(row muster.Row) error {
	return userModals(3, func(p unsafe.Pointer) {
		// USER_MODALS_INFO_3; 0 means that accounts are never locked.
		row["lockout_bad_count"] = unum((*struct{ duration, window, threshold uint32 })(p).threshold)
	})
}

// accountDomain is the SID before the last number of every account that this
// computer keeps.
func accountDomain() (sid *windows.SID, err error) {
	callErr := userModals(2, func(p unsafe.Pointer) {
		// USER_MODALS_INFO_2.
		sid, err = (*struct {
			name *uint16
			id   *windows.SID
		})(p).id.Copy()
	})
	return sid, errors.Join(callErr, err)
}

// addAccount reads name and state of a built-in account, which may have been
// renamed, by the last number of its SID.
func addAccount(rid uint32, enabled, name string) func(muster.Row) error {
	return func(row muster.Row) error {
		domain, err := accountDomain()
		if err != nil {
			return err
		}
		sid, err := windows.StringToSid(domain.String() + "-" + unum(rid))
		if err != nil {
			return failed("read a built-in account", err)
		}
		account, _, _, err := sid.LookupAccount("")
		if err != nil {
			return failed("find the name of the account "+sid.String(), err)
		}
		utf16, err := windows.UTF16PtrFromString(account)
		if err != nil {
			return err
		}
		a, err := localAccount(utf16, sid)
		if err != nil {
			return err
		}
		row[name], row[enabled] = a.name, a.row()["enabled"]
		return nil
	}
}

// objectAttributes is LSA_OBJECT_ATTRIBUTES, which stays zero.
type objectAttributes [6]uintptr

// addPasswordProperties asks the account database itself (MS-SAMR), because
// NetUserModalsGet leaves these rules out.
func addPasswordProperties(row muster.Row) error {
	// Wine's samlib.dll has the names of the functions and ends the process that calls one.
	if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
		return failed("read the rules for passwords", windows.ERROR_CALL_NOT_IMPLEMENTED)
	}
	domain, err := accountDomain()
	if err != nil {
		return err
	}
	const (
		lookupDomain, readPasswordParameters = 0x20, 0x1
		passwordInformation                  = 1
		complexity, noAnonymousChange, clear = 0x1, 0x2, 0x10
	)
	const op = "read the rules for passwords from the account database"
	var server, handle uintptr
	var attributes objectAttributes
	if err := callStatus(samlib.NewProc("SamConnect"), 0, uintptr(unsafe.Pointer(&server)), lookupDomain, uintptr(unsafe.Pointer(&attributes))); err != nil {
		return failed(op, err)
	}
	closeHandle := samlib.NewProc("SamCloseHandle")
	defer func() { _ = callStatus(closeHandle, server) }()
	if err := callStatus(samlib.NewProc("SamOpenDomain"), server, readPasswordParameters, uintptr(unsafe.Pointer(domain)), uintptr(unsafe.Pointer(&handle))); err != nil {
		return failed(op, err)
	}
	defer func() { _ = callStatus(closeHandle, handle) }()
	// DOMAIN_PASSWORD_INFORMATION.
	var rules *struct {
		minLength, history uint16
		properties         uint32
		maxAge, minAge     int64
	}
	if err := callStatus(samlib.NewProc("SamQueryInformationDomain"), handle, passwordInformation, uintptr(unsafe.Pointer(&rules))); err != nil {
		return failed(op, err)
	}
	row["password_complexity"] = flag(rules.properties&complexity != 0)
	row["clear_text_password"] = flag(rules.properties&clear != 0)
	row["logon_to_change_password"] = flag(rules.properties&noAnonymousChange != 0)
	_ = callStatus(samlib.NewProc("SamFreeMemory"), uintptr(unsafe.Pointer(rules)))
	return nil
}

// auditCategories are the columns of the old audit categories in the order of
// POLICY_AUDIT_EVENT_TYPE.
var auditCategories = []string{
	"audit_system_events", "audit_logon_events", "audit_object_access", "audit_privilege_use", "audit_process_tracking",
	"audit_policy_change", "audit_account_manage", "audit_ds_access", "audit_account_logon",
}

// addAuditCategories reads the old audit policy: 1 for success, 2 for failure,
// 3 for both.
func addAuditCategories(row muster.Row) error {
	const viewAuditInformation, auditEvents = 0x2, 2
	const op = "read the audit policy"
	var policy uintptr
	var attributes objectAttributes
	if err := callStatus(advapi32.NewProc("LsaOpenPolicy"), 0, uintptr(unsafe.Pointer(&attributes)), viewAuditInformation, uintptr(unsafe.Pointer(&policy))); err != nil {
		return failed(op, err)
	}
	defer func() { _ = callStatus(advapi32.NewProc("LsaClose"), policy) }()
	// POLICY_AUDIT_EVENTS_INFO.
	var info *struct {
		on      byte
		options *uint32
		count   uint32
	}
	if err := callStatus(advapi32.NewProc("LsaQueryInformationPolicy"), policy, auditEvents, uintptr(unsafe.Pointer(&info))); err != nil {
		return failed(op, err)
	}
	defer func() { _ = callStatus(advapi32.NewProc("LsaFreeMemory"), uintptr(unsafe.Pointer(info))) }()
	for i, option := range unsafe.Slice(info.options, min(int(info.count), len(auditCategories))) {
		if info.on == 0 {
			option = 0
		}
		row[auditCategories[i]] = unum(option & 3)
	}
	return nil
}
