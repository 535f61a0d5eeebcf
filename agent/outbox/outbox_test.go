package outbox

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/wire"
)

// host appends real signed reports to an outbox.
type host struct {
	id  muster.HostID
	key *ecdsa.PrivateKey
}

func mustHost(tb testing.TB) host {
	tb.Helper()
	key, err := wire.NewKey()
	if err != nil {
		tb.Fatal(err)
	}
	id, err := wire.HostIDOf(key.Public())
	if err != nil {
		tb.Fatal(err)
	}
	return host{id, key}
}

func (h host) report(seq uint64, prev muster.Digest, gap []muster.SeqRange, status muster.Status) *muster.Report {
	r := &muster.Report{Header: muster.Header{
		Schema: muster.ReportSchema, Host: h.id, Seq: seq, Prev: prev, Gap: gap, Hostname: "PC",
		CollectedAt: time.Date(2026, 10, 19, 14, 0, 0, 0, time.UTC),
	}}
	for i := range 20 {
		r.Verdicts = append(r.Verdicts, muster.Verdict{Control: fmt.Sprintf("MVS-X-%02d", i), Status: status})
	}
	return r
}

func (h host) build(status muster.Status) Build {
	return func(seq uint64, prev muster.Digest, gap []muster.SeqRange) ([]byte, muster.Digest, error) {
		r := h.report(seq, prev, gap, status)
		change, err := wire.ChangeDigest(r)
		if err != nil {
			return nil, change, err
		}
		content, err := wire.EncodeReport(r)
		if err != nil {
			return nil, change, err
		}
		envelope, err := wire.Sign(wire.KindReport, content, h.key, string(h.id))
		return envelope, change, err
	}
}

// header reads a report back as the collector would.
func (h host) header(tb testing.TB, envelope []byte) muster.Header {
	tb.Helper()
	content, err := wire.Verify(wire.KindReport, envelope, &h.key.PublicKey)
	if err != nil {
		tb.Fatal(err)
	}
	o, err := wire.DecodeReport(content)
	if err != nil {
		tb.Fatal(err)
	}
	return o.Header
}

func (h host) receipt(envelope []byte, seq uint64) muster.Receipt {
	return muster.Receipt{Schema: 1, Host: h.id, Seq: seq, Digest: wire.EnvelopeDigest(envelope)}
}

func mustOpen(tb testing.TB, dir string) *Outbox {
	tb.Helper()
	o, err := Open(dir, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

func mustAppend(tb testing.TB, o *Outbox, b Build) uint64 {
	tb.Helper()
	seq, err := o.Append(b)
	if err != nil {
		tb.Fatal(err)
	}
	return seq
}

func mustRead(tb testing.TB, o *Outbox, seq uint64) []byte {
	tb.Helper()
	envelope, err := o.Read(seq)
	if err != nil {
		tb.Fatal(err)
	}
	return envelope
}

func mustList(tb testing.TB, o *Outbox) []uint64 {
	tb.Helper()
	list, err := o.List()
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

// damage flips a byte in the middle of a report's file.
func damage(tb testing.TB, dir string, seq uint64) {
	tb.Helper()
	path := filepath.Join(dir, reportName(seq))
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func TestChainGoesOnAfterReopen(t *testing.T) {
	dir, h := t.TempDir(), mustHost(t)
	var prev muster.Digest
	for want := uint64(1); want <= 5; want++ {
		o := mustOpen(t, dir)
		if seq := mustAppend(t, o, h.build(muster.StatusPass)); seq != want {
			t.Fatalf("report %d, want %d", seq, want)
		}
		envelope := mustRead(t, o, want)
		if got := h.header(t, envelope); got.Prev != prev || got.Gap != nil {
			t.Errorf("report %d: prev %s, gap %v", want, got.Prev, got.Gap)
		}
		prev = wire.EnvelopeDigest(envelope)
	}
}

func TestOnlyItsOwnReceiptDeletes(t *testing.T) {
	dir, h := t.TempDir(), mustHost(t)
	o := mustOpen(t, dir)
	first := mustRead(t, o, mustAppend(t, o, h.build(muster.StatusPass)))
	mustAppend(t, o, h.build(muster.StatusPass))
	wrong := h.receipt(first, 2)
	if err := o.Acknowledge(wrong); err == nil {
		t.Error("a receipt for another report was taken")
	}
	foreign := h.receipt(first, 1)
	foreign.Host = "hbbbbbbbbbbbbbbbbbbbbbbbbbb"
	if err := o.Acknowledge(foreign); err == nil {
		t.Error("a receipt for another host was taken")
	}
	if got := mustList(t, o); len(got) != 2 {
		t.Fatalf("left: %v", got)
	}
	for range 2 { // taken twice is taken once
		if err := o.Acknowledge(h.receipt(first, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if got := mustList(t, o); !reflect.DeepEqual(got, []uint64{2}) {
		t.Errorf("left: %v", got)
	}
	if string(o.Base()) != string(first) {
		t.Error("the receipted report is not the base")
	}
}

func TestEmptiedOutboxKeepsItsChain(t *testing.T) {
	dir, h := t.TempDir(), mustHost(t)
	o := mustOpen(t, dir)
	var last []byte
	for range 3 {
		seq := mustAppend(t, o, h.build(muster.StatusPass))
		last = mustRead(t, o, seq)
		if err := o.Acknowledge(h.receipt(last, seq)); err != nil {
			t.Fatal(err)
		}
	}
	o = mustOpen(t, dir)
	got := h.header(t, mustRead(t, o, mustAppend(t, o, h.build(muster.StatusPass))))
	if got.Seq != 4 || got.Prev != wire.EnvelopeDigest(last) || got.Gap != nil {
		t.Errorf("%+v", got)
	}
}

// With every report receipted, damage to base.report must not start the numbers
// again: the collector would take the host for a clone.
func TestDamagedBaseKeepsTheNumbers(t *testing.T) {
	dir, receipts, h, collector := t.TempDir(), t.TempDir(), mustHost(t), mustHost(t)
	o := mustOpen(t, dir)
	seq := mustAppend(t, o, h.build(muster.StatusPass))
	b, err := wire.SignReceipt(h.receipt(mustRead(t, o, seq), seq), collector.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(receipts, "00000001.receipt"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if applied, err := o.ApplyReceipts(receipts, h.id, []*ecdsa.PublicKey{&collector.key.PublicKey}); applied != 1 || err != nil {
		t.Fatalf("%d, %v", applied, err)
	}
	if err := os.WriteFile(filepath.Join(dir, baseName), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if next := mustAppend(t, mustOpen(t, dir), h.build(muster.StatusPass)); next != seq+1 {
		t.Errorf("the next report is number %d, want %d", next, seq+1)
	}
}

func TestDamagedFilesAreSetAsideAndDeclared(t *testing.T) {
	dir, h := t.TempDir(), mustHost(t)
	o := mustOpen(t, dir)
	for range 4 {
		mustAppend(t, o, h.build(muster.StatusPass))
	}
	damage(t, dir, 2)
	damage(t, dir, 4)
	o = mustOpen(t, dir) // finds the newest
	damaged, err := o.Verify()
	if err != nil || !reflect.DeepEqual(damaged, []uint64{2}) {
		t.Fatalf("%v, %v", damaged, err)
	}
	d, err := o.Depth()
	if err != nil || d.Reports != 2 || d.Corrupt != 2 || o.Dropped() != 2 {
		t.Errorf("%+v, dropped %d, %v", d, o.Dropped(), err)
	}
	o = mustOpen(t, dir)
	envelope := mustRead(t, o, mustAppend(t, o, h.build(muster.StatusPass)))
	got := h.header(t, envelope)
	if want := []muster.SeqRange{{From: 2, To: 2}, {From: 4, To: 4}}; got.Seq != 5 || !reflect.DeepEqual(got.Gap, want) {
		t.Errorf("report %d declares %v", got.Seq, got.Gap)
	}
	if err := o.Acknowledge(h.receipt(envelope, 5)); err != nil {
		t.Fatal(err)
	}
	o = mustOpen(t, dir)
	if o.Dropped() != 0 {
		t.Errorf("%d still count as not declared", o.Dropped())
	}
}

func TestReceiptForADamagedReport(t *testing.T) {
	dir, h := t.TempDir(), mustHost(t)
	o := mustOpen(t, dir)
	envelope := mustRead(t, o, mustAppend(t, o, h.build(muster.StatusPass)))
	damage(t, dir, 1)
	if err := o.Acknowledge(h.receipt(envelope, 1)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the damage was not told: %v", err)
	}
	if err := o.Acknowledge(h.receipt(envelope, 1)); err != nil {
		t.Fatal(err)
	}
	if d, err := o.Depth(); err != nil || d.Corrupt != 0 || o.Dropped() != 0 {
		t.Errorf("%+v, dropped %d, %v", d, o.Dropped(), err)
	}
}

func TestDamagedChainFile(t *testing.T) {
	dir, h := t.TempDir(), mustHost(t)
	o := mustOpen(t, dir)
	mustAppend(t, o, h.build(muster.StatusPass))
	if err := os.WriteFile(filepath.Join(dir, chainName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	o = mustOpen(t, dir)
	if seq := mustAppend(t, o, h.build(muster.StatusPass)); seq != 2 {
		t.Errorf("went on with %d", seq)
	}
	if _, err := os.Stat(filepath.Join(dir, chainName+corruptExt)); err != nil {
		t.Errorf("the damaged file was not kept: %v", err)
	}
}

// A full outbox drops what tells nothing: every change stays, the newest too,
// and the drops are declared until a report that declares them is receipted.
func TestFullOutboxThinsTheMiddle(t *testing.T) {
	dir, h := t.TempDir(), mustHost(t)
	o := mustOpen(t, dir)
	mustAppend(t, o, h.build(muster.StatusPass))
	d, err := o.Depth()
	if err != nil {
		t.Fatal(err)
	}
	size := d.Bytes
	o.maxBytes = 12 * size
	changes := map[uint64]bool{1: true, 11: true, 21: true}
	for seq := uint64(2); seq <= 40; seq++ {
		status := muster.StatusPass
		if seq > 10 && seq <= 20 {
			status = muster.StatusFail
		}
		mustAppend(t, o, h.build(status))
	}
	list := mustList(t, o)
	d, err = o.Depth()
	if err != nil || d.Bytes > o.maxBytes {
		t.Fatalf("%+v, %v", d, err)
	}
	kept := map[uint64]bool{}
	for _, seq := range list {
		kept[seq] = true
		delete(changes, seq)
	}
	if len(changes) != 0 || !kept[40] {
		t.Errorf("kept %v, without the changes %v", list, changes)
	}
	if o.Dropped() != uint64(40-len(list)) {
		t.Errorf("%d dropped of 40, and %d kept", o.Dropped(), len(list))
	}
	o = mustOpen(t, dir)
	seq := mustAppend(t, o, h.build(muster.StatusPass))
	envelope := mustRead(t, o, seq)
	if got := ranges(h.header(t, envelope).Gap); got.count() != uint64(40-len(list)) {
		t.Errorf("report %d declares %v", seq, got)
	}
	if err := o.Acknowledge(h.receipt(envelope, seq)); err != nil || o.Dropped() != 0 {
		t.Errorf("%d still count as not declared, %v", o.Dropped(), err)
	}
}

func TestThin(t *testing.T) {
	list := func(changes string) (l []waiting) {
		for i, c := range changes {
			l = append(l, waiting{seq: uint64(i + 1), change: muster.Digest{byte(c)}, size: 1})
		}
		return l
	}
	for _, c := range []struct {
		changes string
		need    int64
		want    []uint64
	}{
		{"aaaabbbb", 0, nil},
		{"aaaabbbb", 2, []uint64{2, 3}},
		{"aaaabbbb", 4, []uint64{2, 3, 6, 7}},
		{"aaaabbbb", 5, []uint64{2, 3, 4, 6, 7}}, // the end of a run
		{"abcd", 2, []uint64{1, 2}},              // nothing but changes: the oldest
		{"abcd", 9, []uint64{1, 2, 3}},           // the newest stays
		{"a", 9, nil},
	} {
		if got := thin(list(c.changes), c.need); !reflect.DeepEqual(got, c.want) {
			t.Errorf("thin(%s, %d) = %v, want %v", c.changes, c.need, got, c.want)
		}
	}
}

func TestRanges(t *testing.T) {
	var r ranges
	for _, seq := range []uint64{5, 3, 4, 9, 4, 1} {
		r = r.with(seq)
	}
	if want := (ranges{{From: 1, To: 1}, {From: 3, To: 5}, {From: 9, To: 9}}); !reflect.DeepEqual(r, want) {
		t.Errorf("%v", r)
	}
	if r = r.with(10, 2); !reflect.DeepEqual(r, ranges{{From: 1, To: 5}, {From: 9, To: 10}}) || r.has(6) || !r.has(5) || !r.has(9) {
		t.Errorf("%v", r)
	}
	if r = r.without(4, 10); !reflect.DeepEqual(r, ranges{{From: 1, To: 3}}) {
		t.Errorf("%v", r)
	}
}

func TestReaderSeesNoUnfinishedWrite(t *testing.T) {
	dir, h := t.TempDir(), mustHost(t)
	o := mustOpen(t, dir)
	mustAppend(t, o, h.build(muster.StatusPass))
	for _, name := range []string{".00000002.report.0123456789abcdef.tmp", "enrollment.cose", "3.report", "base.report", "00000000.report"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := r.List(); err != nil || !reflect.DeepEqual(list, []uint64{1}) {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := r.Read(2); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a report that is gone: %v", err)
	}
	if r.Base() != nil {
		t.Error("a damaged base was given")
	}
}

func TestApplyReceipts(t *testing.T) {
	dir, receipts, h := t.TempDir(), t.TempDir(), mustHost(t)
	collector, stranger := mustHost(t), mustHost(t)
	o := mustOpen(t, dir)
	put := func(name string, r muster.Receipt, signer host) {
		b, err := wire.SignReceipt(r, signer.key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(receipts, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var envelopes [][]byte
	for range 4 {
		envelopes = append(envelopes, mustRead(t, o, mustAppend(t, o, h.build(muster.StatusPass))))
	}
	foreign := h.receipt(envelopes[2], 3)
	foreign.Host = stranger.id
	put("00000001.receipt", h.receipt(envelopes[0], 1), collector)
	put("00000002.receipt", h.receipt(envelopes[1], 2), stranger)
	put("00000003.receipt", foreign, collector)
	if err := os.Mkdir(filepath.Join(receipts, "00000004.receipt"), 0o700); err != nil {
		t.Fatal(err)
	}
	put("notes.txt", h.receipt(envelopes[3], 4), collector)
	applied, err := o.ApplyReceipts(receipts, h.id, []*ecdsa.PublicKey{&collector.key.PublicKey})
	// A good receipt for another report, as a copy of this computer gets it.
	other := h.receipt(envelopes[1], 4)
	if applied != 1 || !errors.Is(err, wire.ErrBadSignature) || !errors.Is(err, durable.ErrForeign) || !strings.Contains(err.Error(), string(stranger.id)) {
		t.Errorf("%d, %v", applied, err)
	}
	if got := mustList(t, o); !reflect.DeepEqual(got, []uint64{2, 3, 4}) {
		t.Errorf("left: %v", got)
	}
	entries, err := os.ReadDir(receipts)
	if err != nil || len(entries) != 1 {
		t.Errorf("left in receipts: %v, %v", entries, err)
	}
	put("00000004.receipt", other, collector)
	applied, err = o.ApplyReceipts(receipts, h.id, []*ecdsa.PublicKey{&collector.key.PublicKey})
	if applied != 0 || !errors.Is(err, ErrOtherReport) {
		t.Errorf("a receipt for another report: %d, %v", applied, err)
	}
	if entries, err := os.ReadDir(receipts); err != nil || len(entries) != 1 {
		t.Errorf("left in receipts: %v, %v", entries, err)
	}
}

// Whoever has taken the uplink over fills the folder; once it is mended, the
// receipts come through.
func TestReceiptsAmongJunk(t *testing.T) {
	dir, receipts, h := t.TempDir(), t.TempDir(), mustHost(t)
	o := mustOpen(t, dir)
	keys := []*ecdsa.PublicKey{&h.key.PublicKey}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range maxReceipts + 100 {
		junk := filepath.Join(receipts, fmt.Sprintf("%d.receipt", i))
		if os.Symlink(secret, junk) != nil { // as Windows does without rights
			if err := os.Mkdir(junk, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(receipts, fmt.Sprintf("%d.junk", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seq := mustAppend(t, o, h.build(muster.StatusPass))
	receipt, err := wire.SignReceipt(h.receipt(mustRead(t, o, seq), seq), h.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(receipts, "00000001.receipt"), receipt, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := o.ApplyReceipts(receipts, h.id, keys)
		if err != nil && strings.Count(err.Error(), "\n") > maxProblems {
			t.Errorf("%d lines of problems", strings.Count(err.Error(), "\n"))
		}
	}
	if left := mustList(t, o); len(left) > 0 {
		t.Errorf("still wait: %v", left)
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		t.Errorf("behind the link: %q, %v", b, err)
	}
}

func FuzzDecodeFile(f *testing.F) {
	h := mustHost(f)
	envelope, change, err := h.build(muster.StatusPass)(1, muster.Digest{}, nil)
	if err != nil {
		f.Fatal(err)
	}
	file, err := encodeFile(entry{Host: h.id, Seq: 1, Change: change}, envelope, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file, 0, byte(0))
	f.Add(file, 80, byte(1))
	f.Fuzz(func(t *testing.T, b []byte, at int, flip byte) {
		if len(b) > 0 {
			b[uint(at)%uint(len(b))] ^= flip
		}
		e, envelope, err := decodeFile(b, nil)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := encodeFile(e, envelope, nil)
		if err != nil {
			t.Fatal(err)
		}
		e2, envelope2, err := decodeFile(again, nil)
		if err != nil || !reflect.DeepEqual(e2.Digest, e.Digest) || string(envelope2) != string(envelope) {
			t.Fatalf("%v", err)
		}
	})
}
