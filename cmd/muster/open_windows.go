package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"unsafe"

	"github.com/spf13/cobra"
	"golang.org/x/sys/windows"
)

// runAndShow audits with the administrator's rights and shows the answer in the
// browser, which does not get them.
func (f *auditFlags) runAndShow(cmd *cobra.Command) error {
	if f.out != "" || cmd.Flags().Changed("output") || f.portable.courier != "" {
		return usage(cmd, errors.New("--open chooses the form and the place of the answer itself"))
	}
	err := f.auditAndShow(cmd)
	if err == nil || !ownsConsole() {
		return err
	}
	o := judge(err)
	if o.Err == nil {
		return err // the verdict, which the browser shows
	}
	w := cmd.ErrOrStderr()
	fmt.Fprintf(w, "muster: error: %v\n", o.Err)
	if o.Hint != "" {
		fmt.Fprintf(w, "muster: hint: %s\n", o.Hint)
	}
	fmt.Fprintln(w, "Press Enter to close this window.") // it closes with us
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	return &exitError{code: o.Code}
}

func (f *auditFlags) auditAndShow(cmd *cobra.Command) error {
	dir, err := os.MkdirTemp("", "muster-") // stays: the browser reads it when it likes
	if err != nil {
		return &exitError{exitNoAudit, err}
	}
	f.output, f.out = "html", filepath.Join(dir, "audit.html")
	var verdict error
	if elevated() {
		verdict = f.run(cmd)
	} else {
		args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool { return arg == "--open" })
		fmt.Fprintln(cmd.ErrOrStderr(), "Windows asks for administrator rights now: without them much of this computer cannot be inspected.")
		var code int
		code, err = runElevated(append(args, "--output", "html", "--out", f.out)...)
		switch {
		case errors.Is(err, windows.ERROR_CANCELLED):
			verdict = f.run(cmd)
		case err != nil:
			return &exitError{exitNoAudit, fmt.Errorf("start the audit as administrator: %w", err)}
		case code != 0:
			verdict = &exitError{code: code}
		}
	}
	if _, err := os.Stat(f.out); err != nil {
		if verdict != nil && judge(verdict).Err != nil {
			return verdict
		}
		return &exitError{exitNoAudit, errors.New("this computer could not be inspected: run muster audit in a terminal that was opened with “Run as administrator”, and it says why")}
	}
	if err := open(f.out); err != nil {
		return &exitError{exitNoAudit, fmt.Errorf("open %s: %w", f.out, err)}
	}
	return verdict
}

// open has Windows show a file with the program for it. Explorer hands it to the shell
// of the user, so that the browser gets none of our rights. It is asked by its full path:
// the folder that we are in may be anyone's.
func open(path string) error {
	windir, err := windows.GetSystemWindowsDirectory()
	if err != nil {
		return err
	}
	verb, explorer := windows.StringToUTF16Ptr("open"), windows.StringToUTF16Ptr(filepath.Join(windir, "explorer.exe"))
	file := windows.StringToUTF16Ptr(windows.EscapeArg(path))
	return inApartment(func() error { return windows.ShellExecute(0, verb, explorer, file, nil, windows.SW_SHOWNORMAL) })
}

// shellExecuteInfo is SHELLEXECUTEINFOW.
type shellExecuteInfo struct {
	size, mask                        uint32
	window                            windows.Handle
	verb, file, parameters, directory *uint16
	show                              int32
	instance                          windows.Handle
	idList                            uintptr
	class                             *uint16
	classKey                          windows.Handle
	hotKey                            uint32
	icon, process                     windows.Handle
}

// runElevated asks for the administrator's rights, runs this program with them, and
// gives its exit code.
func runElevated(args ...string) (int, error) {
	exe, err := os.Executable()
	if err != nil {
		return 0, err
	}
	const (
		keepProcess = 0x40  // SEE_MASK_NOCLOSEPROCESS
		noWindow    = 0x400 // SEE_MASK_FLAG_NO_UI: errors are ours to tell
	)
	info := shellExecuteInfo{mask: keepProcess | noWindow, show: windows.SW_SHOWNORMAL,
		verb: windows.StringToUTF16Ptr("runas"), file: windows.StringToUTF16Ptr(exe), parameters: windows.StringToUTF16Ptr(windows.ComposeCommandLine(args))}
	info.size = uint32(unsafe.Sizeof(info))
	err = inApartment(func() error {
		done, _, err := windows.NewLazySystemDLL("shell32.dll").NewProc("ShellExecuteExW").Call(uintptr(unsafe.Pointer(&info)))
		if done == 0 {
			return err
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	defer windows.CloseHandle(info.process)
	if _, err := windows.WaitForSingleObject(info.process, windows.INFINITE); err != nil {
		return 0, err
	}
	var code uint32
	err = windows.GetExitCodeProcess(info.process, &code)
	return int(code), err
}

// inApartment is for what may ask a shell extension, which wants COM to be ready.
func inApartment(do func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if windows.CoInitializeEx(0, windows.COINIT_APARTMENTTHREADED|windows.COINIT_DISABLE_OLE1DDE) == nil {
		defer windows.CoUninitialize()
	}
	return do()
}

// ownsConsole reports whether the console was made for this program alone.
func ownsConsole() bool {
	var ids [2]uint32
	n, _, _ := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetConsoleProcessList").Call(uintptr(unsafe.Pointer(&ids[0])), uintptr(len(ids)))
	return n == 1
}
