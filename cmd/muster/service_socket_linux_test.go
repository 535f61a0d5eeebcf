package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/passmuster/muster/policies"
	"github.com/passmuster/muster/policies/bundle"
)

// internetCall is a socket to somewhere else, or an address there. The rules of the
// older firewall are read with getsockopt from a raw socket, over which nothing can be
// received and nothing is sent; the unit refuses it, and the fact is unavailable then.
var (
	internetCall = regexp.MustCompile(`socket(pair)?\((AF_INET6?|AF_PACKET|AF_VSOCK|AF_BLUETOOTH)|sa_family=(AF_INET6?|AF_PACKET|AF_VSOCK)`)
	firewallRead = "socket(AF_INET, SOCK_RAW|SOCK_CLOEXEC, IPPROTO_RAW)"
)

// The audit opens no socket to the internet, whatever the uplink, the environment and
// even the policy ask for: every system call of a real audit is looked at.
func TestAuditOpensNoSocket(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: packaging/test-packages.txt names what the tests need")
	}
	key := mustKey(t)
	l := newPolicyLab(t, key)

	var reached atomic.Int32
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	go func() {
		for {
			c, err := proxy.Accept()
			if err != nil {
				return
			}
			reached.Add(1)
			c.Close()
		}
	}()
	address := "http://" + proxy.Addr().String()

	baseline, err := bundle.Build(policies.FS(), bundle.BuildOptions{Version: 1, Revision: "baseline"})
	if err != nil {
		t.Fatal(err)
	}
	calls := fmt.Sprintf(`violations contains "x" if http.send({"method": "GET", "url": %q}).status_code == 200`, address)
	for name, policy := range map[string][]byte{
		"the baseline":            baseline,
		"a policy with http.send": smallPolicy(t, bundle.BuildOptions{Version: 2}, map[string]string{"controls/bad.rego": controlSource("MVS-BAD-1", "system", calls)}),
	} {
		t.Run(name, func(t *testing.T) {
			l := &policyLab{t, l.dir, l.site, l.state, l.version}
			l.write(l.inbox(), signed(t, policy, key))
			// The uplink has asked for this audit, and would like to be spoken to.
			l.write(filepath.Join(l.state, "inbox", "audit-request"), []byte(address+"\n"))
			log := filepath.Join(l.dir, "strace")
			cmd := exec.Command(strace, "-f", "-qq", "-e", "trace=%network", "-o", log,
				os.Args[0], "audit", "--site", l.site, "--state", l.state)
			cmd.Env = append(os.Environ(), asMuster+"=1")
			for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
				cmd.Env = append(cmd.Env, name+"="+address)
			}
			out, _ := cmd.CombinedOutput() // the code is the verdict's
			l.wants(string(out), "Report ", "kept in")
			b, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			calls := strings.Count(string(b), "\n")
			for line := range strings.Lines(string(b)) {
				if internetCall.MatchString(line) && !strings.Contains(line, firewallRead) {
					t.Errorf("%s", line)
				}
			}
			t.Logf("%d calls about sockets, none of them to the internet", calls)
		})
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("the proxy was reached %d times", n)
	}
}
