package bundle_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	opa "github.com/open-policy-agent/opa/v1/bundle"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies/bundle"
)

const hostID = "haaaaaaaaaaaaaaaaaaaaaaaaaa"

func mustOpenDir(tb testing.TB, changes map[string]string) *bundle.Bundle {
	tb.Helper()
	b, err := bundle.OpenDir(folder(changes))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// layered has the list l from a state, a county and a host.
func layered() map[string]string {
	return map[string]string{
		"lists/data.yaml":                 `{l: {dated: "2026-01-01", source: state, value: [a, b]}, m: {dated: "2026-01-01", source: state, value: 1}}`,
		"freshness/data.yaml":             "{l: 45, m: 0, attestations: 0}",
		"counties/17031/data.yaml":        `lists: {l: {dated: "2026-02-01", source: county, value: [c]}}`,
		"hosts/" + hostID + "/data.yaml":  `lists: {l: {dated: "2025-01-01", source: host, value: [d]}}`,
		"counties/17033/lists/data.yaml":  `m: {dated: "2026-02-01", source: county, value: 2}`,
		"attestations/data.yaml":          "[]",
		"hosts/a_host_test_no_layer.yaml": "recording: x",
	}
}

func TestForLaysLists(t *testing.T) {
	b := mustOpenDir(t, layered())
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		host  muster.Host
		value any
		layer string
		stale bool
	}{
		{muster.Host{}, []any{"a", "b"}, "state", true},
		{muster.Host{County: "17033"}, []any{"a", "b"}, "state", true},
		{muster.Host{County: "17031"}, []any{"c"}, "county 17031", false},
		{muster.Host{County: "17031", ID: hostID}, []any{"d"}, "host " + hostID, true},
		{muster.Host{ID: hostID}, []any{"d"}, "host " + hostID, true},
	} {
		laid := b.For(c.host, now)
		l := laid.Lists["l"]
		if !reflect.DeepEqual(l.Value, c.value) || l.Layer != c.layer || l.Stale(now) != c.stale || l.MaxAge != 45*24*time.Hour {
			t.Errorf("%+v: %+v", c.host, l)
		}
		if got := laid.Data()["lists"].(map[string]any)["l"]; !reflect.DeepEqual(got, c.value) {
			t.Errorf("%+v: Rego reads %v", c.host, got)
		}
	}
	if b.Lists["l"].Layer != "state" || b.For(muster.Host{County: "17033"}, now).Lists["m"].Layer != "county 17033" {
		t.Error("a layer changes the bundle itself, or is lost")
	}
	for _, private := range []string{"counties", "hosts", "attestations", "waivers", "facts", "freshness"} {
		if b.Data()[private] != nil {
			t.Errorf("Rego reads %s", private)
		}
	}
	over, err := b.For(muster.Host{County: "17031", ID: hostID}, now).WithLists([]byte(`{"dated": "2026-02-01", "l": ["e"]}`))
	if err != nil || over.Lists["l"].Layer != bundle.LayerFile || !reflect.DeepEqual(over.Lists["l"].Value, []any{"e"}) {
		t.Errorf("a file does not lie over all: %+v, %v", over.Lists["l"], err)
	}
}

func TestLayersRefuse(t *testing.T) {
	for name, c := range map[string]struct{ file, text, says string }{
		"no FIPS code":  {"counties/cook/data.yaml", "lists: {}", `county "cook" is not a five-digit FIPS code, for example 17031: rename the folder`},
		"a number":      {"counties/data.yaml", "1001: {lists: {}}", `county "1001" is not a five-digit FIPS code`},
		"no host id":    {"hosts/pc1/data.yaml", "lists: {}", "host id is not h and 26"},
		"unknown list":  {"counties/17031/data.yaml", `lists: {k: {dated: "2026-01-01", source: s, value: 1}}`, "list k is not known"},
		"other data":    {"counties/17031/data.yaml", "waivers: {}", "only lists may differ there"},
		"bare value":    {"counties/17031/data.yaml", "lists: {l: [a]}", "want {dated, source, value}"},
		"no value":      {"counties/17031/data.yaml", `lists: {l: {dated: "2026-01-01", source: s}}`, "value is missing"},
		"no date":       {"counties/17031/data.yaml", "lists: {l: {source: s, value: 1}}", "dated is missing"},
		"bad date":      {"counties/17031/data.yaml", "lists: {l: {dated: soon, source: s, value: 1}}", "is no date"},
		"no source":     {"counties/17031/data.yaml", `lists: {l: {dated: "2026-01-01", value: 1}}`, "source is missing"},
		"another field": {"counties/17031/data.yaml", `lists: {l: {date: "2026-01-01", source: s, value: 1}}`, "date is not known"},
		"another shape": {"counties/17031/data.yaml", "[1]", "read counties"},
	} {
		changes := map[string]string{c.file: c.text}
		if _, err := bundle.OpenDir(folder(changes)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one that says %q", name, err, c.says)
		}
		if p := bundle.Lint(folder(changes), anySQL); len(p) == 0 || !strings.Contains(p[0].Text, c.says) {
			t.Errorf("%s: lint says %v", name, p)
		}
	}
}

func TestForLaysAttestations(t *testing.T) {
	changes := layered()
	changes["attestations/data.yaml"] = `
- {id: "1", claim: restore_tested, by: old, on: 2026-01-01, until: "2027-01-01"}
- {id: "2", claim: restore_tested, by: newest, on: "2026-02-01", until: "2027-02-01"}
- {id: "3", claim: restore_tested, by: future, on: "2026-06-01", until: "2027-06-01"}
- {id: "4", claim: mfa, by: expired, on: "2025-01-01", until: "2026-03-01"}
- {id: "5", claim: mfa, by: county, county: "17031", on: "2025-01-01", until: "2026-06-01"}
- {id: "6", claim: drill, by: host, host: ` + hostID + `, on: "2025-01-01", until: "2026-06-01"}
- {id: "7", claim: forever, by: x, on: "2025-01-01"}`
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	read := func(b *bundle.Bundle, h muster.Host) map[string]any {
		v, _ := b.For(h, now).Data()["lists"].(map[string]any)["attestations"].(map[string]any)
		return v
	}
	restore := map[string]any{"restore_tested_on": "2026-02-01", "restore_tested_by": "newest", "restore_tested_until": "2027-02-01"}
	with := func(more map[string]any) map[string]any {
		all := maps.Clone(restore)
		maps.Copy(all, more)
		return all
	}
	b := mustOpenDir(t, changes)
	for _, c := range []struct {
		host muster.Host
		want map[string]any
	}{
		{muster.Host{}, restore},
		{muster.Host{County: "17031"}, with(map[string]any{"mfa_on": "2025-01-01", "mfa_by": "county", "mfa_until": "2026-06-01"})},
		{muster.Host{ID: hostID}, with(map[string]any{"drill_on": "2025-01-01", "drill_by": "host", "drill_until": "2026-06-01"})},
	} {
		if got := read(b, c.host); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.host, got, c.want)
		}
	}
	if l := b.For(muster.Host{}, now).Lists["attestations"]; l.Layer != bundle.LayerAttested || l.Stale(now) || l.Dated.Format(time.DateOnly) != "2026-02-01" {
		t.Errorf("%+v", l)
	}
	if _, there := b.For(muster.Host{}, now.AddDate(-5, 0, 0)).Lists["attestations"]; there {
		t.Error("nothing is attested, and yet there is a list")
	}

	// Over a flat list: the newest word of each claim, and the others stay.
	changes["lists/data.yaml"] = `attestations: {dated: "2026-01-01", value: {restore_tested_on: "2026-02-15", mfa_on: "2024-01-01", other_on: "2024-01-01"}}`
	b = mustOpenDir(t, changes)
	want := map[string]any{"restore_tested_on": "2026-02-15", "mfa_on": "2025-01-01", "mfa_by": "county", "mfa_until": "2026-06-01", "other_on": "2024-01-01"}
	if got := read(b, muster.Host{County: "17031"}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := b.Lists["attestations"].Value.(map[string]any)["mfa_by"]; got != nil {
		t.Error("the bundle itself was changed")
	}
}

// OPA's own reader verifies a bundle with layers and attestations, signed by a
// key that is elsewhere, and finds them where their folders say.
func TestOPAReadsLayers(t *testing.T) {
	changes := layered()
	changes["attestations/data.yaml"] = `[{id: "1", claim: mfa, by: us, on: "2026-01-01", until: "2027-01-01"}]`
	data, err := bundle.Build(folder(changes), bundle.BuildOptions{Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	key, public := mustKey(t)
	for name, sign := range map[string]func([]byte) ([]byte, error){
		"DER": func(input []byte) ([]byte, error) {
			sum := sha256.Sum256(input)
			return ecdsa.SignASN1(rand.Reader, key, sum[:])
		},
		"raw": func(input []byte) ([]byte, error) {
			sum := sha256.Sum256(input)
			r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
			if err != nil {
				return nil, err
			}
			raw := make([]byte, 64)
			r.FillBytes(raw[:32])
			s.FillBytes(raw[32:])
			return raw, nil
		},
	} {
		signed, err := bundle.SignWith(data, public, sign)
		if err != nil {
			t.Fatal(name, err)
		}
		block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
		keys := map[string]*opa.KeyConfig{bundle.KeyID(public): {Key: string(block), Algorithm: "ES256"}}
		read, err := opa.NewReader(bytes.NewReader(signed)).WithBundleVerificationConfig(opa.NewVerificationConfig(keys, "", "", nil)).Read()
		if err != nil {
			t.Fatal(name, err)
		}
		if read.Data["counties"].(map[string]any)["17031"] == nil || read.Data["attestations"] == nil {
			t.Errorf("%s: OPA reads %v", name, slices.Sorted(maps.Keys(read.Data)))
		}
		if _, err := bundle.Open(signed, bundle.OpenOptions{Keys: [][]byte{public}}); err != nil {
			t.Error(name, err)
		}
		broken := mustUnpack(t, signed)
		broken["counties/17031/data.yaml"] = []byte("lists: {}")
		if _, err := opa.NewReader(bytes.NewReader(mustPack(t, broken))).WithBundleVerificationConfig(opa.NewVerificationConfig(keys, "", "", nil)).Read(); err == nil {
			t.Errorf("%s: OPA accepts a layer that was changed", name)
		}
	}
	_, other := mustKey(t)
	for name, c := range map[string]struct {
		public []byte
		sign   func([]byte) ([]byte, error)
		says   string
	}{
		"another key": {other, func(input []byte) ([]byte, error) {
			sum := sha256.Sum256(input)
			return ecdsa.SignASN1(rand.Reader, key, sum[:])
		}, "does not fit the public key"},
		"no signature": {public, func([]byte) ([]byte, error) { return make([]byte, 64), nil }, "does not fit the public key"},
		"no answer":    {public, func([]byte) ([]byte, error) { return nil, errors.New("the token is locked") }, "the token is locked"},
		"no key":       {[]byte("x"), nil, "read the public key"},
	} {
		if _, err := bundle.SignWith(data, c.public, c.sign); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one that says %q", name, err, c.says)
		}
	}
}

// Whatever lists, layers, waivers and attestations say, they are refused, or the
// bundle that lays them is the same each time, keeps every list that it had, and
// counts no attestation of days to come.
func FuzzLayers(f *testing.F) {
	for _, c := range layered() {
		f.Add([]byte(c), []byte(c), []byte("[]"), []byte(`[{id: "1", claim: mfa, by: us, on: "2026-01-01", until: "2027-01-01"}]`))
	}
	f.Add([]byte(`attestations: {dated: "2026-01-01", value: {mfa_on: 7}}`), []byte(`lists: {attestations: {dated: "2026-01-01", source: s, value: [1]}}`),
		[]byte(`[{id: w, expires: 2026-01-01}]`), []byte(`[{claim: mfa, on: 2026-01-01, until: 2099-01-01, county: "17031"}]`))
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	host := muster.Host{County: "17031", ID: hostID}
	f.Fuzz(func(t *testing.T, lists, layer, waivers, attestations []byte) {
		fsys := fstest.MapFS{}
		for name, text := range map[string][]byte{
			"lists/data.yaml": lists, "counties/17031/data.yaml": layer, "waivers/data.yaml": waivers, "attestations/data.yaml": attestations,
		} {
			fsys[name] = &fstest.MapFile{Data: text}
		}
		b, err := bundle.OpenDir(fsys)
		if err != nil {
			return
		}
		bundle.Lint(fsys, anySQL)
		laid := b.For(host, now)
		if !reflect.DeepEqual(laid.Lists, b.For(host, now).Lists) {
			t.Error("the same bundle lays other lists")
		}
		for name := range b.Lists {
			if _, ok := laid.Lists[name]; !ok {
				t.Errorf("list %s is lost", name)
			}
		}
		bare := b.For(muster.Host{}, time.Time{}).Lists["attestations"] // what the state's list says
		if l := laid.Lists["attestations"]; l.Layer == bundle.LayerAttested && l.Dated.After(now) && !strings.Contains(string(layer), "attestations") && l.Dated != bare.Dated {
			t.Errorf("attested on %s, which is to come", l.Dated)
		}
	})
}
