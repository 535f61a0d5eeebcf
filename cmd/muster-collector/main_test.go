package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// TestMain lets the test binary be the program itself, to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("MUSTER_COLLECTOR_RUN") != "" {
		main()
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func command(t *testing.T, args ...string) (stdout string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return out.String() + errs.String(), code
}

// serve starts the program as a process of its own.
func serve(t *testing.T, data, listen string) (process *exec.Cmd, link string) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	p := exec.CommandContext(t.Context(), exe, "serve", "--data", data, "--state", "17", "--listen", listen)
	p.Env = append(os.Environ(), "MUSTER_COLLECTOR_RUN=1")
	out, err := p.StdoutPipe()
	must(t, err)
	must(t, p.Start())
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	if _, err := fmt.Fscanf(out, "dashboard %s\n", &link); err != nil {
		t.Fatalf("no link: %v", err)
	}
	return p, link
}

func publicKeyFile(t *testing.T) string {
	t.Helper()
	key, err := wire.NewKey()
	must(t, err)
	der, err := wire.MarshalPublicKey(&key.PublicKey)
	must(t, err)
	name := filepath.Join(t.TempDir(), "policy.pub")
	must(t, os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	return name
}

// A client ships while the collector is killed again and again: every report is
// stored exactly once, every receipt is true, and nobody is taken for a clone.
func TestKill(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	out, code := command(t, "site", "--data", data, "--county", "17031", "--policy-key", publicKeyFile(t))
	if code != 0 {
		t.Fatal(out)
	}
	file, next, _ := strings.Cut(out, "next: ")
	if !strings.Contains(next, "its token lets hosts in") {
		t.Errorf("what comes next: %q", next)
	}
	site, err := muster.ParseSite([]byte(file))
	must(t, err)
	receiptKeys, err := wire.ParsePublicKeys(site.ReceiptKeys)
	must(t, err)

	process, link := serve(t, data, "127.0.0.1:0")
	address := strings.TrimPrefix(strings.SplitN(link, "/login", 2)[0], "http://")
	h := &client{T: t, url: "http://" + address, token: site.Token, keys: receiptKeys}
	h.enroll()

	const reports, kills = 150, 4
	var shipped atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range reports {
			h.ship()
			shipped.Add(1)
		}
	}()
	for i := range int64(kills) {
		for shipped.Load() < (i+1)*reports/(kills+1) {
			time.Sleep(time.Millisecond)
		}
		must(t, process.Process.Kill())
		_ = process.Wait()
		process, _ = serve(t, data, address)
	}
	<-done

	b, err := os.ReadFile(filepath.Join(data, "keys", "api-token"))
	must(t, err)
	req, err := http.NewRequest(http.MethodGet, h.url+"/api/v1/hosts/"+string(h.id), nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(b)))
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	var standing struct {
		muster.HostStanding
		Transitions []muster.Transition `json:"transitions"`
	}
	must(t, json.NewDecoder(resp.Body).Decode(&standing))
	// The control changes with every report: one transition each proves each stored once.
	if standing.Seq != reports || standing.Conflict || len(standing.Transitions) != reports {
		t.Errorf("host: %+v with %d transitions, want %d", standing.HostStanding, len(standing.Transitions), reports)
	}
	if h.again == 0 {
		t.Log("no kill hit a report on its way")
	}
	must(t, process.Process.Signal(os.Interrupt))
	if err := process.Wait(); err != nil {
		t.Errorf("told to stop: %v", err)
	}
}

// client is a host that sends each report until it has a receipt.
type client struct {
	*testing.T
	url, token string
	http       http.Client
	keys       []*ecdsa.PublicKey
	key        *ecdsa.PrivateKey
	id         muster.HostID
	seq        uint64
	prev       []byte
	again      int // reports that were sent more than once
}

func (c *client) enroll() {
	c.Helper()
	if state, err := c.introduce(); err != nil || state != muster.HostActive {
		c.Fatal(state, err)
	}
}

// introduce enrolls the host, with a new key where it has none.
func (c *client) introduce() (muster.HostState, error) {
	c.Helper()
	var err error
	if c.key == nil {
		c.key, err = wire.NewKey()
		must(c.T, err)
		c.id, err = wire.HostIDOf(&c.key.PublicKey)
		must(c.T, err)
	}
	b, err := wire.SignEnrollment(muster.Enrollment{Hostname: "pc", County: "17031", Profile: muster.Workstation, Platform: muster.Linux}, c.key)
	must(c.T, err)
	b, err = c.post("/v1/enroll", b)
	if err != nil {
		return "", err
	}
	var a wire.EnrollAnswer
	err = wire.Unmarshal(b, &a)
	return a.State, err
}

func (c *client) post(path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return b, err
}

func (c *client) ship() {
	base := c.prev
	c.seq++
	r := &muster.Report{
		Header: muster.Header{Schema: 1, Host: c.id, Seq: c.seq, Profile: muster.Workstation, Platform: muster.Linux,
			County: "17031", CollectedAt: time.Now()},
		Verdicts: []muster.Verdict{{Control: "C1", Status: muster.Status(1 + c.seq%2)}},
	}
	if base != nil {
		r.Header.Prev = wire.EnvelopeDigest(base)
	}
	content, err := wire.EncodeReport(r)
	if err == nil {
		c.prev, err = wire.Sign(wire.KindReport, content, c.key, string(c.id))
	}
	var f *wire.Frame
	if err == nil {
		f, err = wire.NewFrame(c.id, c.seq, c.prev, base)
	}
	var body bytes.Buffer
	if err == nil {
		err = wire.NewSeqWriter(&body).Write(f)
	}
	if err != nil {
		c.Error(err)
		return
	}
	for try := 0; c.Context().Err() == nil; try++ {
		answer, err := c.post("/v1/reports", body.Bytes())
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if try > 0 {
			c.again++
		}
		var o wire.Outcome
		if err := wire.Unmarshal(answer, &o); err != nil || o.Code != wire.CodeStored && (o.Code != wire.CodeDuplicate || try == 0) {
			c.Errorf("report %d, try %d: %s %s %v", c.seq, try, o.Code, o.Reason, err)
			return
		}
		if receipt, err := wire.VerifyReceipt(o.Receipt, c.keys); err != nil || receipt.Digest != wire.EnvelopeDigest(c.prev) {
			c.Errorf("report %d: receipt %+v %v", c.seq, receipt, err)
		}
		return
	}
}

func TestCommands(t *testing.T) {
	data, tailnet := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "tailnet.yaml")
	key := publicKeyFile(t)
	must(t, os.WriteFile(tailnet, []byte("data: "+data+"\ntailnet: {hostname: muster, control_url: https://headscale.example.gov}\n"), 0o600))
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", 0, "muster-collector"},
		{"hosts list --data " + data, 0, "LAST REPORT"},
		{"hosts approve habcdefghijklmnopqrstuvwxyz --data " + data, 1, "no host has the id"},
		{"hosts approve x", 2, "host id"},
		{"hosts audit habcdefghijklmnopqrstuvwxyz --data " + data, 1, "no host has the id"},
		{"serve --state 17 --auth-key-file key", 2, "--tailnet-hostname"},
		{"site --county 17031 --policy-key " + key + " --control-url https://headscale.example.gov --data " + data, 0, `"control_url": "https://headscale.example.gov"`},
		{"site --county 17031 --policy-key " + key + " --config " + tailnet, 0, `"http://muster"`},
		{"site --county 17031 --policy-key " + key + " --config " + tailnet, 0, `"control_url": "https://headscale.example.gov"`},
		{"site --county 17031 --policy-key " + key + " --config " + tailnet, 0, "next: in the tailnet make an auth key with the tag tag:county-17031"},
		{"site --county 17031 --policy-key " + key + " --config " + tailnet + " --collector http://other", 0, `"http://other"`},
		{"site --county 17031 --policy-key " + key + " --config " + tailnet + " --collector http://other", 0, `"control_url": "https://headscale.example.gov"`},
		{"site --county 17031 --data " + data, 1, "policy_keys"},
		{"site --county 1703 --data " + data, 2, "five-digit"},
		{"site --county 17031 --policy-key " + key + " --data " + data, 0, `"name": "Illinois"`},
		{"site --county 17031 --policy-key " + filepath.Join(data, "keys", "receipt.pem"), 2, "not a public key"},
		{"serve", 2, "two-digit"},
		{"serve --state 17 --listen 0.0.0.0:1", 2, "this computer only"},
		{"policy publish " + key + " --data " + data, 1, "no policy bundle"},
		{"link --listen 192.0.2.1:1 --data " + data, 2, "this computer only"},
		{"serve --nonsense", 2, "hint"},
		{"nonsense", 2, "unknown command"},
		{"hosts nonsense", 2, "unknown command"},
		{"keys add nonsense --data " + data, 2, `error: kind "nonsense" is none of`},
		{"config", 0, "#stale_after:"},
		{"config show --data " + data, 0, "data: " + data + " # --data"},
		{"config show --config " + key, 2, "line 1"},
		{"config show --config " + filepath.Join(data, "none"), 2, "read the configuration"},
		{"check --data " + data, 2, "state is not set"},
		{"check --state 1 --data " + data, 2, "two-digit"},
		{"check --output xml", 2, "none of text, json"},
		{"expect 17031 " + key + " --data " + data, 2, "read the list"},
		{"missing 17031 --data " + data, 0, "EXPECTED SINCE"},
		{"keys --data " + data, 0, "in use"},
		{"keys add x --data " + data, 2, "none of receipt, age"},
		{"keys drop age 0123 --data " + data, 1, "no age key is called 0123"},
		{"webhooks --data " + data, 0, "WEBHOOK"},
		{"webhooks test x --data " + data, 1, "no webhook is called"},
		{"backup " + key + " --data " + data, 1, "is there already"},
		{"backup x --recipient y", 2, "age recipient"},
		{"restore " + key + " --data " + data, 1, "not a whole backup"},
		{"serve --state 17 --database mysql://x", 2, "postgres://"},
	} {
		if out, code := command(t, strings.Fields(c.args)...); code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit %d, want %d with %q:\n%s", c.args, code, c.code, c.want, out)
		}
	}
}
