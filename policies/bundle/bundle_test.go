package bundle_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	opa "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/passmuster/muster/policies"
	"github.com/passmuster/muster/policies/bundle"
)

var created = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)

func mustBuild(tb testing.TB, opts bundle.BuildOptions) []byte {
	tb.Helper()
	if opts.Version == 0 {
		opts.Version = 7
	}
	data, err := bundle.Build(policies.FS(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func mustKey(tb testing.TB) (*ecdsa.PrivateKey, []byte) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		tb.Fatal(err)
	}
	return key, public
}

func mustSign(tb testing.TB, data []byte, key *ecdsa.PrivateKey) []byte {
	tb.Helper()
	signed, err := bundle.Sign(data, key)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

func mustUnpack(tb testing.TB, data []byte) map[string][]byte {
	tb.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		tb.Fatal(err)
	}
	files := map[string][]byte{}
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			tb.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(tr); err != nil {
			tb.Fatal(err)
		}
	}
}

// mustPack writes the files last first, as no tool of ours does.
func mustPack(tb testing.TB, files map[string][]byte, more ...*tar.Header) []byte {
	tb.Helper()
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	names := slices.Sorted(maps.Keys(files))
	slices.Reverse(names)
	for _, name := range names {
		if err := tw.WriteHeader(&tar.Header{Name: "/" + name, Mode: 0o600, Size: int64(len(files[name]))}); err != nil {
			tb.Fatal(err)
		}
		if _, err := tw.Write(files[name]); err != nil {
			tb.Fatal(err)
		}
	}
	for _, h := range more {
		if err := tw.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if _, err := tw.Write(make([]byte, h.Size)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func TestRoundTrip(t *testing.T) {
	opts := bundle.BuildOptions{Version: 7, Revision: "2026-11", Created: created, Expires: created.AddDate(1, 0, 0), MinAgent: "1.2.0"}
	data := mustBuild(t, opts)
	if !bytes.Equal(data, mustBuild(t, opts)) {
		t.Error("the same sources give other bytes")
	}
	key, public := mustKey(t)
	_, other := mustKey(t)
	b, err := bundle.Open(mustSign(t, data, key), bundle.OpenOptions{Keys: [][]byte{other, public}})
	if err != nil {
		t.Fatal(err)
	}
	if !b.Signed || b.Version != 7 || b.Revision != "2026-11" || !b.Created.Equal(created) || b.MinAgent != "1.2.0" {
		t.Errorf("%+v", b)
	}
	if b.Stale(created) || !b.Stale(created.AddDate(1, 0, 1)) {
		t.Error("stale at the wrong time")
	}
	plain, err := bundle.Open(mustPack(t, mustUnpack(t, data)), bundle.OpenOptions{Unsigned: true})
	if err != nil {
		t.Fatal(err)
	}
	if plain.Signed || plain.Digest != b.Digest {
		t.Error("the digest depends on the packing or on the signature")
	}
	embedded, err := bundle.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Controls) == 0 || len(b.Controls) != len(embedded.Controls) || len(b.Facts) != len(embedded.Facts) || len(b.Modules) != len(embedded.Modules) || len(b.Lists) != len(embedded.Lists) {
		t.Error("the bundle is not what it was built from")
	}
	for name := range b.Modules {
		if strings.HasSuffix(name, "_test.rego") {
			t.Errorf("%s is in the bundle", name)
		}
	}
}

// OPA itself verifies and evaluates the bundle.
func TestOPAReadsIt(t *testing.T) {
	key, public := mustKey(t)
	data := mustSign(t, mustBuild(t, bundle.BuildOptions{}), key)
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	keys := map[string]*opa.KeyConfig{bundle.KeyID(public): {Key: string(block), Algorithm: "ES256"}}
	read, err := opa.NewReader(bytes.NewReader(data)).WithBundleVerificationConfig(opa.NewVerificationConfig(keys, "", "", nil)).Read()
	if err != nil {
		t.Fatal(err)
	}
	input := map[string]any{"host": map[string]any{"platform": "windows"}, "facts": map[string]any{"autologon": []any{map[string]any{"name": "AutoAdminLogon", "data": "1"}}}}
	rs, err := rego.New(rego.ParsedBundle("muster", &read), rego.Query("count(data.muster.controls.acc_06.violations)"), rego.Input(input)).Eval(context.Background())
	if err != nil || len(rs) != 1 || rs[0].Expressions[0].Value.(interface{ String() string }).String() != "1" {
		t.Error(rs, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	key, public := mustKey(t)
	_, other := mustKey(t)
	unsigned := mustBuild(t, bundle.BuildOptions{})
	signed := mustSign(t, unsigned, key)
	trust := bundle.OpenOptions{Keys: [][]byte{public}}
	change := func(change func(files map[string][]byte)) []byte {
		files := mustUnpack(t, signed)
		change(files)
		return mustPack(t, files)
	}
	source := func(name, text string) []byte {
		files := mustUnpack(t, unsigned)
		files[name] = []byte(text)
		return mustPack(t, files)
	}
	anyone := bundle.OpenOptions{Unsigned: true}
	for name, c := range map[string]struct {
		data []byte
		opts bundle.OpenOptions
		says string
		is   error
	}{
		"unsigned":        {unsigned, trust, "not signed", bundle.ErrUnsigned},
		"another key":     {signed, bundle.OpenOptions{Keys: [][]byte{other}}, "not trusted", bundle.ErrUntrusted},
		"no key":          {signed, bundle.OpenOptions{}, "not trusted", bundle.ErrUntrusted},
		"signed by other": {signed, bundle.OpenOptions{Keys: [][]byte{other}, Unsigned: true}, "not trusted", bundle.ErrUntrusted},
		"changed rego":    {change(func(f map[string][]byte) { f["lib/lib.rego"] = append(f["lib/lib.rego"], '\n') }), trust, "changed after it was signed", nil},
		"changed sql":     {change(func(f map[string][]byte) { f["facts/network/data.yaml"] = []byte("{}") }), trust, "changed after it was signed", nil},
		"changed manifest": {change(func(f map[string][]byte) {
			f[".manifest"] = bytes.Replace(f[".manifest"], []byte(`"version":7`), []byte(`"version":8`), 1)
		}), trust, "changed after it was signed", nil},
		"missing file": {change(func(f map[string][]byte) { delete(f, "controls.json") }), trust, "controls.json is missing", nil},
		"added file":   {change(func(f map[string][]byte) { f["x.rego"] = []byte("package x") }), trust, "changed after it was signed", nil},
		"swapped signature": {change(func(f map[string][]byte) {
			f[".signatures.json"] = mustUnpack(t, mustSign(t, mustBuild(t, bundle.BuildOptions{Version: 9}), key))[".signatures.json"]
		}), trust, "changed after it was signed", nil},
		"no token":     {change(func(f map[string][]byte) { f[".signatures.json"] = []byte("{}") }), trust, "not trusted", bundle.ErrUntrusted},
		"truncated":    {signed[:len(signed)/2], trust, "only part of one", nil},
		"last byte":    {signed[:len(signed)-1], trust, "only part of one", nil},
		"empty":        {nil, trust, "no policy bundle", nil},
		"other format": {[]byte("PK\x03\x04"), trust, "no policy bundle", nil},
		"newer agent": {mustSign(t, mustBuild(t, bundle.BuildOptions{MinAgent: "1.10.0"}), key),
			bundle.OpenOptions{Keys: [][]byte{public}, Agent: "1.9.9"}, "needs muster 1.10.0 or newer", nil},
		"path":           {mustPack(t, nil, &tar.Header{Name: "../x.rego"}), anyone, "no plain file", nil},
		"link":           {mustPack(t, nil, &tar.Header{Name: "x.rego", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), anyone, "no plain file", nil},
		"twice":          {mustPack(t, map[string][]byte{"a": nil}, &tar.Header{Name: "a"}), anyone, "twice", nil},
		"bomb":           {mustPack(t, nil, &tar.Header{Name: "a", Size: bundle.MaxBytes + 1}), anyone, "unpacks to more than", nil},
		"fact name":      {source("facts/t/data.yaml", `{"a b": {linux: SELECT 1}}`), anyone, "no name for a fact", nil},
		"platform":       {source("facts/t/data.yaml", `{a: {macos: SELECT 1}}`), anyone, "use windows or linux", nil},
		"empty sql":      {source("facts/t/data.yaml", `{a: {linux: " "}}`), anyone, "is empty", nil},
		"sql shape":      {source("facts/t/data.yaml", `{a: SELECT 1}`), anyone, "read facts", nil},
		"fact unknown":   {source("facts/updates/data.yaml", `{a: {linux: SELECT 1}}`), anyone, "which the bundle does not have", nil},
		"fact twice":     {source("facts/t/data.yaml", `{uptime: {linux: SELECT 1}}`), anyone, "is in t and in updates", nil},
		"bad data":       {source("lists/data.yaml", `{a: [`), anyone, "read lists/data.yaml", nil},
		"bad date":       {source("lists/data.yaml", `{a: {dated: soon, value: 1}}`), anyone, "is no date", nil},
		"bad list":       {source("lists/data.yaml", `[1]`), anyone, "read lists", nil},
		"bad waiver":     {source("waivers/data.yaml", `[1]`), anyone, "read waivers", nil},
		"bad catalogue":  {source("controls.json", `{}`), anyone, "read controls.json", nil},
		"control twice":  {source("controls.json", `[{"id": "A"}, {"id": "A"}]`), anyone, "twice", nil},
		"data in two":    {source("facts/network/data.json", `{}`), anyone, "given twice", nil},
		"data in a leaf": {source("waivers/x/data.json", `1`), anyone, "both a value and a folder", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bundle.Open(c.data, c.opts)
			if err == nil || !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
	for _, agent := range []string{"1.10.0", "v1.10.1", "2", "0.0.0-dev", "0.0.1-dev.5+gec6f7e3", "ec6f7e3-dirty"} {
		if _, err := bundle.Open(mustBuild(t, bundle.BuildOptions{MinAgent: "1.10.0"}), bundle.OpenOptions{Unsigned: true, Agent: agent}); err != nil {
			t.Error(agent, err)
		}
	}
}

func TestBuildAndSignRefuse(t *testing.T) {
	if _, err := bundle.Build(policies.FS(), bundle.BuildOptions{}); err == nil {
		t.Error("a release without a number")
	}
	if _, err := bundle.Build(fstest.MapFS{}, bundle.BuildOptions{Version: 1}); err == nil {
		t.Error("a release of nothing")
	}
	weak, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bundle.Sign(mustBuild(t, bundle.BuildOptions{}), weak); err == nil {
		t.Error("signed with a key that no host can verify")
	}
}

func TestWithLists(t *testing.T) {
	b, err := bundle.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	over, err := b.WithLists([]byte(`{"dated": "2026-10-15", "admins_allowed": ["x"], "browser_floor": {"dated": "2026-10-01T08:00:00Z", "source": "us", "value": {"chrome": 1}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := b.Lists["admins_allowed"]; ok {
		t.Error("the bundle itself was changed")
	}
	day := func(name string) string { return over.Lists[name].Dated.Format(time.DateTime) }
	if day("admins_allowed") != "2026-10-15 00:00:00" || day("browser_floor") != "2026-10-01 08:00:00" || day("lifecycle") != "2026-11-20 00:00:00" {
		t.Error(day("admins_allowed"), day("browser_floor"), day("lifecycle"))
	}
	if over.Lists["browser_floor"].Source != "us" || over.Data()["lists"].(map[string]any)["browser_floor"].(map[string]any)["chrome"] == nil {
		t.Error("a list with its own date keeps its wrapping")
	}
	end := over.Lists["browser_floor"].Dated.AddDate(0, 0, 45)
	if l := over.Lists["browser_floor"]; l.Stale(end) || !l.Stale(end.Add(time.Second)) {
		t.Error("stale at the wrong time")
	}
	for _, bad := range []string{"", "[]", "1", `{"dated": 5}`, `{"dated": "soon"}`, `{"a": 1} {}`} {
		if _, err := b.WithLists([]byte(bad)); err == nil {
			t.Errorf("%q is taken for lists", bad)
		}
	}
	undated, err := b.WithLists([]byte(`{"admins_allowed": []}`))
	if err != nil || !undated.Lists["admins_allowed"].Stale(created) {
		t.Error("a list that can go stale, without a date, is fresh", err)
	}
}

// Whatever the bytes, Open gives an error or a bundle whose digest survives
// repacking. The second pair is a file inside an archive that is whole.
func FuzzOpen(f *testing.F) {
	small := mustPack(f, map[string][]byte{"x.rego": []byte("package x")})
	f.Add(small, ".manifest", []byte(`{"revision": "r", "metadata": {"muster": {"version": 1, "expires": "2026-01-01T00:00:00Z"}}}`))
	f.Add(small[:len(small)-4], "facts/t/data.yaml", []byte("a: {linux: SELECT 1}"))
	f.Add([]byte("\x1f\x8b"), "lists/data.json", []byte(`{"a": {"dated": "2026-01-01", "value": 1}}`))
	f.Add([]byte{}, "controls.json", []byte(`[{"id": "A", "facts": [["a"]]}]`))
	f.Add([]byte{}, ".signatures.json", []byte(`{"signatures": ["a.b.c"]}`))
	f.Add([]byte{}, "controls/a.rego", []byte(goodControl))
	f.Add([]byte{}, "controls/empty.rego", []byte{})
	f.Fuzz(func(t *testing.T, raw []byte, name string, text []byte) {
		archives := [][]byte{raw}
		if fs.ValidPath(name) && len(name) < 90 && !strings.ContainsRune(name, 0) { // what tar can hold
			archives = append(archives, mustPack(t, map[string][]byte{name: text}))
		}
		for _, data := range archives {
			b, err := bundle.Open(data, bundle.OpenOptions{Unsigned: true})
			if err != nil {
				continue
			}
			files := map[string][]byte{}
			for name, text := range mustUnpack(t, data) {
				files[strings.TrimPrefix(name, "/")] = text
			}
			again, err := bundle.Open(mustPack(t, files), bundle.OpenOptions{Unsigned: true})
			if err != nil || again.Digest != b.Digest {
				t.Errorf("digest %s, repacked %v, %v", b.Digest, again, err)
			}
		}
	})
}
