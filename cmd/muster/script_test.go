package main

import (
	"crypto/ecdsa"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies"
	"github.com/passmuster/muster/policies/bundle"
)

// scriptCommands are what the scripts need beside testscript's own:
//
//	exits N program args…   run, and want exit code N
//	json, xml               the last output is one well-formed document
//	verdicts FILE           every status in the last JSON is the one that FILE expects
//	tmpfs DIR BYTES         a file system that is soon full (root only)
//	site FILE               a site file, and beside it the private keys to it
//	bundle FILE VERSION KEY the baseline as a bundle; unsigned without KEY
//	[!] receipts STATE      the state receipts every report (! with a wrong key)
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"exits":    scriptExits,
		"json":     scriptJSON,
		"xml":      scriptXML,
		"verdicts": scriptVerdicts,
		"tmpfs":    scriptTmpfs,
		"site":     scriptSite,
		"bundle":   scriptBundle,
		"receipts": scriptReceipts,
	}
}

func scriptCondition(cond string) (bool, error) {
	if cond == "root" {
		return os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition %s", cond)
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N program args…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func scriptJSON(ts *testscript.TestScript, _ bool, _ []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
}

func scriptXML(ts *testscript.TestScript, _ bool, _ []string) {
	d := xml.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			ts.Fatalf("not XML: %v", err)
		}
	}
}

func scriptVerdicts(ts *testscript.TestScript, _ bool, args []string) {
	var a muster.Audit
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &a))
	var want struct {
		Expect map[string]struct {
			Status muster.Status `json:"status"`
		} `json:"expect"`
	}
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(json.Unmarshal(b, &want))
	if len(a.Findings) == 0 {
		ts.Fatalf("no findings")
	}
	for _, f := range a.Findings {
		if w, ok := want.Expect[f.Control]; !ok || w.Status != f.Status {
			ts.Logf("%s is %s, want %s (%s)", f.Control, f.Status, w.Status, f.Reason)
			defer ts.Fatalf("verdicts differ")
		}
	}
}

// keys of the state that the scripts play, as PEM files beside the site file.
const (
	policyKeyFile  = "policy.pem"
	receiptKeyFile = "receipt.pem"
)

func scriptSite(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: site FILE")
	}
	site := muster.Site{
		Schema: muster.SiteSchema, Name: "State of Example", State: "17", County: "17031", Collector: "https://collector.example",
		PolicyKeys: [][]byte{newKey(ts, policyKeyFile)}, ReceiptKeys: [][]byte{newKey(ts, receiptKeyFile)},
		AgeRecipient: newAgeKey(ts),
	}
	b, err := json.Marshal(site)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// newAgeKey is the key that opens sealed files, in age.key.
func newAgeKey(ts *testscript.TestScript) (recipient string) {
	b, err := seal.NewKey()
	ts.Check(err)
	keys, err := seal.ParseKeys(b)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("age.key"), b, 0o600))
	return keys.Recipient()
}

func newKey(ts *testscript.TestScript, file string) (publicDER []byte) {
	key, err := wire.NewKey()
	ts.Check(err)
	b, err := wire.MarshalKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(file), b, 0o600))
	der, err := wire.MarshalPublicKey(key.Public())
	ts.Check(err)
	return der
}

func readKey(ts *testscript.TestScript, file string) *ecdsa.PrivateKey {
	key, err := wire.ParseKey([]byte(ts.ReadFile(file)))
	ts.Check(err)
	return key
}

func scriptBundle(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: bundle FILE VERSION [KEY]")
	}
	version, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	b, err := bundle.Build(policies.FS(), bundle.BuildOptions{Version: version, Revision: "example-" + args[1]})
	ts.Check(err)
	if len(args) > 2 {
		b, err = bundle.Sign(b, readKey(ts, args[2]))
		ts.Check(err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// scriptReceipts is the collector: it receipts every report that waits, or, with
// neg, signs with a key that nobody trusts.
func scriptReceipts(ts *testscript.TestScript, neg bool, args []string) {
	key := receiptKeyFile
	if neg {
		key = policyKeyFile
	}
	signer := readKey(ts, key)
	folder, err := state.OpenReader(ts.MkAbs(args[0]))
	ts.Check(err)
	box, err := outbox.OpenReader(folder.OutboxDir())
	ts.Check(err)
	seqs, err := box.List()
	ts.Check(err)
	for _, seq := range seqs {
		envelope, err := box.Read(seq)
		ts.Check(err)
		host, err := wire.KeyID(envelope)
		ts.Check(err)
		receipt, err := wire.SignReceipt(muster.Receipt{
			Host: muster.HostID(host), Seq: seq, Digest: wire.EnvelopeDigest(envelope), ReceivedAt: time.Now(),
		}, signer)
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(folder.ReceiptsDir(), fmt.Sprintf("%08d.receipt", seq)), receipt, 0o644))
	}
}
