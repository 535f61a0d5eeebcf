package collector

import (
	"bufio"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
)

// listening to /live, in lines.
func listening(t *testing.T, o *grounds, c caller, path string) (<-chan string, *http.Response) {
	t.Helper()
	o.network.peer, o.network.err = c.peer, c.err
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+path, nil)
	must(t, err)
	resp, err := c.client.Do(req)
	must(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s as %s: %s", path, c.name, resp.Status)
	}
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			lines <- in.Text()
		}
	}()
	return lines, resp
}

// until a line comes.
func until(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	for line := range lines {
		if line == want {
			return
		}
	}
	t.Errorf("the connection ended without %q", want)
}

// TestLiveOverEveryWay: who listens is told of their county, on each way in, for longer
// than a request may take; a collector that stops waits for none of them.
func TestLiveOverEveryWay(t *testing.T) {
	const patience = time.Second
	o := openAll(t, func(c *Options) { c.ReadTimeout = patience })
	plain := &http.Client{}
	ciso := muster.Peer{Node: "n2", Login: "someone@example.gov", Roles: []muster.Role{muster.RoleCISO}}
	clerk := muster.Peer{Node: "n2", Login: "someone@example.gov", Roles: []muster.Role{"county:17031"}}
	var all []<-chan string
	for _, c := range []caller{
		{name: "link", base: o.base, client: o.entered()},
		{name: "ciso in the tailnet", base: o.far, client: plain, peer: ciso},
		{name: "clerk in the tailnet", base: o.far, client: plain, peer: clerk},
		{name: "ciso with TLS", base: o.tls, client: o.signIn(muster.RoleCISO)},
		{name: "clerk with TLS", base: o.tls, client: o.signIn("county:17031")},
	} {
		lines, resp := listening(t, o, c, "/live")
		if got := resp.Header.Get("Content-Encoding"); got != "" {
			t.Errorf("%s listens in %s", c.name, got)
		}
		until(t, lines, "retry: 5000")
		all = append(all, lines)
	}
	time.Sleep(3 * patience) // a read and a write that were bounded like others would have ended
	shipOf(t, o.running, o.keys.hostToken, "17089", "elsewhere")
	shipOf(t, o.running, o.keys.hostToken, "17031", "here")
	for i, lines := range all {
		for told := ""; !strings.Contains(told, `"17031"`) && told != "data: []"; {
			line, open := <-lines
			if !open {
				t.Fatalf("listener %d was not told", i)
			}
			told = line
			if slices.Contains([]int{2, 4}, i) && strings.Contains(line, "17089") {
				t.Errorf("listener %d was told of another county: %s", i, line)
			}
		}
	}
	must(t, o.stop())
	for i, lines := range all {
		for range lines {
		}
		t.Logf("listener %d has ended with the collector", i)
	}
}
