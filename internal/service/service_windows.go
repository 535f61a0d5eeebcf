package service

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
)

// failed is the service's own exit code for an error; the event log has the words.
const failed = 1

func run(ctx context.Context, name string, f func(ctx context.Context, ready func()) error) error {
	if !startedByManager() {
		return inTerminal(ctx, f)
	}
	h := &handler{ctx: ctx, f: f}
	err := svc.Run(name, h)
	if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return inTerminal(ctx, f) // the parent merely has the manager's name
	}
	return errors.Join(err, h.err)
}

// startedByManager asks for the parent's name: svc.IsWindowsService also asks for
// the session, which is none of the manager's under wine.
func startedByManager() bool {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return false
	}
	defer windows.CloseHandle(snapshot)
	parent := uint32(os.Getppid())
	p := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &p); err == nil; err = windows.Process32Next(snapshot, &p) {
		if p.ProcessID == parent {
			return strings.EqualFold(windows.UTF16ToString(p.ExeFile[:]), "services.exe")
		}
	}
	return false
}

type handler struct {
	ctx context.Context
	f   func(ctx context.Context, ready func()) error
	err error
}

// Execute is called by the service manager.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	status <- svc.Status{State: svc.StartPending}
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	serving, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- h.f(ctx, sync.OnceFunc(func() { close(serving) })) }()
	for {
		select {
		case <-serving:
			status <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
			serving = nil
		case h.err = <-done:
			status <- svc.Status{State: svc.StopPending}
			if h.err != nil {
				return true, failed
			}
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending}
				cancel()
			}
		}
	}
}
