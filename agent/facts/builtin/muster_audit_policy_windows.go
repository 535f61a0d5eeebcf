package builtin

import (
	"context"
	"errors"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// auditPolicyTable is the audit policy in force, by subcategory. guid is in
// lower case without braces and the same on every Windows; name is in the
// language of the system. Administrators only.
func auditPolicyTable() facts.Table {
	return facts.Table{
		Name: "muster_audit_policy", Platforms: onWindows, Source: "AuditQuerySystemPolicy",
		Columns: columns(`guid text, name text, success integer, failure integer`),
		Rows:    list(auditPolicyRows),
	}
}

// auditPolicyInformation is AUDIT_POLICY_INFORMATION.
type auditPolicyInformation struct {
	subcategory windows.GUID
	events      uint32
	category    windows.GUID
}

func auditPolicyRows(ctx context.Context, q facts.Query) ([]muster.Row, error) {
	const op = "read the audit policy"
	enumerate, query := advapi32.NewProc("AuditEnumerateSubCategories"), advapi32.NewProc("AuditQuerySystemPolicy")
	if err := errors.Join(enumerate.Find(), query.Find()); err != nil {
		return nil, failed(op, err)
	}
	if err := enablePrivilege("SeSecurityPrivilege"); err != nil {
		return nil, err
	}
	var guids *windows.GUID
	var n uint32
	const all = 1
	if err := callBoolean(enumerate, 0, all, uintptr(unsafe.Pointer(&guids)), uintptr(unsafe.Pointer(&n))); err != nil {
		return nil, failed(op, err)
	}
	defer auditFree(unsafe.Pointer(guids))
	var policies *auditPolicyInformation
	if err := callBoolean(query, uintptr(unsafe.Pointer(guids)), uintptr(n), uintptr(unsafe.Pointer(&policies))); err != nil {
		return nil, failed(op, err)
	}
	defer auditFree(unsafe.Pointer(policies))
	if n == 0 {
		return nil, failed(op, windows.ERROR_NOT_SUPPORTED)
	}
	var rows []muster.Row
	for _, p := range unsafe.Slice(policies, n) {
		const success, failure = 1, 2
		row := muster.Row{
			"guid":    strings.ToLower(strings.Trim(p.subcategory.String(), "{}")),
			"success": flag(p.events&success != 0), "failure": flag(p.events&failure != 0),
		}
		if q.Used("name") {
			row["name"] = subcategoryName(&p.subcategory)
		}
		rows = append(rows, row)
	}
	return rows, ctx.Err()
}

func subcategoryName(guid *windows.GUID) string {
	var name *uint16
	if err := callBoolean(advapi32.NewProc("AuditLookupSubCategoryNameW"), uintptr(unsafe.Pointer(guid)), uintptr(unsafe.Pointer(&name))); err != nil {
		return "" // the GUID is what counts
	}
	defer auditFree(unsafe.Pointer(name))
	return wide(name)
}

func auditFree(p unsafe.Pointer) { _, _, _ = advapi32.NewProc("AuditFree").Call(uintptr(p)) }
