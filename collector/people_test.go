package collector

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
)

// network is a tailnet in which one peer speaks, so that every route can be asked
// as everyone. cmd/muster-collector tests on a real one.
type network struct {
	listener net.Listener
	peer     muster.Peer
	err      error
}

func (n *network) Listen(string, string) (net.Listener, error) { return n.listener, nil }
func (n *network) WhoIs(context.Context, string) (muster.Peer, error) {
	return n.peer, n.err
}
func (n *network) Status(context.Context) muster.TailnetStatus {
	return muster.TailnetStatus{State: "running", Name: "muster.example.ts.net"}
}

// join gives a collector a node and returns its address.
func join(t *testing.T) (*running, *network, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	n := &network{listener: l}
	return start(t, func(o *Options) { o.Tailnet = n }), n, "http://" + l.Addr().String()
}

// ask sends a request of the route and returns the status.
func ask(t *testing.T, base, pattern, host string, header ...string) int {
	t.Helper()
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = http.MethodGet, pattern
	}
	for _, name := range []string{"{host}", "{county}", "{version}"} {
		path = strings.ReplaceAll(path, name, "x")
	}
	req, err := http.NewRequest(method, base+path, strings.NewReader("x"))
	must(t, err)
	if host != "" {
		req.Host = host
	}
	for _, h := range header {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

// A page of someone else's name for the collector is not served, whoever reads it.
func TestNames(t *testing.T) {
	_, n, far := join(t)
	n.peer = muster.Peer{Node: "n1", Roles: []muster.Role{muster.RoleCISO}}
	for host, want := range map[string]int{
		"muster": 200, "muster.example.ts.net": 200, "MUSTER.example.ts.net.:80": 200, "100.64.0.1": 200, "[fd7a::1]:80": 200,
		"muster.example.org": 421, "example.ts.net": 421, "attacker.example": 421, "localhost": 421,
	} {
		if code := ask(t, far, "GET /", host); code != want {
			t.Errorf("%s: %d, want %d", host, code, want)
		}
	}
}

// A page elsewhere makes nobody's browser change anything: the tailnet tells who
// reads, not what they meant.
func TestForeignPages(t *testing.T) {
	r, n, far := join(t)
	n.peer = muster.Peer{Node: "n1", Roles: []muster.Role{muster.RoleCISO}}
	for _, rule := range door.Table() {
		if method, _, ok := strings.Cut(rule.Pattern, " "); !ok || method == http.MethodGet {
			continue
		}
		for _, base := range []string{far, r.base} {
			for _, from := range []string{"Origin: http://attacker.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"} {
				token := "Authorization: Bearer " + apiToken(t, r)
				if code := ask(t, base, rule.Pattern, "", from, token); code != http.StatusForbidden {
					t.Errorf("%s with %s: %d", rule.Pattern, from, code)
				}
			}
		}
	}
}

// A form that comes too late is answered in words for people.
func TestFormTooLate(t *testing.T) {
	r, n, far := join(t)
	ship(t, r, "")
	n.peer = muster.Peer{Node: "n1", Roles: []muster.Role{muster.RoleCISO}}
	for _, act := range []string{"approve", "audit"} {
		resp, err := http.Post(far+"/hosts/"+string(muster.NewHostID(nil))+"/"+act, "application/x-www-form-urlencoded", nil)
		must(t, err)
		b, err := io.ReadAll(resp.Body)
		must(t, err)
		resp.Body.Close()
		if want := "is not there, or not any more, or waits for approval"; resp.StatusCode != http.StatusConflict || !strings.Contains(string(b), want) {
			t.Errorf("%s: %d %s", act, resp.StatusCode, b)
		}
	}
}

// What someone does is logged under the name that the tailnet knows.
func TestActs(t *testing.T) {
	r, n, far := join(t)
	id := ship(t, r, "")
	post := func(base, path string, header ...string) {
		t.Helper()
		if code := ask(t, base, "POST "+path, "", header...); code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
	}
	n.peer = muster.Peer{Node: "n1", Login: "op@example.gov", Roles: []muster.Role{muster.RoleOperator}}
	post(far, "/hosts/"+string(id)+"/approve")
	n.peer = muster.Peer{Node: "n2", Name: "console.example.ts.net", Roles: []muster.Role{muster.RoleCISO}}
	post(far, "/api/v1/hosts/"+string(id)+"/audit")
	post(r.base, "/api/v1/hosts/"+string(id)+"/audit", "Authorization: Bearer "+apiToken(t, r))
	for path, want := range map[string]int{"/hosts/" + string(id) + "/nothing": 404, "/api/v1/hosts/x/audit": 404,
		"/api/v1/hosts/" + string(muster.NewHostID(nil)) + "/audit": 404, "/api/v1/hosts/" + string(muster.NewHostID(nil)) + "/approve": 404} {
		if code := ask(t, far, "POST "+path, ""); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	log, err := r.store.AuditLog(t.Context(), 0, 9)
	must(t, err)
	var got []string
	for _, e := range log {
		got = append(got, e.Actor+" "+e.Action)
	}
	if want := "token request_audit, console.example.ts.net request_audit, op@example.gov approve, console start"; strings.Join(got, ", ") != want {
		t.Errorf("log: %q", got)
	}
}
