package main

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector"
	"github.com/passmuster/muster/collector/settings"
	"github.com/passmuster/muster/internal/fips"
	"github.com/passmuster/muster/internal/service"
	"github.com/passmuster/muster/internal/tailnet"
	"github.com/passmuster/muster/internal/wire"
)

// softMemory is when Go's collector works harder, so that a collector stays small under
// load; SQLite's own memory is not in it.
const softMemory = 76 << 20

func newServeCommand(o *options) *cobra.Command {
	var policy string
	cmd := &cobra.Command{
		Use:   "serve --state NN",
		Short: "Receive reports and serve the dashboard, until stopped",
		Long: `Receive reports and serve the dashboard until SIGTERM or Ctrl-C, then finish what was
begun. A link that opens the dashboard once is printed at start.

With --tailnet-hostname the counties' hosts reach it over a tailnet. A node with the
tag tag:county-17031 may speak for the hosts of county 17031 and for no other; what
comes from one without such a tag waits for approval, and so does a second host from
one node. People see the dashboard there by a grant in the tailnet's policy, of the app
capability ` + tailnet.Capability + ` with the value {"roles": ["viewer"]}:
a viewer reads, an operator also approves hosts, asks for audits and uploads courier
files, a ciso also rolls out policies.

Scripts on this computer read the JSON API under /api/v1 with the token in
keys/api-token of the data folder, as Authorization: Bearer TOKEN.`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			debug.SetMemoryLimit(softMemory)
			c, l, err := o.open(cmd, func(co *collector.Options, l *settings.Loaded) error {
				if l.State == "" {
					return errors.New("--state is missing: the two-digit FIPS code of the state whose hosts are let in, for example 17")
				}
				co.Name = cmp.Or(l.Name, fips.State(l.State))
				return serving(co, l)
			})
			if err != nil {
				return err
			}
			return errors.Join(runServe(cmd, c, l, policy), c.Close())
		},
	}
	f := cmd.Flags()
	f.String("state", "", "two-digit FIPS code of the state whose hosts are let in")
	setting(f, "state", "state")
	f.String("listen", collector.DefaultListen, "address on this computer")
	setting(f, "listen", "listen")
	f.String("tailnet-hostname", "", "join a tailnet under this name, and listen there on port 80")
	setting(f, "tailnet-hostname", "tailnet.hostname")
	f.String("control-url", "", "control server of the tailnet (default: Tailscale's own)")
	setting(f, "control-url", "tailnet.control_url")
	f.String("auth-key-file", "", "file with the key that lets the node in; deleted once it has joined")
	setting(f, "auth-key-file", "tailnet.auth_key_file")
	f.StringVar(&policy, "policy", "", "policy bundle to publish at start, to every host")
	return cmd
}

func runServe(cmd *cobra.Command, c *collector.Collector, l *settings.Loaded, policy string) error {
	if policy != "" {
		if err := publish(cmd, c, policy, muster.RingAll); err != nil {
			return err
		}
	}
	return service.Run(cmd.Context(), "MusterCollector", func(ctx context.Context, ready func()) error {
		return runInTailnet(ctx, c, l.Tailnet, func(link string) {
			ready()
			fmt.Fprintf(cmd.OutOrStdout(), "dashboard %s\n", link)
		})
	})
}

func newSiteCommand(o *options) *cobra.Command {
	var county, profile, address, control string
	var keys []string
	cmd := &cobra.Command{
		Use:   "site --county NNNNN --policy-key FILE",
		Short: "Print the site file that ties a county's hosts to this collector",
		Long: `Print the site file for a county, and on standard error what comes next. It holds no
secret, except that with a collector on this computer it has a token with which hosts
here enroll without approval.`,
		Example: `  muster-collector site --county 17031 --policy-key policy-key.pem.pub > site.json`,
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s := collector.SiteOptions{CollectorURL: address, ControlURL: control}
			var err error
			if s.County, err = muster.ParseCounty(county); err != nil {
				return usage(cmd, err)
			}
			if profile != "" {
				if s.Profile, err = muster.ParseProfile(profile); err != nil {
					return usage(cmd, err)
				}
			}
			for _, name := range keys {
				der, err := readPublicKey(name)
				if err != nil {
					return usage(cmd, err)
				}
				s.PolicyKeys = append(s.PolicyKeys, der)
			}
			c, l, err := o.open(cmd, nil)
			if err != nil {
				return err
			}
			if s.CollectorURL == "" {
				s.CollectorURL = "http://" + cmp.Or(l.Tailnet.Hostname, l.Listen)
			}
			if u, err := url.Parse(s.CollectorURL); err == nil && !muster.IsLoopback(u.Hostname()) {
				s.ControlURL = cmp.Or(s.ControlURL, l.Tailnet.ControlURL)
			}
			return errors.Join(printSite(cmd, c, s), c.Close())
		},
	}
	f := cmd.Flags()
	f.StringVar(&county, "county", "", "five-digit FIPS code of the county")
	f.StringVar(&profile, "profile", "", "default profile of its hosts: workstation or ems")
	f.StringVar(&address, "collector", "", "where its hosts find this collector (default: its name in the tailnet, or without one its address on this computer)")
	f.StringVar(&control, "control-url", "", "control server of the tailnet that leads there (default: the collector's, or Tailscale's own)")
	f.StringArrayVar(&keys, "policy-key", nil, "public key of who signs policies (muster policy keygen makes it); may be repeated")
	return cmd
}

// printSite prints the site file, and on standard error what the state does with it.
func printSite(cmd *cobra.Command, c *collector.Collector, o collector.SiteOptions) error {
	c.Name = cmp.Or(c.Name, fips.State(o.County.State()))
	site, err := c.Site(o)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(site, "", "  ")
	if err != nil {
		return err
	}
	if _, err := muster.ParseSite(b); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", b); err != nil {
		return err
	}
	next := "keep the file on this computer, where its token lets hosts in"
	if site.Token == "" {
		next = "in the tailnet make an auth key with the tag tag:county-" + string(o.County) + " that ends in a few days, and send the county both: the key is a secret, the file is not"
	}
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "next: %s\n", next)
	return err
}

// readPublicKey reads a P-256 public key in PEM and gives its DER form.
func readPublicKey(name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read policy key: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("policy key %s is not a public key in PEM: muster policy keygen writes one beside the private key, as FILE.pub", name)
	}
	if _, err := wire.ParsePublicKey(block.Bytes); err != nil {
		return nil, fmt.Errorf("policy key %s: %w", name, err)
	}
	return block.Bytes, nil
}

func newLinkCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "link",
		Short: "Print another link that opens the dashboard once",
		Args:  none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := o.load(cmd)
			if err != nil {
				return err
			}
			token, err := os.ReadFile(filepath.Join(l.Data, "keys", "api-token"))
			if err != nil {
				return fmt.Errorf("read the API token: %w", err)
			}
			req, err := http.NewRequestWithContext(cmd.Context(), http.MethodPost, "http://"+l.Listen+"/api/v1/links", nil)
			if err != nil {
				return err
			}
			req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
			resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
			if err != nil {
				return fmt.Errorf("ask the collector on %s, which must be running: %w", l.Listen, err)
			}
			defer resp.Body.Close()
			var link struct{ Path string }
			if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&link); err != nil || resp.StatusCode != http.StatusOK {
				return fmt.Errorf("the collector on %s answers %s: is %s its data folder?", l.Listen, resp.Status, l.Data)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "http://%s%s\n", l.Listen, link.Path)
			return nil
		},
	}
	cmd.Flags().String("listen", collector.DefaultListen, "address of the running collector")
	setting(cmd.Flags(), "listen", "listen")
	return cmd
}
