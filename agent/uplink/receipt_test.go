package uplink

import (
	"bytes"
	"crypto/ecdsa"
	"net/http"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// Whatever answers, a report is only let go for a receipt of the site's collector over
// this very report.
func TestForgedReceipts(t *testing.T) {
	l := newLab(t, 1)
	another, err := wire.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	sign := func(key *ecdsa.PrivateKey, change func(*muster.Receipt)) []byte {
		t.Helper()
		r := muster.Receipt{Host: l.host, Seq: 1, Digest: wire.EnvelopeDigest(l.reports[1]), ReceivedAt: time.Now()}
		if change != nil {
			change(&r)
		}
		b, err := wire.SignReceipt(r, key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := l.collector.Key
	tampered := sign(key, nil)
	tampered[len(tampered)/2] ^= 1
	statement, err := wire.SignEnrollment(muster.Enrollment{Hostname: "PC", County: "17031"}, key)
	if err != nil {
		t.Fatal(err)
	}
	var receipt []byte
	l.collector.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/reports" {
			return false
		}
		var out bytes.Buffer
		if err := wire.NewSeqWriter(&out).Write(wire.Outcome{Host: l.host, Seq: 1, Code: wire.CodeStored, Receipt: receipt}); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", wire.TypeSeq)
		w.Write(out.Bytes())
		return true
	}
	u := l.uplink()
	for what, forged := range map[string][]byte{
		"none":                                nil,
		"of another collector":                sign(another, nil),
		"that the host signed itself":         sign(l.key, nil),
		"for another host":                    sign(key, func(r *muster.Receipt) { r.Host = muster.NewHostID([]byte("another")) }),
		"for another number":                  sign(key, func(r *muster.Receipt) { r.Seq = 2 }),
		"for another report with this number": sign(key, func(r *muster.Receipt) { r.Digest[0] ^= 1 }),
		"that was changed":                    tampered,
		"that is another statement":           statement,
		"that is a report":                    l.reports[1],
		"that is junk":                        []byte("junk"),
	} {
		receipt = forged
		if err := u.Once(t.Context()); err == nil {
			t.Errorf("a receipt %s: no error", what)
		}
		if s := l.status(); len(l.receipts()) != 0 || s.Waiting != 1 || s.Receipted != 0 {
			t.Errorf("a receipt %s was taken: %+v", what, s)
		}
	}
	l.collector.Before = nil
	if err := u.Once(t.Context()); err != nil || len(l.receipts()) != 1 {
		t.Errorf("the true one: %v, %v", l.receipts(), err)
	}
}

// What a collector wants later is kept, and tried again in an hour.
func TestReportsThatAreToComeAgain(t *testing.T) {
	for _, code := range []wire.Code{wire.CodeBusy, wire.CodePending} {
		l := newLab(t, 2)
		l.collector.Code = func(seq uint64) wire.Code {
			if seq == 2 {
				return code
			}
			return ""
		}
		u := l.uplink()
		if err := u.Once(t.Context()); err == nil || len(l.receipts()) != 1 {
			t.Errorf("%s: %v, %v", code, l.receipts(), err)
		}
		l.now, l.collector.Code = l.now.Add(soonAgain+time.Second), nil
		if err := u.Once(t.Context()); err != nil || len(l.receipts()) != 2 {
			t.Errorf("%s, an hour later: %v, %v", code, l.receipts(), err)
		}
	}
}
