package muster_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
)

func TestZeroValuesAreNeverGood(t *testing.T) {
	var f muster.Finding
	if f.Status != muster.StatusUnknown {
		t.Errorf("zero Finding is %s", f.Status)
	}
	if (muster.FactResult{}).Status != muster.FactUnavailable {
		t.Error("zero FactResult is not unavailable")
	}
	if muster.Summarize(nil).MeetsBaseline {
		t.Error("no findings meet the baseline")
	}
	if muster.Status(200).String() != "unknown" {
		t.Error("a status from the future is not unknown")
	}
	if (muster.HostStanding{}).Meets() {
		t.Error("zero HostStanding meets the baseline")
	}
}

func TestEnumsRoundTrip(t *testing.T) {
	type all struct {
		Status   muster.Status     `json:"status"`
		Severity muster.Severity   `json:"severity"`
		Fact     muster.FactStatus `json:"fact"`
	}
	for _, s := range []string{
		`{"status":"unknown","severity":"low","fact":"unavailable"}`,
		`{"status":"pass","severity":"medium","fact":"ok"}`,
		`{"status":"fail","severity":"high","fact":"denied"}`,
		`{"status":"not_applicable","severity":"critical","fact":"timeout"}`,
	} {
		var a all
		if err := json.Unmarshal([]byte(s), &a); err != nil {
			t.Fatal(err)
		}
		if b, err := json.Marshal(a); err != nil || string(b) != s {
			t.Errorf("%s became %s (%v)", s, b, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"status":"passed"}`), new(all)); err == nil {
		t.Error("status passed was accepted")
	}
}

func TestSummarize(t *testing.T) {
	waiver := &muster.Waiver{ID: "w1"}
	finding := func(s muster.Status, sev muster.Severity, w *muster.Waiver) muster.Finding {
		return muster.Finding{Status: s, Severity: sev, Waiver: w}
	}
	for _, tt := range []struct {
		name     string
		findings []muster.Finding
		want     muster.Summary
	}{
		{"low fail still meets", []muster.Finding{finding(muster.StatusFail, muster.SeverityLow, nil), finding(muster.StatusPass, muster.SeverityHigh, nil)},
			muster.Summary{Pass: 1, Fail: 1, MeetsBaseline: true}},
		{"high unknown does not", []muster.Finding{finding(muster.StatusUnknown, muster.SeverityHigh, nil)},
			muster.Summary{Unknown: 1}},
		{"waived critical fail meets", []muster.Finding{finding(muster.StatusFail, muster.SeverityCritical, waiver)},
			muster.Summary{Waived: 1, MeetsBaseline: true}},
		{"not applicable", []muster.Finding{finding(muster.StatusNotApplicable, muster.SeverityCritical, nil)},
			muster.Summary{NotApplicable: 1, MeetsBaseline: true}},
	} {
		if got := muster.Summarize(tt.findings); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestWaiverCovers(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }
	h := muster.Host{ID: "h1", County: "17031"}
	w := muster.Waiver{Control: "MVS-ENC-01", County: "17031", Approved: day(1), Expires: day(10)}
	for _, tt := range []struct {
		name string
		w    muster.Waiver
		now  time.Time
		want bool
	}{
		{"in time", w, day(5), true},
		{"not yet approved", w, day(1).Add(-time.Second), false},
		{"expired on the day", w, day(10), false},
		{"other county", func() muster.Waiver { w := w; w.County = "17033"; return w }(), day(5), false},
		{"other host", func() muster.Waiver { w := w; w.Host = "h2"; return w }(), day(5), false},
	} {
		if got := tt.w.Covers("MVS-ENC-01", h, tt.now); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if w.Covers("MVS-ENC-02", h, day(5)) {
		t.Error("covers another control")
	}
}

func TestAttestationCovers(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }
	h := muster.Host{ID: "h1", County: "17031"}
	a := muster.Attestation{Claim: "mfa", On: day(1), Until: day(10)}
	for _, tt := range []struct {
		name string
		edit func(*muster.Attestation)
		now  time.Time
		want bool
	}{
		{"in time", func(*muster.Attestation) {}, day(5), true},
		{"on the first day", func(*muster.Attestation) {}, day(1), true},
		{"from the future", func(*muster.Attestation) {}, day(1).Add(-time.Second), false},
		{"expired on the day", func(*muster.Attestation) {}, day(10), false},
		{"without an end", func(a *muster.Attestation) { a.Until = time.Time{} }, day(5), false},
		{"the county", func(a *muster.Attestation) { a.County = "17031" }, day(5), true},
		{"another county", func(a *muster.Attestation) { a.County = "17033" }, day(5), false},
		{"another host", func(a *muster.Attestation) { a.Host = "h2" }, day(5), false},
	} {
		a := a
		if tt.edit(&a); a.Covers(h, tt.now) != tt.want {
			t.Errorf("%s: covers is %v", tt.name, !tt.want)
		}
	}
}

const goodSite = `{"muster_site":1,"name":"State of Example","state":"17","county":"17031",
"collector":"http://127.0.0.1:8080","policy_keys":["AA=="],"receipt_keys":["AA=="],"token":"t"}`

func TestParseSiteNamesTheField(t *testing.T) {
	if _, err := muster.ParseSite([]byte(goodSite)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ old, new, want string }{
		{`"muster_site":1`, `"muster_site":2`, "field muster_site"},
		{`"muster_site":1`, `"muster_site":2,"later":1`, "newer collector made it (form 2"},
		{`"17031"`, `"1703"`, "field county"},
		{`"17031"`, `17031`, "field county"},
		{`"state":"17"`, `"state":"55"`, "field state"},
		{`"name":"State of Example"`, `"name":""`, "field name"},
		{`http://127.0.0.1:8080`, `ftp://x`, "field collector"},
		{`http://127.0.0.1:8080`, `http://collector.example.gov`, "field token"},
		{`"policy_keys":["AA=="]`, `"policy_keys":[]`, "field policy_keys"},
		{`"receipt_keys":["AA=="]`, `"receipt_keys":[]`, "field receipt_keys"},
		{`"token":"t"`, `"tokem":"t"`, `field "tokem" is not known here`},
		{`}`, `} {}`, "follows"},
		{`}`, ``, "not valid JSON"},
	} {
		_, err := muster.ParseSite([]byte(strings.Replace(goodSite, tt.old, tt.new, 1)))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q", tt.new, err, tt.want)
		}
	}
}

func FuzzParseSite(f *testing.F) {
	f.Add([]byte(goodSite))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := muster.ParseSite(b)
		if err != nil {
			return
		}
		out, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := muster.ParseSite(out)
		if err != nil || again.County != s.County || again.Collector != s.Collector {
			t.Fatalf("an accepted site file does not survive: %v", err)
		}
	})
}

func TestHostID(t *testing.T) {
	id := muster.NewHostID([]byte("key"))
	if got, err := muster.ParseHostID(string(id)); err != nil || got != id {
		t.Errorf("ParseHostID(%q): %v", id, err)
	}
	for _, bad := range []string{"", "h", string(id) + "a", "H" + string(id[1:]), string(id[:26]) + "/"} {
		if _, err := muster.ParseHostID(bad); err == nil {
			t.Errorf("ParseHostID(%q) accepted", bad)
		}
	}
}
