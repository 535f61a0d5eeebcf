package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/hooks"
	"github.com/passmuster/muster/collector/settings"
)

// settingOf is the annotation of a flag that sets a key of the configuration: the key,
// and for a switch the value that it stands for.
const settingOf = "setting"

// setting makes a flag set a key of the configuration.
func setting(f *pflag.FlagSet, name string, key ...string) {
	f.Lookup(name).Annotations = map[string][]string{settingOf: key}
}

// load reads the configuration; flags win over the environment, and that over the file.
func (o *options) load(cmd *cobra.Command) (*settings.Loaded, error) {
	from := settings.Source{File: o.config, Environ: os.Environ(), Flags: map[string]string{}, Names: map[string]string{}}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		a := f.Annotations[settingOf]
		switch {
		case len(a) == 0:
		case len(a) == 1:
			from.Flags[a[0]], from.Names[a[0]] = f.Value.String(), f.Name
		case f.Value.String() == "true":
			from.Flags[a[0]], from.Names[a[0]] = a[1], f.Name
		}
	})
	l, err := settings.Load(from)
	return l, usage(cmd, err)
}

// base are the options that every command needs.
func base(l *settings.Loaded, log io.Writer) (collector.Options, error) {
	o := collector.Options{
		Data: l.Data, State: l.State, Name: l.Name, Listen: l.Listen, Demo: l.Demo,
		Evidence: time.Duration(l.Evidence.Keep),
		StaleAfter: map[muster.Profile]time.Duration{
			muster.Workstation: time.Duration(l.StaleAfter.Workstation), muster.EMS: time.Duration(l.StaleAfter.EMS),
		},
		SessionIdle: time.Duration(l.Sessions.Idle), SessionLife: time.Duration(l.Sessions.Life),
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Log.Level)); err != nil {
		return o, l.Wrong("log.level", err)
	}
	how := &slog.HandlerOptions{Level: level}
	o.Logger = slog.New(slog.NewTextHandler(log, how))
	if l.Log.Format == "json" {
		o.Logger = slog.New(slog.NewJSONHandler(log, how))
	}
	var err error
	o.Database, err = l.DatabaseURL()
	return o, err
}

// serving adds what a collector needs that serves, with what is in files of secrets.
func serving(o *collector.Options, l *settings.Loaded) error {
	var errs []error
	secret := func(key, name string) string {
		if name == "" {
			return ""
		}
		s, err := settings.ReadSecret(name)
		if err != nil {
			errs = append(errs, l.Wrong(key, err))
		}
		return s
	}
	if l.TLS.Listen != "" {
		o.TLS = &door.TLS{Listen: l.TLS.Listen, URL: l.TLS.URL, Certificate: l.TLS.Certificate, Key: l.TLS.Key}
		if err := o.TLS.Check(); err != nil {
			errs = append(errs, l.Wrong("tls.url", err))
		}
		o.OIDC = &door.OIDC{Issuer: l.OIDC.Issuer, ClientID: l.OIDC.ClientID, ClientSecret: secret("oidc.client_secret_file", l.OIDC.ClientSecretFile), Scopes: l.OIDC.Scopes}
		for _, g := range l.OIDC.Grants {
			o.OIDC.Grants = append(o.OIDC.Grants, door.Grant{Claim: g.Claim, Value: g.Value, Role: muster.Role(g.Role)})
		}
		if err := o.OIDC.Check(); err != nil {
			errs = append(errs, l.Wrong("oidc", err))
		}
	}
	for i, w := range l.Webhooks {
		key := fmt.Sprintf("webhooks[%d]", i)
		h := hooks.Hook{Name: w.Name, URL: w.URL, Format: hooks.Format(w.Format), Kinds: w.Events, Private: w.Private}
		if w.URLFile != "" {
			h.URL = secret(key+".url_file", w.URLFile)
		}
		for _, c := range w.Counties {
			h.Counties = append(h.Counties, muster.County(c))
		}
		if text := secret(key+".secret_file", w.SecretFile); text != "" {
			var err error
			if h.Secrets, err = hooks.ParseSecrets([]byte(text)); err != nil {
				errs = append(errs, l.Wrong(key+".secret_file", err))
			}
		}
		if err := h.Check(); err != nil {
			errs = append(errs, l.Wrong(key, err))
		}
		o.Hooks = append(o.Hooks, h)
	}
	return errors.Join(errs...)
}

// open opens the state folder; the caller closes it.
func (o *options) open(cmd *cobra.Command, change func(*collector.Options, *settings.Loaded) error) (*collector.Collector, *settings.Loaded, error) {
	l, err := o.load(cmd)
	if err != nil {
		return nil, nil, err
	}
	co, err := base(l, cmd.ErrOrStderr())
	if err == nil && change != nil {
		err = change(&co, l)
	}
	if err != nil {
		return nil, nil, usage(cmd, err)
	}
	c, err := collector.Open(cmd.Context(), co)
	return c, l, err
}

// with runs do with the open state folder.
func (o *options) with(cmd *cobra.Command, do func(*collector.Collector) error) error {
	c, _, err := o.open(cmd, nil)
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.Close())
}

func newConfigCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print a configuration file with every setting explained",
		Long: `Print a configuration file with every setting explained. ` + settings.DefaultFile + `
is read where it is there and --config names no other. Environment variables win over
it (MUSTER_STATE, MUSTER_TLS_KEY), and flags over both.`,
		Example: `  muster-collector config > config.yaml
  muster-collector config show --config config.yaml`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(settings.Sample)
			return err
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "show",
		Short: "Print the settings in force, and where each comes from",
		Long:  "Print the settings in force, and where each comes from. Secrets are not shown.",
		Args:  none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := o.load(cmd)
			if err != nil {
				return err
			}
			return l.Show(cmd.OutOrStdout())
		},
	})
	return cmd
}

// none is for commands without arguments.
func none(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.NoArgs(cmd, args)) }

// exactly is for commands with so many arguments.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.ExactArgs(n)(cmd, args)) }
}

// help is for commands that only have others below them.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// choice reads a flag that has one of a few values.
func choice(cmd *cobra.Command, what, value string, of ...string) error {
	for _, v := range of {
		if v == value {
			return nil
		}
	}
	return usage(cmd, fmt.Errorf("%s %q is none of %s", what, value, strings.Join(of, ", ")))
}
