package builtin

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"unsafe"

	"github.com/go-ole/go-ole"
	"golang.org/x/sys/windows"

	"github.com/passmuster/muster/agent/facts"
)

// System libraries that golang.org/x/sys/windows covers in part. They are
// loaded from the system folder only, at the first call.
var (
	advapi32 = windows.NewLazySystemDLL("advapi32.dll")
	iphlpapi = windows.NewLazySystemDLL("iphlpapi.dll")
	kernel32 = windows.NewLazySystemDLL("kernel32.dll")
	netapi32 = windows.NewLazySystemDLL("netapi32.dll")
	psapi    = windows.NewLazySystemDLL("psapi.dll")
	samlib   = windows.NewLazySystemDLL("samlib.dll")
	shlwapi  = windows.NewLazySystemDLL("shlwapi.dll")
	wevtapi  = windows.NewLazySystemDLL("wevtapi.dll")
	wscapi   = windows.NewLazySystemDLL("wscapi.dll")
	wtsapi32 = windows.NewLazySystemDLL("wtsapi32.dll")
)

// callBool calls a function that returns 0 where it fails and leaves the
// reason to GetLastError.
//
//go:uintptrescapes
func callBool(proc *windows.LazyProc, args ...uintptr) (uintptr, error) {
	if err := proc.Find(); err != nil {
		return 0, err
	}
	r, _, err := proc.Call(args...)
	if r != 0 {
		return r, nil
	}
	if errors.Is(err, syscall.Errno(0)) {
		err = windows.ERROR_CALL_NOT_IMPLEMENTED // Wine's stubs give no reason
	}
	return 0, err
}

// callBoolean is callBool for a function that returns a BOOLEAN, one byte.
//
//go:uintptrescapes
func callBoolean(proc *windows.LazyProc, args ...uintptr) error {
	if err := proc.Find(); err != nil {
		return err
	}
	if r, _, err := proc.Call(args...); byte(r) == 0 {
		return err
	}
	return nil
}

// callCode calls a function that returns its error, 0 being success.
//
//go:uintptrescapes
func callCode(proc *windows.LazyProc, args ...uintptr) error {
	if err := proc.Find(); err != nil {
		return err
	}
	if r, _, _ := proc.Call(args...); r != 0 {
		return syscall.Errno(r)
	}
	return nil
}

// callStatus calls a function that returns an NTSTATUS.
//
//go:uintptrescapes
func callStatus(proc *windows.LazyProc, args ...uintptr) error {
	if err := proc.Find(); err != nil {
		return err
	}
	if r, _, _ := proc.Call(args...); uint32(r) != 0 {
		return windows.NTStatus(r)
	}
	return nil
}

// failed names what was tried in err, and adds facts.ErrDenied or
// facts.ErrUnavailable where the Windows error means that.
func failed(op string, err error) error {
	cause := causeOf(err)
	if com, ok := err.(*ole.OleError); ok {
		err = comFailure(com)
	}
	if cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%s: %w: %w", op, cause, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}

// comFailure says in words what go-ole's error hides.
func comFailure(err *ole.OleError) error {
	if info, ok := err.SubError().(ole.EXCEPINFO); ok && info.SCODE() != 0 {
		return fmt.Errorf("error 0x%08x", info.SCODE())
	}
	return fmt.Errorf("error 0x%08x", uint32(err.Code()))
}

func causeOf(err error) error {
	var missing *windows.DLLError
	if errors.As(err, &missing) {
		return facts.ErrUnavailable
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return winCauses[uint32(errno)]
	}
	var status windows.NTStatus
	if errors.As(err, &status) {
		return winCauses[uint32(status)]
	}
	var com *ole.OleError
	if errors.As(err, &com) {
		if info, ok := com.SubError().(ole.EXCEPINFO); ok && winCauses[info.SCODE()] != nil {
			return winCauses[info.SCODE()]
		}
		return winCauses[uint32(com.Code())]
	}
	return nil
}

// wide reads a NUL-terminated string that Windows owns; nil is "".
func wide(p *uint16) string { return windows.UTF16PtrToString(p) }

// num writes a whole number.
func num[T ~int | ~int32 | ~int64](n T) string { return strconv.FormatInt(int64(n), 10) }

// unum writes a whole number without a sign.
func unum[T ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr](n T) string {
	return strconv.FormatUint(uint64(n), 10)
}

func unixTime(ft windows.Filetime) int64 {
	return filetimeUnix(int64(ft.HighDateTime)<<32 | int64(ft.LowDateTime))
}

// grow calls read with a larger buffer until it fits. read sets size to what
// it filled, or to what it needs. The buffer is aligned for structures.
func grow(size uint32, read func(buf []byte, size *uint32) error) ([]byte, error) {
	for {
		words := make([]uint64, size/8+1)
		buf := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)
		size = uint32(len(buf))
		switch err := read(buf, &size); {
		case err == nil:
			return buf[:min(int(size), len(buf))], nil
		case !errors.Is(err, windows.ERROR_MORE_DATA) && !errors.Is(err, windows.ERROR_INSUFFICIENT_BUFFER) &&
			!errors.Is(err, windows.ERROR_BUFFER_OVERFLOW):
			return nil, err
		}
		size = max(size, uint32(2*len(buf)))
	}
}

// enablePrivilege switches on a privilege that administrators hold but that is
// off by default.
func enablePrivilege(name string) error {
	var token windows.Token
	process := windows.CurrentProcess()
	if err := windows.OpenProcessToken(process, windows.TOKEN_ADJUST_PRIVILEGES|windows.TOKEN_QUERY, &token); err != nil {
		return failed("open the token of this process", err)
	}
	defer token.Close()
	utf16, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return err
	}
	want := windows.Tokenprivileges{PrivilegeCount: 1}
	want.Privileges[0].Attributes = windows.SE_PRIVILEGE_ENABLED
	if err := windows.LookupPrivilegeValue(nil, utf16, &want.Privileges[0].Luid); err != nil {
		return failed("look up the privilege "+name, err)
	}
	if err := windows.AdjustTokenPrivileges(token, false, &want, 0, nil, nil); err != nil {
		return failed("switch on the privilege "+name, err)
	}
	return nil
}
