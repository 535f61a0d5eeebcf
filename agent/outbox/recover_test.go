package outbox

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/passmuster/muster"
)

// Without chain.json the outbox still says what it has lost.
func TestLostChainFileDeclaresWhatIsMissing(t *testing.T) {
	for _, chain := range []string{"", "junk"} {
		dir, h := t.TempDir(), mustHost(t)
		o := mustOpen(t, dir)
		for range 6 {
			mustAppend(t, o, h.build(muster.StatusPass))
		}
		if err := errors.Join(o.Acknowledge(h.receipt(mustRead(t, o, 1), 1)), os.Remove(filepath.Join(dir, reportName(3)))); err != nil {
			t.Fatal(err)
		}
		damage(t, dir, 6)
		if chain == "" {
			os.Remove(filepath.Join(dir, chainName))
		} else if err := os.WriteFile(filepath.Join(dir, chainName), []byte(chain), 0o600); err != nil {
			t.Fatal(err)
		}
		o = mustOpen(t, dir)
		problems, err := o.Problems()
		told := strings.Join(problems, "\n")
		if err != nil || !strings.Contains(told, "report 6 was damaged") || strings.Contains(told, chainName) != (chain != "") {
			t.Errorf("%q, %v", told, err)
		}
		envelope := mustRead(t, o, mustAppend(t, o, h.build(muster.StatusPass)))
		got := h.header(t, envelope)
		if want := []muster.SeqRange{{From: 3, To: 3}, {From: 6, To: 6}}; got.Seq != 7 || !reflect.DeepEqual(got.Gap, want) {
			t.Errorf("report %d declares %v", got.Seq, got.Gap)
		}
		// The state has been told, and nobody tells it again.
		if err := o.Acknowledge(h.receipt(envelope, 7)); err != nil {
			t.Fatal(err)
		}
		if problems, err := mustOpen(t, dir).Problems(); err != nil || len(problems) > 0 {
			t.Errorf("%q, %v", problems, err)
		}
	}
}

// A receipt for a report that this outbox never knew: a backup was played back.
// No other report may take its number.
func TestReceiptFromTheFuture(t *testing.T) {
	dir, h := t.TempDir(), mustHost(t)
	o := mustOpen(t, dir)
	mustAppend(t, o, h.build(muster.StatusPass))
	later := h.receipt([]byte("a report that is not here"), 5)
	if err := o.Acknowledge(later); err != nil {
		t.Fatal(err)
	}
	o = mustOpen(t, dir)
	got := h.header(t, mustRead(t, o, mustAppend(t, o, h.build(muster.StatusPass))))
	if got.Seq != 6 || got.Prev != later.Digest {
		t.Errorf("report %d follows %s", got.Seq, got.Prev)
	}
}

// Files that were set aside make room before whole reports do, once the state
// knows of them.
func TestFullOutboxDropsWhatWasSetAside(t *testing.T) {
	dir, h := t.TempDir(), mustHost(t)
	o := mustOpen(t, dir)
	for range 3 {
		mustAppend(t, o, h.build(muster.StatusPass))
	}
	damage(t, dir, 1)
	damage(t, dir, 2)
	if _, err := o.Verify(); err != nil {
		t.Fatal(err)
	}
	envelope := mustRead(t, o, mustAppend(t, o, h.build(muster.StatusPass))) // declares both
	if err := o.Acknowledge(h.receipt(envelope, 4)); err != nil {
		t.Fatal(err)
	}
	d, err := o.Depth()
	if err != nil {
		t.Fatal(err)
	}
	o.maxBytes = d.Bytes + 1
	mustAppend(t, o, h.build(muster.StatusFail))
	if d, err = o.Depth(); err != nil || d.Corrupt > 1 || d.Reports != 2 || o.Dropped() > 0 {
		t.Errorf("%+v, dropped %d, %v", d, o.Dropped(), err)
	}
}
