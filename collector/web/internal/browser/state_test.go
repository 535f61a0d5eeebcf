package browser_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/door/doortest"
	"github.com/passmuster/muster/collector/web/internal/browser"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies"
)

// office is a collector with a way in for people, a provider that vouches for them, and
// the browser that they share.
type office struct {
	*browser.Tab
	*collector.Collector
	provider  *doortest.Provider
	hosts     string // base address of the host API
	hostToken string
	apiToken  string
	role      muster.Role // of who is signed in
}

func open(t *testing.T) *office {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, free.Close())
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	doortest.Certificate(t, "muster", cert, key)
	o := &office{provider: doortest.New(t, time.Now)}
	with := collector.Options{Data: filepath.Join(dir, "data"), State: "17", Name: "State of Test", Listen: "127.0.0.1:0",
		TLS:  &door.TLS{Listen: free.Addr().String(), URL: "https://" + free.Addr().String(), Certificate: cert, Key: key},
		OIDC: &door.OIDC{Issuer: o.provider.URL, ClientID: doortest.ClientID, ClientSecret: doortest.Secret}}
	for _, r := range []muster.Role{muster.RoleViewer, muster.RoleOperator, muster.RoleCISO, "county:17031"} {
		with.OIDC.Grants = append(with.OIDC.Grants, door.Grant{Claim: "groups", Value: string(r), Role: r})
	}
	o.Collector, err = collector.Open(t.Context(), with)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- o.Run(ctx, func(link string) { ready <- link }) }()
	select {
	case link := <-ready:
		o.hosts, _, _ = strings.Cut(link, "/login")
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
		must(t, o.Close())
	})
	for name, token := range map[string]*string{"host-token": &o.hostToken, "api-token": &o.apiToken} {
		text, err := os.ReadFile(filepath.Join(with.Data, "keys", name))
		must(t, err)
		*token = strings.TrimSpace(string(text))
	}
	o.Tab = browser.Open(t, with.TLS.URL, o.provider.URL)
	o.Do(browser.Screen(1440, "light"))
	return o
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// enter signs in as someone with a role, if that is not who is there already, and opens a
// page.
func (o *office) enter(role muster.Role, path string) {
	o.Helper()
	if o.role == role {
		o.Visit(path)
		return
	}
	o.role = role
	o.Do(chromedp.Navigate("about:blank"), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.ClearBrowserCookies, cdp.Empty{})
		return err
	}))
	o.provider.Vouch(map[string]any{"groups": []string{string(role)}, "email": "someone@example.gov"}, nil)
	o.Visit("/login")
	o.Wait(`!location.pathname.startsWith("/login") && document.readyState === "complete"`)
	o.Visit(path)
}

// tell what the API answers.
func (o *office) tell(t *testing.T, path string, into any) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, o.hosts+path, nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+o.apiToken)
	resp, err := http.DefaultClient.Do(r)
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, resp.Status)
	}
	must(t, json.NewDecoder(resp.Body).Decode(into))
}

// computer is a host of a county.
type computer struct {
	*testing.T
	key    *ecdsa.PrivateKey
	id     muster.HostID
	name   string
	county muster.County
	sent   uint64
}

func newComputer(t *testing.T, county muster.County, name string) *computer {
	t.Helper()
	key, err := wire.NewKey()
	must(t, err)
	id, err := wire.HostIDOf(&key.PublicKey)
	must(t, err)
	return &computer{T: t, key: key, id: id, name: name, county: county}
}

// statement is how it introduces itself.
func (c *computer) statement() []byte {
	b, err := wire.SignEnrollment(muster.Enrollment{Hostname: c.name, County: c.county, Profile: muster.Workstation, Platform: muster.Linux, MadeAt: time.Now()}, c.key)
	must(c.T, err)
	return b
}

// report is its next one, which finds one control so.
func (c *computer) report(status muster.Status) *wire.Frame {
	c.sent++
	content, err := wire.EncodeReport(&muster.Report{
		Header: muster.Header{Schema: 1, Host: c.id, Seq: c.sent, Profile: muster.Workstation, Platform: muster.Linux, County: c.county,
			Hostname: c.name, CollectedAt: time.Now()},
		Verdicts: []muster.Verdict{{Control: "MVS-ENC-01", Status: status}},
	})
	must(c.T, err)
	envelope, err := wire.Sign(wire.KindReport, content, c.key, string(c.id))
	must(c.T, err)
	f, err := wire.NewFrame(c.id, c.sent, envelope, nil)
	must(c.T, err)
	return f
}

// enroll with the collector; without its token the computer waits for approval.
func (c *computer) enroll(o *office, token string) *computer {
	c.Helper()
	c.post(o, "/v1/enroll", token, c.statement())
	return c
}

// send its next report.
func (c *computer) send(o *office, status muster.Status) *computer {
	c.Helper()
	var body bytes.Buffer
	must(c.T, wire.NewSeqWriter(&body).Write(c.report(status)))
	c.post(o, "/v1/reports", "", body.Bytes())
	return c
}

// copied sends two different reports of one number, as two computers with one key do.
func (c *computer) copied(o *office) *computer {
	c.Helper()
	c.send(o, muster.StatusPass)
	c.sent--
	return c.send(o, muster.StatusFail)
}

func (c *computer) post(o *office, path, token string, body []byte) {
	c.Helper()
	req, err := http.NewRequest(http.MethodPost, o.hosts+path, bytes.NewReader(body))
	must(c.T, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	must(c.T, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		c.Fatalf("%s: %s", path, resp.Status)
	}
}

// sealed is its next report in a file of the courier's.
func (c *computer) sealed(o *office) (file string) {
	c.Helper()
	site, err := o.Site(collector.SiteOptions{County: c.county, CollectorURL: o.hosts, PolicyKeys: [][]byte{{1}}})
	must(c.T, err)
	to, err := seal.ParseRecipient(site.AgeRecipient)
	must(c.T, err)
	var b bytes.Buffer
	must(c.T, seal.Write(&b, to, seal.Head{Host: c.id, WrittenAt: time.Now(), Enrollment: c.statement()}, []*wire.Frame{c.report(muster.StatusPass)}))
	file = filepath.Join(c.TempDir(), c.name+".courier")
	must(c.T, os.WriteFile(file, b.Bytes(), 0o600))
	return file
}

// bundle is the baseline as a policy of a version.
func bundle(t *testing.T, version int64) []byte {
	t.Helper()
	controls, err := json.Marshal(policies.Catalogue())
	must(t, err)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range map[string]string{
		".manifest":        fmt.Sprintf(`{"revision": "r%d", "metadata": {"muster": {"version": %d}}}`, version, version),
		".signatures.json": `{}`,
		"controls.json":    string(controls),
	} {
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}))
		_, err := w.Write([]byte(text))
		must(t, err)
	}
	must(t, w.Close())
	must(t, z.Close())
	return b.Bytes()
}
