package wire

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/veraison/go-cose"

	"github.com/passmuster/muster"
)

var testTime = time.Date(2026, 10, 19, 14, 5, 11, 0, time.UTC)

func mustKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := NewKey()
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func mustHost(tb testing.TB, key *ecdsa.PrivateKey) muster.HostID {
	tb.Helper()
	id, err := HostIDOf(key.Public())
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// typical is a report like those of the sample, and none of them: another user,
// other programs, other verdicts, more findings.
func typical(tb testing.TB, host muster.HostID, seq uint64) *muster.Report {
	tb.Helper()
	b, err := os.ReadFile("testdata/win11-workstation.json")
	if err != nil {
		tb.Fatal(err)
	}
	b = []byte(strings.NewReplacer("mrivera", "dokafor", "AnyDesk", "TeamViewer_QS", "148.0.7701", "149.0.7791",
		"Java 8 Update 202 8.0.2020.8", "Python 2.7.18", "20971520", "1048576").Replace(string(b)))
	r := &muster.Report{}
	if err := json.Unmarshal(b, r); err != nil {
		tb.Fatal(err)
	}
	r.Header.Host, r.Header.Seq, r.Header.Hostname = host, seq, "ABSENTEE-07"
	r.Header.Prev = EnvelopeDigest(fmt.Append(nil, "prev", seq))
	r.Header.PolicyDigest = EnvelopeDigest([]byte("policy")).String()
	r.Header.BootID = "8f6d7f5e-6b4f-4df0-9c53-1a52a2d6f0b1"
	r.Header.CollectedAt = testTime.Add(time.Duration(seq) * time.Hour)
	for i := range r.Verdicts {
		if i%4 == 0 {
			r.Verdicts[i].Status = (r.Verdicts[i].Status + 1) % 4
		}
	}
	ports := r.Detail.Evidence["MVS-NET-02"]
	for _, p := range []string{"tcp/5357 System", "tcp/5040 svchost.exe", "udp/3702 dashost.exe", "tcp/9100 spoolsv.exe"} {
		port, program, _ := strings.Cut(p, " ")
		ports.Violations = append(ports.Violations, muster.Violation{Subject: port, Found: program + ` C:\Windows\System32\` + program, Want: "on the list ports_allowed, or stopped"})
	}
	r.Detail.Evidence["MVS-NET-02"] = ports
	r.Detail.Signals = []muster.Signal{{Kind: "S1", At: testTime, Text: "12 failed sign-ins for dokafor within 10 minutes"}}
	return r
}

func mustEnvelope(tb testing.TB, r *muster.Report, key *ecdsa.PrivateKey) []byte {
	tb.Helper()
	content, err := EncodeReport(r)
	if err != nil {
		tb.Fatal(err)
	}
	envelope, err := Sign(KindReport, content, key, string(r.Header.Host))
	if err != nil {
		tb.Fatal(err)
	}
	return envelope
}

func TestReportRoundTrip(t *testing.T) {
	r := typical(t, "h"+muster.HostID(strings.Repeat("a", 26)), 7)
	r.Header.Gap = []muster.SeqRange{{From: 2, To: 3}, {From: 5, To: 5}}
	slices.Reverse(r.Verdicts)
	content, err := EncodeReport(r)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := EncodeReport(r); !bytes.Equal(content, again) {
		t.Error("the encoding is not deterministic")
	}
	o, err := DecodeReport(content)
	if err != nil {
		t.Fatal(err)
	}
	got, err := o.Report()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Header, r.Header) || !reflect.DeepEqual(got.Detail, r.Detail) || len(got.Verdicts) != len(r.Verdicts) {
		t.Errorf("got %+v\nwant %+v", got, r)
	}
	for _, v := range got.Verdicts {
		if _, has := r.Detail.Evidence[v.Control]; has != (len(v.Evidence) == evidenceSize) {
			t.Errorf("%s: evidence digest %x", v.Control, v.Evidence)
		}
	}
	if twice, _ := EncodeReport(got); !bytes.Equal(content, twice) {
		t.Error("encode after decode gives other bytes")
	}
}

func TestEncodeReportRefusesWhatNoReaderTakes(t *testing.T) {
	for name, spoil := range map[string]func(*muster.Report){
		"no number":        func(r *muster.Report) { r.Header.Seq = 0 },
		"no host":          func(r *muster.Report) { r.Header.Host = "" },
		"no schema":        func(r *muster.Report) { r.Header.Schema = 0 },
		"control twice":    func(r *muster.Report) { r.Verdicts = append(r.Verdicts, r.Verdicts[0]) },
		"unknown status":   func(r *muster.Report) { r.Verdicts[0].Status = 9 },
		"gap ahead":        func(r *muster.Report) { r.Header.Gap = []muster.SeqRange{{From: 9, To: 99}} },
		"endless hostname": func(r *muster.Report) { r.Header.Hostname = strings.Repeat("x", 300) },
	} {
		r := typical(t, "h"+muster.HostID(strings.Repeat("a", 26)), 7)
		spoil(r)
		if _, err := EncodeReport(r); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

func TestFutureSchema(t *testing.T) {
	future, err := Marshal(map[int]any{1: map[int]any{1: 2, 2: "h", 3: "a number as text"}, 2: "other", 9: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeReport(future); !errors.Is(err, ErrFutureSchema) {
		t.Errorf("report: %v", err)
	}
	key := mustKey(t)
	payload, err := Marshal(map[int]any{1: 2, 2: 7})
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := Sign(KindReceipt, payload, key, "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyReceipt(receipt, []*ecdsa.PublicKey{&key.PublicKey}); !errors.Is(err, ErrFutureSchema) {
		t.Errorf("receipt: %v", err)
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	r := typical(t, "h"+muster.HostID(strings.Repeat("a", 26)), 7)
	content, err := EncodeReport(r)
	if err != nil {
		t.Fatal(err)
	}
	var raw map[int]any
	if err := Unmarshal(content, &raw); err != nil {
		t.Fatal(err)
	}
	raw[40] = "of a later version"
	later, err := Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeReport(later); err != nil {
		t.Error(err)
	}
}

func TestChangeDigest(t *testing.T) {
	base := typical(t, "h"+muster.HostID(strings.Repeat("a", 26)), 1)
	digest := func(change func(*muster.Report)) muster.Digest {
		b, err := json.Marshal(base)
		if err != nil {
			t.Fatal(err)
		}
		r := &muster.Report{}
		if err := json.Unmarshal(b, r); err != nil {
			t.Fatal(err)
		}
		change(r)
		d, err := ChangeDigest(r)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	same := digest(func(*muster.Report) {})
	for name, f := range map[string]func(*muster.Report){
		"number, time, boot": func(r *muster.Report) { r.Header.Seq, r.Header.CollectedAt, r.Header.BootID = 9, testTime, "z" },
		"a note":             func(r *muster.Report) { r.Detail.Evidence["MVS-UPD-04"] = muster.Evidence{Notes: []string{"x"}} },
		"verdicts reordered": func(r *muster.Report) { slices.Reverse(r.Verdicts) },
	} {
		if digest(f) != same {
			t.Errorf("%s counts as a change", name)
		}
	}
	for name, f := range map[string]func(*muster.Report){
		"status":    func(r *muster.Report) { r.Verdicts[0].Status = (r.Verdicts[0].Status + 1) % 4 },
		"waiver":    func(r *muster.Report) { r.Verdicts[0].Waiver = "W-1" },
		"policy":    func(r *muster.Report) { r.Header.PolicyDigest = "another" },
		"signal":    func(r *muster.Report) { r.Detail.Signals = append(r.Detail.Signals, muster.Signal{Kind: "S2"}) },
		"violation": func(r *muster.Report) { r.Detail.Evidence["MVS-APP-01"] = muster.Evidence{} },
	} {
		if digest(f) == same {
			t.Errorf("%s does not count as a change", name)
		}
	}
}

func TestSignVerify(t *testing.T) {
	key, other := mustKey(t), mustKey(t)
	envelope, err := Sign(KindReport, []byte("payload"), key, "the key")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Verify(KindReport, envelope, &key.PublicKey); err != nil || string(got) != "payload" {
		t.Errorf("%q, %v", got, err)
	}
	if id, err := KeyID(envelope); err != nil || id != "the key" {
		t.Errorf("key id %q, %v", id, err)
	}
	if _, err := Verify(KindReport, envelope, &other.PublicKey); !errors.Is(err, ErrBadSignature) {
		t.Errorf("another key: %v", err)
	}
	if _, err := Verify(KindReceipt, envelope, &key.PublicKey); !errors.Is(err, ErrBadSignature) {
		t.Errorf("another kind: %v", err)
	}
	if _, err := Verify(KindReport, append(envelope, 0), &key.PublicKey); !errors.Is(err, ErrMalformed) {
		t.Errorf("something after it: %v", err)
	}
}

// What this package signs, any COSE library must verify.
func TestEnvelopeIsStandardCOSE(t *testing.T) {
	key := mustKey(t)
	for _, size := range []int{0, 1, 23, 24, 255, 256, 65535, 65536} {
		envelope, err := Sign(KindReport, bytes.Repeat([]byte{7}, size), key, "k")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(KindReport, envelope, &key.PublicKey); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		var m cose.Sign1Message
		if err := m.UnmarshalCBOR(envelope); err != nil {
			t.Fatal(err)
		}
		v, err := cose.NewVerifier(cose.AlgorithmES256, &key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Verify(nil, v); err != nil {
			t.Errorf("%d bytes, go-cose: %v", size, err)
		}
	}
}

func TestEnvelopeHasOneForm(t *testing.T) {
	key := mustKey(t)
	envelope, err := Sign(KindReport, []byte("payload"), key, "k")
	if err != nil {
		t.Fatal(err)
	}
	twin := bytes.Clone(envelope)
	half := twin[len(twin)-32:]
	s := new(big.Int).SetBytes(half)
	s.Sub(key.Params().N, s).FillBytes(half)
	if _, err := Verify(KindReport, twin, &key.PublicKey); !errors.Is(err, ErrBadSignature) {
		t.Errorf("the signature's twin: %v", err)
	}
	// The same message with a length that is longer than need be.
	at := bytes.Index(envelope, []byte("payload")) - 1
	long := slices.Concat(envelope[:at], []byte{0x58, 7}, envelope[at+1:])
	if _, err := Verify(KindReport, long, &key.PublicKey); !errors.Is(err, ErrMalformed) {
		t.Errorf("a longer encoding: %v", err)
	}
	unprotected := bytes.Replace(envelope, []byte{0xa0, 0x47}, []byte{0xa1, 0x01, 0x02, 0x47}, 1)
	if _, err := Verify(KindReport, unprotected, &key.PublicKey); !errors.Is(err, ErrMalformed) {
		t.Errorf("an unprotected header: %v", err)
	}
}

func TestReceipt(t *testing.T) {
	old, current, stranger := mustKey(t), mustKey(t), mustKey(t)
	want := muster.Receipt{Schema: 1, Host: mustHost(t, mustKey(t)), Seq: 42, Digest: EnvelopeDigest([]byte("x")), ReceivedAt: testTime}
	envelope, err := SignReceipt(want, current)
	if err != nil {
		t.Fatal(err)
	}
	got, err := VerifyReceipt(envelope, []*ecdsa.PublicKey{&old.PublicKey, &current.PublicKey})
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := VerifyReceipt(envelope, []*ecdsa.PublicKey{&stranger.PublicKey}); !errors.Is(err, ErrBadSignature) {
		t.Errorf("a stranger's key: %v", err)
	}
	if _, err := VerifyReceipt(envelope, nil); !errors.Is(err, ErrBadSignature) {
		t.Errorf("no key: %v", err)
	}
}

func TestEnrollment(t *testing.T) {
	key, other := mustKey(t), mustKey(t)
	e := muster.Enrollment{Hostname: "PC", County: "17031", Profile: muster.Workstation, Platform: muster.Windows, Agent: "1.0.0", MadeAt: testTime}
	envelope, err := SignEnrollment(e, key)
	if err != nil {
		t.Fatal(err)
	}
	got, id, err := VerifyEnrollment(envelope)
	if err != nil || got.Hostname != "PC" || id != mustHost(t, key) {
		t.Errorf("%+v, %s, %v", got, id, err)
	}
	// Someone claims another host's id, and someone another host's key.
	payload, err := Verify(KindEnrollment, envelope, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, keyID := range map[string]muster.HostID{"its own id": mustHost(t, other), "the victim's id": id} {
		forged, err := Sign(KindEnrollment, payload, other, string(keyID))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := VerifyEnrollment(forged); !errors.Is(err, ErrBadSignature) {
			t.Errorf("a stranger with %s: %v", name, err)
		}
	}
}

func TestKeyFiles(t *testing.T) {
	key := mustKey(t)
	b, err := MarshalKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseKey(b); err != nil || !got.Equal(key) {
		t.Errorf("%v", err)
	}
	for _, junk := range [][]byte{nil, []byte("junk"), b[:len(b)/2], bytes.Replace(b, []byte("PRIVATE"), []byte("PUBLIC"), 2)} {
		if _, err := ParseKey(junk); err == nil {
			t.Errorf("%q passed for a key", junk)
		}
	}
}

func TestFrames(t *testing.T) {
	key := mustKey(t)
	host := mustHost(t, key)
	first := mustEnvelope(t, typical(t, host, 1), key)
	second := mustEnvelope(t, typical(t, host, 2), key)
	bases := func(d muster.Digest) []byte {
		if d == EnvelopeDigest(first) {
			return first
		}
		return nil
	}
	frame := func(f *Frame, err error) *Frame {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for name, f := range map[string]*Frame{
		"sample": frame(NewFrame(host, 2, second, nil)),
		"base":   frame(NewFrame(host, 2, second, first)),
		"plain":  frame(NewPlainFrame(host, 2, second)),
	} {
		got, err := OpenFrame(f, bases, 0)
		if err != nil || !bytes.Equal(got, second) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := OpenFrame(f, bases, len(second)-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s over the bound: %v", name, err)
		}
		cut := *f
		cut.Body = f.Body[:len(f.Body)-1]
		if _, err := OpenFrame(&cut, bases, 0); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s cut off: %v", name, err)
		}
		lie := *f
		lie.Size--
		if _, err := OpenFrame(&lie, bases, 0); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with a wrong size: %v", name, err)
		}
		double := *f
		double.Body = slices.Concat(f.Body, f.Body)
		if _, err := OpenFrame(&double, bases, 0); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s twice in one body: %v", name, err)
		}
	}
	lost := frame(NewFrame(host, 2, second, []byte("an envelope that nobody has")))
	if _, err := OpenFrame(lost, bases, 0); !errors.Is(err, ErrNeedBase) {
		t.Errorf("a lost base: %v", err)
	}
	if _, err := NewPlainFrame(host, 2, make([]byte, MaxEnvelope+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("an envelope without end: %v", err)
	}
}

func TestSequence(t *testing.T) {
	var b bytes.Buffer
	w := NewSeqWriter(&b)
	for i := range 5 {
		if err := w.Write(&Frame{Seq: uint64(i), Body: bytes.Repeat([]byte{1}, 100*i)}); err != nil {
			t.Fatal(err)
		}
	}
	whole := b.Bytes()
	read := func(r io.Reader, maxItem, maxTotal int) (n int, err error) {
		s, err := NewSeqReader(r, maxItem, maxTotal)
		if err != nil {
			t.Fatal(err)
		}
		for {
			var f Frame
			if err := s.Read(&f); err != nil {
				return n, err
			}
			if f.Seq != uint64(n) || len(f.Body) != 100*n {
				t.Fatalf("item %d is %d with %d bytes", n, f.Seq, len(f.Body))
			}
			n++
		}
	}
	if n, err := read(bytes.NewReader(whole), 1<<10, len(whole)); n != 5 || err != io.EOF {
		t.Errorf("%d items, %v", n, err)
	}
	if n, err := read(iotest.OneByteReader(bytes.NewReader(whole)), 1<<10, len(whole)); n != 5 || err != io.EOF {
		t.Errorf("byte by byte: %d items, %v", n, err)
	}
	if n, err := read(bytes.NewReader(whole[:len(whole)-1]), 1<<10, 1<<20); n != 4 || !errors.Is(err, ErrMalformed) {
		t.Errorf("cut off: %d items, %v", n, err)
	}
	if _, err := read(bytes.NewReader(whole), 1<<10, len(whole)-1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the total: %v", err)
	}
	if n, err := read(bytes.NewReader(whole), 300, 1<<20); n > 3 || !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the item: %d items, %v", n, err)
	}
	if _, err := read(iotest.ErrReader(io.ErrClosedPipe), 300, 1<<20); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a broken reader: %v", err)
	}
	// A promise of 1 GiB costs nothing.
	if _, err := read(bytes.NewReader([]byte{0x85, 0x5a, 0x40, 0, 0, 0}), 1<<20, 1<<20); !errors.Is(err, ErrMalformed) {
		t.Errorf("a promise: %v", err)
	}
}

func TestPayloadIsOfItsKindOnly(t *testing.T) {
	key := mustKey(t)
	envelope, err := Sign(KindReport, []byte("content"), key, "key id")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := Payload(KindReport, envelope); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := Payload(KindReceipt, envelope); !errors.Is(err, ErrMalformed) {
		t.Errorf("as another kind: %v", err)
	}
	if _, err := Payload(KindReport, envelope[1:]); !errors.Is(err, ErrMalformed) {
		t.Errorf("without its tag: %v", err)
	}
}
