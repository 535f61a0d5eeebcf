package builtin

import "github.com/passmuster/muster/agent/facts"

// winCauses says what a Windows error code means for a table. The codes are
// Win32 errors, HRESULTs (COM, WMI) and NTSTATUS values, which do not overlap.
var winCauses = map[uint32]error{
	5:          facts.ErrDenied, // ERROR_ACCESS_DENIED
	740:        facts.ErrDenied, // ERROR_ELEVATION_REQUIRED
	1300:       facts.ErrDenied, // ERROR_NOT_ALL_ASSIGNED
	1314:       facts.ErrDenied, // ERROR_PRIVILEGE_NOT_HELD
	0x80070005: facts.ErrDenied, // E_ACCESSDENIED
	0x80041003: facts.ErrDenied, // WBEM_E_ACCESS_DENIED
	0x80041062: facts.ErrDenied, // WBEM_E_PRIVILEGE_NOT_HELD
	0xC0000022: facts.ErrDenied, // STATUS_ACCESS_DENIED
	0xC0000061: facts.ErrDenied, // STATUS_PRIVILEGE_NOT_HELD

	1:          facts.ErrUnavailable, // ERROR_INVALID_FUNCTION: no such firmware call
	50:         facts.ErrUnavailable, // ERROR_NOT_SUPPORTED
	120:        facts.ErrUnavailable, // ERROR_CALL_NOT_IMPLEMENTED
	126:        facts.ErrUnavailable, // ERROR_MOD_NOT_FOUND
	127:        facts.ErrUnavailable, // ERROR_PROC_NOT_FOUND
	1060:       facts.ErrUnavailable, // ERROR_SERVICE_DOES_NOT_EXIST
	1062:       facts.ErrUnavailable, // ERROR_SERVICE_NOT_ACTIVE
	1332:       facts.ErrUnavailable, // ERROR_NONE_MAPPED: no account has this SID
	1722:       facts.ErrUnavailable, // RPC_S_SERVER_UNAVAILABLE
	2140:       facts.ErrUnavailable, // NERR_InternalError: this level is not there
	2221:       facts.ErrUnavailable, // NERR_UserNotFound
	15007:      facts.ErrUnavailable, // ERROR_EVT_CHANNEL_NOT_FOUND
	0x80004001: facts.ErrUnavailable, // E_NOTIMPL
	0x80020003: facts.ErrUnavailable, // DISP_E_MEMBERNOTFOUND
	0x80020006: facts.ErrUnavailable, // DISP_E_UNKNOWNNAME
	0x80040154: facts.ErrUnavailable, // REGDB_E_CLASSNOTREG
	0x800401F3: facts.ErrUnavailable, // CO_E_CLASSSTRING
	0x80041002: facts.ErrUnavailable, // WBEM_E_NOT_FOUND
	0x8004100E: facts.ErrUnavailable, // WBEM_E_INVALID_NAMESPACE
	0x80041010: facts.ErrUnavailable, // WBEM_E_INVALID_CLASS
	0x80041013: facts.ErrUnavailable, // WBEM_E_PROVIDER_LOAD_FAILURE
	0x80041014: facts.ErrUnavailable, // WBEM_E_INITIALIZATION_FAILURE
	0x800706BA: facts.ErrUnavailable, // RPC server unavailable, as HRESULT
	0x800106BA: facts.ErrUnavailable, // the same, as Microsoft Defender writes it
	0xC0000002: facts.ErrUnavailable, // STATUS_NOT_IMPLEMENTED
	0xC00000BB: facts.ErrUnavailable, // STATUS_NOT_SUPPORTED
}
