// Package settings reads the collector's configuration: a YAML file, environment
// variables over it, and flags over both.
//
// It is strict: a key that it does not know, a value of another kind or out of its
// bounds is an error that names the line and what to do. Secrets are in files of their
// own, of which only the names are here. What it reads of a file it reads once.
package settings

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// DefaultFile is read where no other is named and it is there.
const DefaultFile = "/etc/muster-collector/config.yaml"

// Settings of a collector; sample.yaml says what each means.
type Settings struct {
	State      string     `key:"state"`
	Name       string     `key:"name"`
	Data       string     `key:"data"`
	Listen     string     `key:"listen"`
	Demo       bool       `key:"demo"`
	Database   Database   `key:"database"`
	Tailnet    Tailnet    `key:"tailnet"`
	TLS        TLS        `key:"tls"`
	OIDC       OIDC       `key:"oidc"`
	Sessions   Sessions   `key:"sessions"`
	StaleAfter StaleAfter `key:"stale_after"`
	Evidence   Evidence   `key:"evidence"`
	Webhooks   []Webhook  `key:"webhooks"`
	Log        Log        `key:"log"`
}

// Database that the collector keeps everything in.
type Database struct {
	URL          string `key:"url"`
	PasswordFile string `key:"password_file"`
}

// Tailnet that counties' hosts come over.
type Tailnet struct {
	Hostname    string `key:"hostname"`
	ControlURL  string `key:"control_url"`
	AuthKeyFile string `key:"auth_key_file"`
}

// TLS listener of the dashboard.
type TLS struct {
	Listen      string `key:"listen"`
	URL         string `key:"url"`
	Certificate string `key:"certificate"`
	Key         string `key:"key"`
}

// OIDC provider that tells who people are.
type OIDC struct {
	Issuer           string   `key:"issuer"`
	ClientID         string   `key:"client_id"`
	ClientSecretFile string   `key:"client_secret_file"`
	Scopes           []string `key:"scopes"`
	Grants           []Grant  `key:"grants"`
}

// Grant gives a role to whoever has the value in a claim.
type Grant struct {
	Claim string `key:"claim"`
	Value string `key:"value"`
	Role  string `key:"role"`
}

// Sessions of people.
type Sessions struct {
	Idle Duration `key:"idle"`
	Life Duration `key:"life"`
}

// StaleAfter is how long a host of a profile may be silent.
type StaleAfter struct {
	Workstation Duration `key:"workstation"`
	EMS         Duration `key:"ems"`
}

// Evidence is signed reports.
type Evidence struct {
	Keep Duration `key:"keep"`
}

// Webhook is told of events.
type Webhook struct {
	Name       string   `key:"name"`
	URL        string   `key:"url"`
	URLFile    string   `key:"url_file"`
	Format     string   `key:"format"`
	SecretFile string   `key:"secret_file"`
	Events     []string `key:"events"`
	Counties   []string `key:"counties"`
	Private    bool     `key:"private"`
}

// Log of the collector.
type Log struct {
	Level  string `key:"level"`
	Format string `key:"format"`
}

// Default settings.
func Default() Settings {
	const days = 24 * time.Hour
	return Settings{
		Data: "muster-data", Listen: "127.0.0.1:8443",
		Sessions:   Sessions{Idle: Duration(time.Hour), Life: Duration(12 * time.Hour)},
		StaleAfter: StaleAfter{Duration(muster.WorkstationStaleAfter), Duration(muster.EMSStaleAfter)},
		Evidence:   Evidence{Duration(90 * days)},
		Log:        Log{"info", "text"},
	}
}

// Duration is written as 90d, 12h, 30m or 45s.
type Duration time.Duration

// parseDuration reads a whole number of days, or what Go writes.
func parseDuration(s string) (Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a number of days, such as 90d", s)
		}
		return Duration(n) * Duration(24*time.Hour), nil
	}
	if err != nil {
		return 0, fmt.Errorf("%q is not a time such as 90d, 12h or 30m", s)
	}
	return Duration(d), nil
}

func (d Duration) String() string {
	const day = Duration(24 * time.Hour)
	if d >= day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return time.Duration(d).String()
}

// Level for slog.
func (l Log) level() (level slog.Level, err error) {
	return level, level.UnmarshalText([]byte(l.Level))
}
