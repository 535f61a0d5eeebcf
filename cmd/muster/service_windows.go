package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/agent/state"
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
	return services.Loop(cmd.Context(), services.LoopOptions{State: p.state, Site: cmp.Or(p.site, defaultSite()), Requested: requested, Args: args})
}

// setupCommands are what the MSI asks of muster.exe beside its files and its services.
func setupCommands() []*cobra.Command {
	var s settings
	var from string
	prepare := &cobra.Command{
		Use: "prepare", Short: "What the MSI asks for when it installs", Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.beside = filepath.Dir(from)
			return setup(cmd, func(o *services.Options) error {
				if err := s.read(o); err != nil {
					return &exitError{exitUsage, err}
				}
				return services.Prepare(cmd.Context(), *o)
			})
		},
	}
	s.register(prepare.Flags())
	prepare.Flags().StringVar(&from, "package", "", "`FILE` that installs; relative paths start beside it")
	var purge bool
	undo := &cobra.Command{
		Use: "undo", Short: "What the MSI asks for when it removes", Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return setup(cmd, func(o *services.Options) error {
				o.Purge = purge
				if err := services.Undo(cmd.Context(), *o); err != nil || purge {
					return err
				}
				_, err := fmt.Fprintln(o.Out, "The reports, the site file and the host key stay in "+state.DefaultDir()+".")
				return err
			})
		},
	}
	undo.Flags().BoolVar(&purge, "purge", false, "also delete the host key, the reports and the site file")
	return []*cobra.Command{prepare, undo}
}

// setup does one thing for the MSI, whose own log does not have what we say: ours does.
func setup(cmd *cobra.Command, do func(*services.Options) error) error {
	o, err := serviceOptions(cmd, false)
	if err != nil {
		return err
	}
	var said bytes.Buffer
	o.Out = io.MultiWriter(o.Out, &said)
	err = do(o)
	services.LogSetup(said.String(), err)
	return err
}
