package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/agent/schedule"
	"github.com/passmuster/muster/agent/state"
)

// runService is one audit: systemd's timers own the time. A request that it could
// not take would start the next one at once, so the gap is waited for here, too.
func runService(cmd *cobra.Command, p place, once bool) error {
	ctx, dir := cmd.Context(), cmp.Or(p.state, state.DefaultDir())
	if p.site == "" && !once && !exists(defaultSite()) {
		fmt.Fprintf(cmd.ErrOrStderr(), "muster: nothing is audited yet: there is no site file %s\n", defaultSite())
		for end := time.Now().Add(schedule.Gap); requested(dir) && !exists(defaultSite()) && time.Now().Before(end); {
			if stopped := sleep(ctx, schedule.Look); stopped != nil {
				return stopped
			}
		}
		if !exists(defaultSite()) {
			return nil
		}
	}
	err := gentleAudit(cmd, p)
	if once || ctx.Err() != nil || !requested(dir) {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "muster: what waits in the inbox could not be taken: the next try is in %v\n", schedule.Gap)
	if stopped := sleep(ctx, schedule.Gap); stopped != nil {
		return stopped
	}
	return err
}

// setupCommands are for the MSI only.
func setupCommands() []*cobra.Command { return nil }
