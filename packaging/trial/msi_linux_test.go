package trial

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/program"
)

// signing is a publisher's key, and a certificate for it from an authority that only
// this run knows.
var signing = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp(made.top, "signing-"); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Trial authority"},
		{"req", "-newkey", "rsa:2048", "-keyout", "code.key", "-passout", "pass:a trial", "-out", "code.csr", "-subj", "/CN=Trial publisher"},
		{"x509", "-req", "-in", "code.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-extfile", "code.ext", "-out", "code.pem"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "code.ext"), []byte("extendedKeyUsage=codeSigning\nkeyUsage=digitalSignature\n"), 0o600); err != nil {
			return "", err
		}
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		if err := cmd.Run(); err != nil {
			return "", err
		}
	}
	return dir, nil
})

// The MSI, from a signature that is checked to a folder that is gone.
func TestMSI(t *testing.T) {
	if testing.Short() {
		t.Skip("makes two MSIs and installs them under wine: a minute")
	}
	t.Parallel()
	w := newWindows(t)
	keys, err := signing()
	if err != nil {
		t.Fatalf("make a publisher's key: %v", err)
	}
	dir := ""
	for _, version := range []string{newer, older} {
		dir = packages(t, "windows", version, "MUSTER_SIGN_CERT="+filepath.Join(keys, "code.pem"), "MUSTER_SIGN_KEY="+filepath.Join(keys, "code.key"), "MUSTER_SIGN_PASS=a trial")
		b, err := os.ReadFile(filepath.Join(dir, "muster-"+version+"-x64.msi"))
		if err != nil {
			t.Fatal(err)
		}
		w.write("kit/"+version+".msi", string(b))
	}
	t.Run("signature", func(t *testing.T) { signed(t, dir, filepath.Join(keys, "ca.pem")) })
	c := newCollector(t)
	w.write("kit/site.json", c.site)
	for _, step := range []struct {
		name string
		run  func(*testing.T, *windows, *collector)
	}{
		{"what is refused leaves nothing", refused},
		{"without a site file", withoutSite},
		{"with a site file", withSite},
		{"another site file", anotherSite},
		{"verdicts come from the registry", registry},
		{"the Start menu", startMenu},
		{"upgrade", upgrade},
		{"rebuild", rebuild},
		{"downgrade", downgrade},
		{"removal", removal},
		{"purge", purge},
	} {
		ok := t.Run(step.name, func(t *testing.T) {
			w := *w
			w.t = t
			step.run(t, &w, c)
		})
		if !ok {
			return // what follows stands on it
		}
	}
}

// signed wants good signatures, and none of a file in which a byte was changed.
func signed(t *testing.T, dir, ca string) {
	verify := func(file string) error {
		return exec.Command("osslsigncode", "verify", "-CAfile", ca, "-in", file).Run()
	}
	msi := filepath.Join(dir, "muster-"+older+"-x64.msi")
	if err := verify(msi); err != nil {
		t.Fatalf("the signature is not accepted: %v", err)
	}
	whole, err := os.ReadFile(msi)
	if err != nil {
		t.Fatal(err)
	}
	false := filepath.Join(t.TempDir(), "false.msi")
	for _, at := range []int{len(whole) / 4, len(whole) / 2} {
		whole[at] ^= 1
		if err := os.WriteFile(false, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		whole[at] ^= 1
		if verify(false) == nil {
			t.Errorf("byte %d can be changed", at)
		}
	}
	for name, what := range map[string]string{"muster.exe": "Muster audit", "muster-uplink.exe": "Muster uplink"} {
		path := filepath.Join(dir, ".windows", name)
		if err := verify(path); err != nil {
			t.Errorf("the signature of %s is not accepted: %v", name, err)
		}
		exe, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, shown := range []string{what, older + ".0"} { // in Windows' own UTF-16
			wide := []byte(strings.Join(strings.Split(shown, ""), "\x00") + "\x00")
			if !bytes.Contains(exe, wide) {
				t.Errorf("%s does not say %s", name, shown)
			}
		}
	}
}

// install runs the installation without a screen, and gives its exit code.
func (w *windows) install(version string, properties ...string) int {
	w.t.Helper()
	_, code := w.run(append([]string{"msiexec", "/i", `C:\kit\` + version + ".msi", "/qn"}, properties...)...)
	return code
}

// entries are the lines of the list of programs that can be removed.
func (w *windows) entries() int {
	return strings.Count(w.ok("uninstaller", "--list"), "Muster")
}

func refused(t *testing.T, w *windows, c *collector) {
	w.write("kit/tailnet.key", "tskey-of-a-trial")
	netsh := filepath.Join(w.c, "windows/system32/netsh.exe")
	if err := os.Rename(netsh, netsh+".away"); err != nil { // a firewall that cannot be asked
		t.Fatal(err)
	}
	for _, try := range []struct {
		properties []string
		says       string
	}{
		{[]string{"SITE=nosuch.json"}, `kit\nosuch.json`},
		{[]string{"COUNTY=56021"}, "no site file"},
		{[]string{"SITE=site.json", "COUNTY=17031"}, "17031 is not in state 56"},
		{[]string{"SITE=site.json", "PROFILE=server"}, `"server" is not known`},
		{[]string{"SITE=site.json", "AUTHKEY=tailnet.key"}, "netsh"},
	} {
		if w.install(older, try.properties...) == 0 {
			t.Errorf("%v is taken", try.properties)
		}
		if said := w.setupLog(); !strings.Contains(said, "error: ") || !strings.Contains(said, try.says) {
			t.Errorf("%v: the log says %s", try.properties, said)
		}
		for _, left := range []string{"ProgramData/Muster", "Program Files/Muster"} {
			if w.exists(left) {
				t.Errorf("%v leaves %s", try.properties, left)
			}
		}
	}
	if err := os.Rename(netsh+".away", netsh); err != nil {
		t.Fatal(err)
	}
	if w.service("MusterAudit") != "" || w.service("MusterUplink") != "" || w.entries() != 0 {
		t.Error("services or an entry are left")
	}
}

func withoutSite(t *testing.T, w *windows, c *collector) {
	if code := w.install(older); code != 0 {
		t.Fatalf("exit code %d: %s", code, w.setupLog())
	}
	if audit, uplink := w.service("MusterAudit"), w.service("MusterUplink"); audit != "RUNNING" || uplink != "STOPPED" {
		t.Errorf("MusterAudit %s, MusterUplink %s", audit, uplink)
	}
	if said, _ := w.muster("status"); !strings.Contains(said, "There is no site file") {
		t.Errorf("muster status says: %s", said)
	}
}

// The first audit starts by itself, and the collector receipts its report.
func withSite(t *testing.T, w *windows, c *collector) {
	if code := w.install(older, "SITE=site.json", "COUNTY=56021", "PROFILE=ems", "AUTHKEY=tailnet.key"); code != 0 {
		t.Fatalf("exit code %d: %s", code, w.setupLog())
	}
	site, err := muster.ParseSite([]byte(w.read("ProgramData/Muster/site.json")))
	if err != nil || site.County != "56021" || site.Profile != muster.EMS {
		t.Errorf("the site file: %v, %+v", err, site)
	}
	if key := w.read("ProgramData/Muster/uplink/authkey"); key != "tskey-of-a-trial" {
		t.Errorf("the auth key: %q", key)
	}
	w.until("both services run", func() bool {
		return w.service("MusterAudit") == "RUNNING" && w.service("MusterUplink") == "RUNNING"
	})
	w.until("a receipt is there", func() bool {
		receipts, _ := filepath.Glob(filepath.Join(w.c, "ProgramData/Muster/receipts/*.receipt"))
		return len(receipts) > 0
	})
	if host := c.host(strings.TrimSpace(w.read("ProgramData/Muster/key/host.id"))); !strings.Contains(host, `"56021"`) || !strings.Contains(host, "MVS-ACC-09") {
		t.Errorf("the collector knows %s", host)
	}
}

// The uplink that runs goes over to another collector, whoever brings the site file.
func anotherSite(t *testing.T, w *windows, c *collector) {
	moved := func() (site string, asked func() bool) {
		came := make(chan struct{}, 1)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			select {
			case came <- struct{}{}:
			default:
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		t.Cleanup(s.Close)
		return strings.ReplaceAll(c.site, c.URL, s.URL), func() bool { return len(came) > 0 }
	}
	site, asked := moved()
	w.write("kit/moved.json", site)
	if code := w.install(older, "SITE=moved.json"); code != 0 {
		t.Fatalf("exit code %d: %s", code, w.setupLog())
	}
	w.until("the uplink asks the collector of the installation", asked)

	site, asked = moved() // by a group policy, which copies it bit by bit
	w.write("ProgramData/Muster/site.json", site[:len(site)/2])
	w.until("the uplink has ended", func() bool { return w.service("MusterUplink") == "STOPPED" })
	w.write("ProgramData/Muster/site.json", site)
	w.until("the uplink asks the collector of the group policy", asked)

	const name = "ProgramData/Muster/site.json"
	before, err := os.Stat(filepath.Join(w.c, name))
	if err != nil {
		t.Fatal(err)
	}
	if code := w.install(older, "AUTHKEY=tailnet.key"); code != 0 {
		t.Fatalf("exit code %d: %s", code, w.setupLog())
	}
	if after, err := os.Stat(filepath.Join(w.c, name)); err != nil || after.ModTime().Equal(before.ModTime()) || w.read(name) != site {
		t.Errorf("%v: a new auth key alone does not start the uplink anew", err)
	}
}

func registry(t *testing.T, w *windows, c *collector) {
	set := func(name, value string) {
		t.Helper()
		w.ok("reg", "add", `HKLM\Software\Microsoft\Windows\CurrentVersion\Policies\System`, "/v", name, "/t", "REG_DWORD", "/d", value, "/f")
	}
	set("ConsentPromptBehaviorAdmin", "5")
	set("PromptOnSecureDesktop", "1")
	for value, want := range map[string]string{"0": "fail", "1": "pass"} {
		set("EnableLUA", value)
		said, _ := w.muster("audit", "--only", "MVS-ACC-09", "--output", "json", "--profile", "workstation")
		var audit struct {
			Findings []struct{ Control, Status string }
		}
		if err := json.Unmarshal([]byte(said[max(0, strings.Index(said, "{")):]), &audit); err != nil || len(audit.Findings) != 1 || audit.Findings[0].Status != want {
			t.Errorf("EnableLUA = %s: %v, %s, want %s", value, err, said, want)
		}
	}
}

// The entry runs the audit and opens the answer in the browser, which here is a script.
func startMenu(t *testing.T, w *windows, c *collector) {
	links, err := filepath.Glob(filepath.Join(w.c, "users/*/AppData/Roaming/Microsoft/Windows/Start Menu/Programs/Check this computer.lnk"))
	if err != nil || len(links) != 1 {
		t.Fatalf("%v, %v", err, links)
	}
	shown := filepath.Join(t.TempDir(), "shown")
	browser := filepath.Join(t.TempDir(), "browser")
	if err := os.WriteFile(browser, []byte("#!/bin/sh\ncp \"${1#file://}\" "+shown+".part && mv "+shown+".part "+shown+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.ok("reg", "add", `HKCR\.html`, "/ve", "/d", "htmlfile", "/f") // which every Windows knows
	w.ok("reg", "add", `HKCU\Software\Wine\WineBrowser`, "/v", "Browsers", "/d", browser, "/f")
	w.ok("start", "/wait", "/unix", links[0])
	w.until("the browser shows the answer", func() bool { _, err := os.Stat(shown); return err == nil })
	page, err := os.ReadFile(shown)
	if err != nil || !strings.Contains(string(page), "MVS-ACC-09") {
		t.Errorf("%v: the browser shows %s", err, page)
	}
}

func upgrade(t *testing.T, w *windows, c *collector) {
	edited := strings.Replace(w.read("ProgramData/Muster/site.json"), `"name": "`, `"name": "edited: `, 1)
	w.write("ProgramData/Muster/site.json", edited)
	if code := w.install(newer); code != 0 {
		t.Fatalf("exit code %d: %s", code, w.setupLog())
	}
	w.runs(newer)
	if w.read("ProgramData/Muster/site.json") != edited {
		t.Error("the edited site file was changed")
	}
}

// runs wants this version to be installed, once, and both services to run.
func (w *windows) runs(version string) {
	w.t.Helper()
	if said, _ := w.muster("version"); !strings.Contains(said, version) {
		w.t.Errorf("muster version says %s", said)
	}
	if n := w.entries(); n != 1 {
		w.t.Errorf("%d entries in the list of programs", n)
	}
	w.until("both services run", func() bool {
		return w.service("MusterAudit") == "RUNNING" && w.service("MusterUplink") == "RUNNING"
	})
}

// Another build of the same version takes the place of this one.
func rebuild(t *testing.T, w *windows, c *collector) {
	w.write("kit/again.msi", w.read("kit/"+newer+".msi"))
	const product = "{11111111-2222-4333-8444-555555555555}"
	if out, err := exec.Command("msibuild", filepath.Join(w.c, "kit/again.msi"), "-q",
		"UPDATE `Property` SET `Value` = '"+product+"' WHERE `Property` = 'ProductCode'").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code := w.install("again"); code != 0 {
		t.Fatalf("exit code %d: %s", code, w.setupLog())
	}
	w.runs(newer)
}

func downgrade(t *testing.T, w *windows, c *collector) {
	if w.install(older) == 0 {
		t.Error("an older version is taken")
	}
	w.runs(newer)
}

func removal(t *testing.T, w *windows, c *collector) {
	w.ok("msiexec", "/x", `C:\kit\again.msi`, "/qn")
	if w.service("MusterAudit") != "" || w.service("MusterUplink") != "" || w.entries() != 0 || w.exists("Program Files/Muster") {
		t.Error("services, an entry or programs are left")
	}
	if !w.exists("ProgramData/Muster/key/host.pem") || !w.exists("ProgramData/Muster/site.json") {
		t.Error("the host key or the site file is gone")
	}
	if w.exists("ProgramData/Muster/uplink/authkey") {
		t.Error("the auth key is left")
	}
	if said := w.setupLog(); !strings.Contains(said, `the host key stay in C:\ProgramData\Muster`) {
		t.Errorf("the log says %s", said)
	}
}

// The host that comes back is the one that went, until its key is asked to go.
func purge(t *testing.T, w *windows, c *collector) {
	host := w.read("ProgramData/Muster/key/host.id")
	if code := w.install(newer); code != 0 {
		t.Fatalf("exit code %d: %s", code, w.setupLog())
	}
	w.runs(newer)
	if w.read("ProgramData/Muster/key/host.id") != host {
		t.Error("it is another host")
	}
	w.ok("msiexec", "/x", `C:\kit\`+newer+`.msi`, "PURGE=1", "/qn")
	if w.exists("ProgramData/Muster") {
		t.Errorf("something is left: %s", w.setupLog())
	}
}

// collector is a state's, on loopback, which Windows under wine shares.
type collector struct {
	*program.Collector
	t           *testing.T
	site, token string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	bin := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", bin, "./cmd/muster", "./cmd/muster-collector")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	policy, err := program.PolicyKey(bin, bin)
	must(err)
	c := &collector{t: t}
	c.Collector, err = program.StartCollector(bin, filepath.Join(bin, "data"), "")
	must(err)
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("the collector stopped with %v", err)
		}
	})
	site, err := c.Site("56001", c.URL, policy)
	must(err)
	b, err := json.MarshalIndent(site, "", "  ")
	must(err)
	c.site = string(b)
	c.token, err = c.APIToken()
	must(err)
	return c
}

// host is what the collector tells of one, as JSON.
func (c *collector) host(id string) string {
	c.t.Helper()
	req, err := http.NewRequest(http.MethodGet, c.URL+"/api/v1/hosts/"+id, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}
