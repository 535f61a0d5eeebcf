package uplink

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/wire"
)

const (
	maxStatus     = 1 << 20 // bytes
	shownRefusals = 20
)

// Status is what `muster status` shows about the uplink, as JSON in its status
// file.
type Status struct {
	Version   string           `json:"version"`
	Collector string           `json:"collector"`
	Host      muster.HostID    `json:"host,omitempty"`
	State     muster.HostState `json:"state,omitempty"`
	UpdatedAt time.Time        `json:"updated_at"`
	// LastContact is the last check-in that the collector answered.
	LastContact time.Time `json:"last_contact,omitzero"`
	// Error of the newest try; "" where it went well.
	Error   string `json:"error,omitempty"`
	Waiting int    `json:"waiting"`
	// Receipted counts the receipts of this process.
	Receipted int `json:"receipted"`
	// Refused lists the newest final refusals.
	Refused    []Refused `json:"refused,omitempty"`
	PolicyETag string    `json:"policy_etag,omitempty"`
	// ClockSkewSeconds is this host's clock less the collector's, at the last check-in.
	ClockSkewSeconds int `json:"clock_skew_seconds"`
	// Tailnet is nil where there is none.
	Tailnet *muster.TailnetStatus `json:"tailnet,omitempty"`
	// RelayWaiting counts the sealed files of other hosts that wait for their answer;
	// RelayRefused are those that the collector will not take.
	RelayWaiting int            `json:"relay_waiting,omitempty"`
	RelayRefused []RelayRefused `json:"relay_refused,omitempty"`
}

// Refused is one report that the collector will not store. It stays in the outbox.
type Refused struct {
	Seq    uint64    `json:"seq"`
	Code   wire.Code `json:"code"`
	Reason string    `json:"reason,omitempty"`
}

func (u *Uplink) readStatus() {
	u.status = Status{Version: muster.Version, Collector: u.Site.Collector}
	if u.StatusFile == "" {
		return
	}
	var last Status
	b, err := durable.ReadForeign(u.StatusFile, maxStatus)
	if err == nil {
		err = json.Unmarshal(b, &last)
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			u.Logger.Warn("the status file cannot be read", "error", err)
		}
		return
	}
	if last.Collector == u.Site.Collector {
		u.status.LastContact, u.status.PolicyETag, u.status.ClockSkewSeconds = last.LastContact, last.PolicyETag, last.ClockSkewSeconds
	}
}

func (u *Uplink) writeStatus() {
	s := &u.status
	if _, err := u.waiting(); err != nil && s.Error == "" {
		s.Error = err.Error()
	}
	if _, err := u.relayable(); err != nil && s.Error == "" {
		s.Error = err.Error()
	}
	s.UpdatedAt, s.Refused, s.RelayRefused = u.Now().UTC(), nil, u.relayRefused()
	for seq, r := range u.refused {
		if u.Now().After(r.until) {
			delete(u.refused, seq)
			continue
		}
		s.Refused = append(s.Refused, Refused{seq, r.code, r.reason})
	}
	slices.SortFunc(s.Refused, func(a, b Refused) int { return cmp.Compare(b.Seq, a.Seq) })
	s.Refused = s.Refused[:min(len(s.Refused), shownRefusals)]
	if u.StatusFile == "" {
		return
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = durable.WriteFile(u.StatusFile, append(b, '\n'), 0o644)
	}
	if err != nil {
		u.Logger.Warn("the status file cannot be written", "error", err)
	}
}
