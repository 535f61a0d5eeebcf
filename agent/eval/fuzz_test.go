package eval_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/eval"
	"github.com/passmuster/muster/policies/bundle"
)

// Whatever rows a computer gives, nothing breaks, a control passes only when
// its required facts are ok, and what is not decided says why.
func FuzzEval(f *testing.F) {
	f.Add([]byte(`{"os_version": {"status": "ok", "rows": [{"build": "26100", "revision": "", "version": "12 (bookworm)", "platform": "debian"}]}}`), true, true)
	f.Add([]byte(`{"disk_space": {"status": "ok", "rows": [{"free": "-1", "size": "99999999999999999999"}]}, "routes": {"status": "denied"}}`), false, false)
	f.Add([]byte(`{"addresses": {"status": "ok", "rows": [{"address": "fe80::1%eth0"}, {"address": "x"}]}, "dns_servers": {"status": "ok"}, "routes": {"status": "ok"}}`), false, true)
	f.Add([]byte(`{"software": {"status": "ok", "rows": [{"name": "[a-", "version": "}{"}, {}]}, "processes": {"status": "ok", "rows": [{"name": "\ud800"}]}}`), true, true)
	b, err := bundle.Embedded()
	if err != nil {
		f.Fatal(err)
	}
	b, err = b.WithLists([]byte(`{"dated": "2026-11-20", "closed_network": ["10.0.0.0/8"], "ports_allowed": [], "admins_allowed": [], "manifest": [{"path": "/x", "sha256": "y"}]}`))
	if err != nil {
		f.Fatal(err)
	}
	kinds := map[[2]bool]*eval.Evaluator{}
	for _, workstation := range []bool{true, false} {
		for _, windows := range []bool{true, false} {
			platform, profile := kind(workstation, windows)
			if kinds[[2]bool{workstation, windows}], err = eval.New(b, platform, profile); err != nil {
				f.Fatal(err)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, workstation, windows bool) {
		var facts map[string]muster.FactResult
		if json.Unmarshal(text, &facts) != nil {
			return
		}
		in := input(facts)
		in.Host.Platform, in.Host.Profile = kind(workstation, windows)
		findings, err := kinds[[2]bool{workstation, windows}].Eval(context.Background(), in)
		if err != nil || len(findings) != len(b.Controls) {
			t.Fatal(len(findings), err)
		}
		for i, found := range findings {
			decided := found.Status == muster.StatusPass || found.Status == muster.StatusFail
			if decided == (found.Reason != "") || (found.Status == muster.StatusFail) != (len(found.Violations) > 0) {
				t.Errorf("%s: %s because %q with %d violations", found.Control, found.Status, found.Reason, len(found.Violations))
			}
			for _, entry := range b.Controls[i].Facts {
				if decided && !met(entry, in.Host.Platform, b, facts) {
					t.Errorf("%s: %s without %v", found.Control, found.Status, entry)
				}
			}
		}
	})
}

func met(entry []string, platform muster.Platform, b *bundle.Bundle, facts map[string]muster.FactResult) bool {
	asked := false
	for _, name := range entry {
		if b.Facts[name].SQL[platform] != "" {
			asked = true
			if facts[name].Status == muster.FactOK {
				return true
			}
		}
	}
	return !asked
}

func kind(workstation, windows bool) (platform muster.Platform, profile muster.Profile) {
	platform, profile = muster.Linux, muster.EMS
	if workstation {
		profile = muster.Workstation
	}
	if windows {
		platform = muster.Windows
	}
	return platform, profile
}
