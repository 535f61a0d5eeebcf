// Package hooks tells webhooks of events: as JSON, or as messages of Slack or Teams.
//
// Each event is sent to each hook that wants it until the hook takes it (any 2xx), at
// most for a day. Requests are signed as Standard Webhooks says: an id that stays the
// same when an event is sent again, a time, and an HMAC of both and the body.
//
// Addresses come from the configuration only, but what a name stands for may change:
// only https is spoken, except to this computer; no redirect is followed and no proxy
// used; and a name that leads to a private address is not followed unless its hook
// allows it, to a link-local one never. No answer is kept.
package hooks

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/passmuster/muster"
)

const (
	// GiveUp is how long after an event it is still sent.
	GiveUp = 24 * time.Hour
	// stopGrace is what an attempt is given to end where the collector stops.
	stopGrace = 3 * time.Second
	// RequestTimeout bounds one attempt.
	RequestTimeout = 10 * time.Second
	// FirstWait doubles with every attempt, to MaxWait.
	FirstWait = 10 * time.Second
	MaxWait   = time.Hour
	// atOnce are looked at in one Send.
	atOnce = 100
	// maxAnswer of a hook is read, in bytes, so that the connection can be used again.
	maxAnswer = 16 << 10
)

// Hook is one receiver.
type Hook struct {
	Name   string
	URL    string
	Format Format
	// Secrets sign; a receiver takes any of them. Slack and Teams look at none.
	Secrets []Secret
	// Kinds of events, empty for all; Counties, empty for all.
	Kinds    []string
	Counties []muster.County
	// Private lets the address be in a private network.
	Private bool
}

// wants reports whether the hook is told of an event.
func (h *Hook) wants(e muster.Event) bool {
	return (len(h.Kinds) == 0 || slices.Contains(h.Kinds, e.Kind)) &&
		(len(h.Counties) == 0 || slices.Contains(h.Counties, e.County))
}

// Queue keeps what is to be sent; store.Store says what its methods do.
type Queue interface {
	Distribute(ctx context.Context, hooks func(muster.Event) []string) error
	Due(ctx context.Context, limit int) ([]muster.Delivery, error)
	Delivered(ctx context.Context, d muster.Delivery) error
}

// Options of New. Queue is required.
type Options struct {
	Hooks []Hook
	Queue Queue
	// From names the collector in messages.
	From string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger; nil discards.
	Logger *slog.Logger
}

// Sender sends what is due. Send may be called by one goroutine at a time.
type Sender struct {
	Options
	hooks map[string]*receiver
}

type receiver struct {
	Hook
	client *http.Client
}

// New checks the hooks; it reaches out to none.
func New(o Options) (*Sender, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sender{Options: o, hooks: map[string]*receiver{}}
	for _, h := range o.Hooks {
		if err := h.Check(); err != nil {
			return nil, err
		}
		if s.hooks[h.Name] != nil {
			return nil, fmt.Errorf("webhook %s is there twice: give each a name of its own", h.Name)
		}
		s.hooks[h.Name] = &receiver{h, h.client()}
	}
	return s, nil
}

// Send sends what is due once. A hook that fails is left alone until it is due again,
// and holds up no other. The error is of the queue.
func (s *Sender) Send(ctx context.Context) error {
	err := s.Queue.Distribute(ctx, func(e muster.Event) (names []string) {
		for _, h := range s.Hooks {
			if h.wants(e) {
				names = append(names, h.Name)
			}
		}
		return names
	})
	if err != nil {
		return err
	}
	due, err := s.Queue.Due(ctx, atOnce)
	if err != nil {
		return err
	}
	byHook := map[string][]muster.Delivery{}
	for _, d := range due {
		byHook[d.Hook] = append(byHook[d.Hook], d)
	}
	errs := make(chan error, len(byHook))
	var all sync.WaitGroup
	for name, list := range byHook {
		all.Go(func() { errs <- s.sendAll(ctx, name, list) })
	}
	all.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	return err
}

// sendAll sends one hook what it is due, up to the first that it does not take; what
// follows waits as long.
func (s *Sender) sendAll(ctx context.Context, name string, list []muster.Delivery) error {
	// One that is never taken comes last, so that it holds up no other for long.
	slices.SortStableFunc(list, func(a, b muster.Delivery) int { return cmp.Compare(a.Attempts, b.Attempts) })
	// What has begun is finished and noted, or it would be sent once more.
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })()
	begin := s.Now()
	var wait time.Time // where one was not taken
	for _, d := range list {
		if ctx.Err() != nil {
			return nil
		}
		if wait.IsZero() && s.Now().Sub(begin) > RequestTimeout {
			return nil // the others have waited for it long enough; what is left stays due
		}
		if wait.IsZero() {
			d = s.attempt(whole, name, d)
			if d.Done.IsZero() && s.hooks[name] != nil {
				wait = s.Now().Add(backoff(1))
			}
			if d.NextAt.After(wait) {
				wait = d.NextAt
			}
		} else {
			d.NextAt = wait
		}
		if whole.Err() != nil {
			return nil // cut off: it is sent again, with the same id
		}
		if err := s.Queue.Delivered(whole, d); err != nil {
			return err
		}
	}
	return nil
}

// attempt sends one event and says what became of it.
func (s *Sender) attempt(ctx context.Context, name string, d muster.Delivery) muster.Delivery {
	now := s.Now()
	d.NextAt, d.Error = time.Time{}, ""
	h := s.hooks[name]
	if h == nil {
		d.Error = "no webhook of this name is configured any more"
		return d
	}
	d.Attempts++
	status, after, err := h.post(ctx, s.From, d.Event, now)
	d.Status = status
	if err == nil {
		d.Done = now
		return d
	}
	d.Error = err.Error()
	if next := now.Add(max(after, backoff(d.Attempts))); status != http.StatusGone && next.Before(d.At.Add(GiveUp)) {
		d.NextAt = next
	}
	s.Logger.Warn("webhook not taken", "hook", name, "event", d.ID, "attempt", d.Attempts, "status", status, "error", err, "given_up", d.NextAt.IsZero())
	return d
}

// backoff before the next attempt: between half and all of what doubles each time.
func backoff(attempts int) time.Duration {
	wait := min(FirstWait<<min(attempts-1, 20), MaxWait)
	return wait/2 + rand.N(wait/2)
}

// Test sends a hook an event of the kind "test" at once, and returns the status.
func (s *Sender) Test(ctx context.Context, name string) (status int, err error) {
	h := s.hooks[name]
	if h == nil {
		return 0, fmt.Errorf("no webhook is called %q: muster-collector webhooks lists them", name)
	}
	now := s.Now()
	status, _, err = h.post(ctx, s.From, muster.Event{At: now, Kind: "test", Text: "This is a test. Nothing has happened."}, now)
	return status, err
}

// post sends one event. after is what the receiver asked for with Retry-After.
func (h *receiver) post(ctx context.Context, from string, e muster.Event, now time.Time) (status int, after time.Duration, err error) {
	body, err := h.Format.message(from, e)
	if err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "muster-collector/"+muster.Version)
	// With its time, because numbers come again after an older backup was restored.
	id := fmt.Sprintf("event_%d_%d", e.ID, e.At.UnixMicro())
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	if len(h.Secrets) > 0 {
		req.Header.Set("Webhook-Signature", sign(h.Secrets, id, now, body))
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, 0, plain(err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // its status is the answer
	switch status = resp.StatusCode; {
	case status >= 200 && status < 300:
		return status, 0, nil
	case status >= 300 && status < 400:
		return status, 0, errors.New("it answers with a redirect, which is not followed: configure the address where it leads")
	case status == http.StatusGone:
		return status, 0, errors.New("it says that it is gone: remove it from the configuration")
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		after = min(time.Duration(seconds)*time.Second, MaxWait)
	}
	return status, after, fmt.Errorf("it answers %d %s", status, http.StatusText(status))
}
