package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/internal/wire"
)

var kills = flag.Int("kills", 25, "how often TestKill kills an audit")

// A killed audit loses no report that it said to have kept, and the next audit
// goes on with the chain.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	stateDir, site := filepath.Join(dir, "state"), filepath.Join(dir, "site.json")
	writeSite(t, site)
	audit := func(killAfter time.Duration) (kept uint64) {
		cmd := exec.Command(os.Args[0], "audit", "--site", site, "--state", stateDir, "--osquery", "off")
		cmd.Env = append(os.Environ(), asMuster+"=1")
		var stdout bytes.Buffer
		cmd.Stdout = &stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if killAfter > 0 {
			timer := time.AfterFunc(killAfter, func() { cmd.Process.Kill() })
			defer timer.Stop()
		}
		cmd.Wait() // killed, or the exit code of the verdict
		return keptReport(stdout.Bytes())
	}

	start := time.Now()
	acknowledged := []uint64{audit(0)}
	whole := time.Since(start)
	for range *kills {
		if seq := audit(time.Duration(rand.Int64N(int64(whole)*2)) + 1); seq > 0 {
			acknowledged = append(acknowledged, seq)
		}
	}
	acknowledged = append(acknowledged, audit(0))
	t.Logf("%d kills, %d audits came through, whole audit %v", *kills, len(acknowledged), whole)

	checkChain(t, filepath.Join(stateDir, "outbox"), acknowledged)
}

func checkChain(t *testing.T, dir string, acknowledged []uint64) {
	box, err := outbox.OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	seqs, err := box.List()
	if err != nil {
		t.Fatal(err)
	}
	there := map[uint64]bool{}
	var prev muster.Digest
	for i, seq := range seqs {
		there[seq] = true
		envelope, err := box.Read(seq)
		if err != nil {
			t.Fatal(err)
		}
		report, err := agent.ReadReport("", filepath.Join(dir, fmt.Sprintf("%08d.report", seq)))
		if err != nil {
			t.Fatal(err)
		}
		if seq != uint64(i)+1 || report.Header.Seq != seq || report.Header.Prev != prev || len(report.Header.Gap) > 0 {
			t.Errorf("report %d is not chained to the one before: %+v", seq, report.Header)
		}
		prev = wire.EnvelopeDigest(envelope)
	}
	for _, seq := range acknowledged {
		if !there[seq] {
			t.Errorf("report %d was acknowledged and is lost", seq)
		}
	}
	if last := acknowledged[len(acknowledged)-1]; last != uint64(len(seqs)) {
		t.Errorf("the last audit kept report %d of %d", last, len(seqs))
	}
	if d, err := box.Depth(); err != nil || d.Corrupt > 0 {
		t.Errorf("depth %+v, %v", d, err)
	}
}

var keptLine = regexp.MustCompile(`^Report (\d+) kept`)

// keptReport finds the number that an audit has acknowledged; 0 where none.
func keptReport(stdout []byte) uint64 {
	for lines := bufio.NewScanner(bytes.NewReader(stdout)); lines.Scan(); {
		if m := keptLine.FindSubmatch(lines.Bytes()); m != nil {
			seq, err := strconv.ParseUint(string(m[1]), 10, 64)
			if err == nil {
				return seq
			}
		}
	}
	return 0
}

func writeSite(t *testing.T, path string) {
	key, err := wire.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := wire.MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(muster.Site{
		Schema: muster.SiteSchema, Name: "State of Example", State: "17", County: "17031",
		Collector: "https://collector.example", PolicyKeys: [][]byte{der}, ReceiptKeys: [][]byte{der},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
