package agent

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies/bundle"
)

// keeper holds the state folder during one audit. Nil keeps nothing.
type keeper struct {
	folder *state.Folder
	unlock func() error
	outbox *outbox.Outbox
	key    *ecdsa.PrivateKey
	host   muster.HostID
	status AuditStatus
	back   *returned // of a portable audit, see portableIn
	clock  func() time.Time
}

// openKeeper opens the state folder and takes what the mail has brought. Where
// no report is to be kept, or none can be, it says why instead. Its error is
// for a site file that must not be used here.
func openKeeper(o Options, res *Result) (k *keeper, why string, err error) {
	switch {
	case o.Recording != "":
		return nil, "this is a recording", nil
	case !o.Now.IsZero():
		return nil, "the time was given with --now", nil
	case len(o.Only) > 0:
		return nil, "only some controls were asked", nil
	case o.Portable != nil && o.Site == nil:
		return nil, "the stick has no site file, so there is nobody to keep it for", nil
	case o.Portable != nil && o.Portable.Trouble != nil:
		res.warn(fmt.Errorf("no report can be kept: %w", o.Portable.Trouble))
		return nil, "see the warning above", nil
	case o.StateDir == "":
		return nil, "there is no site file, so there is nobody to keep it for", nil
	}
	k, err = lockState(o)
	if err != nil {
		res.warn(fmt.Errorf("no report can be kept: %w", o.trouble(err)))
		return nil, "see the warning above", nil
	}
	if o.Portable != nil {
		if err := k.checkStick(o.Portable, o.Site); err != nil {
			k.close()
			res.warn(fmt.Errorf("no report can be kept: %w", err))
			return nil, "see the warning above", nil
		}
	} else if err := k.checkSite(o.Site); err != nil {
		k.close()
		return nil, "", err
	}
	if _, err := k.folder.ReadStatus(auditStatus, &k.status); err != nil {
		res.warn(err) // it is written anew below
	}
	if !o.Unsigned {
		// Before the audit: a request that comes during it asks for another one,
		// and one that stayed after a failure would start audits without end.
		_, err = k.folder.TakeAuditRequest()
		res.warn(err)
	}
	_, err = k.outbox.Verify()
	res.warn(err)
	if o.Site != nil {
		res.warn(k.applyReceipts(o.Site))
		res.warn(k.takePolicy(o.Site))
	}
	if o.Portable != nil {
		res.warn(k.stickPolicy(o.Portable, o.Site))
		k.portableIn(o, res)
	}
	return k, "", nil
}

func lockState(o Options) (k *keeper, err error) {
	k = &keeper{clock: o.Clock}
	defer func() {
		if err != nil {
			k.close()
			k = nil
		}
	}()
	if o.Portable != nil {
		if err = o.Portable.Stick.Straight(o.StateDir); err != nil {
			return k, err
		}
	}
	if k.folder, err = state.Open(o.StateDir, o.stateOptions()); err != nil {
		return k, err
	}
	if k.unlock, err = k.folder.Lock(); err != nil {
		return k, err
	}
	if k.key, err = k.folder.HostKey(); err != nil {
		return k, err
	}
	if k.host, err = wire.HostIDOf(k.key.Public()); err != nil {
		return k, err
	}
	box, err := o.outboxOptions(k.key)
	if err != nil {
		return k, err
	}
	if k.outbox, err = outbox.Open(k.folder.OutboxDir(), box); err != nil {
		return k, err
	}
	if owner := k.outbox.Host(); owner != "" && owner != k.host {
		return k, fmt.Errorf("the outbox %s holds reports of host %s, and the key is that of host %s: restore the key from a backup, or move the outbox away to enroll as a new host",
			k.folder.OutboxDir(), owner, k.host)
	}
	return k, nil
}

// close lets the next audit in. The lock goes with the process in any case.
func (k *keeper) close() {
	if k != nil && k.unlock != nil {
		k.unlock()
	}
}

// checkSite refuses the site file of another state than the one that this host
// has enrolled with: its reports would go to strangers.
func (k *keeper) checkSite(site *muster.Site) error {
	b, err := durable.ReadForeign(k.folder.EnrollmentFile(), maxEnrollment)
	if err != nil || site == nil {
		return nil // none yet, or it is written anew
	}
	e, _, err := wire.VerifyEnrollment(b)
	if err != nil || e.County.State() == site.State {
		return nil
	}
	return NewInputError(fmt.Errorf("site file: field state: it is %s, but this computer reports to state %s", site.State, e.County.State()),
		"use the site file of your own state; to move the computer to another state, delete "+k.folder.EnrollmentFile())
}

func (k *keeper) applyReceipts(site *muster.Site) error {
	keys, err := wire.ParsePublicKeys(site.ReceiptKeys)
	if err != nil {
		return fmt.Errorf("site file: field receipt_keys: %w", err)
	}
	applied, err := k.outbox.ApplyReceipts(k.folder.ReceiptsDir(), k.host, keys)
	if applied > 0 {
		now := k.clock().UTC().Truncate(time.Second)
		k.status.ReceiptAt = &now
	}
	return err
}

// takePolicy makes the policy in the inbox the last good one, if a key of the
// site signed it and it is newer than every one before. A refused one is thrown
// away; one that this computer fails to keep waits in the inbox, since it is
// sent once only. In both cases the last good one stays.
func (k *keeper) takePolicy(site *muster.Site) error {
	if k.status.PolicyRefusedBy != judgeOfPolicies(site) {
		k.status.PolicyRefused = ""
	}
	data, err := k.folder.InboxPolicy()
	switch {
	case errors.Is(err, durable.ErrForeign):
		return k.refusePolicy(site, err)
	case data == nil || err != nil:
		return err
	}
	floor, err := k.folder.PolicyFloor()
	if err != nil {
		return err
	}
	b, err := k.checkPolicy(data, floor, site)
	if err != nil {
		return k.refusePolicy(site, err)
	}
	if err := k.folder.SavePolicy(data, uint64(b.Version)); err != nil {
		return fmt.Errorf("the policy that arrived cannot be kept, the one before stays: %w", err)
	}
	return k.dropPolicy(site, "")
}

func (k *keeper) refusePolicy(site *muster.Site, why error) error {
	return errors.Join(fmt.Errorf("the policy that arrived is refused, the one before stays: %w", why),
		k.dropPolicy(site, printable(why.Error())))
}

// dropPolicy clears the inbox, after it has put down what became of the policy:
// the uplink reads there whether it has to bring it again.
func (k *keeper) dropPolicy(site *muster.Site, refused string) error {
	k.status.Schema, k.status.PolicyRefused, k.status.PolicyRefusedBy = 1, refused, ""
	if refused != "" {
		k.status.PolicyRefusedBy = judgeOfPolicies(site)
	}
	return errors.Join(k.folder.WriteStatus(auditStatus, k.status), k.folder.DropInboxPolicy())
}

// judgeOfPolicies changes when a policy that was refused deserves another look:
// with another muster, and with other keys in the site file.
func judgeOfPolicies(site *muster.Site) string {
	h := sha256.New()
	for _, key := range site.PolicyKeys {
		h.Write(key)
	}
	return fmt.Sprintf("%s %x", muster.Version, h.Sum(nil)[:8])
}

func (k *keeper) checkPolicy(data []byte, floor uint64, site *muster.Site) (*bundle.Bundle, error) {
	b, err := bundle.Open(data, bundle.OpenOptions{Keys: site.PolicyKeys})
	switch {
	case err != nil:
		return nil, err
	case b.Version < 1:
		return nil, errors.New("it has no version number")
	case len(b.Controls) == 0:
		return nil, errors.New("it has no controls")
	}
	// A power loss may have left the floor below the last good one, whose key the
	// site may have ceased to trust.
	if kept, err := k.folder.Policy(); err == nil && kept != nil {
		if last, err := bundle.Open(kept, bundle.OpenOptions{Unsigned: true}); err == nil {
			floor = max(floor, uint64(last.Version))
			if last.Version == b.Version && last.Digest != b.Digest {
				return nil, fmt.Errorf("it is version %d again, with another content: the state must count up", b.Version)
			}
		}
	}
	if uint64(b.Version) < floor {
		return nil, older(b, floor)
	}
	return b, nil
}

// keep commits the report; when it returns with a number in the result, the
// report survives a power loss.
func (k *keeper) keep(o Options, host muster.Host, res *Result) {
	bootID, err := state.BootID()
	res.warn(err) // a report without it is a report
	r := NewReport(&res.Audit, host.County, bootID, res.Results)
	damaged, err := k.outbox.Problems()
	res.warn(err)
	for _, p := range damaged {
		res.warn(errors.New(p))
	}
	r.Detail.Notices = append(damaged, k.status.Unkept...)
	r.Detail.Custody = k.custody()
	seq, err := k.outbox.Append(func(seq uint64, prev muster.Digest, gap []muster.SeqRange) ([]byte, muster.Digest, error) {
		r.Header.Seq, r.Header.Prev, r.Header.Gap = seq, prev, gap
		change, err := wire.ChangeDigest(r)
		if err != nil {
			return nil, change, err
		}
		content, err := wire.EncodeReport(r)
		if err != nil {
			return nil, change, err
		}
		envelope, err := wire.Sign(wire.KindReport, content, k.key, string(k.host))
		return envelope, change, err
	})
	if err != nil {
		res.warn(fmt.Errorf("the report could not be kept: %w", o.trouble(err)))
		res.Outcome = "No report was kept: see the warning above."
		k.unkept(res.Audit.AuditedAt, err)
		k.saveStatus(res)
		return
	}
	res.Report, k.status.Unkept, k.status.KeptAt = seq, nil, k.clock().UTC()
	res.warn(k.custodyTold())
	if o.Site != nil {
		res.warn(k.enroll(o.Site, host))
	}
	k.saveStatus(res)
	res.Outcome = k.outcome(o.Site, seq)
	if o.Portable != nil {
		k.portableOut(o, res)
	}
}

// maxUnkept bounds what the next report tells of those that were not kept.
const maxUnkept = 8

func (k *keeper) unkept(at time.Time, err error) {
	told := fmt.Sprintf("the report of the audit at %s could not be kept: %s", at.Format(time.RFC3339), short(printable(err.Error()), maxText))
	k.status.Unkept = append(k.status.Unkept, told)
	k.status.Unkept = k.status.Unkept[max(0, len(k.status.Unkept)-maxUnkept):]
}

func (k *keeper) outcome(site *muster.Site, seq uint64) string {
	s := fmt.Sprintf("Report %d kept in %s", seq, k.folder.Dir())
	d, err := k.outbox.Depth()
	switch {
	case site == nil:
		return s + "."
	case err != nil || d.Reports == 1:
		return s + " until " + site.Name + " has received it."
	}
	return fmt.Sprintf("%s. %d reports wait there until %s has received them.", s, d.Reports, site.Name)
}

// enroll leaves the host's statement about itself for the uplink, where it
// says anything new.
func (k *keeper) enroll(site *muster.Site, host muster.Host) error {
	der, err := wire.MarshalPublicKey(k.key.Public())
	if err != nil {
		return err
	}
	e := muster.Enrollment{
		Schema: wire.EnrollmentSchema, PublicKey: der, Hostname: short(host.Hostname, 255), County: host.County,
		Profile: host.Profile, Platform: host.Platform, Agent: muster.Version,
		MadeAt: k.clock().UTC().Truncate(time.Second), Demo: site.Demo,
	}
	if e.Machine, err = state.MachineID(); err != nil {
		e.Machine = "" // the state then cannot tell a copy of this computer from it
	}
	if b, err := durable.ReadForeign(k.folder.EnrollmentFile(), maxEnrollment); err == nil {
		if old, _, err := wire.VerifyEnrollment(b); err == nil {
			if sameEnrollment(old, e) {
				return nil
			}
			// Only a newer statement counts, and this clock may have been set back.
			if next := old.MadeAt.Add(time.Second); e.MadeAt.Before(next) {
				e.MadeAt = next
			}
		}
	}
	b, err := wire.SignEnrollment(e, k.key)
	if err != nil {
		return fmt.Errorf("enroll: %w", err)
	}
	if err := durable.WriteFile(k.folder.EnrollmentFile(), b, 0o640); err != nil {
		return fmt.Errorf("enroll: %w", err)
	}
	return nil
}

func sameEnrollment(a, b muster.Enrollment) bool {
	return string(a.PublicKey) == string(b.PublicKey) && a.Hostname == b.Hostname && a.County == b.County &&
		a.Profile == b.Profile && a.Platform == b.Platform && a.Agent == b.Agent && a.Demo == b.Demo && a.Machine == b.Machine
}

func (k *keeper) saveStatus(res *Result) {
	a := res.Audit
	k.status.Schema = 1
	k.status.AuditedAt, k.status.Host, k.status.HostID, k.status.Profile = a.AuditedAt, a.Host, a.HostID, a.Profile
	k.status.Policy, k.status.Summary = a.Policy, a.Summary
	if res.Report > 0 {
		k.status.Report = res.Report
	}
	k.status.Warnings = res.Warnings
	k.status.Outbox, k.status.Dropped = nil, k.outbox.Dropped()
	if d, err := k.outbox.Depth(); err == nil {
		k.status.Outbox = &d
	}
	res.warn(k.folder.WriteStatus(auditStatus, k.status))
}

// warn adds what went wrong, one sentence each; nil is nothing.
func (r *Result) warn(err error) {
	if err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		r.Warnings = append(r.Warnings, printable(line))
	}
}

// printable makes text fit for a terminal: names of files and the uplink's words
// are chosen by programs that muster does not trust.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}
