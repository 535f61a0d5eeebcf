package main

import (
	"github.com/spf13/cobra"

	"github.com/passmuster/muster/cmd/muster/internal/services"
)

// runService is the service that starts an audit whenever one is due; with once it
// is that audit.
func runService(cmd *cobra.Command, p place, once bool) error {
	if once {
		return gentleAudit(cmd, p)
	}
	args := []string{"service", "run", "--once"}
	for flag, value := range map[string]string{"--state": p.state, "--site": p.site} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	return services.Loop(services.LoopOptions{State: p.state, Requested: requested, Args: args})
}
