package service

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Tie makes a child end with this program, however that ends, with all that the
// child has started. Memory bounds each of these processes, in bytes; 0 means no
// bound. Release lets it go, which ends what still runs.
func Tie(child *os.Process, memory uint64) (release func() error, err error) {
	fail := func(err error) (func() error, error) { return nil, fmt.Errorf("tie process %d: %w", child.Pid, err) }
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return fail(err)
	}
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	if memory > 0 {
		limits.BasicLimitInformation.LimitFlags |= windows.JOB_OBJECT_LIMIT_PROCESS_MEMORY
		limits.ProcessMemoryLimit = uintptr(memory)
	}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err == nil {
		var h windows.Handle
		if h, err = windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(child.Pid)); err == nil {
			err = windows.AssignProcessToJobObject(job, h)
			windows.CloseHandle(h)
		}
	}
	if err != nil {
		windows.CloseHandle(job)
		return fail(err)
	}
	return func() error { return windows.CloseHandle(job) }, nil
}
