package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/cmd/muster/internal/services"
	"github.com/passmuster/muster/internal/durable"
)

// maxAuthKey is more than a key has, in bytes.
const maxAuthKey = 4 << 10

// settings are what an installation is told of the state.
type settings struct {
	site, county, profile, authKey string
	// beside is where relative paths start; "" means the folder that we are in.
	beside string
}

func (s *settings) register(flags *pflag.FlagSet) {
	flags.StringVar(&s.site, "site", "", "site `FILE` that ties this host to its state (default "+defaultSite()+")")
	flags.StringVar(&s.county, "county", "", "five-digit `CODE` of the county, instead of the one in the site file")
	flags.StringVar(&s.profile, "profile", "", "what kind of host this is, workstation or ems, instead of what the site file says")
	flags.StringVar(&s.authKey, "auth-key", "", "`FILE` with the key that lets this computer into the tailnet; it is copied, and the copy deleted once this computer is in")
}

// read checks all of it, and puts what is to be written into the options.
func (s *settings) read(o *services.Options) error {
	if s.site != "" || s.county != "" || s.profile != "" {
		if err := s.readSite(o); err != nil {
			return err
		}
	}
	if s.authKey == "" {
		return nil
	}
	key, err := durable.ReadForeign(s.path(s.authKey), maxAuthKey)
	if err != nil {
		return fmt.Errorf("read the auth key: %w", err)
	}
	o.AuthKey = key
	return nil
}

func (s *settings) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.beside, name)
}

func (s *settings) readSite(o *services.Options) error {
	path := o.SiteFile
	if s.site != "" {
		path = s.path(s.site)
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && s.site == "" {
		return fmt.Errorf("there is no site file %s whose county or profile could be changed: name the one of your state with --site", path)
	}
	if err != nil {
		return fmt.Errorf("read the site file: %w", err)
	}
	site, err := siteIn(path, b)
	if err != nil {
		return err
	}
	changed := *site
	if s.county != "" {
		if changed.County, err = muster.ParseCounty(s.county); err != nil {
			return fmt.Errorf("--county: %w", err)
		}
		if changed.County.State() != site.State {
			return fmt.Errorf("--county: %s is not in state %s, which the site file is for", s.county, site.State)
		}
	}
	if s.profile != "" {
		if changed.Profile, err = muster.ParseProfile(s.profile); err != nil {
			return fmt.Errorf("--profile: %w", err)
		}
	}
	if changed.County != site.County || changed.Profile != site.Profile {
		if b, err = json.MarshalIndent(changed, "", "  "); err != nil {
			return err
		}
		b = append(b, '\n')
	}
	o.Site = b
	return nil
}
