package wire

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/earlier"
)

// items reads the CBOR sequence of a recorded body.
func items[T any](t *testing.T, body []byte) (list []T) {
	t.Helper()
	seq, err := NewSeqReader(bytes.NewReader(body), MaxFrame, MaxBatch)
	if err != nil {
		t.Fatal(err)
	}
	for {
		var v T
		if err := seq.Read(&v); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
}

// What the programs of the version before said to each other is read as they meant it.
func TestEarlierExchange(t *testing.T) {
	story, err := earlier.Open()
	if err != nil {
		t.Fatal(err)
	}
	receiptKeys, err := ParsePublicKeys(story.Site.ReceiptKeys)
	if err != nil {
		t.Fatal(err)
	}
	var key *ecdsa.PublicKey
	envelopes := map[muster.Digest][]byte{}
	var last muster.Digest
	var seqs uint64
	for _, x := range story.Exchanges {
		switch x.Path {
		case "/v1/enroll":
			e, host, err := VerifyEnrollment(x.Request)
			if err != nil {
				t.Fatal(err)
			}
			if key, err = ParsePublicKey(e.PublicKey); err != nil {
				t.Fatal(err)
			}
			if e.Agent == "" {
				t.Error("no version of the agent")
			}
			e.PublicKey, e.Machine, e.Agent = nil, "", ""
			want := muster.Enrollment{Schema: 1, Hostname: "clerk-01", County: "56021", Profile: muster.Workstation, Platform: muster.Linux, MadeAt: e.MadeAt}
			if diff := cmp.Diff(want, e); diff != "" || host != story.Host || e.MadeAt.IsZero() {
				t.Errorf("enrollment of %s: %s", host, diff)
			}
			var answer EnrollAnswer
			if err := Unmarshal(x.Body, &answer); err != nil || answer.State != muster.HostActive {
				t.Errorf("%+v, %v", answer, err)
			}
		case "/v1/checkin":
			var c Checkin
			var answer CheckinAnswer
			if err := errors.Join(Unmarshal(x.Request, &c), Unmarshal(x.Body, &answer)); err != nil ||
				c.Host != story.Host || c.OutboxDepth == 0 || c.PolicyDigest() == "" || c.Now.IsZero() || answer.NextSeconds == 0 || answer.Now.IsZero() {
				t.Errorf("%+v, %+v, %v", c, answer, err)
			}
		case "/v1/reports":
			outcomes := items[Outcome](t, x.Body)
			for i, f := range items[Frame](t, x.Request) {
				envelope, err := OpenFrame(&f, func(d muster.Digest) []byte { return envelopes[d] }, 0)
				if err != nil {
					t.Fatal(err)
				}
				content, err := Verify(KindReport, envelope, key)
				if err != nil {
					t.Fatal(err)
				}
				opened, err := DecodeReport(content)
				if err != nil {
					t.Fatal(err)
				}
				if h := opened.Header; h.Seq != seqs+1 || h.Prev != last {
					t.Errorf("report %d after %d rests on %s, want %s", h.Seq, seqs, h.Prev, last)
				}
				seqs, last = seqs+1, EnvelopeDigest(envelope)
				envelopes[last] = envelope
				r, err := VerifyReceipt(outcomes[i].Receipt, receiptKeys)
				if err != nil || outcomes[i].Code != CodeStored || r.Host != story.Host || r.Seq != seqs || r.Digest != last || r.ReceivedAt.IsZero() {
					t.Errorf("outcome %+v, receipt %+v, %v", outcomes[i], r, err)
				}
				if seqs == 4 {
					sameReport(t, opened, earlier.ReportFile)
				}
			}
		}
	}
	if seqs != 5 {
		t.Errorf("%d reports", seqs)
	}
}

// Evidence is read for ever, so no field of a report gets another key or meaning.
func TestEarlierReport(t *testing.T) {
	content, err := earlier.File(earlier.FullContent)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := DecodeReport(content)
	if err != nil {
		t.Fatal(err)
	}
	sameReport(t, opened, earlier.FullReport)
}

// sameReport compares a report with what its own program read in it.
func sameReport(t *testing.T, opened *Opened, file string) {
	t.Helper()
	before, err := earlier.File(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := opened.Report()
	if err != nil {
		t.Fatal(err)
	}
	now, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if lost, err := earlier.Lost(before, now); err != nil || len(lost) > 0 {
		t.Error(lost, err)
	}
}

// grown is the CBOR of a later version: every map with fields has one that is unknown here.
func grown(t *testing.T, b []byte) []byte {
	t.Helper()
	var v any
	if err := Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	var grow func(v any) any
	grow = func(v any) any {
		switch v := v.(type) {
		case map[any]any:
			fields := len(v) == 0
			for k := range v {
				_, number := k.(uint64)
				fields = fields || number
				v[k] = grow(v[k])
			}
			if fields {
				v[uint64(99)] = []any{"of a later version", map[any]any{uint64(1): true}}
			}
		case []any:
			for i := range v {
				v[i] = grow(v[i])
			}
		}
		return v
	}
	out, err := Marshal(grow(v))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What a later version adds without a new schema number, this one does not see.
func TestLaterFieldsAreIgnored(t *testing.T) {
	key := mustKey(t)
	der, err := MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	id := muster.NewHostID(der)
	report := typical(t, id, 7)
	content, err := EncodeReport(report)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := DecodeReport(content)
	if err != nil {
		t.Fatal(err)
	}
	want, err := opened.Report()
	if err != nil {
		t.Fatal(err)
	}
	var outer map[uint64]any
	if err := Unmarshal(grown(t, content), &outer); err != nil {
		t.Fatal(err)
	}
	outer[3] = grown(t, opened.detail)
	later, err := Marshal(outer)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err = DecodeReport(later); err != nil {
		t.Fatal(err)
	}
	if got, err := opened.Report(); err != nil || !cmp.Equal(want, got) || bytes.Equal(content, later) {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}

	sign := func(kind Kind, v any) []byte {
		payload, err := Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Sign(kind, grown(t, payload), key, string(id))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	receipt := muster.Receipt{Schema: ReceiptSchema, Host: id, Seq: 7, Digest: muster.Digest{1}}
	if got, err := VerifyReceipt(sign(KindReceipt, receipt), []*ecdsa.PublicKey{&key.PublicKey}); err != nil || got.Seq != 7 || got.Digest != receipt.Digest {
		t.Errorf("receipt: %+v, %v", got, err)
	}
	statement := muster.Enrollment{Schema: EnrollmentSchema, PublicKey: der, Hostname: "PC", County: "17031"}
	if got, _, err := VerifyEnrollment(sign(KindEnrollment, statement)); err != nil || got.Hostname != "PC" {
		t.Errorf("enrollment: %+v, %v", got, err)
	}
	for _, v := range []struct{ from, into any }{
		{Checkin{Host: id, OutboxDepth: 3}, &Checkin{}},
		{CheckinAnswer{PolicyETag: "x", NextSeconds: 9}, &CheckinAnswer{}},
		{EnrollAnswer{State: muster.HostPending}, &EnrollAnswer{}},
		{Outcome{Host: id, Seq: 7, Code: "a later code"}, &Outcome{}},
	} {
		b, err := Marshal(v.from)
		if err != nil {
			t.Fatal(err)
		}
		if err := Unmarshal(grown(t, b), v.into); err != nil {
			t.Errorf("%T: %v", v.from, err)
		}
		if again, err := Marshal(v.into); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%T: %v, %+v", v.from, err, v.into)
		}
	}
}
