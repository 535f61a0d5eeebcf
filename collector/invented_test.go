package collector

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/passmuster/muster"
)

// Controls that a host invents are told on its own page alone, and say nothing against a
// release; those of any bundle of the state count, also of one that is paused.
func TestInventedControls(t *testing.T) {
	o := openAll(t)
	officer := caller{name: "officer", base: o.far, client: &http.Client{}, peer: muster.Peer{Node: "n2", Login: "officer@state.example", Roles: []muster.Role{muster.RoleCISO}}}
	page := func(path string) string {
		t.Helper()
		code, _, body := o.as(officer, http.MethodGet, path, "")
		if code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
		return body
	}
	publish := func(version int, ring muster.Ring, controls ...string) muster.Release {
		t.Helper()
		var catalogue []string
		for _, c := range controls {
			catalogue = append(catalogue, fmt.Sprintf(`{"id": %q, "title": "Title of %s", "severity": "low"}`, c, c))
		}
		files := releaseFiles(version, "")
		files["controls.json"] = "[" + strings.Join(catalogue, ",") + "]"
		r, err := o.Publish(t.Context(), tarball(t, files), ring, "console")
		must(t, err)
		must(t, o.reload(t.Context()))
		return r
	}
	report := func(id muster.HostID, seq uint64, r muster.Release, verdicts map[string]muster.Status) {
		t.Helper()
		digest := func(seq uint64) muster.Digest { return muster.Digest{byte(seq), id[0]} }
		a := muster.Accepted{Way: muster.WayUplink, Summary: muster.Summary{Fail: 1}, GateFails: true, Envelope: muster.StoredEnvelope{Seq: seq, Digest: digest(seq), Body: []byte{1}, Size: 1},
			Header: muster.Header{Schema: 1, Host: id, Seq: seq, Hostname: "pc", CollectedAt: o.Now(), PolicyDigest: r.Policy, PolicyRevision: r.Revision}}
		if seq > 1 {
			a.Header.Prev = digest(seq - 1)
		}
		for control, status := range verdicts {
			a.Verdicts = append(a.Verdicts, muster.Verdict{Control: control, Status: status})
		}
		_, err := o.store.Commit(t.Context(), []muster.Accepted{a})
		must(t, err)
	}

	seven := publish(7, muster.RingAll, "GONE-01", "MVS-ENC-01")
	must(t, o.SetRing(t.Context(), muster.RingMember{County: "17031", Ring: muster.RingCanary}, "console"))
	var hosts []muster.HostID
	was, now := map[string]muster.Status{"GONE-01": muster.StatusFail, "MVS-ENC-01": muster.StatusFail}, map[string]muster.Status{"MVS-ENC-01": muster.StatusPass, "STATE-01": muster.StatusFail}
	for n := range 5 {
		invented := fmt.Sprint("INVENTED-", n)
		was[invented], now[invented] = muster.StatusPass, muster.StatusFail
	}
	for n := range 2 {
		id := muster.NewHostID([]byte{byte(n)})
		_, err := o.store.Enroll(t.Context(), muster.Enrolled{PublicKey: []byte{1}, Host: muster.Host{ID: id, Hostname: "pc", County: "17031", Profile: muster.Workstation}}, true, o.Now())
		must(t, err)
		report(id, 1, seven, was)
		hosts = append(hosts, id)
	}
	eight := publish(8, muster.RingCanary, "MVS-ENC-01", "STATE-01")
	for _, id := range hosts {
		report(id, 2, eight, now)
	}
	_, err := o.Pause(t.Context(), 8, "console")
	must(t, err)
	must(t, o.reload(t.Context()))

	for path, says := range map[string]string{"/policies/8": "Nothing that passed before stopped passing under it.", "/": "STATE-01", "/counties/17031": "2 computers report on controls that no policy of the state has.",
		"/changes": "Title of MVS-ENC-01", "/api/v1/policies/8": "STATE-01"} {
		if body := page(path); strings.Contains(body, "INVENTED") || !strings.Contains(body, says) {
			t.Errorf("%s tells of invented controls, or does not say %q: %s", path, says, body[max(0, strings.Index(body, "<main")):])
		}
	}
	if body := page("/policies/8"); !strings.Contains(body, "Title of STATE-01") || !strings.Contains(body, "Title of GONE-01") {
		t.Error("a control of a paused release, or one that it removes, has no title")
	}
	if body := page("/hosts/" + string(hosts[0])); !strings.Contains(body, "INVENTED-3") || strings.Contains(body, "/controls/INVENTED") {
		t.Error("the page of the host does not tell what it invented, or links to it")
	}
	if code, _, _ := o.as(officer, http.MethodGet, "/controls/INVENTED-3", ""); code != http.StatusNotFound {
		t.Errorf("the page of an invented control: %d", code)
	}
}
