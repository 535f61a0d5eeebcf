package storybook

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/fips"
)

// A tale is a control and how it tends to go.
type tale struct {
	muster.Control
	fails, unknowns float64 // share of hosts
	evidence        []muster.Violation
	reason          string // why it could not be checked
}

func tales() []tale {
	office := []muster.Profile{muster.Workstation}
	all := []muster.Profile{muster.Workstation, muster.EMS}
	control := func(id, title string, sev muster.Severity, profiles []muster.Profile, cis, cpg, csf, why, remedy string) muster.Control {
		return muster.Control{ID: id, Title: title, Why: why, Remedy: remedy, Severity: sev, Profiles: profiles, Platforms: []muster.Platform{muster.Windows, muster.Linux},
			Maps: map[string][]string{"cis": strings.Split(cis, ", "), "cpg2": {cpg}, "csf": {csf}}}
	}
	return []tale{
		{control("MVS-UPD-01", "The operating system still gets security updates", muster.SeverityCritical, all, "2.2", "2.B", "PR.PS-02",
			"An unsupported system keeps every hole found after its end date, and attackers look for exactly these machines before an election.",
			"Ask your IT support to move this computer to a supported version of Windows or Linux before the next election. If it is part of the voting system, call the vendor first, because changing it yourself can break its certification."),
			.08, .02, []muster.Violation{{Subject: "Windows 10 Pro 22H2, build 19045", Found: "support ended on 14 October 2025", Want: "a supported version"}}, "the list of end dates is out of date"},
		{control("MVS-UPD-02", "Security updates were installed in the last 35 days", muster.SeverityCritical, office, "7.3", "2.B", "PR.PS-02",
			"Most break-ins of county offices use flaws for which a fix already existed.",
			"Open Settings, choose Windows Update, and install everything that is offered. Restart the computer and run the check again."),
			.14, .03, []muster.Violation{{Subject: "newest cumulative update", Found: "KB5065426, 61 days ago", Want: "at most 35 days ago"}}, "the update history could not be read: access denied"},
		{control("MVS-UPD-05", "Web browsers are up to date", muster.SeverityHigh, office, "9.1", "2.B", "PR.PS-02",
			"Staff open links from the public all day, so the browser is the front door.",
			"Open the browser, choose Help and About, and let it update itself. Remove browsers that nobody uses."),
			.12, 0, []muster.Violation{{Subject: "Google Chrome", Found: "version 138", Want: "version 151 or later"}, {Subject: "Firefox ESR", Found: "version 115", Want: "version 140 or later"}}, ""},
		{control("MVS-ENC-01", "The disk is encrypted", muster.SeverityCritical, all, "3.6, 3.11", "3.K", "PR.DS-01",
			"A stolen laptop with voter records is a breach you must report; an encrypted one usually is not.",
			"Ask IT to switch on BitLocker and to store the recovery key with the county, not on the computer. Do not switch it on yourself on an election management computer without the vendor."),
			.1, .04, []muster.Violation{{Subject: "C:", Found: "not encrypted", Want: "encrypted"}}, "the encryption state could not be read: BitLocker did not answer within 10 seconds"},
		{control("MVS-NET-01", "The firewall is on for every network and blocks incoming traffic", muster.SeverityCritical, all, "4.4, 4.5", "3.I", "PR.IR-01",
			"The firewall keeps one infected office computer from reaching the rest.",
			"Open Windows Security, choose Firewall and network protection, and switch every network on. If it switches itself off again, stop and call IT."),
			.03, .01, []muster.Violation{{Subject: "public networks", Found: "off", Want: "on"}}, "the firewall service did not answer"},
		{control("MVS-NET-03", "Remote Desktop is off, or strongly protected", muster.SeverityCritical, all, "4.8, 13.5", "3.S", "PR.IR-01",
			"Open Remote Desktop is one of the most used ways to plant ransomware in local government.",
			"Open Settings, System, Remote Desktop and switch it off. If someone needs it for support, let IT set it up behind a VPN with a second login factor."),
			.05, 0, []muster.Violation{{Subject: "Remote Desktop", Found: "on, from any network", Want: "off"}}, ""},
		{control("MVS-AV-01", "Antivirus is running", muster.SeverityCritical, all, "10.1", "4.A", "DE.CM-09",
			"It stops the everyday malware that arrives by e-mail and USB sticks.",
			"Open Windows Security, choose Virus and threat protection, and switch real-time protection on. If another antivirus is installed and expired, renew or remove it."),
			.02, .02, []muster.Violation{{Subject: "Microsoft Defender Antivirus", Found: "real-time protection off", Want: "on"}}, "Windows Security Center is not there on this edition"},
		{control("MVS-ACC-02", "Few people have administrator rights", muster.SeverityHigh, all, "5.4", "3.G", "PR.AA-05",
			"With administrator rights, one wrong click changes the whole computer.",
			"Ask IT to take administrator rights away from everyone who does not need them. Give helpers a separate administrator account for that work only."),
			.09, .05, []muster.Violation{{Subject: "frontdesk", Found: "administrator", Want: "not an administrator"}, {Subject: "seasonal2", Found: "administrator", Want: "not an administrator"}}, "the computer is joined to a domain, whose groups cannot be read from here"},
		{control("MVS-APP-01", "No unapproved remote-control program", muster.SeverityCritical, all, "2.3, 4.8", "3.P", "PR.PS-05",
			"Criminals talk staff into installing these tools, and then work as if they sat at the desk.",
			"If you did not ask for this program, disconnect the network cable and call IT now. If support staff use it, have it written on the approved list."),
			.03, 0, []muster.Violation{{Subject: "AnyDesk", Found: `C:\Users\mrivera\Downloads\AnyDesk.exe`, Want: "not there"}}, ""},
		{control("MVS-BAK-01", "A backup ran in the last 7 days and a restore was tested this year", muster.SeverityCritical, all, "11.2, 11.5", "3.O", "PR.DS-11",
			"With a good backup, ransomware costs a day and not an election.",
			"Connect the backup disk or open the backup program and run a backup now. Once a year, restore one folder to prove that it works."),
			.11, .1, []muster.Violation{{Subject: "newest backup", Found: "23 days ago", Want: "at most 7 days ago"}}, "no backup program that this policy knows, and no attestation on file"},
		{control("MVS-ACC-01", "The screen locks itself within 15 minutes", muster.SeverityMedium, all, "4.3", "3.H", "PR.AA-03",
			"Public counters and polling rooms leave screens in reach of visitors.",
			"Set the screen to lock after ten minutes and require the password on return. Teach staff to press the Windows key and L when they stand up."),
			.16, 0, []muster.Violation{{Subject: "screen lock", Found: "after 30 minutes", Want: "after at most 15 minutes"}}, ""},
		{control("MVS-LOG-02", "Event logs are running and large enough", muster.SeverityMedium, all, "8.2, 8.3", "3.Q", "PR.PS-04",
			"A log that is too small forgets the first day of an attack.",
			"Ask IT to raise the Security log to at least 192 MB. Copy logs to a safe place before and after each election."),
			.22, 0, []muster.Violation{{Subject: "Security log", Found: "20 MB", Want: "at least 192 MB"}}, ""},
		{control("MVS-BAK-02", "A recent restore point or snapshot exists", muster.SeverityLow, office, "11.2", "3.O", "PR.DS-11",
			"A quick way back after a bad update or an accident.",
			"Turn on System Protection for drive C and create a restore point. Remember that this does not replace a backup."),
			.18, .06, []muster.Violation{{Subject: "C:", Found: "no restore point", Want: "one of the last 14 days"}}, "no native source on this file system"},
		{control("MVS-AIR-01", "The EMS computer has no way out to another network", muster.SeverityCritical, []muster.Profile{muster.EMS}, "12.2", "3.I", "PR.IR-01",
			"An election management system must stand apart from the internet and from the office network.",
			"Unplug the network cable that leads out of the election network, and tell your vendor. Do not use this computer for results until someone has checked it."),
			.05, 0, []muster.Violation{{Subject: "Ethernet 2", Found: "default route to 10.20.1.1", Want: "no default route"}}, ""},
		{control("MVS-EMS-01", "Only approved software is installed on the EMS computer", muster.SeverityCritical, []muster.Profile{muster.EMS}, "2.5", "3.P", "PR.PS-05",
			"Extra programs void the certification and widen the attack surface.",
			"Compare the list with the vendor's approved software list and ask the vendor to remove what does not belong. Keep the signed record of the check."),
			.05, .1, []muster.Violation{{Subject: "Google Chrome 151", Found: "installed", Want: "not on the certified list"}}, "no baseline of the certified build is loaded"},
	}
}

// Example is an invented state: its 23 counties, about a hundred hosts, the
// same for the same now.
func Example(now time.Time) *Book {
	r := rand.New(rand.NewPCG(7, 56))
	b := &Book{Evidence: map[muster.HostID]map[string]muster.Evidence{}}
	stories := tales()
	for _, t := range stories {
		b.Catalogue = append(b.Catalogue, t.Control)
	}
	for i, county := range fips.Counties("56") {
		name, _ := fips.County(county)
		place := strings.ToUpper(strings.ReplaceAll(strings.TrimSuffix(name, " County"), " ", ""))
		luck := .25 + 1.5*r.Float64()
		for n := range 2 + r.IntN(7) {
			h := muster.HostStanding{State: muster.HostActive, Agent: "0.1.0", PolicyRevision: "2026.11.1", PolicyDigest: inUse, Seq: 200 + r.Uint64N(900)}
			h.ID = muster.NewHostID(fmt.Appendf(nil, "%s %d", county, n))
			h.County, h.Profile, h.Platform, h.Demo = county, muster.Workstation, muster.Windows, true
			h.Hostname = fmt.Sprintf("%s-WS-%02d", place[:min(8, len(place))], n+1)
			if n == 1 {
				h.Profile, h.Hostname = muster.EMS, place[:min(8, len(place))]+"-EMS"
			} else if n == 4 {
				h.Platform = muster.Linux
			}
			h.FirstSeen = now.AddDate(0, -4, -i)
			h.LastSeen = now.Add(-time.Duration(2+r.IntN(58)) * time.Minute)
			h.CollectedAt = h.LastSeen.Add(-time.Duration(3+r.IntN(40)) * time.Second)
			switch {
			case i%6 == 5 && n == 0:
				h.State, h.FirstSeen, h.Seq = muster.HostPending, now.Add(-time.Duration(30+i)*time.Hour), 0
				h.LastSeen, h.CollectedAt = time.Time{}, time.Time{}
			case r.Float64() < .04:
				h.LastSeen = now.Add(-h.Profile.StaleAfter() - time.Duration(20+r.IntN(400))*time.Hour)
				h.CollectedAt, h.Stale = h.LastSeen, true
			case n == 1: // carried
				h.LastSeen = now.Add(-time.Duration(3+7*i%31) * 23 * time.Hour)
				h.CollectedAt = h.LastSeen.Add(-28 * time.Hour)
			case n == 3:
				h.CollectedAt = h.LastSeen.Add(9 * time.Minute)
			}
			if h.State == muster.HostActive {
				b.tell(&h, stories, luck, now, r)
			}
			if i < 2 && h.State == muster.HostActive && n > 0 {
				h.PolicyRevision, h.PolicyDigest = "2026.11.2", tried
			}
			b.Fleet = append(b.Fleet, h)
		}
	}
	b.roll(now)
	b.desk(now)
	b.note(now)
	b.carry(now)
	b.excuse(now)
	b.vouch(now)
	b.recall(now)
	b.spread(now)
	b.wait(now)
	slices.SortStableFunc(b.Transitions, func(x, y muster.Transition) int { return y.ReceivedAt.Compare(x.ReceivedAt) })
	return b
}

// tell gives the host its findings, with evidence and history.
func (b *Book) tell(h *muster.HostStanding, stories []tale, luck float64, now time.Time, r *rand.Rand) {
	var judged []muster.Finding
	evidence := map[string]muster.Evidence{}
	for _, t := range stories {
		f := muster.FindingStanding{Host: h.ID, Control: t.ID, Status: muster.StatusPass, Since: h.FirstSeen}
		switch x := r.Float64(); {
		case !slices.Contains(t.Profiles, h.Profile):
			f.Status = muster.StatusNotApplicable
			evidence[t.ID] = muster.Evidence{Reason: "asked of another kind of computer"}
		case x < t.fails*luck:
			f.Status = muster.StatusFail
			evidence[t.ID] = muster.Evidence{Violations: t.evidence}
			if r.Float64() < .12 {
				f.Waiver = "W-2026-014"
			}
		case x < (t.fails+t.unknowns)*luck:
			f.Status = muster.StatusUnknown
			evidence[t.ID] = muster.Evidence{Reason: t.reason}
		}
		first := muster.Transition{Host: h.ID, Control: t.ID, To: f.Status, First: true, Seq: 1, CollectedAt: h.FirstSeen, ReceivedAt: h.FirstSeen}
		if f.Status != muster.StatusNotApplicable && r.Float64() < .14 {
			first.To = muster.StatusFail
			if f.Status == muster.StatusFail {
				first.To = muster.StatusPass
			}
			f.Since = h.LastSeen.Add(-time.Duration(r.IntN(300)) * time.Hour)
			b.Transitions = append(b.Transitions, muster.Transition{Host: h.ID, Control: t.ID, From: first.To, To: f.Status,
				Seq: h.Seq - uint64(min(float64(h.Seq-2), h.LastSeen.Sub(f.Since).Hours())), CollectedAt: f.Since, ReceivedAt: f.Since})
		}
		b.Transitions = append(b.Transitions, first)
		b.Findings = append(b.Findings, f)
		j := muster.Finding{Control: t.ID, Severity: t.Severity, Status: f.Status}
		if f.Waiver != "" {
			j.Waiver = &muster.Waiver{ID: f.Waiver}
		}
		judged = append(judged, j)
	}
	h.Summary = muster.Summarize(judged)
	b.Evidence[h.ID] = evidence
}
