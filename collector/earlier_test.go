package collector

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/earlier"
	"github.com/passmuster/muster/internal/wire"
)

// story is what a state of the version before left.
type story struct{ *earlier.Story }

func earlierStory(t *testing.T) story {
	t.Helper()
	s, err := earlier.Open()
	must(t, err)
	return story{s}
}

// options of a collector of this version, soon after the story.
func (s story) options(data string) func(*Options) {
	return func(o *Options) {
		o.Data, o.State, o.Name, o.Now = data, "56", "State of Example", func() time.Time { return s.MadeAt.Add(time.Minute) }
	}
}

// data is a new folder with what the collector of the version before had in its own.
func (s story) data(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, earlier.Unpack(earlier.CollectorData, dir))
	return dir
}

// sameAnswers asks what the collector of the version before was asked.
func (s story) sameAnswers(t *testing.T, r *running) {
	t.Helper()
	for path, before := range s.Answers {
		code, _, now := get(t, http.DefaultClient, r.base+path, apiToken(t, r))
		lost, err := earlier.Lost(before, []byte(now))
		if code != http.StatusOK || err != nil || len(lost) > 0 {
			t.Errorf("%s: %d %v\n%s", path, code, err, strings.Join(lost, "\n"))
		}
	}
}

// samePages opens the dashboard once.
func (s story) samePages(t *testing.T, r *running) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	browser := &http.Client{Jar: jar}
	get(t, browser, r.link, "")
	for path, want := range map[string]string{"/counties/56021": "clerk-01", "/hosts/" + string(s.Host): "The hosts file has 2", "/policies": "old-3"} {
		if code, _, page := get(t, browser, r.base+path, ""); code != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%s: %d, no %q", path, code, want)
		}
	}
}

// replay sends what the uplink of the version before sent. What is answered must be
// what that uplink took: the same kind and form, and receipts for the same reports.
func (s story) replay(t *testing.T, r *running, want wire.Code) {
	t.Helper()
	keys, err := wire.ParsePublicKeys(s.Site.ReceiptKeys)
	must(t, err)
	for _, x := range s.Exchanges {
		if x.Method == http.MethodGet {
			continue
		}
		resp, body := send(t, r, x.Path, x.Header, x.Request)
		if resp.StatusCode != x.Status || resp.Header.Get("Content-Type") != x.Answer.Get("Content-Type") {
			t.Fatalf("%s: %s %s\n%s", x.Path, resp.Status, resp.Header, body)
		}
		switch x.Path {
		case "/v1/enroll":
			if !bytes.Equal(body, x.Body) {
				t.Errorf("enroll: %x, was %x", body, x.Body)
			}
		case "/v1/checkin":
			var now, before wire.CheckinAnswer
			must(t, wire.Unmarshal(body, &now))
			must(t, wire.Unmarshal(x.Body, &before))
			if now.NextSeconds != before.NextSeconds || now.AuditNow != before.AuditNow {
				t.Errorf("check-in: %+v, was %+v", now, before)
			}
		case "/v1/reports":
			now, before := outcomes(t, body), outcomes(t, x.Body)
			if len(now) != len(before) {
				t.Fatalf("%d outcomes, were %d", len(now), len(before))
			}
			for i, o := range now {
				is, err := wire.VerifyReceipt(o.Receipt, keys)
				must(t, err)
				was, err := wire.VerifyReceipt(before[i].Receipt, keys)
				must(t, err)
				if o.Code != want || o.Seq != before[i].Seq || is.Host != was.Host || is.Seq != was.Seq || is.Digest != was.Digest || is.Schema != was.Schema {
					t.Errorf("report %d: %s, receipt %+v, was %+v", o.Seq, o.Code, is, was)
				}
			}
		}
	}
}

func send(t *testing.T, r *running, path string, header http.Header, body []byte) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.base+path, bytes.NewReader(body))
	must(t, err)
	req.Header = header.Clone()
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp, answer
}

func outcomes(t *testing.T, body []byte) (list []wire.Outcome) {
	t.Helper()
	seq, err := wire.NewSeqReader(bytes.NewReader(body), wire.MaxFrame, wire.MaxBatch)
	must(t, err)
	for {
		var o wire.Outcome
		if err := seq.Read(&o); err == io.EOF {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, o)
	}
}

// A data folder of the version before is served as it was, and its hosts go on.
func TestEarlierDataFolder(t *testing.T) {
	s := earlierStory(t)
	r := start(t, s.options(s.data(t)))
	s.sameAnswers(t, r)
	s.replay(t, r, wire.CodeDuplicate)
	s.sameAnswers(t, r)
	s.samePages(t, r)
	var last earlier.Exchange
	for _, x := range s.Exchanges {
		if x.Method == http.MethodGet {
			last = x
		}
	}
	if code, header, bundle := get(t, http.DefaultClient, r.base+last.Path, s.Site.Token); code != last.Status || header.Get("ETag") != last.Answer.Get("ETag") || bundle != string(last.Body) {
		t.Errorf("%s: %d %s", last.Path, code, header)
	}
	sealed, err := earlier.File(earlier.Sealed)
	must(t, err)
	if resp, body := send(t, r, "/v1/courier", http.Header{"Authorization": {"Bearer " + s.Site.Token}, "Content-Type": {wire.TypeCourier}}, sealed); resp.StatusCode != http.StatusOK {
		t.Errorf("a stick's file: %s %s", resp.Status, body)
	}
}

// An agent of the version before reports to a collector that has never seen it.
func TestEarlierAgent(t *testing.T) {
	s := earlierStory(t)
	data := s.data(t)
	must(t, os.Remove(filepath.Join(data, "muster.db")))
	r := start(t, s.options(data))
	s.replay(t, r, wire.CodeStored)
	before := s.Answers["/api/v1/findings?host="+string(s.Host)]
	var list [2]struct{ Findings []muster.FindingStanding }
	_, _, now := get(t, http.DefaultClient, r.base+"/api/v1/findings?host="+string(s.Host), apiToken(t, r))
	must(t, json.Unmarshal(before, &list[0]))
	must(t, json.Unmarshal([]byte(now), &list[1]))
	if len(list[0].Findings) != 2 || len(list[1].Findings) != 2 {
		t.Fatalf("%+v", list)
	}
	for i, was := range list[0].Findings {
		if is := list[1].Findings[i]; is.Control != was.Control || is.Status != was.Status {
			t.Errorf("%+v, was %+v", is, was)
		}
	}
}

func TestEarlierBackup(t *testing.T) {
	s := earlierStory(t)
	b, err := earlier.File(earlier.Backup)
	must(t, err)
	name, data := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "data")
	must(t, os.WriteFile(name, b, 0o600))
	o := Options{}
	s.options(data)(&o)
	_, err = Restore(t.Context(), o, name, nil)
	must(t, err)
	r := start(t, s.options(data))
	s.sameAnswers(t, r)
	s.replay(t, r, wire.CodeDuplicate)
}

// A site file of this version has no field that an agent of the version before refuses.
func TestSiteForEarlierAgent(t *testing.T) {
	s := earlierStory(t)
	c, err := Open(t.Context(), Options{Data: s.data(t), Name: s.Site.Name})
	must(t, err)
	site, err := c.Site(SiteOptions{County: s.Site.County, CollectorURL: s.Site.Collector, PolicyKeys: s.Site.PolicyKeys})
	must(t, errors.Join(err, c.Close()))
	now, err := json.Marshal(site)
	must(t, err)
	before, err := earlier.File(earlier.SiteFile)
	must(t, err)
	for _, order := range [2][2][]byte{{before, now}, {now, before}} {
		if lost, err := earlier.Lost(order[0], order[1]); err != nil || len(lost) > 0 {
			t.Error(lost, err)
		}
	}
}
