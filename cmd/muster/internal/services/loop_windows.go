package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/schedule"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/service"
)

// auditMemory bounds an audit, in bytes.
const auditMemory = 256 << 20

const eventID = 1

// LoopOptions for Loop.
type LoopOptions struct {
	// State folder; "" means the computer's own.
	State string
	// Site file: while there is none, nobody waits for an audit.
	Site string
	// Requested reports whether something in the inbox of the folder asks for an audit.
	Requested func(state string) bool
	// Args of this program for one audit.
	Args []string
}

// Loop is the service MusterAudit: it audits by the schedule and on request until it
// is stopped, each time in a child, so that nothing large stays resident. What the
// uplink has no rights for it does for both: it has them started again after a failure,
// and the uplink also for every new site file.
func Loop(ctx context.Context, o LoopOptions) error {
	if o.State == "" {
		o.State = state.DefaultDir()
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return service.Run(ctx, auditService, func(ctx context.Context, ready func()) error {
		ready()
		host, err := os.Hostname()
		if err != nil {
			return err
		}
		for _, p := range programs("") {
			p.tend()
		}
		next := schedule.First(wallClock(), host)
		var uplink keeper
		var tried time.Time // an audit that fails leaves no word, and its request stays
		tick := time.NewTicker(schedule.Look)
		defer tick.Stop()
		for {
			site := stampOf(o.Site)
			if site != (stamp{}) {
				uplink.keep(ctx, site)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			now := wallClock()
			if site == (stamp{}) {
				continue
			}
			if !schedule.Due(next, now) && !o.Requested(o.State) || max(schedule.Wait(agent.LastAudit(o.State), now), schedule.Wait(tried, now)) > 0 {
				continue
			}
			tried = now
			if err := audit(ctx, exe, o.Args); err != nil && ctx.Err() == nil {
				tell(err)
			}
			next = schedule.Next(wallClock(), host)
		}
	})
}

// stamp tells what is in a file from what was; the zero one is of no file.
type stamp struct{ changed, size int64 }

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime().UnixNano(), info.Size()}
}

// keeper has the uplink run with the site file that is there: it reads it only once.
type keeper struct {
	runs, failed stamp
	at           time.Time // of the failure
}

func (k *keeper) keep(ctx context.Context, site stamp) {
	if site == k.runs || site == k.failed && time.Since(k.at) < restartAfter {
		return
	}
	err := k.start(ctx, site)
	if err == nil || ctx.Err() != nil {
		return
	}
	if site != k.failed { // once is enough
		tell(fmt.Errorf("start the service %s: %w", uplinkService, err))
	}
	k.failed, k.at = site, time.Now() // a file that was still being copied, maybe
}

func (k *keeper) start(ctx context.Context, site stamp) error {
	p := programs("")[1]
	if k.runs != (stamp{}) {
		if err := p.with(func(s *mgr.Service) error { return stop(ctx, s) }); err != nil {
			return err
		}
		k.runs = stamp{}
	}
	if err := p.start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_DISABLED) { // who has disabled it, has
		return err
	}
	k.runs = site
	return nil
}

// wallClock goes on while the computer sleeps, and so do plans made with it.
func wallClock() time.Time { return time.Now().Round(0) }

func audit(ctx context.Context, exe string, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, schedule.Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.IDLE_PRIORITY_CLASS | windows.CREATE_NO_WINDOW}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the audit: %w", err)
	}
	release, err := service.Tie(cmd.Process, auditMemory)
	if err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	defer release()
	err = cmd.Wait()
	// 1: a control fails; 3: something is unknown. The audit was done.
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && (exit.ExitCode() == 1 || exit.ExitCode() == 3) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("the audit failed: %w: %.2000s", err, strings.TrimSpace(said.String()))
	}
	return nil
}

// tell writes into the event log, and for a person at a terminal on standard error.
func tell(err error) {
	fmt.Fprintln(os.Stderr, "muster:", err)
	log, openErr := eventlog.Open(auditService)
	if openErr != nil {
		return
	}
	defer log.Close()
	_ = log.Error(eventID, err.Error())
}
