// Package outbox is the host's durable queue of reports that the state has not
// receipted: plain files, one a report, 00000042.report.
//
// A report is committed before Append returns. Only a verified receipt deletes
// one, with a single exception: the queue is bounded, and when it is full it
// thins itself by the rule at thin, and the next report declares the gap. A
// kill, a power loss, a full disk or a damaged file at any moment loses no
// report silently; everything the queue knows is found again in its files:
//
//	00000042.report          a waiting report
//	00000041.report.corrupt  a damaged one, set aside and declared as a gap
//	base.report              the newest receipted one: the next is compressed against it
//	chain.json               next number, last digest, gaps not yet receipted
//
// Order is by number; no clock is asked.
package outbox

import (
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/wire"
)

// DefaultMaxBytes is enough for more than a year of hourly reports.
const DefaultMaxBytes = 64 << 20

const (
	chainName = "chain.json"
	fileMode  = 0o640 // the uplink's group reads
	// maxDeclared bounds the gap of one report; the next declares the rest.
	maxDeclared = 256
)

// Options for Open. The zero value is right.
type Options struct {
	// MaxBytes bounds the files of waiting reports; 0 means DefaultMaxBytes.
	MaxBytes int64
	// Seal encrypts the reports, with a nonce of its own making (see
	// cipher.NewGCMWithRandomNonce); nil leaves them in the open. It is for media
	// that can be lost.
	Seal cipher.AEAD
}

// Outbox is an open queue. It has one writer: hold the state folder's lock, and
// call it from one goroutine.
type Outbox struct {
	Reader
	maxBytes int64
	disk     disk
	chain    chain
	host     muster.HostID
	// damaged are the reports that were found damaged since Open, and chainDamaged
	// says that of chain.json.
	damaged      []uint64
	chainDamaged bool
}

// chain is what the waiting files alone cannot tell.
type chain struct {
	Next uint64        `json:"next_seq"`
	Prev muster.Digest `json:"prev"` // digest of the envelope Next-1; zero where unknown
	// Dropped numbers that no receipted report has declared yet.
	Dropped ranges `json:"dropped,omitempty"`
}

// disk is how the outbox writes; the tests have one that fails.
type disk interface {
	WriteFile(path string, data []byte, perm os.FileMode) error
	Rename(from, to string) error
	Remove(paths ...string) error
}

type durableDisk struct{}

func (durableDisk) WriteFile(path string, data []byte, perm os.FileMode) error {
	return durable.WriteFile(path, data, perm)
}
func (durableDisk) Rename(from, to string) error { return durable.Rename(from, to) }
func (durableDisk) Remove(paths ...string) error { return durable.Remove(paths...) }

// Open opens the outbox in an existing folder for its one writer and puts right
// what a killed writer has left.
func Open(dir string, o Options) (*Outbox, error) { return open(dir, o, durableDisk{}) }

func open(dir string, o Options, d disk) (*Outbox, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if err := durable.Sweep(dir); err != nil {
		return nil, fmt.Errorf("open the outbox: %w", err)
	}
	box := &Outbox{Reader: Reader{dir: dir, seal: o.Seal}, maxBytes: o.MaxBytes, disk: d}
	if err := box.recover(); err != nil {
		return nil, fmt.Errorf("open the outbox: %w", err)
	}
	return box, nil
}

// recover finds the chain: from chain.json, from the last receipted report and
// from the newest waiting one, whichever has the highest number.
func (o *Outbox) recover() error {
	known, err := o.readChain()
	if err != nil {
		return err
	}
	var receipted uint64
	if base, _, err := o.open(baseName); err == nil {
		o.host, receipted = base.Host, base.Seq
		if base.Seq >= o.chain.Next {
			o.chain.Next, o.chain.Prev = base.Seq+1, base.Digest
		}
	}
	s, err := o.scan()
	if err != nil {
		return err
	}
	for _, seq := range s.corrupt {
		if seq >= o.chain.Next {
			o.chain.Next, o.chain.Prev = seq+1, muster.Digest{}
		}
	}
	// A file that is still here was not dropped: a kill came before its removal.
	for _, seq := range s.reports {
		if o.chain.Dropped.has(seq) {
			o.chain.Dropped = o.chain.Dropped.without(seq, seq)
		}
	}
	if len(s.reports) == 0 {
		o.presumeDropped(known, receipted, s)
		return nil
	}
	newest := s.reports[len(s.reports)-1]
	e, _, err := o.open(reportName(newest))
	damaged := errors.Is(err, ErrCorrupt)
	switch {
	case err != nil && !damaged:
		return err
	case !damaged:
		o.host = e.Host
	}
	if newest >= o.chain.Next {
		o.chain.Next, o.chain.Prev = newest+1, e.Digest // zero where it is damaged
	}
	o.presumeDropped(known, receipted, s)
	if damaged {
		return o.setAside(newest)
	}
	return nil
}

// presumeDropped: without chain.json, what neither waits nor came before the
// newest receipt counts as dropped. A gap too many does no harm.
func (o *Outbox) presumeDropped(known bool, receipted uint64, s scan) {
	if known || o.chain.Next == receipted+1 {
		return
	}
	missing := ranges{{From: receipted + 1, To: o.chain.Next - 1}}
	for _, seq := range s.reports {
		missing = missing.without(seq, seq)
	}
	o.chain.Dropped = missing
}

// Host is whose reports these were when the outbox was opened; "" where the
// files do not say.
func (o *Outbox) Host() muster.HostID { return o.host }

func (o *Outbox) readChain() (known bool, err error) {
	o.chain = chain{Next: 1}
	b, err := durable.ReadForeign(o.path(chainName), maxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		var c chain
		if json.Unmarshal(b, &c) == nil && c.Next > 0 {
			o.chain = c
			return true, nil
		}
	}
	if err != nil && !errors.Is(err, durable.ErrForeign) {
		return false, err
	}
	o.chainDamaged = true
	return false, o.disk.Rename(o.path(chainName), o.path(chainName+corruptExt))
}

func (o *Outbox) writeChain(c chain) error {
	b, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode %s: %w", chainName, err)
	}
	if err := o.disk.WriteFile(o.path(chainName), append(b, '\n'), fileMode); err != nil {
		return err
	}
	o.chain = c
	return nil
}

// Build makes the report with this number: its signed envelope, and its
// wire.ChangeDigest. prev and gap go into its header.
type Build func(seq uint64, prev muster.Digest, gap []muster.SeqRange) (envelope []byte, change muster.Digest, err error)

// Append commits the next report; when it returns nil, the report survives a
// power loss. On an error nothing of it is left, except after a failed fsync
// of the folder, when the report may stay and its number stays taken.
func (o *Outbox) Append(build Build) (seq uint64, err error) {
	seq = o.chain.Next
	gap := o.chain.Dropped[:min(len(o.chain.Dropped), maxDeclared)]
	envelope, change, err := build(seq, o.chain.Prev, gap)
	if err != nil {
		return 0, err
	}
	host, err := wire.KeyID(envelope)
	if err != nil {
		return 0, fmt.Errorf("keep report %d: %w", seq, err)
	}
	e := entry{Host: muster.HostID(host), Seq: seq, Digest: wire.EnvelopeDigest(envelope), Change: change, Gap: gap}
	file, err := encodeFile(e, envelope, o.seal)
	if err != nil {
		return 0, fmt.Errorf("keep report %d: %w", seq, err)
	}
	if err := o.makeRoom(e, int64(len(file))); err != nil {
		return 0, fmt.Errorf("keep report %d: %w", seq, err)
	}
	err = o.disk.WriteFile(o.path(reportName(seq)), file, fileMode)
	if err != nil {
		if _, statErr := os.Lstat(o.path(reportName(seq))); errors.Is(statErr, fs.ErrNotExist) {
			return 0, fmt.Errorf("keep report %d: %w", seq, err)
		}
		// The uplink may have seen it, so no other report may take its number.
		err = fmt.Errorf("keep report %d: %w: it may not survive a power loss", seq, err)
	}
	o.chain.Next, o.chain.Prev = seq+1, e.Digest
	return seq, err
}

// ErrOtherReport: the receipt names another report with this number. Throw the
// receipt away: the report waits for its own.
var ErrOtherReport = errors.New("it names another report with this number: is this computer a copy of another one?")

// Acknowledge takes a receipt that the caller has verified, and deletes its
// report. A report that is gone already is no error. The newest receipted
// report stays as Base. Its error wraps ErrOtherReport, or the disk's.
func (o *Outbox) Acknowledge(r muster.Receipt) error {
	fail := func(err error) error { return fmt.Errorf("take the receipt for report %d: %w", r.Seq, err) }
	e, _, err := o.open(reportName(r.Seq))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return o.acknowledgeLost(r)
	case errors.Is(err, ErrCorrupt):
		return fail(errors.Join(err, o.setAside(r.Seq)))
	case err != nil:
		return fail(err)
	case e.Host != r.Host || e.Digest != r.Digest:
		return fail(ErrOtherReport)
	}
	// The file goes first and chain.json after: on a full disk the one makes room
	// for the other, and a gap that is declared twice does no harm.
	path := o.path(reportName(r.Seq))
	if base, _, err := o.open(baseName); err != nil || base.Seq < e.Seq {
		if err := o.disk.Rename(path, o.path(baseName)); err != nil {
			return fail(err)
		}
	} else if err := o.disk.Remove(path); err != nil {
		return fail(err)
	}
	if err := o.declared(e.Gap...); err != nil {
		return fail(err)
	}
	return nil
}

// acknowledgeLost: a report that was set aside or thinned had left before, so
// nothing is lost. One that this outbox never knew fell to a power loss, or to
// a backup that was played back: its number is taken all the same.
func (o *Outbox) acknowledgeLost(r muster.Receipt) error {
	c := o.chain
	if r.Seq >= c.Next {
		c.Next, c.Prev = r.Seq+1, r.Digest
	}
	c.Dropped = c.Dropped.without(r.Seq, r.Seq)
	var err error
	if c.Next != o.chain.Next || o.chain.Dropped.has(r.Seq) {
		err = o.writeChain(c)
	}
	if err == nil {
		err = o.disk.Remove(o.path(reportName(r.Seq) + corruptExt))
	}
	if err != nil {
		return fmt.Errorf("take the receipt for report %d: %w", r.Seq, err)
	}
	return nil
}

// declared forgets gaps that the collector knows of.
func (o *Outbox) declared(gap ...muster.SeqRange) error {
	if len(gap) == 0 {
		return nil
	}
	c := o.chain
	for _, g := range gap {
		c.Dropped = c.Dropped.without(g.From, g.To)
	}
	return o.writeChain(c)
}

// Verify checks the digest of every waiting report and sets the damaged ones
// aside; it returns their numbers. What it cannot do with one report keeps it from
// no other.
func (o *Outbox) Verify() (damaged []uint64, err error) {
	seqs, err := o.List()
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, seq := range seqs {
		b, err := o.read(reportName(seq))
		if err == nil {
			_, err = checkFile(b)
		}
		if errors.Is(err, ErrCorrupt) {
			err = o.setAside(seq)
			damaged = append(damaged, seq)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
	}
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems], fmt.Errorf("%d more problems with the outbox", more))
	}
	return damaged, errors.Join(problems...)
}

// Problems says, one sentence each, what was found damaged and no receipted
// report has told yet: it belongs into the next report.
func (o *Outbox) Problems() ([]string, error) {
	s, err := o.scan()
	if err != nil {
		return nil, err
	}
	var problems []string
	if o.chainDamaged {
		problems = append(problems, chainName+" of the outbox was damaged; reports that were dropped before may be missing without a word")
	}
	damaged := slices.Clone(o.damaged)
	for _, seq := range s.corrupt {
		if o.chain.Dropped.has(seq) {
			damaged = append(damaged, seq)
		}
	}
	slices.Sort(damaged)
	for _, seq := range slices.Compact(damaged) {
		problems = append(problems, fmt.Sprintf("report %d was damaged on the disk of this computer", seq))
	}
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems], fmt.Sprintf("%d more files of the outbox are damaged", more))
	}
	return problems, nil
}

// Dropped counts the reports whose loss no receipted report has declared yet.
func (o *Outbox) Dropped() uint64 { return o.chain.Dropped.count() }

// setAside keeps a damaged file for someone to look at, and declares its number
// as a gap.
func (o *Outbox) setAside(seq uint64) error {
	o.damaged = append(o.damaged, seq)
	c := o.chain
	if seq >= c.Next {
		c.Next, c.Prev = seq+1, muster.Digest{}
	}
	c.Dropped = c.Dropped.with(seq)
	if err := o.writeChain(c); err != nil {
		return err
	}
	return o.disk.Rename(o.path(reportName(seq)), o.path(reportName(seq)+corruptExt))
}
