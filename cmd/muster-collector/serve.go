package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector"
	"github.com/passmuster/muster/internal/fips"
	"github.com/passmuster/muster/internal/wire"
)

func newServeCommand(o *options) *cobra.Command {
	var policy string
	cmd := &cobra.Command{
		Use:   "serve --state NN",
		Short: "Receive reports and serve the dashboard, until stopped",
		Long: `Receive reports and serve the dashboard until SIGTERM or Ctrl-C, then finish what was
begun. A link that opens the dashboard once is printed at start.

Scripts on this computer read the JSON API under /api/v1 with the token in
keys/api-token of the data folder, as Authorization: Bearer TOKEN.`,
		Args: func(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.NoArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.State) != 2 || strings.Trim(o.State, "0123456789") != "" {
				return usage(cmd, fmt.Errorf("--state %q is not a two-digit FIPS code, for example 17", o.State))
			}
			if err := checkLoopback(o.Listen); err != nil {
				return usage(cmd, err)
			}
			if o.Name == "" {
				o.Name = fips.State(o.State)
			}
			return o.with(cmd, func(c *collector.Collector) error {
				if policy != "" {
					if err := publish(cmd, c, policy, muster.RingAll); err != nil {
						return err
					}
				}
				return c.Run(cmd.Context(), func(link string) {
					fmt.Fprintf(cmd.OutOrStdout(), "dashboard %s\n", link)
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.State, "state", "", "two-digit FIPS code of the state whose hosts are let in")
	f.StringVar(&o.Listen, "listen", collector.DefaultListen, "address on this computer")
	f.StringVar(&policy, "policy", "", "policy bundle to publish at start, to every host")
	return cmd
}

func checkLoopback(address string) error {
	if host, _, err := net.SplitHostPort(address); err != nil || !muster.IsLoopback(host) {
		return fmt.Errorf("--listen %q: the collector listens on this computer only, for example on %s", address, collector.DefaultListen)
	}
	return nil
}

func newSiteCommand(o *options) *cobra.Command {
	var county, profile, url string
	var keys []string
	cmd := &cobra.Command{
		Use:   "site --county NNNNN --policy-key FILE",
		Short: "Print the site file that ties a county's hosts to this collector",
		Long: `Print the site file for a county. It holds no secret, except that with a collector on
this computer it has a token with which hosts here enroll without approval.`,
		Example: `  muster-collector site --county 17031 --policy-key policy-key.pem.pub > site.json`,
		Args:    func(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.NoArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			s := collector.SiteOptions{CollectorURL: url}
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
			if o.Name == "" {
				o.Name = fips.State(s.County.State())
			}
			return o.with(cmd, func(c *collector.Collector) error {
				site, err := c.Site(s)
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
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", b)
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&county, "county", "", "five-digit FIPS code of the county")
	f.StringVar(&profile, "profile", "", "default profile of its hosts: workstation or ems")
	f.StringVar(&url, "collector", "http://"+collector.DefaultListen, "where its hosts find this collector")
	f.StringArrayVar(&keys, "policy-key", nil, "public key of who signs policies (muster policy keygen makes it); may be repeated")
	return cmd
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

func newHostsCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hosts",
		Short: "List hosts, and approve those that wait",
		Args:  func(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.NoArgs(cmd, args)) },
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "list",
		Short: "List hosts, those that wait for approval first",
		Args:  func(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.NoArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.with(cmd, func(c *collector.Collector) error { return listHosts(cmd.Context(), c, cmd.OutOrStdout()) })
		},
	}, &cobra.Command{
		Use:   "approve ID...",
		Short: "Let the reports of waiting hosts count",
		Args:  func(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.MinimumNArgs(1)(cmd, args)) },
		RunE: func(cmd *cobra.Command, args []string) error {
			var ids []muster.HostID
			for _, a := range args {
				id, err := muster.ParseHostID(a)
				if err != nil {
					return usage(cmd, fmt.Errorf("%s: %w", a, err))
				}
				ids = append(ids, id)
			}
			return o.with(cmd, func(c *collector.Collector) error {
				for _, id := range ids {
					err := c.Approve(cmd.Context(), id)
					if errors.Is(err, fs.ErrNotExist) {
						return fmt.Errorf("no host has the id %s: muster-collector hosts list shows them", id)
					}
					if err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "approved %s\n", id)
				}
				return nil
			})
		},
	})
	return cmd
}

func listHosts(ctx context.Context, c *collector.Collector, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tCOUNTY\tPROFILE\tHOSTNAME\tLAST REPORT")
	page, err := c.Pending(ctx)
	for after := muster.HostID(""); err == nil; {
		for _, h := range page {
			last := "never"
			if !h.LastSeen.IsZero() {
				last = h.LastSeen.Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%q\t%s\n", h.ID, h.State, h.County, h.Profile, h.Hostname, last)
		}
		if page, err = c.Hosts(ctx, after, 1000); len(page) == 0 {
			break
		}
		after = page[len(page)-1].ID
	}
	return errors.Join(err, w.Flush())
}

func newLinkCommand(o *options) *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "link",
		Short: "Print another link that opens the dashboard once",
		Args:  func(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.NoArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLoopback(at); err != nil {
				return usage(cmd, err)
			}
			token, err := os.ReadFile(filepath.Join(o.Data, "keys", "api-token"))
			if err != nil {
				return fmt.Errorf("read the API token: %w", err)
			}
			req, err := http.NewRequestWithContext(cmd.Context(), http.MethodPost, "http://"+at+"/api/v1/links", nil)
			if err != nil {
				return err
			}
			req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
			resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
			if err != nil {
				return fmt.Errorf("ask the collector on %s, which must be running: %w", at, err)
			}
			defer resp.Body.Close()
			var link struct{ Path string }
			if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&link); err != nil || resp.StatusCode != http.StatusOK {
				return fmt.Errorf("the collector on %s answers %s: is %s its data folder?", at, resp.Status, o.Data)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "http://%s%s\n", at, link.Path)
			return nil
		},
	}
	cmd.Flags().StringVar(&at, "listen", collector.DefaultListen, "address of the running collector")
	return cmd
}
