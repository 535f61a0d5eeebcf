package storybook

import (
	"context"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/fips"
	"github.com/passmuster/muster/policies/changes"
)

// vouch invents waivers of a county and of a computer, one that has ended and one that
// only the policy on trial holds; and people's word.
func (b *Book) vouch(now time.Time) {
	counties := fips.Counties("56")
	day := func(n int) time.Time { return now.UTC().Truncate(24*time.Hour).AddDate(0, 0, n) }
	const officer = "officer@state.example"
	b.Held = map[int64][]muster.Waiver{}
	b.Waivers = append(b.Waivers,
		muster.Waiver{ID: "W-2026-021", Control: "MVS-UPD-01", County: counties[3], Reason: "The new computers are ordered and come before the primary.", Approver: officer, Approved: day(-60), Expires: day(12)},
		muster.Waiver{ID: "W-2026-009", Control: "MVS-LOG-02", County: counties[6], Reason: "Small disks until the spring.", Approver: officer, Approved: day(-200), Expires: day(-9)})
	b.Held[13] = slices.Clone(b.Waivers)
	b.Waivers = append(b.Waivers, muster.Waiver{ID: "ASK-2", Control: "MVS-BAK-02", Host: b.Asked[len(b.Asked)-2].Host, Reason: "The computer at the counter keeps no files.", Approver: officer, Approved: day(-14), Expires: day(45)})
	b.Held[14] = b.Waivers
	b.Claims = map[string][]string{"MVS-BAK-01": {"restore_tested"}}
	b.Attestations = []muster.Attestation{
		{ID: "A-2025-03", Claim: "restore_tested", County: counties[0], On: day(-380), By: "Dana Whitfield, county clerk", Until: day(-15)},
		{ID: "A-2025-11", Claim: "restore_tested", County: counties[2], On: day(-345), By: "Ruth Nakai, deputy clerk", Until: day(20), Note: "The whole voter registration export, to a spare computer."},
		{ID: "A-2026-04", Claim: "restore_tested", County: counties[4], On: day(-120), By: "Converse County IT", Until: day(245)},
		{ID: "A-2026-05", Claim: "ssh_mfa", On: day(-90), By: officer, Until: day(275), Note: "The jump host asks for a hardware key."},
	}
}

// Diff is what every release changes against the one before.
func (b *Book) Diff(_ context.Context, from, to int64) ([]changes.Change, error) {
	if len(b.Policies) == 0 {
		return nil, nil
	}
	return []changes.Change{
		{Kind: changes.KindRelease, What: "version", Old: "13", New: "14"},
		{Kind: changes.KindRelease, What: "expires", Old: "never", New: "2027-11-30"},
		{Kind: changes.KindControl, Name: "MVS-ACC-01", What: "severity", Old: "low", New: "medium"},
		{Kind: changes.KindControl, Name: "MVS-ACC-01", What: "profiles", Old: `["workstation"]`, New: `["workstation","ems"]`},
		{Kind: changes.KindControl, Name: "MVS-BAK-02", What: "added", New: "low: A recent restore point or snapshot exists"},
		{Kind: changes.KindControl, Name: "MVS-NET-03", What: "remedy", Old: "Open Settings, System, Remote Desktop and switch it off.",
			New: "Open Settings, System, Remote Desktop and switch it off. If someone needs it for support, let IT set it up behind a VPN with a second login factor."},
		{Kind: changes.KindControl, Name: "MVS-NET-03", What: "rule", Old: "\tv.fDenyTSConnections == \"0\"\n",
			New: "\tv.fDenyTSConnections == \"0\"\n\tnot v.UserAuthentication == \"1\"\n"},
		{Kind: changes.KindControl, Name: "MVS-OLD-01", What: "removed", Old: "medium: No program of the year 2009 is installed"},
		{Kind: changes.KindFact, Name: "remote_desktop", What: "SQL on windows", Old: "SELECT data FROM registry WHERE key = 'HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server';",
			New: "SELECT name, data FROM registry\nWHERE key = 'HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server';"},
		{Kind: changes.KindFact, Name: "restore_points", What: "added"},
		{Kind: changes.KindList, Name: "browser_versions", What: "dated", Old: "2026-10-01", New: "2026-11-02"},
		{Kind: changes.KindList, Name: "browser_versions", What: "entry added", New: "Firefox ESR 140"},
		{Kind: changes.KindWaiver, Name: "ASK-2", What: "added", New: "MVS-BAK-02, approved by officer@state.example, the computer at the counter keeps no files."},
		{Kind: changes.KindWaiver, Name: "W-2025-031", What: "removed", Old: "MVS-UPD-02, county 56005, until 2026-10-31"},
	}, nil
}
