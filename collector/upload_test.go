package collector

import (
	"bytes"
	"html"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// chosen is a file that a browser sends.
type chosen struct {
	name string
	body []byte
}

// formOf is what a browser sends of a form with files, and its header.
func formOf(t *testing.T, field string, files ...chosen) (body, header string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range files {
		part, err := w.CreateFormFile(field, f.name)
		must(t, err)
		_, err = part.Write(f.body)
		must(t, err)
	}
	must(t, w.Close())
	return b.String(), "Content-Type: " + w.FormDataContentType()
}

// A person brings a stick: each file is told by itself, the answers can be taken away for
// a while by who sent the files, and what is wrong with one costs the others nothing.
func TestUpload(t *testing.T) {
	o := openAll(t)
	site, err := o.Site(SiteOptions{County: "17031", CollectorURL: o.base, PolicyKeys: [][]byte{{1}}})
	must(t, err)
	_, err = o.Publish(t.Context(), release(t, 7, "low"), muster.RingAll, "console")
	must(t, err)
	id, file := sealed(t, site.AgeRecipient)
	_, foreign := sealed(t, newRecipient(t))
	operator := func(login string) caller {
		return caller{base: o.far, client: &http.Client{}, peer: muster.Peer{Node: "n1", Login: login, Roles: []muster.Role{muster.RoleOperator}}}
	}
	who := operator("operator@state.example")
	page := func(path string) string {
		t.Helper()
		code, _, body := o.as(who, http.MethodGet, path, "")
		if code != http.StatusOK {
			t.Fatalf("%s: %d %.500s", path, code, body)
		}
		return html.UnescapeString(body)
	}
	send := func(files ...chosen) string {
		t.Helper()
		body, header := formOf(t, "file", files...)
		code, h, answer := o.as(who, http.MethodPost, "/courier", body, header)
		if code != http.StatusSeeOther {
			t.Fatalf("%d %.2000s", code, answer)
		}
		return h.Get("Location")
	}

	to := send(chosen{"whole.courier", file}, chosen{"<b>junk.pdf", []byte("%PDF-1.4")}, chosen{"foreign.courier", foreign},
		chosen{"half.courier", file[:len(file)-20]}, chosen{"again.courier", file}, chosen{"empty", nil})
	body := page(to)
	for _, want := range []string{"2 of 6 files were taken in", "whole.courier", "Received", "junk.pdf", "This is no sealed file of muster", "foreign.courier", "sealed to another collector",
		"half.courier", "again.courier", "Received before", string(id), "It waits for approval"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	var returns []string
	for _, m := range hrefs.FindAllStringSubmatch(body, -1) {
		if strings.HasPrefix(m[1], "/courier/returns/") {
			returns = append(returns, m[1])
		}
	}
	if len(returns) != 2 {
		t.Fatalf("return files %v", returns)
	}
	code, h, got := o.as(who, http.MethodGet, returns[0], "")
	ret, err := seal.ReadReturn([]byte(got))
	if code != http.StatusOK || err != nil {
		t.Fatalf("%d %v", code, err)
	}
	if len(ret.Outcomes) != 1 || ret.Outcomes[0].Code != wire.CodeStored || ret.Outcomes[0].Receipt == nil || !bytes.Equal(ret.Bundle, release(t, 7, "low")) {
		t.Errorf("return file %+v", ret)
	}
	_, disposition, err := mime.ParseMediaType(h.Get("Content-Disposition"))
	if want := string(id) + "-1-1-" + ret.File[:8] + ".return"; err != nil || disposition["filename"] != want {
		t.Errorf("it is called %q, want %q: %v", disposition["filename"], want, err)
	}

	// Nobody else has them, and nobody has them later.
	other := operator("other@state.example")
	if code, h, _ := o.as(other, http.MethodGet, returns[0], ""); code != http.StatusSeeOther || !strings.HasPrefix(h.Get("Location"), "/courier?upload=") {
		t.Errorf("another's return file: %d %v", code, h)
	}
	if _, _, body := o.as(other, http.MethodGet, to, ""); strings.Contains(body, "whole.courier") || !strings.Contains(body, "that time is over") {
		t.Errorf("another's upload: %s", body)
	}
	o.clock.add(uploadLife + time.Minute)
	if body := page(to); strings.Contains(body, "whole.courier") {
		t.Errorf("an hour later: %s", body)
	}
	if code, _, _ := o.as(who, http.MethodGet, returns[0], ""); code != http.StatusSeeOther {
		t.Errorf("the return file an hour later: %d", code)
	}

	// A host that is approved is told by its name.
	must(t, o.Approve(t.Context(), id, "console"))
	if body := page(send(chosen{"whole.courier", file})); !strings.Contains(body, "The file was taken in") || !strings.Contains(body, `<a href="/hosts/`+string(id)+`"><bdi>ems1</bdi>`) {
		t.Errorf("of a host with a page: %s", body)
	}
	log, err := o.store.AuditLog(t.Context(), 0, 30)
	must(t, err)
	lines := map[string]int{}
	for _, e := range log {
		if e.Actor == who.peer.Login {
			lines[e.Action]++
		}
	}
	if lines["upload_courier"] != 7 || lines["take_courier"] != 3 {
		t.Errorf("log %v", lines)
	}
}

// What is no upload is said so, and one that breaks off keeps what came before.
func TestUploadThatIsNone(t *testing.T) {
	o := openAll(t)
	site, err := o.Site(SiteOptions{County: "17031", CollectorURL: o.base, PolicyKeys: [][]byte{{1}}})
	must(t, err)
	_, file := sealed(t, site.AgeRecipient)
	who := caller{base: o.far, client: &http.Client{}, peer: muster.Peer{Node: "n1", Login: "operator@state.example", Roles: []muster.Role{muster.RoleOperator}}}
	none, header := formOf(t, "file")
	unnamed, unnamedHeader := formOf(t, "file", chosen{"", nil}) // as browsers send where nothing was chosen
	for name, c := range map[string]struct{ body, header, says string }{
		"NoForm":   {"x", "Content-Type: text/plain", "the form cannot be read"},
		"NoFile":   {none, header, "no file was chosen"},
		"Unchosen": {unnamed, unnamedHeader, "no file was chosen"},
		"Broken":   {"--x\r\nContent-Dis", "Content-Type: multipart/form-data; boundary=x", "the upload broke off"},
	} {
		if code, _, body := o.as(who, http.MethodPost, "/courier", c.body, c.header); code != http.StatusUnprocessableEntity || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d does not say %q: %.1500s", name, code, c.says, body)
		}
	}
	whole, header := formOf(t, "file", chosen{"one.courier", file}, chosen{"two.courier", file})
	code, h, _ := o.as(who, http.MethodPost, "/courier", whole[:len(whole)-len(file)/2], header)
	if code != http.StatusSeeOther {
		t.Fatalf("broken off: %d", code)
	}
	if _, _, body := o.as(who, http.MethodGet, h.Get("Location"), ""); !strings.Contains(body, "one.courier") || !strings.Contains(body, "Upload ended") || !strings.Contains(body, "1 of 3 files was taken in") {
		t.Errorf("broken off: %s", body)
	}
	files := make([]chosen, 65)
	for i := range files {
		files[i] = chosen{"x.pdf", []byte("x")}
	}
	many, header := formOf(t, "file", files...)
	_, h, _ = o.as(who, http.MethodPost, "/courier", many, header)
	if _, _, body := o.as(who, http.MethodGet, h.Get("Location"), ""); strings.Count(body, "x.pdf") < 64 || !strings.Contains(body, "Upload ended") {
		t.Errorf("too many files: %.500s", body)
	}
}

// Several hosts are approved at once, each with a line of the log, and those that could
// not be are named.
func TestApproveSeveral(t *testing.T) {
	o := openAll(t)
	who := caller{base: o.far, client: &http.Client{}, peer: muster.Peer{Node: "n2", Login: "operator@state.example", Roles: []muster.Role{muster.RoleOperator}}}
	const form = "Content-Type: application/x-www-form-urlencoded"
	var ids []string
	for _, name := range []string{"pc-1", "pc-2", "pc-3"} {
		ids = append(ids, string(shipOf(t, o.running, "", "17031", name)))
	}
	post := func(path string, fields url.Values) (int, string, string) {
		t.Helper()
		code, h, body := o.as(who, http.MethodPost, path, fields.Encode(), form)
		return code, h.Get("Location"), body
	}
	must(t, o.Retire(t.Context(), muster.HostID(ids[2]), "console"))
	code, to, body := post("/pending/approve", url.Values{"host": ids, "county": {"17031"}})
	if code != http.StatusSeeOther || to != "/pending?county=17031&done=approved-some&left="+ids[2] {
		t.Fatalf("%d %s %.500s", code, to, body)
	}
	_, _, body = o.as(who, http.MethodGet, to, "")
	for _, want := range []string{"Approved. What they sent counts", "1 computer of those chosen was not approved.", ids[2], "waits no more", "No computer waits for approval"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	log, err := o.store.AuditLog(t.Context(), 0, 10)
	must(t, err)
	lines := 0
	for _, e := range log {
		if e.Action == "approve" && e.Actor == who.peer.Login {
			lines++
		}
	}
	if lines != 2 {
		t.Errorf("log %+v", log)
	}
	if code, to, _ := post("/hosts/"+ids[0]+"/approve", url.Values{"back": {"pending"}, "county": {"17031"}, "host": {ids[1]}}); code != http.StatusSeeOther || to != "/pending?county=17031&done=approved" {
		t.Errorf("one of the list: %d %s", code, to)
	}
	for name, fields := range map[string]url.Values{"none": {}, "junk": {"host": {"x"}}, "too many": {"host": make([]string, 101)}} {
		if code, _, _ := post("/pending/approve", fields); code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", name, code)
		}
	}
}
