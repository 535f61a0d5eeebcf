package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/pflag"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/wire"
)

// place is where a command finds the site file and the state folder.
type place struct {
	site, state string
}

func (p *place) register(flags *pflag.FlagSet) {
	flags.StringVar(&p.site, "site", "", "site `FILE` that ties this host to its state (default "+defaultSite()+", where it exists)")
	flags.StringVar(&p.state, "state", "", "state `FOLDER` with the host key and the reports (default "+state.DefaultDir()+", with a site file)")
}

func defaultSite() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(state.DefaultDir(), "site.json")
	}
	return "/etc/muster/site.json"
}

// open reads the site file; nil where none was named and the default is not there.
func (p *place) open() (*muster.Site, error) {
	path := p.site
	if path == "" {
		path = defaultSite()
	}
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && p.site == "":
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the site file: %w", err)
	}
	return siteIn(path, b)
}

func siteIn(path string, b []byte) (*muster.Site, error) {
	site, err := parseSite(b)
	if err != nil {
		return nil, agent.NewInputError(fmt.Errorf("%s: %w", path, err), "ask your state for its site file again")
	}
	return site, nil
}

func parseSite(b []byte) (*muster.Site, error) {
	site, err := muster.ParseSite(b)
	if err != nil {
		return nil, err
	}
	if _, err := wire.ParsePublicKeys(site.PolicyKeys); err != nil {
		return nil, fmt.Errorf("site file: field policy_keys: %w", err)
	}
	if _, err := wire.ParsePublicKeys(site.ReceiptKeys); err != nil {
		return nil, fmt.Errorf("site file: field receipt_keys: %w", err)
	}
	return site, nil
}

// stateDir is the folder that was named; else the default for a host with a
// site; else none, so that trying muster out leaves nothing behind.
func (p *place) stateDir(site *muster.Site) string {
	if p.state == "" && site != nil {
		return state.DefaultDir()
	}
	return p.state
}

// host is what is known of this host without asking it: its county and its id.
func (p *place) host(site *muster.Site) (h muster.Host) {
	if site != nil {
		h.County = site.County
	}
	if dir := p.stateDir(site); dir != "" {
		h.ID = agent.KnownHost(dir)
	}
	return h
}
