package settings

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func write(tb testing.TB, text string) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "config.yaml")
	must(tb, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// uncommented is the sample with all of its examples.
func uncommented() string {
	return regexp.MustCompile(`(?m)^#(\S| +(- )?[a-z_]+:| +- )`).ReplaceAllString(string(Sample), "$1")
}

// The sample as it is changes nothing, and its examples name every key once.
func TestSample(t *testing.T) {
	l, err := Load(Source{File: write(t, string(Sample))})
	must(t, err)
	if diff := cmp.Diff(Default(), l.Settings); diff != "" {
		t.Error(diff)
	}
	text := uncommented()
	l, err = Load(Source{File: write(t, text)})
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	for _, key := range leaves(reflect.TypeFor[Settings](), "") {
		named := false
		for origin := range l.origins {
			named = named || regexp.MustCompile(`\[\d+\]`).ReplaceAllString(origin, "[]") == key
		}
		if !named {
			t.Errorf("the sample does not show %s", key)
		}
	}
	// Where the sample shows a default it is the default.
	want := Default()
	l.State, l.Name, l.Database, l.Tailnet, l.TLS, l.OIDC, l.Webhooks = "", "", Database{}, Tailnet{}, TLS{}, OIDC{}, nil
	if diff := cmp.Diff(want, l.Settings); diff != "" {
		t.Error(diff)
	}
}

func leaves(t reflect.Type, key string) (list []string) {
	switch {
	case t.Kind() == reflect.Struct:
		for f := range t.Fields() {
			list = append(list, leaves(f.Type, join(key, f.Tag.Get("key")))...)
		}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		list = leaves(t.Elem(), key+"[]")
	default:
		list = []string{key}
	}
	return list
}

func TestLoad(t *testing.T) {
	file := write(t, "state: 06\nstale_after:\n  workstation: 3d\ntailnet: {hostname: muster}\nlog: {level: warn}\ndata: a\n")
	l, err := Load(Source{
		File:    file,
		Environ: []string{"MUSTER_LOG_LEVEL=debug", "MUSTER_DATA=b", "MUSTER_AUTH_KEY=secret", "MUSTER_OIDC_SCOPES=email, groups", "HOME=/"},
		Flags:   map[string]string{"data": "c", "tailnet.auth_key_file": "key"}, Names: map[string]string{"data": "data", "tailnet.auth_key_file": "auth-key-file"},
	})
	must(t, err)
	want := Default()
	want.State, want.Data, want.Log.Level = "06", "c", "debug"
	want.StaleAfter.Workstation = Duration(72 * time.Hour)
	want.Tailnet = Tailnet{Hostname: "muster", AuthKeyFile: "key"}
	want.OIDC.Scopes = []string{"email", "groups"}
	if diff := cmp.Diff(want, l.Settings); diff != "" {
		t.Error(diff)
	}
	var b bytes.Buffer
	must(t, l.Show(&b))
	for _, line := range []string{`state: "06" # ` + file + " line 1", "data: c # --data", "level: debug # MUSTER_LOG_LEVEL", "ems: 45d # default"} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no %q in\n%s", line, b.String())
		}
	}
}

func TestWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ text, env, want string }{
		{"listen: 0.0.0.0:80", "", "line 1: listen: \"0.0.0.0:80\": the collector listens on this computer only"},
		{"a: 1", "", `line 1: there is no key "a": use state,`},
		{"log:\n  levle: info", "", `line 2: log: there is no key "levle": use level, format`},
		{"log: info", "", "line 1: log: want keys with values"},
		{"state: [1]", "", "line 1: state: want one value"},
		{"state:", "", "line 1: state: it has no value"},
		{"demo: yes", "", `line 1: demo: "yes" is neither true nor false`},
		{"data: a\ndata: b", "", `line 2: the key "data" is there twice`},
		{"data: &a b\nname: *a", "", "line 2: name: anchors and aliases"},
		{"state: \"1\"", "", "line 1: state: \"1\" is not a two-digit"},
		{"stale_after: {ems: 3}", "", `line 1: stale_after.ems: "3" is not a time`},
		{"stale_after: {ems: 1m}", "", "1m0s is not from 1h0m0s to 366d"},
		{"evidence: {keep: 400000d}", "", "is not a number of days"},
		{"sessions: {idle: 2d}", "", "sessions.idle: 2d is not from 1m0s to 12h0m0s"},
		{"database: {url: mysql://x}", "", "database.url: it is not postgres://"},
		{"database: {password_file: x}", "", "there is no database.url"},
		{"database: {password_file: x, url: \"postgres://a:b@c/d\"}", "", "has a password too"},
		{"database: {password_file: x, url: \"postgres://c/d\"}", "", "names no user"},
		{"tailnet: {auth_key_file: x}", "", "name the node with tailnet.hostname"},
		{"tls: {listen: \":443\"}", "", "default: tls.key: it is empty"},
		{"oidc: {issuer: \"https://a\", client_id: b}", "", "nobody is given a role"},
		{"webhooks: {}", "", "want a list"},
		{"webhooks:\n- name: a\n", "", "line 2: webhooks[0]: want one of url and url_file"},
		{"webhooks:\n- {name: a, url: b, events: [c]}", "", `line 2: webhooks[0].events: "c" is none of host_pending`},
		{"webhooks:\n- {name: a, url: b}\n- {name: a, url: c}", "", `line 3: webhooks[1]: there is a webhook "a" already`},
		{"log: {level: loud}", "", `"loud" is none of debug`},
		{"log: {format: xml}", "", `"xml" is neither text nor json`},
		{"- a", "", "line 1: want keys with values"},
		{"a: b: c", "", "mapping values are not allowed"},
		{"data: a\n---\ndata: b", "", "more than one document"},
		{"", "MUSTER_LOG_LEVLE=info", "MUSTER_LOG_LEVLE: there is no such setting"},
		{"", "MUSTER_WEBHOOKS=a", "MUSTER_WEBHOOKS: it can only be set in the configuration file"},
		{"", "MUSTER_LISTEN=1.2.3.4:5", "MUSTER_LISTEN: listen:"},
	} {
		_, err := Load(Source{File: write(t, c.text), Environ: []string{c.env}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %s: %v, want %q", c.text, c.env, err, c.want)
		}
	}
	if _, err := Load(Source{File: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a file that is not there is read")
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	l, err := Load(Source{File: write(t, `
database: {url: "postgres://muster:hunter2@db/muster"}
webhooks:
- {name: s, url: "https://hooks.example.com/services/T0/hunter2", format: slack}
- {name: j, url: "https://me:hunter2@json.example.com/in?token=hunter2"}
- {name: k, url: "https://bad.example.com/%zzhunter2"}
`)})
	must(t, err)
	var b bytes.Buffer
	must(t, l.Show(&b))
	if strings.Contains(b.String(), "hunter2") || !strings.Contains(b.String(), "db/muster") || !strings.Contains(b.String(), "json.example.com") {
		t.Error(b.String())
	}
	for _, address := range []string{"postgres://db/muster?password=hunter2", "postgres://db/muster?sslpassword=hunter2", "postgres://muster:hunter2@[db/muster"} {
		if _, err := Load(Source{File: write(t, "database: {url: \""+address+"\"}")}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestDatabasePassword(t *testing.T) {
	secret := write(t, "p@ss/word\n")
	l, err := Load(Source{File: write(t, "database: {url: \"postgres://muster@a,b/muster?x=1\", password_file: \""+secret+"\"}")})
	must(t, err)
	if got, err := l.DatabaseURL(); err != nil || got != "postgres://muster:p%40ss%2Fword@a,b/muster?x=1" {
		t.Error(got, err)
	}
}

// FuzzParse: what is taken and shown again is taken as the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(uncommented()))
	f.Add([]byte("state: 17\nwebhooks: [{name: a}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l := &Loaded{Settings: Default(), origins: map[string]string{}}
		if errs := l.parse(text, "file"); len(errs) > 0 {
			return
		}
		if !cmp.Equal(l.redacted(), l.Settings, cmpopts.EquateEmpty()) { // what is left out cannot come back
			must(t, l.Show(io.Discard))
			return
		}
		var b bytes.Buffer
		must(t, l.Show(&b))
		again := &Loaded{Settings: Default(), origins: map[string]string{}}
		if errs := again.parse(b.Bytes(), "file"); len(errs) > 0 {
			t.Fatalf("%v in\n%s", errs, b.String())
		}
		if diff := cmp.Diff(l.Settings, again.Settings, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s\n%s", diff, b.String())
		}
	})
}
