package builtin

import (
	"strings"
	"testing"

	"github.com/passmuster/muster"
)

func TestProxies(t *testing.T) {
	h := host{tree(t, map[string]string{
		"etc/environment":                  "PATH=/usr/bin\nhttp_proxy=\"http://alice:geheim@proxy.example:3128/\"\n#ftp_proxy=http://off\nNO_PROXY=localhost,.example\n",
		"etc/profile.d/proxy.sh":           "if true; then export https_proxy='http://proxy.example:3128' ftp_proxy=http://f; fi\n",
		"etc/profile.d/proxy.csh":          "setenv all_proxy socks5://bob:pass/w@rd@s.example\n",
		"etc/apt/apt.conf.d/90proxy":       "Acquire::http::Proxy \"http://u:p@a.example\";\nAcquire { https { Proxy \"DIRECT\"; }; };\nAcquire::Retries 3;\n",
		"etc/dnf/dnf.conf":                 "[main]\nproxy=http://dnf.example:80\nproxy_password=secret\n",
		"etc/systemd/system.conf.d/p.conf": "[Manager]\nDefaultEnvironment=\"HTTPS_PROXY=http://sys.example\" LANG=C\n",
	})}
	rows := mustGather(t, h.musterProxies())
	want := []muster.Row{
		{"source": "/etc/environment", "key": "http_proxy", "value": "http://alice:***@proxy.example:3128/"},
		{"source": "/etc/environment", "key": "NO_PROXY", "value": "localhost,.example"},
		{"source": "/etc/systemd/system.conf.d/p.conf", "key": "HTTPS_PROXY", "value": "http://sys.example"},
		{"source": "/etc/apt/apt.conf.d/90proxy", "key": "Acquire::http::Proxy", "value": "http://u:***@a.example"},
		{"source": "/etc/apt/apt.conf.d/90proxy", "key": "Acquire::https::Proxy", "value": "DIRECT"},
		{"source": "/etc/dnf/dnf.conf", "key": "proxy", "value": "http://dnf.example:80"},
		{"source": "/etc/profile.d/proxy.sh", "key": "https_proxy", "value": "http://proxy.example:3128"},
		{"source": "/etc/profile.d/proxy.sh", "key": "ftp_proxy", "value": "http://f"},
		{"source": "/etc/profile.d/proxy.csh", "key": "all_proxy", "value": "socks5://bob:***@s.example"},
	}
	for _, w := range want {
		if rowWith(rows, w) == nil {
			t.Errorf("no row %v", w)
		}
	}
	if len(rows) != len(want) {
		t.Errorf("rows are %v", rows)
	}
}

// FuzzProxies: a password never gets through, wherever the URL stands.
func FuzzProxies(f *testing.F) {
	f.Add("alice", "geheim")
	f.Add("bob", "p@ss/w:rd")
	f.Fuzz(func(t *testing.T, user, password string) {
		if user == "" || password == "" || strings.ContainsAny(user+password, "\"'\n\\;{} \t\r&#") || strings.ContainsAny(user, ":@/") {
			return
		}
		url := "http://" + user + ":" + password + "@proxy.example:3128"
		masked := "http://" + user + ":***@proxy.example:3128"
		for _, rows := range [][]muster.Row{
			proxyRows(parseProxyVariables("export http_proxy="+url+" x\n"), nil),
			proxyRows(parseProxyVariables("http_proxy=\""+url+"\"\n"), nil),
			proxyRows(parseApt("Acquire::http::Proxy \""+url+"\";"), nil),
			proxyRows(parseManagerEnvironment("[Manager]\nDefaultEnvironment=http_proxy="+url+"\n"), nil),
		} {
			if len(rows) == 0 || rows[0]["value"] != masked {
				t.Errorf("rows are %v, want %s", rows, masked)
			}
		}
	})
}
