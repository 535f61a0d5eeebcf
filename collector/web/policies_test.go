package web_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
	"github.com/passmuster/muster/policies/changes"
)

// policed are the pages of a book as someone sees them, with all that is known of policies.
func policed(tb testing.TB, b *storybook.Book, p web.Person, change ...func(*web.Options)) http.Handler {
	tb.Helper()
	return seenBy(tb, b, p, append([]func(*web.Options){func(o *web.Options) {
		o.May, o.Waivers, o.Attestations, o.Claims, o.Held, o.Diff = door.May, b.Waivers, b.Attestations, b.Claims, b.Held, b.Diff
	}}, change...)...)
}

var viewer = web.Person{Name: "viewer@state.example", Role: muster.RoleViewer}

func TestPolicies(t *testing.T) {
	b := storybook.Example(now)
	d := open(t, policed(t, b, officer), "/policies")
	d.has(t, "canary version 14 2026.11.2", "all version 13 2026.11.1", "Version 14 2026.11.2 Not yet: 3 verdicts that passed before do not pass under it.",
		"Remote Desktop is off, or strongly protected (3). Compared on 7 of 9 canary computers.", "Published 26 hours ago by the collector's own computer. What it changes, and what it did", "Offer version 14 to ring early Pause version 14 Take version 14 back To pause is to offer it to nobody; computers that have it keep it.",
		"Upload and look at it", "Version 12 2026.10.4", "Albany County canary", "Put it there")
	d.hasNot(t, "Offer version 13 to ring", "Offer version 11", "Offer version 12")
	d = open(t, policed(t, b, viewer), "/policies")
	d.has(t, "Not yet: 3 verdicts", "Albany County canary")
	d.hasNot(t, "Offer version", "Pause version", "To pause", "Upload", "Put it there")

	empty, id := one(nil)
	d = open(t, policed(t, empty, officer), "/policies")
	d.has(t, "No policy was published here.", "Nobody is in a ring of their own", "1 computer without a report so far", "Upload and look at it")

	// A host with a policy of its own.
	alone, _ := one(func(h *muster.HostStanding, b *storybook.Book) {
		h.PolicyDigest, h.PolicyRevision = "own", "from a stick"
		b.Policies = []muster.Release{{Version: 7, Revision: "seven", Policy: strings.Repeat("7", 64), Ring: muster.RingEarly}}
		b.Members = []muster.RingMember{{Host: id, Ring: muster.RingCanary}}
	})
	open(t, policed(t, alone, officer), "/policies").has(t, "canary version 7 seven 1 0", "all nothing yet 0 0",
		"Too few to tell: 0 of 1 canary or early computer run it.", "1 computer with a policy that this collector does not know", "CLERK-01 Laramie County from a stick own", "CLERK-01 canary")

	// Many releases and members are told in part.
	many, _ := one(func(_ *muster.HostStanding, b *storybook.Book) {
		for v := int64(50); v > 0; v-- {
			b.Policies = append(b.Policies, muster.Release{Version: v, Policy: strings.Repeat("0", 64), Ring: muster.RingAll})
			b.Members = append(b.Members, muster.RingMember{County: "56021", Ring: muster.RingCanary}, muster.RingMember{County: "56001", Ring: muster.RingEarly})
		}
	})
	d = open(t, policed(t, many, officer), "/policies")
	d.has(t, "Version 30 ", "And 40 more", "Those before version 30")
	d.hasNot(t, "Version 29 ")
	d = open(t, policed(t, many, officer), "/policies?before=30")
	d.has(t, "Version 29 ", "Version 10 ", "The newest of them", "Those before version 10")
	d.hasNot(t, "Version 30 ", "Version 9 ")
	d.hasNot(t, "Computers with another policy")

	// However many policies hosts invent, they are one number and a page of hosts.
	strange, _ := one(nil)
	for n := range 45 {
		h := strange.Fleet[0]
		h.ID, h.Hostname, h.PolicyDigest = muster.NewHostID([]byte{byte(n)}), fmt.Sprintf("ODD-%02d", n), fmt.Sprint("invented ", n)
		strange.Fleet = append(strange.Fleet, h)
	}
	d = open(t, policed(t, strange, officer), "/policies")
	d.has(t, "45 computers with a policy that this collector does not know", "The first of them", "ODD-18", "Those after these")
	d.hasNot(t, "ODD-30")
	d = open(t, policed(t, strange, officer), "/policies?others=40")
	d.has(t, "45 computers with a policy", "ODD-44", "The first of them")
	d.hasNot(t, "ODD-39", "Those after these")
	for _, wrong := range []string{"?before=x", "?before=-1"} {
		if code := get(policed(t, many, officer), "/policies"+wrong).Code; code != http.StatusNotFound {
			t.Errorf("%s answers %d", wrong, code)
		}
	}
}

// trier is a canary beside the one of the test.
type trier struct{ runs, stale bool }

// What the page of a release says of it, by how far it came and what it did.
func TestJudgement(t *testing.T) {
	policy := strings.Repeat("7", 64)
	for name, c := range map[string]struct {
		release muster.Release
		runs    bool
		effect  muster.PolicyEffect
		member  muster.Ring
		others  []muster.Release
		beside  []trier
		says    []string
		not     []string
	}{
		"Uploaded": {release: muster.Release{Ring: muster.RingCanary, Paused: true},
			says: []string{"Offered to nobody, and no computer runs it. Look at what it changes. Then offer it to ring canary. Offer version 7 to ring canary Offered to nobody now"}, not: []string{"Pause version", "Take", "signed again"}},
		"Paused": {release: muster.Release{Ring: muster.RingAll, Paused: true}, runs: true,
			says: []string{"Paused in ring all, and offered to nobody: 1 of 1 computer runs it. There is nothing to compare yet. Computers that have it keep it.", "Offer version 7 to ring all again", "Take version 7 back"}},
		"PausedAndFollowed": {release: muster.Release{Ring: muster.RingEarly, Paused: true}, runs: true, others: []muster.Release{{Version: 8, Ring: muster.RingAll}},
			says: []string{"Paused, and followed by a higher version. 1 computer still runs it.", "Offered to nobody now", "Go back to this policy", "So version 7 is signed again as version 9"},
			not:  []string{"Offer version 7", "Pause version 7", "Take it back", "which ring"}},
		"FollowedByPaused": {release: muster.Release{Ring: muster.RingAll}, runs: true, others: []muster.Release{{Version: 8, Ring: muster.RingAll, Paused: true}},
			says: []string{"Offered to every computer: 1 of 1 computer runs it.", "Pause version 7"}},
		"FollowedPartly": {release: muster.Release{Ring: muster.RingAll}, runs: true, others: []muster.Release{{Version: 8, Ring: muster.RingCanary}},
			says: []string{"Offered to every computer", "Offered as far as ring all"}},
		"GoneBack": {release: muster.Release{Ring: muster.RingCanary}, runs: true, others: []muster.Release{{Version: 5, Ring: muster.RingAll}, {Version: 6, Ring: muster.RingCanary}},
			says: []string{"Against version 5, which ring early has without it.", "So version 6 is signed again as version 8"}},
		"FirstEver": {release: muster.Release{Ring: muster.RingCanary}, runs: true,
			says: []string{"So the policy from before is signed again as version 8", "muster policy build policies --version 8"}},
		"HalfSilent": {release: muster.Release{Ring: muster.RingCanary}, member: muster.RingCanary, runs: true, effect: muster.PolicyEffect{Compared: 2},
			beside: []trier{{runs: true, stale: true}},
			says:   []string{"Cannot tell: 1 of 2 computers that run it have been silent for too long.", "whether the policy silenced them"}, not: []string{"Safe"}},
		"SomeSilent": {release: muster.Release{Ring: muster.RingCanary}, member: muster.RingCanary, runs: true, effect: muster.PolicyEffect{Compared: 3},
			beside: []trier{{runs: true, stale: true}, {runs: true}},
			says:   []string{"Safe to go on: nothing that passed before stopped passing on 3 of 3 canary computers. 1 computer that runs it has been silent for too long."}},
		"OthersSilent": {release: muster.Release{Ring: muster.RingCanary}, member: muster.RingCanary, runs: true, effect: muster.PolicyEffect{Compared: 1},
			beside: []trier{{stale: true}, {stale: true}, {stale: true}},
			says:   []string{"Too few to tell: 1 of 4 canary computers runs it.", "All of the others have been silent for too long"}, not: []string{"Look again"}},
		"SomeOthersSilent": {release: muster.Release{Ring: muster.RingCanary}, member: muster.RingCanary, runs: true, effect: muster.PolicyEffect{Compared: 1},
			beside: []trier{{stale: true}, {}, {}},
			says:   []string{"Of the others 1 has been silent for too long. Look again"}},
		"FewCompared": {release: muster.Release{Ring: muster.RingCanary}, member: muster.RingCanary, runs: true, effect: muster.PolicyEffect{Compared: 1},
			beside: []trier{{runs: true}, {runs: true}},
			says:   []string{"Too few to tell: 3 of 3 canary computers run it. Only 1 of them had a report under another policy before. Nothing that passed"}},
		"Moved": {release: muster.Release{Ring: muster.RingCanary}, runs: true, effect: muster.PolicyEffect{Compared: 1},
			beside: []trier{{}},
			says:   []string{"Too few to tell: 0 of 1 canary computer run it. 1 computer elsewhere runs it, too."}},
		"NoCanary": {release: muster.Release{Ring: muster.RingCanary},
			says: []string{"Too few to tell: nobody is in ring canary.", "No computer reports under it yet."}},
		"NotTaken": {release: muster.Release{Ring: muster.RingCanary}, member: muster.RingCanary,
			says: []string{"Too few to tell: 0 of 1 canary computer run it.", "No computer has reported under it, so pausing may be enough. No computer goes back"}, not: []string{"Take version 7 back"}},
		"NothingBefore": {release: muster.Release{Ring: muster.RingCanary}, member: muster.RingCanary, runs: true,
			says: []string{"Too few to tell: 1 of 1 canary computer runs it. None of them had a report under another policy before, so there is nothing to compare.", "had no report under another policy"}},
		"Safe": {release: muster.Release{Ring: muster.RingCanary}, member: muster.RingCanary, runs: true, effect: muster.PolicyEffect{Compared: 1},
			says: []string{"Safe to go on: nothing that passed before stopped passing on 1 of 1 canary computer.", "No verdict changed on the 1 computer that took it.", "Offer version 7 to ring early"}},
		"NewControl": {release: muster.Release{Ring: muster.RingEarly}, member: muster.RingCanary, runs: true,
			effect: muster.PolicyEffect{Compared: 1, Changes: []muster.PolicyChange{{Control: "MVS-LOG-02", New: true, Became: muster.StatusFail, Hosts: 1}}},
			says:   []string{"Safe to go on", "New controls do not pass in 1 case; nobody was judged by them before.", "Event logs are large enough medium MVS-LOG-02 new control Fails 1", "Offer version 7 to ring all"}},
		"Worse": {release: muster.Release{Ring: muster.RingCanary}, member: muster.RingCanary, runs: true,
			effect: muster.PolicyEffect{Compared: 1, Changes: []muster.PolicyChange{{Control: "MVS-ENC-01", Was: muster.StatusPass, Became: muster.StatusFail, Hosts: 1}}},
			says:   []string{"Not yet: 1 verdict that passed before does not pass under it. The disk is encrypted (1). Compared on 1 of 1 canary computer.", "critical MVS-ENC-01 Passes Fails 1"}},
		"Everywhere": {release: muster.Release{Ring: muster.RingAll}, runs: true, effect: muster.PolicyEffect{Compared: 1},
			says: []string{"Offered to every computer: 1 of 1 computer runs it. Nothing that passed before stopped passing under it."}, not: []string{"Offer version 7"}},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := one(func(h *muster.HostStanding, b *storybook.Book) {
				c.release.Version, c.release.Policy = 7, policy
				b.Policies = append(slices.Clone(c.others), c.release)
				slices.SortFunc(b.Policies, func(a, b muster.Release) int { return cmp.Compare(b.Version, a.Version) })
				b.Effect = map[string]muster.PolicyEffect{policy: c.effect}
				if c.runs {
					h.PolicyDigest = policy
				}
				if c.member != "" {
					b.Members = []muster.RingMember{{Host: h.ID, Ring: c.member}}
				}
			})
			for i, trier := range c.beside {
				h := b.Fleet[0]
				h.ID, h.Stale, h.PolicyDigest = muster.NewHostID([]byte{byte(i)}), trier.stale, ""
				if trier.runs {
					h.PolicyDigest = policy
				}
				b.Fleet = append(b.Fleet, h)
				b.Members = append(b.Members, muster.RingMember{Host: h.ID, Ring: muster.RingCanary})
			}
			d := open(t, policed(t, b, officer), "/policies/7")
			d.has(t, c.says...)
			if c.others == nil {
				d.has(t, "Against the baseline that computers have from the start")
			}
			d.hasNot(t, c.not...)
		})
	}
}

func TestRelease(t *testing.T) {
	b := storybook.Example(now)
	h := policed(t, b, officer)
	d := open(t, h, "/policies/14")
	inOrder(t, d.Text, "Version 14", "Not yet: 3 verdicts", "Remote Desktop is off, or strongly protected critical MVS-NET-03 Passes Fails 3", "new control Could not be checked 7",
		"Against version 13, which ring early has without it. New: 1 control, 1 question, 1 waiver. Removed: 1 control, 1 waiver. Changed: 2 controls, 1 question, 1 list.",
		"Ends never → becomes 2027-11-30", "New A recent restore point or snapshot exists low MVS-BAK-02", "Removed No program of the year 2009 is installed medium MVS-OLD-01",
		"Changed The screen locks itself within 15 minutes MVS-ACC-01", "Severity low → becomes medium", "Applies to workstations → becomes workstations, election management systems",
		"What to do, before: Open Settings", "now: Open Settings", "Rule: lines gone and new", `not v.UserAuthentication == "1"`, "SQL on windows", "As of 2026-10-01 → becomes 2026-11-02", "Entry added Firefox ESR 140",
		"New ASK-2", "Removed W-2025-031", "Take it back", "So version 13 is signed again as version 15", "muster policy build former --version 15",
		"Offered to ring canary", "by officer@state.example", "Published, offered to nobody yet")
	for _, want := range []string{"/api/v1/policies/13/bundle", "/api/v1/policies/14/bundle", "/policies#publish"} {
		if !slices.Contains(d.Links, want) {
			t.Errorf("no link %s in %v", want, d.Links)
		}
	}
	// An earlier one is what one goes back to; which it is compared with can be chosen.
	d = open(t, h, "/policies/11?from=0")
	d.has(t, "Followed by a higher version.", "Against the baseline that computers have from the start.", "Go back to this policy", "So version 11 is signed again as version 15")
	d.hasNot(t, "Pausing stops the offer", "Offer version")
	open(t, h, "/policies/14?from=12").has(t, "Against version 12.")
	open(t, policed(t, b, viewer), "/policies/14").hasNot(t, "Offer version", "Pause version", "Upload policy-15.tar.gz")
	open(t, h, "/policies/14?done=uploaded").has(t, "Kept, and offered to nobody yet.")
	for _, wrong := range []string{"/policies/99", "/policies/x", "/policies/14?from=15", "/policies/13?from=14", "/policies/13?from=x"} {
		if code := get(h, wrong).Code; code != http.StatusNotFound {
			t.Errorf("%s answers %d", wrong, code)
		}
	}
	// It stands without a comparison, and says where there is no difference.
	broken := policed(t, b, officer, func(o *web.Options) {
		o.Diff = func(context.Context, int64, int64) ([]changes.Change, error) { return nil, errors.New("damaged") }
	})
	open(t, broken, "/policies/14").has(t, "The two cannot be compared here.", "Not yet: 3 verdicts")
	same := policed(t, b, officer, func(o *web.Options) {
		o.Diff = func(context.Context, int64, int64) ([]changes.Change, error) { return nil, nil }
	})
	open(t, same, "/policies/14").has(t, "Nothing: both judge alike.")

	// However much it changed, and changes, the page has an end and says so.
	effect := b.Effect[b.Policies[0].Policy]
	for n := range 250 {
		effect.Changes = append(effect.Changes, muster.PolicyChange{Control: fmt.Sprint("MVS-NEW-", n), New: true, Became: muster.StatusPass, Hosts: 1})
	}
	b.Effect[b.Policies[0].Policy] = effect
	many := policed(t, b, officer, func(o *web.Options) {
		o.Diff = func(context.Context, int64, int64) (list []changes.Change, _ error) {
			for n := range web.MostChanges {
				list = append(list, changes.Change{Kind: changes.KindList, Name: "ports", What: "entry added", New: fmt.Sprint(n)})
			}
			return list, nil
		}
	})
	d = open(t, many, "/policies/14")
	d.has(t, "And 153 more: all of them as data (JSON).", "They differ in more than is told here; of 10,000 changes that were looked at: Changed: 1 list.", "And 9,988 more")
	d.hasNot(t, "MVS-NEW-99 ")
}

// However much a release changes and whatever it holds, its page stays small and harmless.
func TestReleaseIsBoundedAndHarmless(t *testing.T) {
	b := storybook.Example(now)
	for name, text := range hostile {
		b.Policies[0].Revision, b.Policies[0].Actor = text, text
		b.Logged = []muster.LogEntry{{ID: 1, Actor: text, Action: "promote_policy", Object: "version 14 (" + text + ") to canary" + text, At: now}}
		h := policed(t, b, officer, func(o *web.Options) {
			o.Diff = func(context.Context, int64, int64) (list []changes.Change, _ error) {
				for _, kind := range []string{changes.KindControl, changes.KindFact, changes.KindList, changes.KindWaiver, changes.KindData} {
					for n := range 20 {
						thing := text + strings.Repeat("x", n)
						list = append(list, changes.Change{Kind: kind, Name: thing, What: "added", New: text}, changes.Change{Kind: kind, Name: thing, What: text, Old: text, New: "[" + text})
						for range 13 {
							list = append(list, changes.Change{Kind: kind, Name: thing, What: "rule", Old: strings.Repeat(text+"\n", 3)})
						}
					}
				}
				return list, nil
			}
		})
		for _, path := range []string{"/policies", "/policies/14"} {
			d := open(t, h, path)
			if strings.ContainsAny(d.Text, "\u202E\u200B\u2060\x00\x1b") {
				t.Errorf("%s: %s shows an invisible character", name, path)
			}
			if d.Code != http.StatusOK || strings.Count(d.Text, "New ") > 80 {
				t.Errorf("%s: %s answers %d, with %d things", name, path, d.Code, strings.Count(d.Text, "New "))
			}
		}
	}
}

// FuzzRelease: whatever a bundle holds, the page of what it changes is well formed and
// shows no character that hides.
func FuzzRelease(f *testing.F) {
	for _, text := range hostile {
		f.Add("facts", text, `[["a","b"],{"k":1}]`)
	}
	var list []changes.Change
	h := policed(f, storybook.Example(now), officer, func(o *web.Options) {
		o.Diff = func(context.Context, int64, int64) ([]changes.Change, error) { return list, nil }
	})
	f.Fuzz(func(t *testing.T, what, old, new string) {
		list = nil
		for _, kind := range []string{changes.KindRelease, changes.KindControl, changes.KindFact, changes.KindHelper, changes.KindList} {
			for _, what := range []string{what, "added", "removed", "rule"} {
				list = append(list, changes.Change{Kind: kind, Name: new, What: what, Old: old, New: new})
			}
		}
		for _, r := range open(t, h, "/policies/14").Text {
			if r < ' ' || r == 0x7F || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("the page shows %U", r)
			}
		}
	})
}
