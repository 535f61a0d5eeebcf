package muster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// SiteSchema is the number of the site file's form.
const SiteSchema = 1

// Site is the one file that ties a host to its state. It holds no secret,
// except Token, which is for loopback only. Its reader refuses what it does not know:
// a field that is added is left out where it is not used, so that hosts of the version
// before still read what a newer collector makes.
type Site struct {
	Schema int `json:"muster_site"` // SiteSchema
	// Name of the collector for people, such as "State of Example".
	Name string `json:"name"`
	// State is the two-digit FIPS code; the county must lie in it.
	State  string `json:"state"`
	County County `json:"county"`
	// Profile is the default for hosts of this site; "" means workstation.
	Profile Profile `json:"profile,omitempty"`
	// Collector is the base URL of the host API.
	Collector string `json:"collector"`
	// ControlURL of the tailnet; "" means Tailscale's own, or no tailnet where
	// Collector is a loopback address.
	ControlURL string `json:"control_url,omitempty"`
	// PolicyKeys and ReceiptKeys are the trusted P-256 public keys, DER
	// (SubjectPublicKeyInfo) in base64; several, for rotation.
	PolicyKeys  [][]byte `json:"policy_keys"`
	ReceiptKeys [][]byte `json:"receipt_keys"`
	// AgeRecipient seals courier files to the collector: "age1…".
	AgeRecipient string `json:"age_recipient,omitempty"`
	// Token lets a demo or lab host speak to a collector on loopback.
	Token string `json:"token,omitempty"`
	// Demo marks every host of this site as invented data.
	Demo bool `json:"demo,omitempty"`
}

// ParseSite reads a site file. Its errors name the field, in one line.
func ParseSite(b []byte) (*Site, error) {
	var peek struct {
		Schema int `json:"muster_site"`
	}
	if json.Unmarshal(b, &peek) == nil && peek.Schema > SiteSchema {
		return nil, fmt.Errorf("site file: field muster_site: a newer collector made it (form %d, this program knows %d): update this program", peek.Schema, SiteSchema)
	}
	var s Site
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		if _, name, unknown := strings.Cut(err.Error(), "unknown field "); unknown {
			return nil, fmt.Errorf("site file: field %s is not known here: it is misspelt, or a newer collector made the file: update this program", name)
		}
		var typ *json.UnmarshalTypeError
		if errors.As(err, &typ) {
			return nil, fmt.Errorf("site file: field %s: want %s, found %s", typ.Field, typ.Type, typ.Value)
		}
		return nil, fmt.Errorf("site file: not valid JSON: %w", err)
	}
	if d.More() {
		return nil, errors.New("site file: something follows the JSON object")
	}
	return &s, s.check()
}

func (s *Site) check() error {
	field := func(name string, err error) error { return fmt.Errorf("site file: field %s: %w", name, err) }
	if s.Schema < 1 || s.Schema > SiteSchema {
		return field("muster_site", fmt.Errorf("want %d, found %d", SiteSchema, s.Schema))
	}
	if s.Name == "" {
		return field("name", errors.New("is missing"))
	}
	if _, err := ParseCounty(string(s.County)); err != nil {
		return field("county", err)
	}
	if s.State != s.County.State() {
		return field("state", fmt.Errorf("county %s is not in state %q", s.County, s.State))
	}
	if s.Profile != "" {
		if _, err := ParseProfile(string(s.Profile)); err != nil {
			return field("profile", err)
		}
	}
	u, err := url.Parse(s.Collector)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return field("collector", fmt.Errorf("%q is not an http address", s.Collector))
	}
	if s.Token != "" && !IsLoopback(u.Hostname()) {
		return field("token", errors.New("is allowed only with a collector on this computer (127.0.0.1)"))
	}
	if len(s.PolicyKeys) == 0 {
		return field("policy_keys", errors.New("is missing: no policy could be trusted"))
	}
	if len(s.ReceiptKeys) == 0 {
		return field("receipt_keys", errors.New("is missing: no receipt could be trusted"))
	}
	return nil
}

// IsLoopback reports whether the host name or address is this computer.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
