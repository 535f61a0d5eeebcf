package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies"
	"github.com/passmuster/muster/policies/bundle"
)

const signaturesName = ".signatures.json"

// with copies the files with one more, or one less where data is nil.
func with(files map[string][]byte, name string, data []byte) map[string][]byte {
	files = maps.Clone(files)
	files[name] = data
	if data == nil {
		delete(files, name)
	}
	return files
}

// withToken puts a token of our making in place of the signature.
func withToken(t *testing.T, files map[string][]byte, tokens ...string) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"signatures": tokens})
	if err != nil {
		t.Fatal(err)
	}
	return packed(t, with(files, signaturesName, text))
}

func tokenOf(t *testing.T, files map[string][]byte) (header, payload, signature string) {
	t.Helper()
	var s struct{ Signatures []string }
	if err := json.Unmarshal(files[signaturesName], &s); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(s.Signatures[0], ".")
	return parts[0], parts[1], parts[2]
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// resigned puts a file into a signed bundle and signs it anew, whatever it holds:
// no honest tool would.
func resigned(t *testing.T, files map[string][]byte, name, text string, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	_, old, _ := tokenOf(t, files)
	payload, err := base64.RawURLEncoding.DecodeString(old)
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	files = with(files, name, []byte(text))
	sum := sha256.Sum256(files[name])
	list, _ := claims["files"].([]any) // the last of a name counts
	claims["files"] = append(list, map[string]any{"name": name, "hash": hex.EncodeToString(sum[:]), "algorithm": "SHA-256"})
	claims["digest"] = policies.Digest(files)
	if payload, err = json.Marshal(claims); err != nil {
		t.Fatal(err)
	}
	input := b64(`{"alg":"ES256"}`) + "." + b64(string(payload))
	sum = sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 64)
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return withToken(t, files, input+"."+base64.RawURLEncoding.EncodeToString(raw))
}

// refusedBundle is what no host may use, and the words that say why.
type refusedBundle struct {
	name string
	data []byte
	says string
}

const (
	saysChanged   = "changed after it was signed"
	saysUntrusted = "not trusted here"
	saysBroken    = "only part of one: copy it again"
)

// A bundle that was tampered with, is a stranger's, older, torn or grown beyond
// all bounds is refused, whether by mail or by --bundle, with words that tell the
// next step; and the last good one judges on.
func TestHostileBundleIsRefused(t *testing.T) {
	key, stranger := mustKey(t), mustKey(t)
	l := newPolicyLab(t, key)
	l.version = "1.2.0"
	l.take(signed(t, smallPolicy(t, bundle.BuildOptions{Version: 5}, nil), key))
	next := signed(t, smallPolicy(t, bundle.BuildOptions{Version: 6}, nil), key)

	cases := tampered(t, next, key, stranger)
	cases = append(cases, archives(t, next)...)
	cases = append(cases, spoiled(t, next, key)...)
	for _, o := range []struct {
		name string
		o    bundle.BuildOptions
		over map[string]string
		key  *ecdsa.PrivateKey
		says string
	}{
		{"of a stranger", bundle.BuildOptions{Version: 6}, nil, stranger, "check that the site file is of this state and up to date"},
		{"for a newer muster", bundle.BuildOptions{Version: 6, MinAgent: "1.3.0"}, nil, key, "it needs muster 1.3.0 or newer, this is 1.2.0: update muster"},
	} {
		cases = append(cases, refusedBundle{o.name, signed(t, smallPolicy(t, o.o, o.over), o.key), o.says})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := &policyLab{t, l.dir, l.site, l.state, l.version}
			l.write(l.inbox(), c.data)
			l.wants(l.audit(), "Policy good-5 ", "the policy that arrived is refused, the one before stays", c.says, "Report ")
			if _, err := os.Lstat(l.inbox()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it is still in the inbox: %v", err)
			}
			l.wants(l.status(), "good-5, signed by your state", "was refused: ", c.says, "Do ")
			path := filepath.Join(l.dir, "hostile.tar.gz")
			l.write(path, c.data)
			out, code := l.muster("audit", "--site", l.site, "--state", l.state, "--bundle", path)
			if l.wants(out, "muster: error: ", c.says); code != exitUsage {
				t.Errorf("--bundle: exit code %d: %s", code, out)
			}
		})
	}

	for i, c := range torn(next) {
		path := filepath.Join(l.dir, "torn.tar.gz")
		l.write(path, c.data)
		out, code := l.muster("audit", "--site", l.site, "--bundle", path)
		if l.wants(out, "muster: error: ", c.says); code != exitUsage {
			t.Errorf("%s: exit code %d: %s", c.name, code, out)
		}
		if i%10 == 0 {
			l.write(l.inbox(), c.data)
			l.wants(l.audit(), "Policy good-5 ", "the policy that arrived is refused")
		}
	}

	// By mail only: what was named may be older, and then keeps no report.
	for name, text := range map[string]string{".manifest": `{"revision":"x"}`, "controls.json": "[]"} {
		l.write(l.inbox(), signed(t, packed(t, with(with(unpack(t, next), signaturesName, nil), name, []byte(text))), key))
		l.wants(l.audit(), "Policy good-5 ", "is refused, the one before stays: it has no ")
	}
	old := signed(t, smallPolicy(t, bundle.BuildOptions{Version: 4}, nil), key)
	l.write(l.inbox(), old)
	l.wants(l.audit(), "Policy good-5 ", "it is version 4, older than version 5 that this host has used")
	l.write(l.inbox(), signed(t, smallPolicy(t, bundle.BuildOptions{Version: 5, Revision: "other"}, nil), key))
	l.wants(l.audit(), "Policy good-5 ", "the state must count up")
	path := filepath.Join(l.dir, "old.tar.gz")
	l.write(path, old)
	l.wants(l.audit("--bundle", path), "No report was kept: the policy is version 4, older than version 5 that this host has used")

	// And a good one is taken after all this.
	l.take(next)
	out := l.status()
	l.wants(out, "good-6, signed by your state, key "+bundle.KeyID(publicDER(t, key))+"; version 6")
	if strings.Contains(out, "refused") {
		t.Errorf("the refusal is not forgotten: %s", out)
	}
}

// tampered changes every file, and every part of the signature.
func tampered(t *testing.T, good []byte, key, stranger *ecdsa.PrivateKey) (cases []refusedBundle) {
	t.Helper()
	files := unpack(t, good)
	add := func(name string, data []byte, says string) { cases = append(cases, refusedBundle{name, data, says}) }
	for name, data := range files {
		if name == signaturesName {
			continue
		}
		add("changed "+name, packed(t, with(files, name, append(bytes.Clone(data), '\n'))), saysChanged)
		add("without "+name, packed(t, with(files, name, nil)), saysChanged)
		moved := with(with(files, name, nil), "x/"+name, data)
		add("moved "+name, packed(t, moved), saysChanged)
	}
	add("one more file", packed(t, with(files, "controls/more.rego", []byte("package muster.controls.good\n"))), saysChanged)
	add("data that is dear to read", packed(t, with(files, "facts/t/data.yaml", bytes.Repeat([]byte("- a\n"), policies.MaxBytes/5))), saysChanged)
	add("no signature", packed(t, with(files, signaturesName, nil)), "not signed: ask whoever sent it for a signed one")
	add("signature of nothing", packed(t, with(files, signaturesName, []byte("{}"))), saysUntrusted)
	add("signature is junk", packed(t, with(files, signaturesName, []byte("\x00{"))), "read .signatures.json")
	header, payload, signature := tokenOf(t, files)
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	raw[40] ^= 1
	flipped := base64.RawURLEncoding.EncodeToString(raw)
	_, _, other := tokenOf(t, unpack(t, signed(t, smallPolicy(t, bundle.BuildOptions{Version: 9}, nil), key)))
	mac := hmac.New(sha256.New, publicDER(t, key))
	hs := b64(`{"alg":"HS256"}`) + "." + payload
	mac.Write([]byte(hs))
	plain, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	doubled := b64(strings.TrimSuffix(string(plain), "}") + `,"files":[]}`)
	foreign := unpack(t, signed(t, good, stranger))
	for name, token := range map[string]string{
		"alg none":                   b64(`{"alg":"none"}`) + "." + payload + ".",
		"alg none and old signature": b64(`{"alg":"none"}`) + "." + payload + "." + signature,
		"alg HS256":                  hs + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)),
		"alg ES384":                  b64(`{"alg":"ES384","kid":"x"}`) + "." + payload + "." + signature,
		"other kid":                  b64(`{"alg":"ES256","kid":"0000000000000000"}`) + "." + payload + "." + signature,
		"no header":                  "." + payload + "." + signature,
		"doubled files":              header + "." + doubled + "." + signature,
		"other payload":              header + "." + b64(`{"files":[]}`) + "." + signature,
		"signature flipped":          header + "." + payload + "." + flipped,
		"signature swapped":          header + "." + payload + "." + other,
		"signature empty":            header + "." + payload + ".",
		"signature of zeros":         header + "." + payload + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"one part":                   header,
	} {
		add(name, withToken(t, files, token), saysUntrusted)
	}
	add("two signatures", withToken(t, files, header+"."+payload+"."+signature, header+"."+payload+"."+signature), saysUntrusted)
	add("signed by a stranger", packed(t, foreign), saysUntrusted)
	add("verifier of its own", packed(t, with(foreign, signaturesName,
		bytes.Replace(foreign[signaturesName], []byte("{"), []byte(`{"plugin":"x",`), 1))), saysUntrusted)
	return cases
}

// archives are no tar files that a bundle may be.
func archives(t *testing.T, good []byte) []refusedBundle {
	t.Helper()
	files := unpack(t, good)
	many := maps.Clone(files)
	for i := range policies.MaxFiles {
		many[fmt.Sprintf("lists/%d/data.json", i)] = []byte("{}")
	}
	return []refusedBundle{
		{"junk", []byte("junk"), saysBroken},
		{"1 GiB", packed(t, files, &tar.Header{Name: "lists/data.json", Size: 1 << 30}), "it unpacks to more than"},
		{"2000 files", packed(t, many), "it unpacks to more than"},
		{"symlink", packed(t, files, &tar.Header{Name: "lists/data.json", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"}), "no plain file"},
		{"hard link", packed(t, files, &tar.Header{Name: "lists/data.json", Typeflag: tar.TypeLink, Linkname: "/etc/shadow"}), "no plain file"},
		{"device", packed(t, files, &tar.Header{Name: "dev", Typeflag: tar.TypeChar}), "no plain file"},
		{"path out", packed(t, files, &tar.Header{Name: "../../etc/cron.d/x"}), "no plain file"},
		{"path around", packed(t, files, &tar.Header{Name: "lists/../data.json"}), "no plain file"},
		{"file twice", packed(t, files, &tar.Header{Name: "controls.json"}), "it holds controls.json twice"},
	}
}

// spoiled are signed with the good key and hold what cannot be read.
func spoiled(t *testing.T, good []byte, key *ecdsa.PrivateKey) (cases []refusedBundle) {
	t.Helper()
	files := unpack(t, good)
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for i := range 8 {
		c, before := string(rune('b'+i)), strings.Repeat("*"+string(rune('a'+i))+", ", 9)
		bomb += c + ": &" + c + " [" + before + "]\n"
	}
	for _, c := range []struct{ name, file, text, says string }{
		{"YAML bomb", "lists/data.yaml", bomb, "excessive aliasing"},
		{"YAML of itself", "lists/data.yaml", "a: &a [*a]", "contains itself"},
		{"YAML too deep", "lists/data.yaml", "a: " + strings.Repeat("[", 20_000), "max depth"},
		{"JSON too deep", "lists/data.json", strings.Repeat("[", 20_000), "max depth"},
		{"huge number", ".manifest", `{"revision":"x","metadata":{"muster":{"version":1e400}}}`, ".manifest"},
		{"catalogue is no list", "controls.json", `{"a":1}`, "controls.json"},
		{"id twice", "controls.json", `[{"id":"A"},{"id":"A"}]`, `control "A" is there twice`},
		{"id that steers a terminal", "controls.json", `[{"id":"MVS\u001b[2J\nFORGED\u202e"}]`, `control "MVS\x1b[2J\nFORGED\u202e": want an id of letters`},
	} {
		cases = append(cases, refusedBundle{c.name, resigned(t, files, c.file, c.text, key), c.says})
	}
	for _, c := range []struct{ name, file, text, says string }{
		{"number beyond 64 bits", ".manifest", `{"revision":"x","metadata":{"muster":{"version":99999999999999999999}}}`, "version"},
		{"version below 0", ".manifest", `{"revision":"x","metadata":{"muster":{"version":-5}}}`, "version"},
		{"lists is a list", "lists/data.yaml", "[1]", "want an object of list names"},
		{"list without date", "lists/data.yaml", "l: {dated: soon, value: 1}", `"soon" is no date: write 2026-11-20`},
		{"freshness in words", "freshness/data.yaml", "l: soon", "number of days"},
		{"waivers are no list", "waivers/data.yaml", "a: 1", "want a list"},
		{"waiver of no day", "waivers/data.yaml", `[{id: w, control: MVS-GOOD-1, expires: "2026-13-45"}]`, "is no date: write 2026-11-20"},
		{"waiver of a number", "waivers/data.yaml", `[{id: w, control: MVS-GOOD-1, expires: 20270101}]`, "want a date in quotes"},
		{"Rego without end", "lib/x.rego", "package muster.lib.x\n\na := [" + strings.Repeat("1,", bundle.MaxRego/2) + "1]\n", "put data into lists"},
		{"facts are a list", "facts/t/data.yaml", "[a]", "want facts/<area>/data.yaml"},
		{"fact of another system", "facts/t/data.yaml", "system: {plan9: SELECT 1}", `platform "plan9" is not known`},
		{"control without its fact", "facts/t/data.yaml", "other: {linux: SELECT 1}", `asks for fact "system"`},
	} {
		b := packed(t, with(with(files, signaturesName, nil), c.file, []byte(c.text)))
		cases = append(cases, refusedBundle{c.name, signed(t, b, key), c.says})
	}
	return cases
}

// torn is the bundle cut off at 100 points, those where a file of the archive ends
// among them.
func torn(good []byte) (cases []refusedBundle) {
	for i := range 90 {
		at := 1 + (len(good)-1)*i/90
		cases = append(cases, refusedBundle{fmt.Sprintf("torn at %d", at), good[:at], saysBroken})
	}
	zr, err := gzip.NewReader(bytes.NewReader(good))
	if err != nil {
		return cases
	}
	var whole bytes.Buffer
	if _, err := whole.ReadFrom(zr); err != nil {
		return cases
	}
	for i := range 10 {
		var buf bytes.Buffer
		zw := gzip.NewWriter(&buf)
		zw.Write(whole.Bytes()[:min(512*(2*i+1), whole.Len()-2048)]) // into memory
		zw.Close()
		cases = append(cases, refusedBundle{fmt.Sprintf("torn archive at block %d", 2*i+1), buf.Bytes(), "policy bundle: "})
	}
	return cases
}

// A signed bundle whose Rego or SQL reaches too far, loops or fills the memory
// leaves that control unknown, and judges the others.
func TestHostileControlIsUnknown(t *testing.T) {
	key := mustKey(t)
	l := newPolicyLab(t, key)
	for _, c := range hostileControls() {
		t.Run(c.name, func(t *testing.T) {
			l := &policyLab{t, l.dir, l.site, l.state, l.version}
			over := map[string]string{"controls/bad.rego": controlSource("MVS-BAD-1", "system", c.rego)}
			if c.sql != "" {
				text, err := json.Marshal(map[string]map[muster.Platform]string{"bad": {muster.Linux: c.sql, muster.Windows: c.sql}})
				if err != nil {
					t.Fatal(err)
				}
				over = map[string]string{"controls/bad.rego": controlSource("MVS-BAD-1", "bad", "violations := set()"), "facts/u/data.json": string(text)}
			}
			path := filepath.Join(l.dir, "hostile.tar.gz")
			l.write(path, signed(t, smallPolicy(t, bundle.BuildOptions{Version: 7}, over), key))
			out := l.audit("--bundle", path, "--output", "json")
			i := strings.Index(out, "{")
			var a muster.Audit
			if err := json.NewDecoder(strings.NewReader(out[max(i, 0):])).Decode(&a); err != nil {
				t.Fatalf("%v: %.500s", err, out)
			}
			for _, f := range a.Findings {
				want := muster.StatusUnknown
				if f.Control == "MVS-GOOD-1" {
					want = muster.StatusPass
				}
				if f.Status != want || f.Control == "MVS-BAD-1" && !strings.Contains(f.Reason, c.says) {
					t.Errorf("%s is %s (%s), want %s (%s)", f.Control, f.Status, f.Reason, want, c.says)
				}
			}
			if len(a.Findings) != 2 || a.Summary.MeetsBaseline {
				t.Errorf("%+v", a.Summary)
			}
		})
	}
}

type hostileControl struct{ name, rego, sql, says string }

func hostileControls() []hostileControl {
	fails := func(body string) string { return `violations contains "x" if { ` + body + " }" }
	grown := func(name string) string {
		text := name + `0 := ["a"]` + "\n"
		for i := range 40 {
			text += fmt.Sprintf("%[1]s%[2]d := [%[1]s%[3]d, %[1]s%[3]d]\n", name, i+1, i)
		}
		return text
	}
	cases := []hostileControl{
		{"product", fails("some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < 0"), "", "more than 1s"},
		{"recursion", "violations contains x if x := f(1)\n\nf(x) := f(x + 1)", "", "recursive"},
		{"huge range", fails("some x in numbers.range(1, 1000000000000); x < 0"), "", "its policy failed"},
		{"all addresses", fails(`some x in net.cidr_expand("::/0"); x == ""`), "", "its policy failed"},
		{"compares for ever", grown("x") + grown("y") + fails("x40 != y40"), "", "could not be stopped"},
		{"writes for ever", grown("x") + fails(`json.marshal(x40) == "b"`), "", "its policy failed"},
		{"shift", fails("bits.lsh(1, 100000000000) < 0"), "", "undefined function bits.lsh"},
		{"huge number", fails(`to_number("1e1000000000") < 0`), "", "out of range"},
		{"http.send", fails(`http.send({"method": "GET", "url": "http://127.0.0.1:1/"}).status_code == 1`), "", "undefined function http.send"},
		{"net.lookup_ip_addr", fails(`count(net.lookup_ip_addr("example.com")) < 0`), "", "undefined function net.lookup_ip_addr"},
		{"opa.runtime", fails(`opa.runtime().env.HOME == ""`), "", "undefined function opa.runtime"},
		{"time.now_ns", fails("time.now_ns() < 0"), "", "undefined function time.now_ns"},
		{"deep", "x := " + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + "\n\n" + fails("x == 2"), "", "does not compile"},
	}
	const million = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000) "
	for name, c := range map[string][2]string{
		"10 million rows":    {million + "SELECT i FROM n", "more than 20000 rows"},
		"rows for ever":      {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS c FROM n", "no answer in time"},
		"curl":               {"SELECT * FROM curl WHERE url = 'http://127.0.0.1:1/'", "asks the network"},
		"carves":             {"SELECT * FROM carves", "refused"},
		"yara":               {"SELECT * FROM yara_file", "refused"},
		"hashes of shadow":   {"SELECT hash FROM shadow", "no such column: hash"},
		"shadow by augeas":   {"SELECT value FROM augeas WHERE path = '/etc/shadow'", "fact bad: "},
		"INSERT":             {"INSERT INTO users VALUES (1)", "only SELECT may be used"},
		"two statements":     {"SELECT name FROM os_version; DROP TABLE users", "more than one statement"},
		"ATTACH":             {"ATTACH '/tmp/x.db' AS x", "only SELECT may be used"},
		"load_extension":     {"SELECT load_extension('/tmp/x.so') AS x", "refused"},
		"string of a GiB":    {"SELECT printf('%999999999d', 1) AS x", "too big"},
		"nested 2000 deep":   {"SELECT " + strings.Repeat("(SELECT ", 2000) + "1" + strings.Repeat(")", 2000) + " AS x", "fact bad: error"},
		"SQLite's own table": {"SELECT name FROM sqlite_master", "refused"},
	} {
		cases = append(cases, hostileControl{name, "", c[0], c[1]})
	}
	return cases
}

// Words of a bundle that nobody vouches for do not steer the terminal.
func TestHostileWords(t *testing.T) {
	key := mustKey(t)
	l := newPolicyLab(t, key)
	good := unpack(t, smallPolicy(t, bundle.BuildOptions{Version: 6, Revision: "evil\x1b[2J", Expires: time.Now().Add(-48 * time.Hour)}, nil))
	catalogue := bytes.ReplaceAll(good["controls.json"], []byte(`"title":"MVS-GOOD-1"`), []byte(`"title":"MVS\u001b[2J\nFORGED\u202e"`))
	l.take(signed(t, packed(t, with(good, "controls.json", catalogue)), key))
	for name, out := range map[string]string{
		"audit": l.audit("--verbose"), "status": l.status(),
		"report": func() string { out, _ := l.muster("report", "show", "--state", l.state, "latest"); return out }(),
	} {
		if strings.ContainsAny(out, "\x1b\u202e") {
			t.Errorf("%s: %q", name, out)
		}
	}
	// Expired, it judges and says since when.
	l.wants(l.audit(), "the policy expired on", "stale since")
	l.wants(l.status(), "stale since", "2 days ago", "The policy is past its date", "Ask your state for a newer one")
}
