package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/agent/schedule"
	"github.com/passmuster/muster/agent/state"
)

// runService is one audit: systemd's timers own the time. A request that it could
// not take would start the next one at once, so the gap is waited for here, too.
func runService(cmd *cobra.Command, p place, once bool) error {
	ctx := cmd.Context()
	err := gentleAudit(cmd, p)
	if once || ctx.Err() != nil || !requested(cmp.Or(p.state, state.DefaultDir())) {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "muster: what waits in the inbox could not be taken: the next try is in %v\n", schedule.Gap)
	if stopped := sleep(ctx, schedule.Gap); stopped != nil {
		return stopped
	}
	return err
}
