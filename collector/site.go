package collector

import "github.com/passmuster/muster"

// SiteOptions of Site. County, CollectorURL and PolicyKeys are required.
type SiteOptions struct {
	County  muster.County
	Profile muster.Profile // "" means workstation
	// CollectorURL is where hosts of the county find this collector. The token
	// for loopback is put in only where this is an address of this computer.
	CollectorURL string
	// ControlURL of the tailnet that leads there; "" means Tailscale's own.
	ControlURL string
	// PolicyKeys are public keys, DER (SubjectPublicKeyInfo).
	PolicyKeys [][]byte
}

// Site makes the site file for a county.
func (c *Collector) Site(o SiteOptions) (*muster.Site, error) {
	receiptKeys, err := c.keys.receiptPublic()
	if err != nil {
		return nil, err
	}
	s := &muster.Site{
		Schema: muster.SiteSchema, Name: c.Name, State: o.County.State(), County: o.County, Profile: o.Profile,
		Collector: o.CollectorURL, ControlURL: o.ControlURL, PolicyKeys: o.PolicyKeys, ReceiptKeys: receiptKeys,
		AgeRecipient: c.keys.age.Recipient(), Demo: c.Demo,
	}
	if onLoopback(o.CollectorURL) {
		s.Token = c.keys.hostToken
	}
	return s, nil
}
