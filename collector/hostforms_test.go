package collector

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// The page of a host tells its reports as they came, and gives them out as they were
// signed; an operator takes a warning away and retires it, and the pages say so.
func TestHostPage(t *testing.T) {
	o := openAll(t)
	key, err := wire.NewKey()
	must(t, err)
	var id muster.HostID
	for range 2 { // two computers with one key
		id = shipWith(t, o.running, o.keys.hostToken, "17031", "pc-copied", key)
	}
	someone := func(role muster.Role) caller {
		return caller{base: o.far, client: &http.Client{}, peer: muster.Peer{Node: "n2", Login: string(role) + "@state.example", Roles: []muster.Role{role}}}
	}
	operator, viewer, clerk := someone(muster.RoleOperator), someone(muster.RoleViewer), someone(muster.CountyRole("17031"))
	page := "/hosts/" + string(id)
	see := func(who caller, path string, code int, texts ...string) string {
		t.Helper()
		got, _, body := o.as(who, http.MethodGet, path, "")
		if got != code {
			t.Fatalf("%s: %d %s", path, got, body)
		}
		for _, text := range texts {
			if !strings.Contains(body, text) {
				t.Errorf("%s does not say %q: %s", path, text, body)
			}
		}
		return body
	}
	post := func(who caller, path string, fields url.Values, code int, to string) {
		t.Helper()
		got, h, body := o.as(who, http.MethodPost, path, fields.Encode(), "Content-Type: application/x-www-form-urlencoded")
		if got != code || h.Get("Location") != to {
			t.Errorf("%s: %d %s %s", path, got, h.Get("Location"), body)
		}
	}

	body := see(clerk, page, http.StatusOK, "Two computers may share this identity", "over the network", "Agrees with the collector")
	digest := regexp.MustCompile(`<span class="id">([0-9a-f]{12})</span>`).FindStringSubmatch(body)
	href := regexp.MustCompile(`href="(/api/v1/hosts/[^"]+/reports/1)"`).FindStringSubmatch(body)
	if digest == nil || href == nil {
		t.Fatalf("no report on %s", body)
	}
	sum := sha256.Sum256([]byte(see(clerk, href[1], http.StatusOK)))
	if got := hex.EncodeToString(sum[:6]); got != digest[1] {
		t.Errorf("the file's SHA-256 begins with %s, the page says %s", got, digest[1])
	}

	post(viewer, page+"/clear-clone", nil, http.StatusForbidden, "")
	post(viewer, page+"/retire", nil, http.StatusForbidden, "")
	post(operator, page+"/clear-clone", nil, http.StatusSeeOther, page+"?done=cleared")
	if body := see(operator, page+"?done=cleared", http.StatusOK, "Taken away."); strings.Contains(body, "may share this identity") {
		t.Error("the warning is still there")
	}
	post(operator, page+"/retire", url.Values{"county": {"17031"}}, http.StatusSeeOther, "/counties/17031?done=retired")
	if body := see(operator, "/counties/17031?done=retired", http.StatusOK, "Retired. It is in no list"); strings.Contains(body, "pc-copied") {
		t.Error("the county still shows it")
	}
	see(operator, page, http.StatusNotFound)
	post(operator, page+"/retire", nil, http.StatusConflict, "")
	see(someone(muster.RoleViewer), "/log", http.StatusOK, "operator@state.example")
}
