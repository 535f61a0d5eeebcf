package collector

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// running is a collector that serves on loopback.
type running struct {
	*testing.T
	*Collector
	base, link string
	stop       func() error
}

func start(t *testing.T, change ...func(*Options)) *running {
	t.Helper()
	o := Options{Data: filepath.Join(t.TempDir(), "data"), State: "17", Name: "State of Test", Listen: "127.0.0.1:0"}
	for _, c := range change {
		c(&o)
	}
	c, err := Open(t.Context(), o)
	must(t, err)
	r := &running{T: t, Collector: c}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- c.Run(ctx, func(link string) { ready <- link }) }()
	stopped := false
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			return err
		}
		return c.Close()
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	select {
	case r.link = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	u, err := url.Parse(r.link)
	must(t, err)
	r.base = "http://" + u.Host
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get reads an address; the body comes back as text.
func get(t *testing.T, c *http.Client, address, token string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	must(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, resp.Header, string(b)
}

func apiToken(t *testing.T, r *running) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.Data, "keys", "api-token"))
	must(t, err)
	return strings.TrimSpace(string(b))
}

// ship enrolls a new host through its site file and sends one report.
func ship(t *testing.T, r *running, token string) muster.HostID {
	t.Helper()
	return shipOf(t, r, token, "17031", "pc1")
}

// shipOf is ship for a computer of a county.
func shipOf(t *testing.T, r *running, token string, county muster.County, hostname string) muster.HostID {
	t.Helper()
	key, err := wire.NewKey()
	must(t, err)
	return shipWith(t, r, token, county, hostname, key)
}

// shipWith is ship with a key; a second time with the same key it is a copy of the host.
func shipWith(t *testing.T, r *running, token string, county muster.County, hostname string, key *ecdsa.PrivateKey) muster.HostID {
	t.Helper()
	id, err := wire.HostIDOf(&key.PublicKey)
	must(t, err)
	b, err := wire.SignEnrollment(muster.Enrollment{Hostname: hostname, County: county, Profile: muster.Workstation, Platform: muster.Linux}, key)
	must(t, err)
	post := func(path string, body []byte) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, r.base+path, bytes.NewReader(body))
		must(t, err)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		defer resp.Body.Close()
		if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %s", path, resp.Status, answer)
		}
	}
	post("/v1/enroll", b)
	content, err := wire.EncodeReport(&muster.Report{
		Header: muster.Header{Schema: 1, Host: id, Seq: 1, Profile: muster.Workstation, Platform: muster.Linux, County: county,
			Hostname: hostname, CollectedAt: time.Now()},
		Verdicts: []muster.Verdict{{Control: "MVS-ENC-01", Status: muster.StatusFail}},
		Detail: muster.Detail{Evidence: map[string]muster.Evidence{
			"MVS-ENC-01": {Violations: []muster.Violation{{Subject: "drive C:", Found: "not encrypted", Want: "encrypted"}}}}},
	})
	must(t, err)
	envelope, err := wire.Sign(wire.KindReport, content, key, string(id))
	must(t, err)
	f, err := wire.NewFrame(id, 1, envelope, nil)
	must(t, err)
	var body bytes.Buffer
	must(t, wire.NewSeqWriter(&body).Write(f))
	post("/v1/reports", body.Bytes())
	return id
}

func TestDashboardAndAPI(t *testing.T) {
	r := start(t)
	jar, err := cookiejar.New(nil)
	must(t, err)
	browser := &http.Client{Jar: jar}
	id := ship(t, r, r.keys.hostToken)
	pending := ship(t, r, "")

	for _, path := range []string{"/", "/hosts/" + string(id), "/api/v1/hosts"} {
		if code, _, body := get(t, browser, r.base+path, ""); code != http.StatusUnauthorized || strings.Contains(body, "pc1") {
			t.Errorf("%s before login: %d %s", path, code, body)
		}
	}
	if code, _, _ := get(t, browser, r.link, ""); code != http.StatusOK {
		t.Fatalf("login: %d", code)
	}
	if code, _, _ := get(t, http.DefaultClient, r.link, ""); code != http.StatusUnauthorized {
		t.Errorf("the link works twice: %d", code)
	}
	u, err := url.Parse(r.base)
	must(t, err)
	if c := jar.Cookies(u); len(c) != 1 {
		t.Errorf("cookies: %v", c)
	}
	for path, want := range map[string]string{
		"/": "State of Test", "/counties/17031": "pc1", "/hosts/" + string(id): "not encrypted",
		"/api/v1/hosts": string(id), "/api/v1/hosts/" + string(id): "MVS-ENC-01", "/api/v1/counties": `"failing":1`,
		"/api/v1/counties/17031": `"pending":1`, "/api/v1/controls": `"fail_counties":1`,
		"/api/v1/findings?host=" + string(id): `"fail"`, "/api/v1/findings?control=MVS-ENC-01": string(id),
		"/api/v1/audit-log": "login",
	} {
		code, header, body := get(t, browser, r.base+path, "")
		if code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, no %q in %s", path, code, want, body)
		}
		if csp := header.Get("Content-Security-Policy"); csp == "" || strings.Contains(csp, "unsafe-inline") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if strings.Contains(body, string(pending)) && path == "/api/v1/hosts" {
			t.Error("a pending host is listed")
		}
		if strings.HasPrefix(path, "/api/") && !json.Valid([]byte(body)) {
			t.Errorf("%s: not JSON", path)
		}
	}
	for path, want := range map[string]int{
		"/api/v1/hosts/x": 400, "/api/v1/hosts?limit=99999": 400, "/api/v1/findings": 400, "/api/v1/counties/1": 400,
		// An empty list would say that nothing fails there.
		"/api/v1/findings?county=1703": 400, "/api/v1/findings?control=MVS-ENC-1": 400,
		"/api/v1/hosts/" + string(pending): 404, "/api/v1/findings?host=" + string(pending): 404,
		"/api/v1/counties/17043": 404, "/api/v1/nothing": 404,
	} {
		code, header, _ := get(t, http.DefaultClient, r.base+path, apiToken(t, r))
		if code != want || header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s, want %d", path, code, header.Get("Content-Type"), want)
		}
	}
	if code, _, body := get(t, http.DefaultClient, r.base+"/healthz", ""); code != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d %s", code, body)
	}

	// Another link comes from the API token and from nothing else.
	post := func(c *http.Client, token string) (int, string) {
		req, err := http.NewRequest(http.MethodPost, r.base+"/api/v1/links", nil)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := c.Do(req)
		must(t, err)
		defer resp.Body.Close()
		var link struct{ Path string }
		_ = json.NewDecoder(resp.Body).Decode(&link)
		return resp.StatusCode, link.Path
	}
	if code, _ := post(browser, "x"); code != http.StatusForbidden {
		t.Errorf("a session makes links: %d", code)
	}
	_, path := post(http.DefaultClient, apiToken(t, r))
	if code, _, _ := get(t, http.DefaultClient, r.base+path, ""); code != http.StatusOK {
		t.Errorf("another link: %d", code)
	}
	must(t, r.Approve(t.Context(), pending, "console"))
	if code, _, _ := get(t, browser, r.base+"/hosts/"+string(pending), ""); code != http.StatusOK {
		t.Errorf("an approved host has no page: %d", code)
	}
}

// What another site sends through the browser of who sits here goes nowhere.
func TestCrossSite(t *testing.T) {
	r := start(t)
	for _, path := range []string{"/v1/enroll", "/v1/reports", "/api/v1/links", "/hosts/x/approve", "/hosts/x/audit", "/policies/rings"} {
		req, err := http.NewRequest(http.MethodPost, r.base+path, strings.NewReader("x"))
		must(t, err)
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

// site and serve may make the keys at the same time.
func TestKeysAreMadeOnce(t *testing.T) {
	for range 10 {
		dir := filepath.Join(t.TempDir(), "keys")
		var got [4]*keys
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() {
				var err error
				if got[i], err = openKeys(dir); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, k := range got[1:] {
			if k == nil || !k.receipt().Equal(got[0].receipt()) || k.hostToken != got[0].hostToken || k.apiToken != got[0].apiToken {
				t.Fatal("two processes have two sets of keys")
			}
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 4 {
			t.Errorf("left in the folder: %v %v", entries, err)
		}
	}
}

func TestKeysAreKeptAndSecret(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	var sites [2]*muster.Site
	for i := range sites {
		c, err := Open(t.Context(), Options{Data: data, Name: "Test"})
		must(t, err)
		sites[i], err = c.Site(SiteOptions{County: "17031", CollectorURL: "http://127.0.0.1:1", PolicyKeys: [][]byte{{1}}})
		must(t, err)
		far, err := c.Site(SiteOptions{County: "17031", CollectorURL: "http://collector.example", PolicyKeys: [][]byte{{1}}})
		must(t, err)
		if far.Token != "" {
			t.Error("a token leaves this computer")
		}
		must(t, c.Close())
	}
	if sites[0].Token == "" || sites[0].Token != sites[1].Token || !bytes.Equal(sites[0].ReceiptKeys[0], sites[1].ReceiptKeys[0]) {
		t.Errorf("sites differ: %+v %+v", sites[0], sites[1])
	}
	b, err := json.Marshal(sites[0])
	must(t, err)
	if _, err := muster.ParseSite(b); err != nil {
		t.Error(err)
	}
	must(t, filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && runtime.GOOS != "windows" && filepath.Base(filepath.Dir(path)) == "keys" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	}))
}

// tarball makes a bundle of the given files.
func tarball(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}))
		_, err := w.Write([]byte(text))
		must(t, err)
	}
	must(t, w.Close())
	must(t, z.Close())
	return b.Bytes()
}

func TestListensOnThisComputerOnly(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "collector.example:0", "nonsense"} {
		c, err := Open(t.Context(), Options{Data: t.TempDir(), State: "17", Listen: listen})
		must(t, err)
		if err := c.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "this computer only") {
			t.Errorf("%s: %v", listen, err)
		}
		must(t, c.Close())
	}
}

// Clients that send a byte now and then are dropped; others are served meanwhile.
func TestSlowLoris(t *testing.T) {
	r := start(t, func(o *Options) { o.ReadTimeout = 300 * time.Millisecond })
	u, err := url.Parse(r.base)
	must(t, err)
	var slow []net.Conn
	for i := range 50 {
		c, err := net.Dial("tcp", u.Host)
		must(t, err)
		defer c.Close()
		text := "POST /v1/reports HTTP/1.1\r\nHost: x\r\n"
		if i%2 == 0 {
			text += "Content-Length: 1000\r\n\r\n\x85"
		}
		_, err = io.WriteString(c, text)
		must(t, err)
		slow = append(slow, c)
	}
	ship(t, r, r.keys.hostToken)
	for _, c := range slow {
		must(t, c.SetReadDeadline(time.Now().Add(30*time.Second)))
		if _, err := io.ReadAll(c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatal("a slow client is still connected")
		}
	}
}

func TestConnectionLimit(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	limited := newLimit(l, 1, 0)
	defer limited.Close()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(limited) }()
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 3 { // each gives its place back
		if _, _, body := get(t, client, "http://"+l.Addr().String(), ""); body != "ok" {
			t.Error(body)
		}
	}
	// It stops also while the only place is taken.
	kept := &http.Transport{}
	defer kept.CloseIdleConnections()
	get(t, &http.Client{Transport: kept}, "http://"+l.Addr().String(), "")
	must(t, limited.Close())
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("it ends with %v", err)
	}
}

// One node's connections keep nobody else out, however many it opens.
func TestOneAddressTakesNotAllPlaces(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	limited := newLimit(l, 4, 2)
	defer limited.Close()
	accepted := make(chan net.Conn, 9)
	go func() {
		defer close(accepted)
		for {
			c, err := limited.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func(last byte) net.Conn {
		t.Helper()
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, last)}}
		c, err := from.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Skipf("this computer has one loopback address only: %v", err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	for range 6 {
		dial(2)
	}
	dial(3)
	var from []string
	var held []net.Conn
	for range 3 {
		c := <-accepted
		held = append(held, c)
		from = append(from, strings.Split(c.RemoteAddr().String(), ":")[0])
	}
	if got := strings.Join(from, " "); got != "127.0.0.2 127.0.0.2 127.0.0.3" {
		t.Errorf("let in: %s", got)
	}
	// Each gives its place back, once.
	must(t, held[0].Close())
	held[0].Close()
	dial(2)
	if c := <-accepted; !strings.HasPrefix(c.RemoteAddr().String(), "127.0.0.2:") {
		t.Errorf("again: %s", c.RemoteAddr())
	}
	must(t, limited.Close())
	if _, more := <-accepted; more {
		t.Error("one too many is let in")
	}
}

func FuzzReadBundle(f *testing.F) {
	f.Add([]byte("junk"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := readBundle(data)
		if (err == nil) == (b == nil) || b != nil && (b.revision == "" || len(b.controls) == 0) {
			t.Errorf("%+v %v", b, err)
		}
	})
}
