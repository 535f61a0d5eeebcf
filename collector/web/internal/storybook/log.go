package storybook

import (
	"fmt"
	"time"

	"github.com/passmuster/muster"
)

// note invents an audit log of some weeks, the newest first.
func (b *Book) note(now time.Time) {
	host := func(n int) muster.HostID { return b.Fleet[n%len(b.Fleet)].ID }
	county := func(n int) muster.County { return b.Fleet[n%len(b.Fleet)].County }
	const officer, operator, clerk = "officer@state.example", "operator@state.example", "clerk@albany.example"
	day := []struct{ actor, action, object string }{
		{operator, "approve", string(host(12))},
		{clerk, "export", "/api/v1/hosts?as_of=2026-11-02T23%3A59%3A59.999999Z&county=56001&format=csv"},
		{clerk, "login", "192.0.2.17:52114"},
		{operator, "request_audit", string(host(31))},
		{operator, "expect_hosts", fmt.Sprintf("9 of county %s", county(40))},
		{officer, "promote_policy", "version 14 (2026.11.2) to canary"},
		{officer, "publish_policy", "version 14 (2026.11.2), offered to nobody yet"},
		{officer, "set_ring", string(county(1)) + " to canary"},
		{"host", "flag_clone", string(host(30)) + " by its number"},
		{operator, "upload_courier", "48213 bytes"},
		{operator, "take_courier", string(host(25)) + " file 8c1f3a9d20b7e645"},
		{officer, "login", "192.0.2.4:40022"},
		{"token", "export", "/api/v1/export/ocsf"},
		{"link", "login", "127.0.0.1:33810"},
		{"console", "start", "1.4.0"},
	}
	const days = 9
	for d := range days {
		for i, e := range day {
			b.Logged = append(b.Logged, muster.LogEntry{ID: int64(days*len(day) - d*len(day) - i), Actor: e.actor, Action: e.action, Object: e.object,
				At: now.Add(-time.Duration(24*60*d+17+i*i*3) * time.Minute)})
		}
	}
}
