package collector

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/api"
	"github.com/passmuster/muster/collector/store"
)

const (
	// maxField bounds what a contact says, maxReason why a waiver is asked for and what is
	// answered, in characters.
	maxField, maxReason = 200, 1000
	// maxAskDays is how far away the last day of a waiver may be that is asked for.
	maxAskDays = 400
)

// SetContacts makes the list those who are called in the county.
func (c *Collector) SetContacts(ctx context.Context, county muster.County, list []muster.Contact, actor string) error {
	if err := c.checkContacts(county, list); err != nil {
		return api.Refused(fmt.Errorf("set contacts: %w", err))
	}
	return c.store.SetContacts(ctx, county, list, c.entry(actor, "set_contacts", fmt.Sprintf("%d of county %s", len(list), county)))
}

func (c *Collector) checkContacts(county muster.County, list []muster.Contact) error {
	if err := c.ours(county); err != nil {
		return err
	}
	if len(list) > store.MaxContacts {
		return fmt.Errorf("%d are more than the %d that one county can have: shorten the list", len(list), store.MaxContacts)
	}
	for n, p := range list {
		for _, f := range []struct {
			name, text string
			least      int
		}{{"name", p.Name, 1}, {"duty", p.Duty, 0}, {"phone", p.Phone, 0}, {"email", p.Email, 0}} {
			if err := checkText(f.name, f.text, f.least, maxField); err != nil {
				return fmt.Errorf("contact %d: %w", n+1, err)
			}
		}
	}
	return nil
}

// ours refuses what is no county of the state.
func (c *Collector) ours(county muster.County) error {
	if _, err := muster.ParseCounty(string(county)); err != nil {
		return err
	}
	if c.State != "" && county.State() != c.State { // only serve is told the state
		return fmt.Errorf("county %s is not of state %s", county, c.State)
	}
	return nil
}

// checkText refuses what is no text of so many characters, spaces around it not counted.
func checkText(name, text string, least, most int) error {
	switch n := utf8.RuneCountInString(strings.TrimSpace(text)); {
	case n < least:
		return fmt.Errorf("the %s is missing", name)
	case n > most:
		return fmt.Errorf("the %s has %d characters, and at most %d are kept: shorten it", name, n, most)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) }):
		return fmt.Errorf("the %s has characters that are no text", name)
	}
	return nil
}

// Ask keeps a county's request for a waiver, and returns its number. It excuses nothing
// by itself.
func (c *Collector) Ask(ctx context.Context, a muster.Ask, actor string) (int64, error) {
	a.Reason, a.Until = strings.TrimSpace(a.Reason), a.Until.UTC().Truncate(24*time.Hour)
	err := c.checkAsk(ctx, a)
	if err != nil {
		return 0, err
	}
	what := "county " + string(a.County)
	if a.Host != "" {
		what = "host " + string(a.Host) + " of " + what
	}
	return c.store.Ask(ctx, a, c.entry(actor, "ask_waiver", fmt.Sprintf("%s for %s until %s", a.Control, what, a.Until.Format(time.DateOnly))))
}

func (c *Collector) checkAsk(ctx context.Context, a muster.Ask) error {
	refused := func(format string, args ...any) error {
		return api.Refused(fmt.Errorf("ask for a waiver: "+format, args...))
	}
	if err := c.ours(a.County); err != nil {
		return refused("%w", err)
	}
	if err := checkText("reason", a.Reason, 1, maxReason); err != nil {
		return refused("%w", err)
	}
	switch now := c.Now(); {
	case !a.Until.After(now):
		return refused("its last day is not in the future: name a later one")
	case a.Until.After(now.AddDate(0, 0, maxAskDays)):
		return refused("its last day is more than %d days away: name an earlier one", maxAskDays)
	}
	if c.view.Load() == nil { // only Run has one from the start
		if err := c.reload(ctx); err != nil {
			return err
		}
	}
	if !slices.ContainsFunc(c.view.Load().controls, func(k muster.Control) bool { return k.ID == a.Control }) {
		return refused("the policy in force has no control %q", a.Control)
	}
	if a.Host == "" {
		return nil
	}
	var h muster.HostStanding
	if _, err := muster.ParseHostID(string(a.Host)); err == nil {
		h, err = c.store.Host(ctx, muster.View{}, a.Host)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if h.County != a.County { // whichever it is of, or none
		return refused("host %q is none of county %s", a.Host, a.County)
	}
	return nil
}

// Answer grants or declines a request for a waiver, which must be open: an error that is
// fs.ErrExist where it is not. Who declines says why.
func (c *Collector) Answer(ctx context.Context, id int64, state muster.AskState, answer, actor string) error {
	answer = strings.TrimSpace(answer)
	least := 0
	switch state {
	case muster.AskGranted:
	case muster.AskDeclined:
		least = 1
	default:
		return api.Refused(fmt.Errorf("answer request %d: %q is no answer: use %s or %s", id, state, muster.AskGranted, muster.AskDeclined))
	}
	if err := checkText("answer", answer, least, maxReason); err != nil {
		return api.Refused(fmt.Errorf("answer request %d: %w", id, err))
	}
	a, err := c.store.AskOf(ctx, id)
	if err != nil {
		return err
	}
	if state == muster.AskGranted && !c.Now().Before(a.Until.AddDate(0, 0, 1)) {
		return api.Refused(fmt.Errorf("answer request %d: its last day, %s, has passed: decline it, and say that a new one is needed", id, a.Until.Format(time.DateOnly)))
	}
	return c.store.Answer(ctx, id, state, answer, c.entry(actor, "answer_ask", fmt.Sprintf("%s request %d of county %s for %s", state, id, a.County, a.Control)))
}
