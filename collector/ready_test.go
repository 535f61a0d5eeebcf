package collector

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/passmuster/muster"
)

// Strangers may know whether the collector is ready, and not what it is made of.
func TestReadyTellsStrangersLittle(t *testing.T) {
	o := openAll(t)
	for base, want := range map[string]bool{o.base: true, o.far: false, o.tls: false} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/readyz", nil)
		must(t, err)
		o.network.peer = muster.Peer{Node: "stranger"}
		if base == o.far {
			req.Host = "muster.example.ts.net"
		}
		resp, err := (&http.Client{Transport: o.trust}).Do(req)
		must(t, err)
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), `"ready":true`) || strings.Contains(string(body), "MiB") != want || strings.Contains(string(body), "ts.net") != want {
			t.Errorf("%s: %d %s", base, resp.StatusCode, body)
		}
	}
}
