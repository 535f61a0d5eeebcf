package bundle

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	opa "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/passmuster/muster/policies"
)

func mustP256(tb testing.TB) (key *ecdsa.PrivateKey, public []byte) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	if public, err = x509.MarshalPKIXPublicKey(&key.PublicKey); err != nil {
		tb.Fatal(err)
	}
	return key, public
}

// What OPA's own signer made is read here as OPA reads ours.
func TestTokenOfOPA(t *testing.T) {
	key, public := mustP256(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	data, err := Build(policies.FS(), BuildOptions{Version: 7})
	if err != nil {
		t.Fatal(err)
	}
	files, err := policies.Unpack(data)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := hashes(files)
	if err != nil {
		t.Fatal(err)
	}
	hasher, err := opa.NewSignatureHasher(opa.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	infos := make([]opa.FileInfo, len(ours))
	for i, f := range ours {
		infos[i] = opa.NewFile(f.Name, f.Hash, f.Algorithm)
		if !opa.IsStructuredDoc(f.Name) {
			if sum, err := hasher.HashFile(files[f.Name]); err != nil || hex.EncodeToString(sum) != f.Hash {
				t.Errorf("%s: OPA hashes it to %x, %v", f.Name, sum, err)
			}
		}
	}
	token, err := opa.GenerateSignedToken(infos, opa.NewSigningConfig(string(secret), algorithm, ""), KeyID(public))
	if err != nil {
		t.Fatal(err)
	}
	if files[signaturesFile], err = json.Marshal(opa.SignaturesConfig{Signatures: []string{token}}); err != nil {
		t.Fatal(err)
	}
	signed, err := pack(files)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(signed, OpenOptions{Keys: [][]byte{public}})
	if err != nil || b.SignedBy != KeyID(public) {
		t.Errorf("%v, %v", b, err)
	}
}

// The values that JSON writers disagree about hash as in OPA.
func FuzzHashFile(f *testing.F) {
	for _, s := range []string{`{"b": [1, 2.50, 1e3, -0, "<&\u2028>", null, true], "a": {}}`, "a: [x, 'y']\nb: 12345678901234567890\n", `"\ud800"`, `[]`, `"é"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sum, err := hashFile("data.yaml", data)
		if err != nil {
			return
		}
		files := map[string]opa.FileInfo{"data.yaml": opa.NewFile("data.yaml", hex.EncodeToString(sum), string(opa.SHA256))}
		if err := opa.VerifyBundleFile("data.yaml", *bytes.NewBuffer(data), files); err != nil {
			t.Errorf("%q: %v", data, err)
		}
	})
}

// Whatever is done to a token: if it is believed, its key signed what it says.
func FuzzVerifyToken(f *testing.F) {
	key, public := mustP256(f)
	data, err := Build(policies.FS(), BuildOptions{Version: 7})
	if err != nil {
		f.Fatal(err)
	}
	if data, err = Sign(data, key); err != nil {
		f.Fatal(err)
	}
	files, err := policies.Unpack(data)
	if err != nil {
		f.Fatal(err)
	}
	var s signatures
	if err := json.Unmarshal(files[signaturesFile], &s); err != nil {
		f.Fatal(err)
	}
	token := s.Signatures[0]
	signed, _, _ := cutLast(token, ".")
	f.Add(token)
	f.Add(strings.Replace(token, ".", "..", 1))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(token + "=")
	f.Fuzz(func(t *testing.T, changed string) {
		if _, id, err := signedBy(changed, [][]byte{public}); err == nil {
			if input, _, _ := cutLast(changed, "."); input != signed || id != KeyID(public) {
				t.Errorf("believed: %q", changed)
			}
		}
	})
}

// Our runner and OPA's say the same of every test of the baseline and of rules that
// fail, break down, print or do nothing, and both went through the same lines.
func TestRunnerOfOPA(t *testing.T) {
	modules, data, err := testSources(policies.FS())
	if err != nil {
		t.Fatal(err)
	}
	const odd = `package odd_test

test_true if 1 == 1

test_false := false

test_undefined if {
	print("seen")
	input.none
}

test_error if to_number("x") == 1
`
	if modules["odd_test.rego"], err = parse("odd_test.rego", []byte(odd)); err != nil {
		t.Fatal(err)
	}
	copies := map[string]*ast.Module{}
	for name, m := range modules {
		copies[name] = m.Copy()
	}
	lines := tracer{}
	ours, err := traceModules(context.Background(), modules, data, lines)
	if err != nil {
		t.Fatal(err)
	}
	mine := map[string]TestResult{}
	for _, r := range ours {
		mine[r.Name] = r
	}
	if r := mine["odd_test.test_undefined"]; r.Output != "seen\n" {
		t.Errorf("printed %q", r.Output)
	}
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	compiler := ast.NewCompiler().WithCapabilities(Capabilities()).WithStrict(true).WithEnablePrintStatements(true)
	covered := cover.New()
	runner := tester.NewRunner().SetCompiler(compiler).SetStore(store).SetModules(copies).CapturePrintOutput(true).
		RaiseBuiltinErrors(true).SetCoverageQueryTracer(covered)
	err = storage.Txn(context.Background(), store, storage.TransactionParams{}, func(txn storage.Transaction) error {
		results, err := runner.RunTests(context.Background(), txn)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for r := range results {
			name := strings.TrimPrefix(r.Package, "data.") + "." + r.Name
			seen[name] = true
			if r.Pass() != mine[name].Passed || (r.Error != nil) != (mine[name].Err != nil) {
				t.Errorf("%s: OPA says pass %v, %v; ours pass %v, %v", name, r.Pass(), r.Error, mine[name].Passed, mine[name].Err)
			}
		}
		if len(seen) != len(mine) || len(seen) < 600 {
			t.Errorf("OPA ran %d tests, we %d", len(seen), len(mine))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, report := range covered.Report(copies).Files {
		for _, r := range report.NotCovered {
			if !isTest(name) && lines[line{name, r.Start.Row, r.Start.Col}] {
				t.Errorf("%s:%d:%d counts as met here and not in OPA", name, r.Start.Row, r.Start.Col)
			}
		}
	}
}

// What could hide a failing case behind a passing one is no test.
func TestCasesInOneRule(t *testing.T) {
	m, err := parse("x_test.rego", []byte("package x_test\n\ntest_rows[n] if some n in [1, 2]\n\ntest_call(x) if x\n\ntest_twice if 1 == 1\n\ntest_twice if 1 == 2\n"))
	if err != nil {
		t.Fatal(err)
	}
	results, err := testModules(context.Background(), map[string]*ast.Module{"x_test.rego": m}, nil)
	if err != nil || len(results) != 4 {
		t.Fatalf("%+v, %v", results, err)
	}
	for i, r := range results {
		if wantErr := i != 2; r.Passed == wantErr || (r.Err != nil) != wantErr {
			t.Errorf("%+v", r)
		}
	}
}
