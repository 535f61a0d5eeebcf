package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// When somebody should look.
const (
	// unreceipted is how many reports may wait.
	unreceipted = 48
	// silent is how long muster-uplink may leave no word, and unreached the collector.
	silent    = 26 * time.Hour
	unreached = 7 * 24 * time.Hour
	// skewed is how far the clock may be off: certificates and one-time codes fail beyond.
	skewed = 5 * time.Minute
	// expiring is how long before its end the place in the tailnet is told.
	expiring = 14 * 24 * time.Hour
)

// Span is a time in whole numbers for people: 40 seconds, 15 minutes, 7 hours, 3 days.
func Span(d time.Duration) string {
	d = d.Abs()
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"days", 24 * time.Hour}, {"hours", time.Hour}, {"minutes", time.Minute}} {
		if n := d / unit.size; n >= 2 {
			return fmt.Sprintf("%d %s", n, unit.name)
		}
	}
	return fmt.Sprintf("%d seconds", d/time.Second)
}

// Service is one of those that audit this computer and carry its reports.
type Service struct {
	Name string `json:"name"`
	// What it does, in a few words.
	What string `json:"what"`
	// Installed: it is there and starts by itself. Running: it does its work now, or
	// waits for its time.
	Installed bool `json:"installed"`
	Running   bool `json:"running"`
}

// Standing says how the service stands, in a few words.
func (s Service) Standing() string {
	switch {
	case !s.Installed:
		return "not installed"
	case !s.Running:
		return "does not run"
	}
	return "runs"
}

// JudgeServices adds how the services stand.
func (s *Status) JudgeServices(list []Service) {
	s.Services = list
	var missing, stopped []string
	for _, one := range list {
		switch {
		case !one.Installed:
			missing = append(missing, one.Name)
		case !one.Running:
			stopped = append(stopped, one.Name)
		}
	}
	if len(missing) > 0 {
		s.problem("Not installed: "+strings.Join(missing, ", ")+". This computer is not looked after by itself.", "Run muster service install as administrator.")
	}
	if len(stopped) > 0 {
		s.problem("Does not run: "+strings.Join(stopped, ", ")+".", "Run muster service install as administrator: it starts what is there.")
	}
}

func (s *Status) judge(site *muster.Site, now time.Time) {
	if site == nil {
		s.problem("There is no site file, so the reports go nowhere.", "Ask your state for it, and run muster service install --site FILE as administrator.")
	}
	s.judgeAudit(now)
	s.judgeMail(site != nil)
	if s.Uplink != nil {
		s.judgeUplink(now)
	}
	if s.Policy.Stale {
		s.problem("The policy is past its date, "+s.Policy.Expires.UTC().Format("2 January 2006")+". It still judges.", "Ask your state for a newer one.")
	}
}

func (s *Status) judgeAudit(now time.Time) {
	a := s.Audit
	if a == nil || a.AuditedAt.IsZero() {
		s.problem("This computer was never audited.", "Run muster audit as administrator.")
		return
	}
	switch age := now.Sub(a.AuditedAt); {
	case age > a.Profile.StaleAfter():
		s.problem(fmt.Sprintf("The last audit is %d days old; the state shows this computer as stale.", int(age.Hours()/24)),
			"Run muster audit as administrator, and check that its timer is on.")
	case age < -time.Hour:
		s.problem("The last audit lies in the future: the clock was set back.", "Set the clock. The order of the reports does not depend on it.")
	}
	for _, u := range a.Unkept {
		s.problem("A report is missing: "+u+".", "Put right what it says, and run muster audit as administrator. The next report tells the state.")
	}
	if a.PolicyRefused != "" {
		s.problem("The last policy that arrived was refused: "+a.PolicyRefused, "Put right what it says, or ask your state for another one. The one before judges meanwhile.")
	}
}

func (s *Status) judgeMail(site bool) {
	if d := s.Outbox; d != nil {
		if site && d.Reports > unreceipted {
			s.problem(fmt.Sprintf("%d reports wait for a receipt.", d.Reports), "Check that muster-uplink runs and reaches "+s.Collector+", or use a courier stick.")
		}
		if d.Corrupt > 0 {
			s.problem(fmt.Sprintf("%d damaged reports were set aside in %s.", d.Corrupt, s.StateDir), "Check the disk. The state sees the gap; keep the files for whoever asks.")
		}
	}
	if a := s.Audit; a != nil && a.Dropped > 0 {
		s.problem(fmt.Sprintf("%d reports are lost: they were damaged, or dropped because too many waited.", a.Dropped),
			"Nothing: the next report that arrives tells the state.")
	}
}

func (s *Status) judgeUplink(now time.Time) {
	u := s.Uplink
	if u.State == muster.HostPending {
		s.problem("The state has not approved this computer yet.", "Tell your state its name and host id. Its reports are stored meanwhile.")
	}
	s.judgeTailnet(u, now)
	switch {
	case !u.UpdatedAt.IsZero() && now.Sub(u.UpdatedAt) > silent:
		s.problem(fmt.Sprintf("muster-uplink has left no word for %d hours.", int(now.Sub(u.UpdatedAt).Hours())), "Start it again; muster service status tells whether it runs.")
	case u.Error != "" && (u.Tailnet == nil || u.Tailnet.State == "running"): // else the tailnet has told
		s.problem("The uplink has trouble: "+u.Error, "Check the network; if it is well, tell your state what this says. No report is lost meanwhile.")
	case !u.LastContact.IsZero() && now.Sub(u.LastContact) > unreached:
		s.problem(fmt.Sprintf("The state was not reached for %d days.", int(now.Sub(u.LastContact).Hours()/24)), "Check the network, or use a courier stick.")
	}
	if skew := time.Duration(u.ClockSkewSeconds) * time.Second; skew.Abs() > skewed {
		way := "ahead of"
		if skew < 0 {
			way = "behind"
		}
		s.problem(fmt.Sprintf("The clock of this computer is %s %s the state's.", Span(skew), way), "Set the clock, and let it follow a time server.")
	}
	if len(u.Refused) > 0 {
		s.problem(fmt.Sprintf("The state refused reports, the newest being %d: %s", u.Refused[0].Seq, u.Refused[0].Reason), "Ask your state what to do about it.")
	}
	if n := len(u.RelayRefused); n > 0 {
		s.problem(fmt.Sprintf("The state refused %d files from courier sticks: %s", n, u.RelayRefused[0].Reason), "Ask your state what to do about it. The reports are still on their own computers.")
	}
}

func (s *Status) judgeTailnet(u *UplinkStatus, now time.Time) {
	t := u.Tailnet
	if t == nil {
		return
	}
	why, do := outside(t)
	switch t.State {
	case "needs_login":
		s.problem("This computer is not in the tailnet"+why+".", do)
	case "expired":
		s.problem("The place of this computer in the tailnet has expired"+why+".", do)
	case "starting":
		s.problem("This computer is not in the tailnet yet.", "Wait a minute. If it stays so, check the network.")
	case "running":
		if left := t.KeyExpires.Sub(now); !t.KeyExpires.IsZero() && left < expiring {
			s.problem(fmt.Sprintf("The place of this computer in the tailnet ends in %d days.", max(0, int(left.Hours()/24))), "Whoever runs the tailnet renews it.")
		}
	default:
		if u.Error != "" && len(t.Problems) == 0 {
			s.problem(fmt.Sprintf("The tailnet is %s: %s", t.State, u.Error), "Start muster-uplink again. If it stays so, tell whoever runs the tailnet what this says.")
		}
	}
	for _, p := range t.Problems {
		if !slices.ContainsFunc(toldAlready, func(start string) bool { return strings.HasPrefix(p, start) }) {
			s.problem("The tailnet says: "+p, "Tell whoever runs the tailnet.")
		}
	}
}

// loggedOut is how Tailscale tells why a computer could not sign in.
const loggedOut = "You are logged out. The last login error was: "

// toldAlready begin the problems of a tailnet that outside tells in other words.
var toldAlready = []string{"You are logged out.", "Tailscale is starting.", muster.TailnetSignedOut, muster.TailnetExpired, muster.TailnetUnapproved}

// outside says why this computer is not in the tailnet, to be put behind a sentence,
// and what to do about it.
func outside(t *muster.TailnetStatus) (why, do string) {
	do = "Ask your state for a new auth key, and run muster service install --auth-key FILE as administrator."
	for _, p := range t.Problems {
		cause, failed := strings.CutPrefix(p, loggedOut)
		if failed {
			why = ": " + strings.TrimSuffix(cause, ".")
		}
		switch {
		case p == muster.TailnetUnapproved:
			why, do = ": it waits for approval there", "Whoever runs the tailnet approves this computer."
		case strings.Contains(cause, `Get "`) || strings.Contains(cause, `Post "`): // nobody was asked about the key
			do = "Check the network, and the clock: it then gets in by itself."
		}
	}
	if t.LoginURL != "" {
		do = "Whoever runs the tailnet opens " + t.LoginURL + " and lets this computer in."
	}
	return why, do + " Reports wait meanwhile, and none is lost."
}
