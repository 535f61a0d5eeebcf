package outbox

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/passmuster/muster"
)

// slack is what thinning frees beyond need, so that a full outbox is not thinned
// again for every report.
const slack = 16 // one part in 16 of the bound

// makeRoom lets size more bytes in, by thinning where needed.
func (o *Outbox) makeRoom(next entry, size int64) error {
	s, err := o.scan()
	if err != nil || s.bytes+size <= o.maxBytes {
		return err
	}
	if size > o.maxBytes {
		return fmt.Errorf("%d bytes do not fit into an outbox of %d", size, o.maxBytes)
	}
	list := make([]waiting, 0, len(s.reports)+1)
	for _, seq := range s.reports {
		e, size, err := o.entry(seq)
		switch {
		case errors.Is(err, ErrCorrupt):
			if err := o.setAside(seq); err != nil {
				return err
			}
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		default:
			list = append(list, newWaiting(e, size))
		}
	}
	list = append(list, newWaiting(next, size))
	need := s.bytes + size - o.maxBytes + o.maxBytes/slack
	if need, err = o.dropCorrupt(need); err != nil {
		return err
	}
	drop := thin(list, need)
	c := o.chain
	c.Dropped = c.Dropped.with(drop...)
	// Told before it is done: a kill in between leaves a file that is no gap.
	if err := o.writeChain(c); err != nil {
		return err
	}
	paths := make([]string, len(drop))
	for i, seq := range drop {
		paths[i] = o.path(reportName(seq))
	}
	return o.disk.Remove(paths...)
}

// dropCorrupt removes files that were set aside and that the state knows of, the
// oldest first, to free need bytes, and gives what is still needed.
func (o *Outbox) dropCorrupt(need int64) (int64, error) {
	s, err := o.scan()
	if err != nil {
		return need, err
	}
	for _, seq := range s.corrupt {
		if need <= 0 {
			break
		}
		if o.chain.Dropped.has(seq) {
			continue
		}
		path := o.path(reportName(seq) + corruptExt)
		info, err := os.Lstat(path)
		if err != nil {
			return need, fmt.Errorf("make room: %w", err)
		}
		if err := o.disk.Remove(path); err != nil {
			return need, err
		}
		need -= info.Size()
	}
	return need, nil
}

type waiting struct {
	seq    uint64
	change muster.Digest
	size   int64
}

func newWaiting(e entry, size int64) waiting { return waiting{e.Seq, e.Change, size} }

// thin chooses which reports to drop to free need bytes: first those that equal
// both neighbours, then those that equal the one before, then any, each time
// the oldest first. The newest, last in the list, always stays. So every change,
// and the time of it, stays for as long as something else can go.
func thin(list []waiting, need int64) (drop []uint64) {
	rules := []func(kept []waiting, i int) bool{
		func(k []waiting, i int) bool {
			return i > 0 && k[i].change == k[i-1].change && k[i].change == k[i+1].change
		},
		func(k []waiting, i int) bool { return i > 0 && k[i].change == k[i-1].change },
		func([]waiting, int) bool { return true },
	}
	for _, expendable := range rules {
		kept := make([]waiting, 0, len(list))
		for i, w := range list {
			// Dropping an equal report changes no neighbour's change digest, so the
			// list as it was gives the same answers as the list as it becomes.
			if need > 0 && i < len(list)-1 && expendable(list, i) {
				drop, need = append(drop, w.seq), need-w.size
				continue
			}
			kept = append(kept, w)
		}
		list = kept
	}
	slices.Sort(drop)
	return drop
}

// ranges is a set of sequence numbers as ordered runs that do not touch.
type ranges []muster.SeqRange

func (r ranges) count() (n uint64) {
	for _, run := range r {
		n += run.To - run.From + 1
	}
	return n
}

func (r ranges) has(seq uint64) bool {
	_, found := slices.BinarySearchFunc(r, seq, func(run muster.SeqRange, seq uint64) int {
		switch {
		case run.To < seq:
			return -1
		case run.From > seq:
			return 1
		}
		return 0
	})
	return found
}

// with adds numbers.
func (r ranges) with(seqs ...uint64) ranges {
	out := slices.Clone(r)
	for _, seq := range seqs {
		out = append(out, muster.SeqRange{From: seq, To: seq})
	}
	slices.SortFunc(out, func(a, b muster.SeqRange) int { return cmp.Compare(a.From, b.From) })
	joined := out[:0]
	for i, run := range out {
		if last := len(joined) - 1; i > 0 && run.From <= joined[last].To+1 {
			joined[last].To = max(joined[last].To, run.To)
		} else {
			joined = append(joined, run)
		}
	}
	return joined
}

// without removes the numbers of a run.
func (r ranges) without(from, to uint64) ranges {
	var out ranges
	for _, run := range r {
		if run.From < from {
			out = append(out, muster.SeqRange{From: run.From, To: min(run.To, from-1)})
		}
		if run.To > to {
			out = append(out, muster.SeqRange{From: max(run.From, to+1), To: run.To})
		}
	}
	return out
}
