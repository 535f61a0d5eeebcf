// Package services installs what audits this computer every hour and carries its
// reports: systemd units on Linux, two services on Windows.
package services

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/durable"
)

// Options for Install and Uninstall.
type Options struct {
	// Programs is the folder of muster and muster-uplink.
	Programs string
	// SiteFile is where the site file belongs, and Site its content; nil leaves the
	// one that is there.
	SiteFile string
	Site     []byte
	// AuthKey lets this computer into the tailnet; nil leaves the one that is there.
	AuthKey []byte
	// Purge also deletes the reports, the host key and the site file.
	Purge bool
	// DryRun tells the steps and takes none.
	DryRun bool
	// Out hears of every step before it is taken.
	Out io.Writer
}

// step is one thing to do, and what to tell about it.
type step struct {
	says string
	do   func(ctx context.Context) error
}

// take takes the steps in order and stops at the first that fails.
func take(ctx context.Context, o Options, steps []step) error {
	for _, s := range steps {
		if _, err := fmt.Fprintln(o.Out, s.says); err != nil {
			return err
		}
		if o.DryRun {
			continue
		}
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.says, err)
		}
	}
	return nil
}

// installSite puts the site file where both programs look for it; everyone may read it.
func installSite(o Options) []step {
	if o.Site == nil {
		return nil
	}
	return []step{{"write the site file " + o.SiteFile, func(context.Context) error {
		if err := durable.MkdirAll(filepath.Dir(o.SiteFile), 0o755); err != nil {
			return err
		}
		return durable.WriteFile(o.SiteFile, o.Site, 0o644)
	}}}
}

// makeState makes the state folder, so that the uplink finds it, leaves the auth key
// there for it, and asks for an audit where the state is new: the planned one may be
// an hour away.
func makeState(o Options) step {
	says := "make the state folder " + state.DefaultDir()
	if o.AuthKey != nil {
		says += ", with the auth key for muster-uplink"
	}
	return step{says, func(context.Context) error {
		f, err := state.Open(state.DefaultDir(), state.Options{})
		if err == nil && o.AuthKey != nil {
			err = durable.WriteFile(f.AuthKeyFile(), o.AuthKey, 0o644) // only the uplink gets into its folder
		}
		if err == nil && (o.Site != nil || !f.HasKey()) {
			err = f.RequestAudit()
		}
		return err
	}}
}
