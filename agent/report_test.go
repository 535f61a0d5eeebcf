package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// However much the controls have to show, the report stays below what the
// collector takes, and says what it left out.
func TestReportIsBounded(t *testing.T) {
	a := &muster.Audit{Host: strings.Repeat("ü", 300), HostID: muster.NewHostID([]byte("key")), Profile: muster.EMS, Platform: muster.Windows, AuditedAt: time.Now()}
	for i := range 100 {
		f := muster.Finding{Control: fmt.Sprintf("MVS-X-%03d", i), Status: muster.StatusFail, Notes: []string{"seen"}}
		for range 100 {
			long := strings.Repeat("é\xff", 500)
			f.Violations = append(f.Violations, muster.Violation{Subject: long, Found: long, Want: long})
		}
		a.Findings = append(a.Findings, f)
	}
	r := NewReport(a, "17031", "boot", nil)
	r.Header.Seq = 1
	b, err := wire.EncodeReport(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > wire.MaxEnvelope {
		t.Errorf("the report has %d bytes, more than the %d that travel", len(b), wire.MaxEnvelope)
	}
	if _, err := wire.DecodeReport(b); err != nil {
		t.Errorf("read it back: %v", err)
	}
	e := r.Detail.Evidence["MVS-X-007"]
	if n := len(e.Violations); n == 0 || len(e.Notes) != 1 || e.Notes[0] != fmt.Sprintf("%d more violations are not in this report", 100-n) {
		t.Errorf("%d violations and notes %q", n, e.Notes)
	}
}

func TestReportNamesFailedFacts(t *testing.T) {
	a := &muster.Audit{Findings: []muster.Finding{
		{Control: "A", Status: muster.StatusUnknown, Reason: "fact disk: denied", Facts: []string{"disk", "os"}},
		{Control: "B", Status: muster.StatusPass, Facts: []string{"os"}},
		{Control: "C", Status: muster.StatusFail, Facts: []string{"disk"}, Waiver: &muster.Waiver{ID: "W-1"}},
	}}
	r := NewReport(a, "", "", map[string]muster.FactResult{
		"disk": {Name: "disk", Status: muster.FactDenied, Reason: "needs rights"},
		"os":   {Name: "os", Status: muster.FactOK},
	})
	if f := r.Detail.FailedFacts; len(f) != 1 || f[0] != (muster.FailedFact{Name: "disk", Status: muster.FactDenied, Reason: "needs rights"}) {
		t.Errorf("failed facts %+v", f)
	}
	if r.Verdicts[2].Waiver != "W-1" || len(r.Detail.Evidence) != 1 {
		t.Errorf("verdicts %+v, evidence %+v", r.Verdicts, r.Detail.Evidence)
	}
}

func FuzzShort(f *testing.F) {
	f.Add("plain", 10)
	f.Add("grüße\xff und mehr", 8)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = max(n, len("…"))
		if got := short(s, n); len(got) > n || !utf8.ValidString(got) {
			t.Errorf("short(%q, %d) = %q", s, n, got)
		}
	})
}

// Any file is either a report, which can be written again, or an error.
func FuzzReadReport(f *testing.F) {
	key, err := wire.NewKey()
	if err != nil {
		f.Fatal(err)
	}
	id, err := wire.HostIDOf(key.Public())
	if err != nil {
		f.Fatal(err)
	}
	r := NewReport(&muster.Audit{HostID: id, Findings: []muster.Finding{{Control: "A", Status: muster.StatusFail}}}, "17031", "", nil)
	r.Header.Seq = 1
	content, err := wire.EncodeReport(r)
	if err != nil {
		f.Fatal(err)
	}
	envelope, err := wire.Sign(wire.KindReport, content, key, string(id))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(envelope)
	f.Add(envelope[:len(envelope)/2])
	f.Add([]byte("{}"))
	path := filepath.Join(f.TempDir(), "report")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := ReadReport("", path)
		if err != nil {
			return
		}
		if _, err := wire.EncodeReport(r); err != nil {
			t.Errorf("a report that was read cannot be written: %v", err)
		}
	})
}
