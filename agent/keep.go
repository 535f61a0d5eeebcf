package agent

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"os"
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
}

// openKeeper opens the state folder and takes what the mail has brought. Where
// no report is to be kept, or none can be, it says why instead. Its error is
// for a site file that must not be used here.
func openKeeper(o Options, res *Result) (k *keeper, why string, err error) {
	switch {
	case o.Recording != "":
		return nil, "this is a recording", nil
	case len(o.Only) > 0:
		return nil, "only some controls were asked", nil
	case o.StateDir == "":
		return nil, "there is no site file, so there is nobody to keep it for", nil
	}
	k, err = lockState(o.StateDir)
	if err != nil {
		res.warn(fmt.Errorf("no report can be kept: %w", err))
		return nil, "see the warning above", nil
	}
	if err := k.checkSite(o.Site); err != nil {
		k.close()
		return nil, "", err
	}
	if _, err := k.folder.ReadStatus(auditStatus, &k.status); err != nil {
		res.warn(err) // it is written anew below
	}
	if o.Site != nil {
		res.warn(k.applyReceipts(o.Site))
		res.warn(k.takePolicy(o.Site))
	}
	return k, "", nil
}

func lockState(dir string) (k *keeper, err error) {
	k = &keeper{}
	defer func() {
		if err != nil {
			k.close()
			k = nil
		}
	}()
	if k.folder, err = state.Open(dir, state.Options{}); err != nil {
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
	k.outbox, err = outbox.Open(k.folder.OutboxDir(), outbox.Options{})
	return k, err
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
	b, err := os.ReadFile(k.folder.EnrollmentFile())
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
		now := time.Now().UTC().Truncate(time.Second)
		k.status.ReceiptAt = &now
	}
	return err
}

// takePolicy makes the policy in the inbox the last good one, if a key of the
// site signed it and it is newer than every one before. Otherwise it is thrown
// away and the last good one stays.
func (k *keeper) takePolicy(site *muster.Site) error {
	data, err := k.folder.InboxPolicy()
	if data == nil || err != nil {
		return err
	}
	if err := k.checkPolicy(data, site); err != nil {
		k.status.PolicyRefused = err.Error()
		return errors.Join(fmt.Errorf("the policy that arrived is refused, the one before stays: %w", err), k.folder.DropInboxPolicy())
	}
	k.status.PolicyRefused = ""
	return k.folder.DropInboxPolicy()
}

func (k *keeper) checkPolicy(data []byte, site *muster.Site) error {
	b, err := bundle.Open(data, bundle.OpenOptions{Keys: site.PolicyKeys})
	if err != nil {
		return err
	}
	floor, err := k.folder.PolicyFloor()
	if err != nil {
		return err
	}
	switch {
	case b.Version < 1:
		return errors.New("it has no version number")
	case len(b.Controls) == 0:
		return errors.New("it has no controls")
	case uint64(b.Version) < floor:
		return fmt.Errorf("it is version %d, older than version %d that this host has used", b.Version, floor)
	case uint64(b.Version) == floor:
		if last, err := k.folder.Policy(); err == nil && last != nil {
			if same, err := bundle.Open(last, bundle.OpenOptions{Keys: site.PolicyKeys}); err == nil && same.Digest != b.Digest {
				return fmt.Errorf("it is version %d again, with another content: the state must count up", b.Version)
			}
		}
	}
	return k.folder.SavePolicy(data, uint64(b.Version))
}

// keep commits the report; when it returns with a number in the result, the
// report survives a power loss.
func (k *keeper) keep(o Options, host muster.Host, res *Result) {
	bootID, err := state.BootID()
	res.warn(err) // a report without it is a report
	r := NewReport(&res.Audit, host.County, bootID, res.Results)
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
		res.warn(fmt.Errorf("the report could not be kept: %w", err))
		res.Outcome = "No report was kept: see the warning above."
		k.saveStatus(res)
		return
	}
	res.Report = seq
	if o.Site != nil {
		res.warn(k.enroll(o.Site, host))
	}
	_, err = k.folder.TakeAuditRequest()
	res.warn(err)
	k.saveStatus(res)
	res.Outcome = k.outcome(o.Site, seq)
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
		MadeAt: time.Now().UTC().Truncate(time.Second), Demo: site.Demo,
	}
	if b, err := os.ReadFile(k.folder.EnrollmentFile()); err == nil {
		if old, _, err := wire.VerifyEnrollment(b); err == nil && sameEnrollment(old, e) {
			return nil
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
		a.Profile == b.Profile && a.Platform == b.Platform && a.Agent == b.Agent && a.Demo == b.Demo
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
	res.warn(k.folder.WriteStatus(auditStatus, k.status))
}

// warn adds what went wrong, one sentence each; nil is nothing.
func (r *Result) warn(err error) {
	if err != nil {
		r.Warnings = append(r.Warnings, strings.Split(err.Error(), "\n")...)
	}
}
