package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A collector takes what it is sent with the operator's token, and tells why
// where it does not.
func TestPublish(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	must := func(args ...string) {
		t.Helper()
		var out strings.Builder
		if code := run(args, &out, &out); code != 0 {
			t.Fatalf("muster %s: %s", strings.Join(args, " "), &out)
		}
	}
	must("policy", "new", "MVS-XYZ-01", "--dir", dir)
	must("policy", "keygen", "--no-passphrase", "-o", path("key.pem"))
	must("policy", "keygen", "--no-passphrase", "-o", path("other.pem"))
	must("policy", "build", dir, "-o", path("unsigned.tar.gz"), "--version", "3")
	must("policy", "build", dir, "-o", path("signed.tar.gz"), "--version", "3", "--key", path("key.pem"))
	for name, text := range map[string]string{"token": "secret\n", "wrong": "guess", "two": "two words"} {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	signed, err := os.ReadFile(path("signed.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		body, err := io.ReadAll(r.Body)
		switch {
		case r.URL.Path == "/elsewhere/api/v1/policies":
			http.Redirect(w, r, "/api/v1/policies", http.StatusTemporaryRedirect)
		case r.Header.Get("Authorization") != "Bearer secret":
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"title": "token_needed", "detail": "only an operator\u001b publishes"}`)
		case err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/v1/policies" || r.URL.RawQuery != "ring=canary" && r.URL.RawQuery != "ring=all" ||
			r.Header.Get("Content-Type") != "application/gzip" || string(body) != string(signed):
			http.Error(w, "not as agreed", http.StatusBadRequest)
		default:
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, `{"revision": "3", "version": 3, "digest": "d", "ring": "canary"}`)
		}
	}))
	defer collector.Close()
	publish := "policy publish " + path("signed.tar.gz") + " --token-file " + path("token") + " --collector "
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{publish + collector.URL, 0, "published revision 3, version 3, to ring canary"},
		{publish + collector.URL + "/ --key " + path("key.pem.pub"), 0, "published revision 3"},
		{publish + collector.URL + " --key " + path("other.pem.pub"), 1, "not trusted"},
		{publish + collector.URL + " --ring all", 1, "it was published before and stays in ring canary"},
		{publish + collector.URL + "/elsewhere", 1, "307"},
		{publish + collector.URL + " --token-file " + path("wrong"), 1, "the collector refused it: only an operator publishes"},
		{publish + collector.URL + " --token-file " + path("two"), 2, "does not hold one word"},
		{publish + collector.URL + " --token-file " + path("none"), 2, "read the token"},
		{publish + collector.URL + " --ring some", 2, "use one of canary, early, all"},
		{publish + "http://collector.example", 2, "is not encrypted"},
		{publish + "collector.example", 2, "is no address"},
		{publish + "http://127.0.0.1:1", 1, "refused"},
		{strings.Replace(publish, "signed.", "unsigned.", 1) + collector.URL, 1, "not signed"},
		{strings.Replace(publish, "signed.tar.gz", "token", 1) + collector.URL, 1, "no policy bundle"},
		{"policy publish", 2, "the argument is missing"},
	} {
		var out strings.Builder
		if code := run(strings.Fields(c.args), &out, &out); code != c.code || !strings.Contains(strings.Join(strings.Fields(out.String()), " "), c.says) {
			t.Errorf("muster %s: code %d, want %d and %q:\n%s", c.args, code, c.code, c.says, &out)
		}
	}
	if asked != 5 {
		t.Errorf("the collector was asked %d times: what is refused here must not be sent", asked)
	}
}
