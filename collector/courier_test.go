package collector

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// sealed makes a new host with one report, sealed to a site's collector.
func sealed(t *testing.T, recipient string) (muster.HostID, []byte) {
	t.Helper()
	key, err := wire.NewKey()
	must(t, err)
	id, err := wire.HostIDOf(&key.PublicKey)
	must(t, err)
	statement, err := wire.SignEnrollment(muster.Enrollment{Hostname: "ems1", County: "17031", Profile: muster.EMS, Platform: muster.Windows, MadeAt: time.Now()}, key)
	must(t, err)
	content, err := wire.EncodeReport(&muster.Report{Header: muster.Header{Schema: 1, Host: id, Seq: 1, Profile: muster.EMS, Platform: muster.Windows,
		County: "17031", Hostname: "ems1", CollectedAt: time.Now()}, Verdicts: []muster.Verdict{{Control: "MVS-ENC-01", Status: muster.StatusFail}}})
	must(t, err)
	envelope, err := wire.Sign(wire.KindReport, content, key, string(id))
	must(t, err)
	f, err := wire.NewFrame(id, 1, envelope, nil)
	must(t, err)
	to, err := seal.ParseRecipient(recipient)
	must(t, err)
	var b bytes.Buffer
	must(t, seal.Write(&b, to, seal.Head{Host: id, WrittenAt: time.Now(), Enrollment: statement}, []*wire.Frame{f}))
	return id, b.Bytes()
}

func upload(t *testing.T, r *running, token string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.base+"/api/v1/courier", bytes.NewReader(body))
	must(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, b
}

// A person uploads a sealed file and gets the return file; the host waits for
// approval all the same.
func TestCourierUpload(t *testing.T) {
	r := start(t)
	site, err := r.Site(SiteOptions{County: "17031", CollectorURL: r.base, PolicyKeys: [][]byte{{1}}})
	must(t, err)
	id, file := sealed(t, site.AgeRecipient)
	token := apiToken(t, r)
	if code, _ := upload(t, r, "", file); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", code)
	}
	for _, want := range []wire.Code{wire.CodeStored, wire.CodeDuplicate} {
		code, b := upload(t, r, token, file)
		ret, err := seal.ReadReturn(b)
		if code != http.StatusOK || err != nil {
			t.Fatalf("%d %s: %v", code, b, err)
		}
		if len(ret.Outcomes) != 1 || ret.Outcomes[0].Code != want || ret.State != muster.HostPending || ret.Collector != "State of Test" {
			t.Errorf("%+v", ret)
		}
	}
	must(t, r.Approve(t.Context(), id, "console"))
	_, _, body := get(t, http.DefaultClient, r.base+"/api/v1/hosts/"+string(id), token)
	var host struct{ Custody []muster.CustodyEvent }
	must(t, json.Unmarshal([]byte(body), &host))
	if len(host.Custody) < 3 || host.Custody[0].Act != muster.CustodyWrote || host.Custody[0].By != string(id) || !strings.Contains(host.Custody[1].By, "upload") {
		t.Errorf("custody %+v", host.Custody)
	}
	log, err := r.store.AuditLog(t.Context(), 0, 20)
	must(t, err)
	uploads := 0
	for _, e := range log {
		if e.Action == "take_courier" && e.Actor == "token" && strings.HasPrefix(e.Object, string(id)) {
			uploads++
		}
	}
	if uploads != 2 {
		t.Errorf("audit log: %+v", log)
	}
	for name, junk := range map[string][]byte{"junk": []byte("junk"), "nothing": nil, "half": file[:len(file)/2]} {
		if code, b := upload(t, r, token, junk); code != http.StatusUnprocessableEntity || !strings.Contains(string(b), "cut_off") {
			t.Errorf("%s: %d %s", name, code, b)
		}
	}
	_, other := sealed(t, newRecipient(t))
	if code, b := upload(t, r, token, other); code != http.StatusUnprocessableEntity || !strings.Contains(string(b), "other_collector") {
		t.Errorf("another collector's: %d %s", code, b)
	}
}

func newRecipient(t *testing.T) string {
	t.Helper()
	b, err := seal.NewKey()
	must(t, err)
	keys, err := seal.ParseKeys(b)
	must(t, err)
	return keys.Recipient()
}

// A key that is put above the old one goes into new site files, and files that are
// sealed to the old one still open.
func TestAgeKeyRotation(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	o := Options{Data: data, Name: "Test"}
	recipient := func() string {
		c, err := Open(t.Context(), o)
		must(t, err)
		defer c.Close()
		s, err := c.Site(SiteOptions{County: "17031", CollectorURL: "http://127.0.0.1:1", PolicyKeys: [][]byte{{1}}})
		must(t, err)
		return s.AgeRecipient
	}
	before := recipient()
	path := filepath.Join(data, "keys", "age.key")
	old, err := os.ReadFile(path)
	must(t, err)
	fresh, err := seal.NewKey()
	must(t, err)
	must(t, os.WriteFile(path, append(fresh, old...), 0o600))
	if recipient() == before {
		t.Error("the new key is not in the site file")
	}
	r := start(t, func(o *Options) { o.Data = data })
	_, file := sealed(t, before)
	if code, b := upload(t, r, apiToken(t, r), file); code != http.StatusOK {
		t.Errorf("%d %s", code, b)
	}
	must(t, r.stop())
	must(t, os.WriteFile(path, []byte("AGE-SECRET-KEY-1SECRET\n"), 0o600))
	if _, err := Open(t.Context(), o); err == nil || strings.Contains(err.Error(), "SECRET-KEY-1SECRET") {
		t.Errorf("a damaged key: %v", err)
	}
}
