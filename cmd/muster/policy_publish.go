package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies/bundle"
)

const (
	publishTimeout = time.Minute
	maxAnswer      = 64 << 10 // bytes
)

// rings of hosts that take a policy one after the other.
var rings = []string{"canary", "early", "all"}

func newPolicyPublishCommand() *cobra.Command {
	var collector, tokenFile, ring string
	var keyFiles []string
	cmd := &cobra.Command{
		Use:   "publish FILE --collector URL",
		Short: "Offer a signed bundle to the hosts, through the collector",
		Long: `Send a signed bundle to the state's collector, which offers it to the hosts of a ring:
canary first, then early, then all. With --key the signature is checked before anything
is sent. This is the one command of muster that uses the network, and it is meant for
the state's own computer; hosts check the signature themselves.

On the collector's own computer "muster-collector policy publish" does the same.`,
		Example: `  muster policy publish baseline.tar.gz --collector https://collector.example --ring canary \
    --key policy-key.pem.pub
  muster policy publish baseline.tar.gz --collector http://127.0.0.1:8080 --token-file token --ring all`,
		Args: oneArg("the file of the bundle"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(rings, ring) {
				return usage(cmd, fmt.Errorf("--ring: %q is not known: use one of %s", ring, strings.Join(rings, ", ")))
			}
			to, err := publishAddress(collector, ring)
			if err != nil {
				return usage(cmd, fmt.Errorf("--collector: %w", err))
			}
			keys, err := readPublicKeys(keyFiles)
			if err != nil {
				return err
			}
			data, err := os.ReadFile(args[0])
			if err != nil {
				return &exitError{exitUsage, err}
			}
			token, err := readToken(tokenFile)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			if err := publishable(data, keys); err != nil {
				return err
			}
			p, err := publish(cmd.Context(), to, token, data)
			if err != nil {
				return err
			}
			if p.Ring != "" && p.Ring != ring {
				return fmt.Errorf("publish the policy: it was published before and stays in ring %s: muster-collector policy promote %d takes it further", plain(p.Ring), p.Version)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "published revision %s, version %d, to ring %s\n", plain(p.Revision), p.Version, ring)
			return nil
		},
	}
	exitStatus(cmd, `
  0  the collector offers the bundle now
  1  it is not signed, the signature is not good, the collector refused it, or it was
     published before to another ring
  2  usage, or a file cannot be read`)
	f := cmd.Flags()
	f.StringVar(&collector, "collector", "", "address of the collector, `URL`")
	f.StringVar(&tokenFile, "token-file", "", "`FILE` with the token of an operator (default none: the tailnet says who you are)")
	f.StringVar(&ring, "ring", "canary", "hosts that get it: canary, early or all")
	f.StringArrayVar(&keyFiles, "key", nil, "check first that one of these public keys signed it, `FILE`; may be given several times")
	_ = cmd.MarkFlagRequired("collector") // fails only for a flag that is not there
	complete(cmd, "ring", rings...)
	return cmd
}

// publishAddress checks the address: a token must not cross a network in the clear.
func publishAddress(collector, ring string) (*url.URL, error) {
	u, err := url.Parse(collector)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address like https://collector.example", collector)
	}
	if u.Scheme == "http" && !muster.IsLoopback(u.Hostname()) {
		return nil, fmt.Errorf("%s is not encrypted: use https, or http on the collector's own computer", collector)
	}
	u = u.JoinPath("api", "v1", "policies")
	u.RawQuery = url.Values{"ring": {ring}}.Encode()
	return u, nil
}

func readToken(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("read the token: %s does not hold one word", name)
	}
	return token, nil
}

// publishable checks the signature, or, without keys, that there is one.
func publishable(data []byte, keys [][]byte) error {
	_, err := bundle.Open(data, bundle.OpenOptions{Keys: keys})
	if len(keys) == 0 && errors.Is(err, bundle.ErrUntrusted) {
		_, err = bundle.Open(data, bundle.OpenOptions{Unsigned: true}) // hosts know the keys
	}
	return err
}

// published is the collector's answer.
type published struct {
	Revision string `json:"revision"`
	Version  int64  `json:"version"`
	Digest   string `json:"digest"`
	Ring     string `json:"ring"`
}

func publish(ctx context.Context, to *url.URL, token string, data []byte) (*published, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("publish the policy: %w", err)
	}
	req.Header.Set("Content-Type", "application/gzip")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	// A redirect could lead the token elsewhere.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("publish the policy: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("publish the policy: read the collector's answer: %w", err)
	}
	if resp.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("publish the policy: the collector refused it: %s", refusal(resp.Status, body))
	}
	var p published
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, fmt.Errorf("publish the policy: read the collector's answer: %w", err)
	}
	return &p, nil
}

// refusal tells the detail of a problem+json (RFC 9457), or at least the status.
func refusal(status string, body []byte) string {
	var problem struct{ Title, Detail string }
	if json.Unmarshal(body, &problem) != nil {
		return status
	}
	return plain(cmp.Or(problem.Detail, problem.Title, status))
}
