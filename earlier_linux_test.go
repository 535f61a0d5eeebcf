package muster_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts/recorded"
	"github.com/passmuster/muster/agent/media"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/earlier"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// oldHost is the state folder of a host of the version before, two reports waiting, and
// the programs of this version.
type oldHost struct {
	*testing.T
	story     *earlier.Story
	exchanges []earlier.Exchange // of its next contact
	bin, dir  string
	site      string
}

func newOldHost(t *testing.T) *oldHost {
	t.Helper()
	story, err := earlier.Open()
	if err != nil {
		t.Fatal(err)
	}
	var contacts []int // where each begins
	for i, x := range story.Exchanges {
		if x.Path == "/v1/enroll" {
			contacts = append(contacts, i)
		}
	}
	n := len(contacts) // by the last one but one, what waits in the folder went out
	h := &oldHost{T: t, story: story, exchanges: story.Exchanges[contacts[n-2]:contacts[n-1]], bin: mustPrograms(t), dir: filepath.Join(t.TempDir(), "state")}
	if err := os.Mkdir(h.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := earlier.Unpack(earlier.Host, h.dir); err != nil {
		t.Fatal(err)
	}
	collector := httptest.NewServer(http.HandlerFunc(h.answer))
	t.Cleanup(collector.Close)
	story.Site.Collector = collector.URL
	h.site = filepath.Join(t.TempDir(), "site.json")
	b, err := json.Marshal(story.Site)
	if err == nil {
		err = os.WriteFile(h.site, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// answer is the collector of the version before, word for word.
func (h *oldHost) answer(w http.ResponseWriter, r *http.Request) {
	i := slices.IndexFunc(h.exchanges, func(x earlier.Exchange) bool { return x.Method == r.Method && x.Path == r.URL.RequestURI() })
	if i < 0 {
		h.Errorf("the collector of the version before does not know %s %s", r.Method, r.URL)
		http.NotFound(w, r)
		return
	}
	x := h.exchanges[i]
	for name, values := range x.Answer {
		w.Header()[name] = values
	}
	w.WriteHeader(x.Status)
	if _, err := w.Write(x.Body); err != nil {
		h.Error(err)
	}
}

func (h *oldHost) run(name string, args ...string) []byte {
	h.Helper()
	cmd := exec.Command(filepath.Join(h.bin, name), append(args, "--site", h.site, "--state", h.dir)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); err != nil && (args[0] != "audit" || code != 1 && code != 3) {
		h.Fatalf("%s %q: %v\n%s%s", name, args, err, out, stderr.Bytes())
	}
	return out
}

// audit makes the next report, and gives it and its own view of the policy.
func (h *oldHost) audit() (r muster.Report, a muster.Audit) {
	h.Helper()
	out := h.run("muster", "audit", "--osquery", "off", "--output", "json")
	if err := json.Unmarshal(out, &a); err != nil {
		h.Fatal(err)
	}
	if err := json.Unmarshal(h.run("muster", "report", "show", "latest"), &r); err != nil {
		h.Fatal(err)
	}
	if damaged, err := filepath.Glob(filepath.Join(h.dir, "outbox", "*.corrupt")); err != nil || len(damaged) > 0 {
		h.Errorf("set aside: %s %v", damaged, err)
	}
	return r, a
}

func (h *oldHost) waiting() (names []string) {
	h.Helper()
	found, err := filepath.Glob(filepath.Join(h.dir, "outbox", "0*"))
	if err != nil {
		h.Fatal(err)
	}
	for _, name := range found {
		names = append(names, filepath.Base(name))
	}
	return names
}

// digest of the report that the version before numbered 4.
func (h *oldHost) digest() muster.Digest {
	h.Helper()
	i := slices.IndexFunc(h.exchanges, func(x earlier.Exchange) bool { return x.Path == "/v1/reports" })
	seq, err := wire.NewSeqReader(bytes.NewReader(h.exchanges[i].Body), wire.MaxFrame, wire.MaxBatch)
	if err != nil {
		h.Fatal(err)
	}
	for {
		var o wire.Outcome
		if err := seq.Read(&o); err != nil {
			h.Fatal(err)
		}
		if o.Seq == 4 {
			payload, err := wire.Payload(wire.KindReceipt, o.Receipt)
			var r muster.Receipt
			if err == nil {
				err = wire.Unmarshal(payload, &r)
			}
			if err != nil {
				h.Fatal(err)
			}
			return r.Digest
		}
	}
}

// A host is updated before its collector: who it is, its chain and its mail stay.
func TestUpdatedHost(t *testing.T) {
	h := newOldHost(t)
	h.run("muster-uplink", "--once")
	r, a := h.audit()
	if r.Header.Host != h.story.Host || r.Header.Seq != 5 || r.Header.Prev != h.digest() || len(r.Header.Gap) > 0 {
		t.Errorf("the chain does not go on: %+v", r.Header)
	}
	if a.Policy.Revision != "old-3" || !a.Policy.Signed {
		t.Errorf("the policy that the collector sent does not judge: %+v", a.Policy)
	}
	if w := h.waiting(); !slices.Equal(w, []string{"00000005.report"}) {
		t.Errorf("receipts of the version before do not count: %s wait", w)
	}
}

// A host is updated while nobody hears it: what waited still waits.
func TestUpdatedHostOffline(t *testing.T) {
	h := newOldHost(t)
	r, a := h.audit()
	if r.Header.Host != h.story.Host || r.Header.Seq != 5 || r.Header.Prev != h.digest() || a.Policy.Revision != "old-2" {
		t.Errorf("%+v, %+v", r.Header, a.Policy)
	}
	if w := h.waiting(); !slices.Equal(w, []string{"00000003.report", "00000004.report", "00000005.report"}) {
		t.Errorf("%s wait", w)
	}
	// What the collector of the version before returned on a stick is taken.
	b, err := earlier.File(earlier.Return)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "return.courier")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	out := string(h.run("muster", "courier", "import", name))
	if w := h.waiting(); !slices.Equal(w, []string{"00000005.report"}) || !strings.Contains(out, "2") {
		t.Errorf("%s wait\n%s", w, out)
	}
}

// The page names the forms that the programs write.
func TestUpgradesPage(t *testing.T) {
	page, err := os.ReadFile("docs/upgrades.md")
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]int{
		"report": muster.ReportSchema, "enrollment": wire.EnrollmentSchema, "receipt": wire.ReceiptSchema, "site file": muster.SiteSchema,
		"sealed file": seal.Schema, "list of hashes": media.ManifestSchema, "state folder": state.Version, "recording": recorded.Version,
	}
	for _, database := range []string{"sqlite", "postgres"} {
		files, err := filepath.Glob("collector/store/" + database + "/migrations/*.sql")
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		newest, err := strconv.Atoi(filepath.Base(slices.Max(files))[:5])
		if err != nil {
			t.Fatal(err)
		}
		forms["collector's database"] = newest
		for what, number := range forms {
			if row := fmt.Sprintf(`(?m)^\| %s[^|]*\|[^|]*\b%d\b`, what, number); !regexp.MustCompile(row).Match(page) {
				t.Errorf("docs/upgrades.md does not say that the form of the %s is %d", what, number)
			}
		}
	}
}
