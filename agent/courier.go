package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/courier"
	"github.com/passmuster/muster/agent/media"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// DefaultCourierWait is how long a connected computer waits for the uplink to
// bring the collector's answers.
const DefaultCourierWait = 2 * time.Minute

// maxEnrollment bounds a host's statement about itself, in bytes.
const maxEnrollment = 64 << 10

// someReceipts are taken before the user hears of it.
const someReceipts = 64

// CourierOptions say what is to be carried between this computer and a stick. Site
// and StateDir are required.
type CourierOptions struct {
	Site     *muster.Site
	StateDir string
	// Profile of this computer; "" means the site's. One of profile ems seals its own
	// reports, any other relays those of the stick.
	Profile muster.Profile
	// Wait for the uplink; 0 means DefaultCourierWait.
	Wait time.Duration
	// Clock; nil means time.Now.
	Clock func() time.Time
	// Progress is called while something takes its time; nil means that nobody watches.
	Progress func(done, total int, what string)
}

// CourierResult is what was carried.
type CourierResult struct {
	Schema int `json:"schema"` // 1
	// Place is "host", which seals its own reports, or "relay".
	Place string        `json:"place"`
	Host  muster.HostID `json:"host,omitempty"`
	// Of a host: Sealed files that are new on the stick and the reports in them, the
	// reports for which a receipt came, and those that still wait.
	Sealed        []courier.File `json:"sealed,omitempty"`
	SealedReports int            `json:"sealed_reports,omitempty"`
	Receipted     int            `json:"receipted,omitempty"`
	Waiting       int            `json:"waiting"`
	// PolicyTaken: the policy that came is the last good one now.
	PolicyTaken bool `json:"policy_taken,omitempty"`
	// Of a relay: files that the collector has answered, and that wait with the uplink.
	Answered []courier.File `json:"answered,omitempty"`
	Relaying []courier.File `json:"relaying,omitempty"`
	// Warnings say what went wrong, a sentence each. Next is what to do now.
	Warnings []string `json:"warnings"`
	Next     string   `json:"next"`

	progress func(done, total int, what string)
	unread   []uint64 // reports that wait and cannot be read
}

func (r *CourierResult) step(done, total int, what string) {
	if r.progress != nil {
		r.progress(done, total, what)
	}
}

func (r *CourierResult) warn(err error) {
	var res Result
	res.warn(err)
	r.Warnings = append(r.Warnings, res.Warnings...)
}

// leftOut hears of a report that cannot be sealed.
func (r *CourierResult) leftOut(seq uint64, err error) {
	if r.unread = append(r.unread, seq); len(r.unread) <= maxUnkept {
		r.warn(fmt.Errorf("a report cannot be read and is left out: %w", err))
	}
}

// Sync carries what the place calls for between this computer and the stick.
func Sync(ctx context.Context, root string, o CourierOptions) (*CourierResult, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	m, err := media.Open(root)
	isNew := errors.Is(err, media.ErrNoFolder)
	switch {
	case err != nil && !(isNew && o.Profile == muster.EMS):
		return nil, NewInputError(err, "run this on an air-gapped computer first, or name the drive or folder of the stick")
	case o.Profile != muster.EMS:
		return o.relay(ctx, m)
	}
	k, to, err := o.openMail()
	if err != nil {
		return nil, err
	}
	defer k.close()
	if isNew {
		if m, err = media.Make(root); err != nil {
			return nil, stickTrouble(m, err, runAgain)
		}
	}
	return o.syncHost(m, k, to)
}

func (o *CourierOptions) check() error {
	if o.Site == nil {
		return NewInputError(errors.New("there is no site file, so there is nobody to carry reports to"), "--site names the file of your state")
	}
	o.Profile = cmp.Or(o.Profile, o.Site.Profile, muster.Workstation)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Wait == 0 {
		o.Wait = DefaultCourierWait
	}
	return nil
}

// recipient is the collector, for who seals.
func recipient(site *muster.Site) (*seal.Recipient, error) {
	if site.AgeRecipient == "" {
		return nil, NewInputError(errors.New("site file: field age_recipient: is missing: reports could be sealed to nobody"), "ask your state for a new site file: it is older than the courier")
	}
	to, err := seal.ParseRecipient(site.AgeRecipient)
	if err != nil {
		return nil, NewInputError(fmt.Errorf("site file: field age_recipient: %w", err), "ask your state for its site file again")
	}
	return to, nil
}

// openMail opens the state folder of this host without its key: what is carried
// was signed by an audit. to is the collector.
func (o *CourierOptions) openMail() (k *keeper, to *seal.Recipient, err error) {
	if to, err = recipient(o.Site); err != nil {
		return nil, nil, err
	}
	if _, err := state.OpenReader(o.StateDir); err != nil {
		return nil, nil, NewInputError(fmt.Errorf("this computer has no reports of its own: %w", err),
			"run muster audit first; a computer that is audited from a stick writes onto it during muster audit --courier")
	}
	k = &keeper{clock: o.Clock}
	opened := k
	defer func() {
		if err != nil {
			opened.close()
		}
	}()
	if k.folder, err = state.Open(o.StateDir, state.Options{}); err != nil {
		return nil, nil, err
	}
	if k.unlock, err = k.folder.Lock(); err != nil {
		return nil, nil, err
	}
	if k.outbox, err = outbox.Open(k.folder.OutboxDir(), outbox.Options{}); err != nil {
		return nil, nil, err
	}
	if err = k.checkSite(o.Site); err != nil {
		return nil, nil, err
	}
	if _, err = k.enrollment(); err != nil {
		return nil, nil, err
	}
	_, err = k.folder.ReadStatus(auditStatus, &k.status)
	return k, to, err
}

// enrollment is the host's signed statement; it sets the host.
func (k *keeper) enrollment() ([]byte, error) {
	b, err := durable.ReadForeign(k.folder.EnrollmentFile(), maxEnrollment)
	if errors.Is(err, os.ErrNotExist) {
		return nil, NewInputError(errors.New("this computer has not told the state who it is yet"), "run muster audit once, then this again")
	}
	if err != nil {
		return nil, err
	}
	_, host, err := wire.VerifyEnrollment(b)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w: run muster audit to write it again", k.folder.EnrollmentFile(), err)
	}
	k.host = host
	return b, nil
}

func (o *CourierOptions) syncHost(m *media.Stick, k *keeper, to *seal.Recipient) (*CourierResult, error) {
	stick, err := courier.Open(m.Dir())
	if err != nil {
		return nil, stickTrouble(m, err, runAgain)
	}
	r := &CourierResult{Schema: 1, Place: "host", Host: k.host, Warnings: []string{}, progress: o.Progress}
	_, err = k.outbox.Verify()
	r.warn(err)
	back, err := k.takeReturns(stick, o.Site, r)
	if err == nil {
		err = k.sealOut(stick, to, back, r)
	}
	r.warn(k.folder.WriteStatus(auditStatus, k.status)) // what was taken is taken, whatever befell the stick
	if err != nil {
		return r, stickTrouble(m, err, runAgain)
	}
	r.Next = o.nextOfHost(k, r)
	return r, nil
}

func (o *CourierOptions) nextOfHost(k *keeper, r *CourierResult) string {
	switch {
	case r.Waiting == 0:
		return fmt.Sprintf("%s has received every report of this computer. Nothing has to be carried.", o.Site.Name)
	case len(r.unread) > 0 && len(r.Sealed) == 0:
		return "Nothing was sealed: see the warnings, and tell your state."
	case len(r.Sealed) == 0:
		return fmt.Sprintf("The stick carries %s of this computer already. Take it to a connected computer and run muster courier sync there.", many(r.Waiting, "report"))
	}
	return fmt.Sprintf("%s of this computer %s sealed on the stick. Take it to a connected computer and run muster courier sync there.",
		many(r.SealedReports, "report"), areOrIs(r.SealedReports))
}

// returned is what the collector has answered to a host.
type returned struct {
	// done are the files whose answers are applied.
	done []courier.File
	// plain: the collector lacks the sample.
	plain bool
}

// takeReturns applies what the collector answered to this host: receipts, the
// newest policy, custody. Its error is the stick's or the disk's.
func (k *keeper) takeReturns(stick *courier.Stick, site *muster.Site, r *CourierResult) (*returned, error) {
	answers, err := stick.Returns(k.host)
	if err != nil {
		return nil, err
	}
	log, lost, err := stick.Log()
	if err != nil {
		return nil, err
	}
	if lost > 0 {
		r.warn(fmt.Errorf("%s of the custody log on the stick cannot be read any more, and will go", many(lost, "line")))
	}
	back := &returned{}
	var newest *seal.Return
	for _, f := range answers {
		a, damaged := stick.Answer(&f)
		if damaged != nil {
			r.warn(fmt.Errorf("the answer of the collector is damaged, what is whole of it is taken: %w: take the stick to a connected computer again", damaged))
		}
		again := errors.Is(damaged, wire.ErrFutureSchema)
		if a == nil {
			if damaged != nil && !again {
				back.done = append(back.done, f)
			}
			continue
		}
		steps := append(slices.DeleteFunc(slices.Clone(log), func(e muster.CustodyEvent) bool { return e.File != a.File }), a.Custody...)
		steps, again = k.apply(a, &f, steps, site, r)
		if !again {
			back.done = append(back.done, f)
		}
		if steps == nil {
			continue
		}
		r.warn(stick.Note(steps...))
		for i := range a.Outcomes {
			back.plain = back.plain || a.Outcomes[i].Code == wire.CodeNeedBase
		}
		if a.Bundle != nil && (newest == nil || a.ReceivedAt.After(newest.ReceivedAt)) {
			newest = a
		}
	}
	if newest != nil {
		r.warn(k.takeBundle(newest.Bundle, site, r))
	}
	return back, nil
}

// apply takes the receipts of an answer and keeps its steps of custody, with that of
// this host, for the next report; it gives none where no receipt counts. again says
// that the same answer may do more the next time. All else is told already: what
// still waits is sealed again.
func (k *keeper) apply(a *seal.Return, f *courier.File, steps []muster.CustodyEvent, site *muster.Site, r *CourierResult) (_ []muster.CustodyEvent, again bool) {
	keys, err := wire.ParsePublicKeys(site.ReceiptKeys)
	if err != nil {
		r.warn(fmt.Errorf("site file: field receipt_keys: %w", err))
		return nil, true
	}
	receipts, applied, told := a.Receipts(), 0, false
	for some := range slices.Chunk(receipts, someReceipts) {
		n, more, err := k.outbox.Take(some, k.host, keys)
		applied, again = applied+n, again || more
		if err != nil && !told {
			told = true
			r.warn(fmt.Errorf("receipts by %s: %w", a.Collector, err))
		}
		r.step(applied, len(receipts), "receipts")
	}
	if len(receipts) > 0 && applied == 0 {
		r.warn(fmt.Errorf("no receipt by %s counts here: is it the answer of another state, or the site file an old one?", a.Collector))
		return nil, again
	}
	now := k.clock().UTC().Truncate(time.Second)
	if r.Receipted += applied; applied > 0 {
		k.status.ReceiptAt = &now
	}
	r.warn(refusals(f, a))
	steps = append(slices.DeleteFunc(steps, func(e muster.CustodyEvent) bool { return e.Host != k.host }),
		muster.CustodyEvent{At: now, Act: muster.CustodyReturned, By: string(k.host), File: a.File, Host: k.host, From: f.From, To: f.To})
	r.warn(k.addCustody(steps))
	return steps, again
}

// takeBundle takes a policy in the way of every policy: through the inbox.
func (k *keeper) takeBundle(b []byte, site *muster.Site, r *CourierResult) error {
	before, err := k.folder.PolicyFloor()
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(k.folder.InboxDir(), "policy.tar.gz"), b, 0o640); err != nil {
		return err
	}
	err = k.takePolicy(site)
	after, floorErr := k.folder.PolicyFloor()
	r.PolicyTaken = after > before
	return errors.Join(err, floorErr)
}

// refusals says what the collector did not take.
func refusals(f *courier.File, a *seal.Return) error {
	errs := []error{notTaken(f, a)}
	shown := 0
	for i := range a.Outcomes {
		o := &a.Outcomes[i]
		if o.Receipt == nil && o.Code != wire.CodeNeedBase && shown < maxUnkept {
			errs = append(errs, fmt.Errorf("%s refuses report %d: %s", a.Collector, o.Seq, cmp.Or(o.Reason, string(o.Code))))
			shown++
		}
	}
	return errors.Join(errs...)
}

// portableIn takes what the collector answered on the stick of a portable audit,
// before it judges.
func (k *keeper) portableIn(o Options, res *Result) {
	stick, err := courier.Open(o.Portable.Stick.Dir())
	r := &CourierResult{}
	if err == nil {
		k.back, err = k.takeReturns(stick, o.Site, r)
	}
	res.Warnings = append(res.Warnings, r.Warnings...)
	if err != nil {
		res.warn(o.trouble(err))
	}
}

// portableOut seals the reports of a portable audit for the collector.
func (k *keeper) portableOut(o Options, res *Result) {
	if o.Portable.Stick.Gone() { // what is made now would be made on this computer
		return
	}
	r := &CourierResult{}
	stick, err := courier.Open(o.Portable.Stick.Dir())
	var to *seal.Recipient
	if err == nil {
		to, err = recipient(o.Site)
	}
	if err == nil {
		err = k.sealOut(stick, to, cmp.Or(k.back, &returned{}), r)
	}
	res.Warnings = append(res.Warnings, r.Warnings...)
	if err != nil {
		res.warn(fmt.Errorf("the reports are kept on the stick, and not sealed for %s: %w", o.Site.Name, o.trouble(err)))
		return
	}
	res.Outcome = fmt.Sprintf("Report %d is on the stick, and %s sealed for %s. Take the stick to a connected computer and run muster courier sync there.",
		res.Report, many(r.Waiting-len(r.unread), "report"), o.Site.Name)
}

// sealOut seals what waits and is on no good file of the stick, and then takes away
// the files that are answered and those that are damaged.
func (k *keeper) sealOut(stick *courier.Stick, to *seal.Recipient, back *returned, r *CourierResult) error {
	statement, err := k.enrollment()
	if err != nil {
		return err
	}
	outgoing, _, err := stick.Outgoing()
	if err != nil {
		return err
	}
	var have, damaged []courier.File
	for _, f := range outgoing {
		switch {
		case f.Host != k.host:
		case f.Damaged:
			r.warn(fmt.Errorf("the sealed file %s is damaged, perhaps because the stick was pulled out: what still waits is sealed again", f.Name))
			damaged = append(damaged, f)
		case !slices.ContainsFunc(back.done, func(d courier.File) bool { return d.Name == f.Name }):
			have = append(have, f)
		}
	}
	made, err := stick.Seal(courier.Host{ID: k.host, Enrollment: statement, Policy: k.status.Policy.Digest, Outbox: k.outbox, To: to, Plain: back.plain, Now: k.clock,
		LeftOut:  r.leftOut,
		Progress: func(done, total int) { r.step(done, total, "reports to seal") }}, have)
	r.Sealed = made
	if err != nil {
		return err
	}
	for _, f := range damaged {
		if err := stick.Discard(&f); err != nil {
			return err
		}
	}
	for _, f := range back.done {
		if slices.ContainsFunc(made, func(m courier.File) bool { return m.Name == f.Name }) {
			continue
		}
		if err := stick.Done(&f); err != nil {
			return err
		}
	}
	seqs, err := k.outbox.List()
	if err != nil {
		return err
	}
	r.Waiting = len(seqs)
	for _, seq := range seqs {
		if !slices.Contains(r.unread, seq) && slices.ContainsFunc(made, func(f courier.File) bool { return f.Covers(seq) }) {
			r.SealedReports++
		}
	}
	return nil
}
