package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

// waitingState has hosts of two counties that wait for every reason.
func waitingState() (*storybook.Book, []muster.HostID) {
	b, known := one(nil)
	var ids []muster.HostID
	add := func(name string, county muster.County, p muster.Profile, ago time.Duration, waits string, replaces muster.HostID) {
		id := muster.NewHostID([]byte(name))
		b.Fleet = append(b.Fleet, muster.HostStanding{Host: muster.Host{ID: id, Hostname: name, County: county, Profile: p, Platform: muster.Linux},
			State: muster.HostPending, FirstSeen: now.Add(-ago), Waits: waits, Replaces: replaces})
		ids = append(ids, id)
	}
	add("NEW-01", "56021", muster.Workstation, time.Hour, muster.WaitsNew, "")
	add("MOVED-01", "56021", muster.EMS, 2*time.Hour, muster.WaitsMoved, known)
	add("OTHER-01", "56001", muster.Workstation, 3*time.Hour, muster.WaitsOther, "hgone")
	add("HELD-01", "56001", muster.Workstation, 4*time.Hour, muster.WaitsHeld, "")
	add("BACK-01", "56001", muster.Workstation, 5*time.Hour, muster.WaitsRetired, "")
	add("", "56001", muster.Workstation, 6*time.Hour, "of a reason of later", "")
	b.Absent = []muster.ExpectedHost{{County: "56021", Name: "new-01", Since: now}, {County: "56021", Name: "MOVED-01", Profile: muster.Workstation, Since: now},
		{County: "56001", Name: "PC-1", Since: now}}
	b.People = map[muster.County][]muster.Contact{"56021": {{Name: "Night desk"}, {Name: "Dana", Duty: "Clerk", Phone: "+1 307 555 0142"}}}
	return b, ids
}

// aloud is a host id as it is read.
func aloud(id muster.HostID) string {
	var b strings.Builder
	for i, r := range string(id) {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func TestPending(t *testing.T) {
	b, ids := waitingState()
	h := seenBy(t, b, officer)
	d := open(t, h, "/pending")
	inOrder(t, d.Text, "6 computers wait for approval", "Before you approve one", "muster status", "all 27 characters", "Approve those chosen",
		"unnamed computer Albany County", "6 hours ago", "Of a reason of later.", "Not on the county's list", "Approve", "Decline",
		"BACK-01", aloud(ids[4]), "Was turned away or retired before.", "HELD-01", "Comes from where another computer is.", "OTHER-01", "Says another county or kind than before.",
		"same machine as hgone", "MOVED-01 Laramie County Election management system, Linux", "Comes from another place in the network.", "same machine as CLERK-01", "On the county's list as another kind",
		"Call Dana, Clerk: +1 307 555 0142", "NEW-01", "New here.", "On the county's list", "declined is in no list")
	d.hasNot(t, "Who to call")
	body := get(h, "/pending?county=56021").Body.String()
	for _, want := range []string{`name="host" value="` + string(ids[0]) + `" aria-label="Choose NEW-01"`, `formaction="/hosts/` + string(ids[0]) + `/approve" name="back" value="pending"`,
		`<input type="hidden" name="county" value="56021"/>`, `<span>` + string(ids[0][:4]) + `</span><wbr/><span>` + string(ids[0][4:8])} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	d = open(t, h, "/pending?county=56021")
	d.has(t, "2 computers wait", "Who to call Night desk Dana Clerk +1 307 555 0142")
	d.hasNot(t, "HELD-01")
	open(t, h, "/pending?county=56021&done=approved-some&left="+string(ids[0])+"&left="+string(ids[3])+"&left=junk").has(t, "2 computers of those chosen were not approved.",
		"NEW-01 "+string(ids[0])+": could not be approved just now.", string(ids[3])+": is not on this page:")
	open(t, h, "/pending?after="+string(ids[0])).has(t, "6 computers wait", "To the first that wait")
	if d := open(t, h, "/pending?county=nowhere"); d.Code != http.StatusNotFound {
		t.Errorf("a county that is none: %d", d.Code)
	}

	// Who may not approve is shown no way to.
	d = open(t, seenBy(t, b, web.Person{Role: muster.RoleViewer}), "/pending")
	d.has(t, "BACK-01")
	d.hasNot(t, "Before you approve one", "Call the election security staff", "Approve those", "Decline", "Choose")
	d = open(t, seenBy(t, b, clerk), "/pending")
	d.has(t, "2 computers wait", "until your state approves them", "Call the election security staff of State of Example.", "NEW-01", aloud(ids[0]))
	d.hasNot(t, "HELD-01", "Approve", "Before you", "Dana")

	nobody, _ := one(nil)
	d = open(t, mustNew(t, nobody, nobody.Catalogue), "/pending")
	d.has(t, "No computer waits for approval", "A new computer appears here")
	d.hasNot(t, "muster status")
}

// However many wait, a page has a hundred and leads to the next.
func TestPendingIsBounded(t *testing.T) {
	b := &storybook.Book{}
	for i := range 230 {
		b.Fleet = append(b.Fleet, muster.HostStanding{Host: muster.Host{ID: muster.NewHostID(fmt.Append(nil, i)), Hostname: fmt.Sprintf("PC-%03d", i), County: "56021"},
			State: muster.HostPending, FirstSeen: now.Add(time.Duration(i-300) * time.Minute)})
	}
	h := mustNew(t, b, nil)
	seen := map[string]bool{}
	path := "/pending"
	for _, want := range []string{"The first 100 of 230", "100 more of 230", "30 more of 230"} {
		d := open(t, h, path)
		d.has(t, want, "230 computers wait")
		for i := range 230 {
			if name := fmt.Sprintf("PC-%03d", i); strings.Contains(d.Text, name) && seen[name] {
				t.Errorf("%s is on two pages", name)
			} else if strings.Contains(d.Text, name) {
				seen[name] = true
			}
		}
		path = ""
		for _, l := range d.Links {
			if strings.HasPrefix(l, "/pending?after=") {
				path = l
			}
		}
	}
	if len(seen) != 230 || path != "" {
		t.Errorf("%d were shown, and then %q", len(seen), path)
	}
}

func TestCourier(t *testing.T) {
	b, id := one(nil)
	waits := muster.NewHostID([]byte("waits"))
	long := muster.SealedFile{Name: "long.courier", Host: id, State: muster.HostActive, Return: "long", Reason: "the way of the file could not be kept"}
	for seq := uint64(2); seq < 100; seq += 2 {
		long.Fate(seq, "stored", "")
	}
	of := func(problem, reason string) muster.SealedFile {
		return muster.SealedFile{Name: problem, Problem: problem, Reason: reason}
	}
	one := muster.SealedFile{Name: "one.courier", Host: id, State: muster.HostActive, Reports: 3, Return: "secret", Policy: true}
	one.Fate(7, "duplicate", "")
	one.Fate(8, "stored", "")
	one.Fate(9, "stored", "")
	cut := muster.SealedFile{Name: "cut.courier", Host: waits, State: muster.HostPending, Reports: 9, Problem: "cut_off", Return: "cut"}
	cut.Fate(1, "stored", "")
	cut.Fate(2, "conflict", "another report has this number")
	unkept := muster.SealedFile{Name: "unkept.courier", Host: id, State: muster.HostActive, Reports: 1}
	unkept.Fate(1, "pending", "")
	b.Uploads = map[string]muster.Upload{"all": {At: now.Add(-time.Minute), Files: []muster.SealedFile{one, cut, long, unkept, of("cut_off", "x"), of("other_collector", "x"), of("too_large", ""), of("future_schema", ""),
		of("wrong_county", ""), of("busy", ""), of("conflict", "this host has made a newer statement"), of(muster.UploadEnded, "")}},
		"single": {At: now, Files: []muster.SealedFile{one}}, "none": {At: now, Files: []muster.SealedFile{of("cut_off", "")}}}
	h := seenBy(t, b, officer)
	d := open(t, h, "/courier")
	d.has(t, "Take in files from a stick", "Sealed files", "MUSTER/outgoing", "MUSTER/incoming", "Take them in", "The whole way")
	if body := get(h, "/courier").Body.String(); !strings.Contains(body, `action="/courier" enctype="multipart/form-data" data-upload=`) {
		t.Errorf("no form in %s", body)
	}
	d = open(t, h, "/courier?upload=all")
	inOrder(t, d.Text, "3 of 12 files were taken in", "save each return file onto the stick, into MUSTER/incoming", "12 files, sent 1 minute ago",
		"Taken in one.courier", "From CLERK-01, Laramie County", "Received before 1 report number 7", "Received 2 reports numbers 8 to 9", "Save the return file for one.courier It also brings a new policy.",
		"Taken in part cut.courier", "2 of 9 reports could be read", "From "+string(waits)+". It waits for approval", "Received 1 report number 1", "Refused: another report has this number 1 report number 2 another report has this number",
		"long.courier Its way here could not be kept; the collector’s log says why.", "49 reports numbers 2, 4,", "40 and 29 more", "unkept.courier", "To be sent again later", "There is no return file", "Not taken cut_off This is no sealed file of muster", "sealed to another collector",
		"larger than any sealed file", "newer muster", "names another county", "could not look at it just now", "this host has made a newer statement", "Upload ended", "See who waits for approval", "Take in more")
	open(t, h, "/courier?upload=single").has(t, "The file was taken in", "save the return file onto the stick")
	d = open(t, h, "/courier?upload=none")
	d.has(t, "Not taken in as it is")
	d.hasNot(t, "Now save")
	open(t, h, "/courier?upload=of-someone-else").has(t, "that time is over", "Take in files from a stick")
}

// Whatever a file is called and a collector answered, it is shown harmlessly.
func TestHostileUpload(t *testing.T) {
	for name, text := range hostile {
		b, _ := waitingState()
		for i := range b.Fleet {
			b.Fleet[i].Hostname, b.Fleet[i].Profile, b.Fleet[i].Platform = text, muster.Profile(text), muster.Platform(text)
			if b.Fleet[i].Waits != "" {
				b.Fleet[i].Waits = text
			}
		}
		b.People["56021"] = []muster.Contact{{Name: text, Duty: text, Phone: text, Email: text}}
		f := muster.SealedFile{Name: text, Host: muster.NewHostID([]byte(text)), State: muster.HostState(text), Problem: text, Reason: text, Return: "x"}
		f.Fate(1, text, text)
		b.Uploads = map[string]muster.Upload{"x": {Files: []muster.SealedFile{f}}}
		h := mustNew(t, b, b.Catalogue)
		for _, path := range []string{"/pending", "/pending?county=56021", "/courier?upload=x"} {
			if d := open(t, h, path); d.Code != http.StatusOK || strings.ContainsAny(d.Text, "\u202E\u200B\u2060\x00\x1b") || len(d.Text) > 20000 {
				t.Errorf("%s: %s is answered %d, %d bytes", name, path, d.Code, len(d.Text))
			}
		}
	}
}
