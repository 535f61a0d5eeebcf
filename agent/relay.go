package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/passmuster/muster/agent/courier"
	"github.com/passmuster/muster/agent/media"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// relay hands the sealed files of a stick, which nobody here can read, to the
// uplink of this computer, and lays the answers onto the stick.
func (o *CourierOptions) relay(ctx context.Context, m *media.Stick) (*CourierResult, error) {
	folder, err := state.OpenReader(o.StateDir)
	if err != nil {
		return nil, NewInputError(err, "set muster and its uplink up on this computer first, or take the stick to one that has them")
	}
	stick, err := courier.Open(m.Dir())
	if err != nil {
		return nil, stickTrouble(m, err, runAgain)
	}
	r := &CourierResult{Schema: 1, Place: "relay", Warnings: []string{}}
	files, strange, err := stick.Outgoing()
	if err != nil {
		return nil, stickTrouble(m, err, runAgain)
	}
	if strange > 0 {
		r.warn(fmt.Errorf("%s on the stick that muster did not write: left alone", many(strange, "thing")))
	}
	var open []courier.File
	answered := 0 // for good: what another collector or computer would not take may be taken here
	for _, f := range files {
		a, err := stick.Answer(&f)
		if err != nil {
			r.warn(fmt.Errorf("the answer to %s is damaged and is asked for again: %w", f.Name, err))
		}
		if err == nil && a != nil && (a.Problem == "" || a.Problem == seal.ProblemCut) {
			answered++
			continue
		}
		switch {
		case f.Digest == "":
			r.warn(fmt.Errorf("the sealed file %s cannot be read, the damaged stick stays as it is: its computer seals the reports again", f.Name))
			continue
		case f.Damaged:
			r.warn(fmt.Errorf("the sealed file %s is damaged, perhaps because the stick was pulled out: what is whole of it is sent", f.Name))
		}
		open = append(open, f)
	}
	box := courier.Mailbox{
		Out: folder.RelayOutDir(), In: folder.RelayInDir(), Wait: o.Wait, By: relayName(folder), Now: o.Clock,
		Refused: func(digest string) string { return relayRefused(folder, digest) },
		Progress: func(done, total int) {
			if o.Progress != nil {
				o.Progress(done, total, "the answers of "+o.Site.Name)
			}
		},
	}
	r.warn(box.Sweep())
	done, err := stick.Relay(ctx, box, open)
	r.Answered, r.Relaying = done.Answered, done.Waiting
	for _, p := range done.Problems {
		r.warn(errors.New(p))
	}
	for i, a := range done.Answers {
		r.warn(notTaken(&done.Answered[i], a))
	}
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return r, err
		}
		return r, stickTrouble(m, err, runAgain)
	}
	switch {
	case len(files) == 0:
		r.Next = "There is nothing on the stick to be sent. Run muster courier sync on the air-gapped computers first."
	case len(r.Relaying) > 0:
		r.Next = fmt.Sprintf("%s with the uplink until the network is there (muster status tells). Run muster courier sync here again with this stick to fetch the answers.", stay(len(r.Relaying)))
	case answered+len(r.Answered) == len(files):
		r.Next = "Take the stick back to the computers that it came from and run muster courier sync, or muster audit --courier, there."
	default:
		r.Next = "Not everything was taken: see the warnings, and tell your state."
	}
	return r, nil
}

// notTaken says what the people at the stick should know of an answer.
func notTaken(f *courier.File, a *seal.Return) error {
	if a.Problem == "" {
		return nil
	}
	return fmt.Errorf("%s did not take %s whole: %s; what still waits is sealed again", a.Collector, f.Name, a.Reason)
}

// relayName is this computer's host id.
func relayName(folder *state.Folder) string {
	if b, err := durable.ReadForeign(folder.EnrollmentFile(), maxEnrollment); err == nil {
		if _, host, err := wire.VerifyEnrollment(b); err == nil {
			return string(host)
		}
	}
	return "a connected computer"
}

// relayRefused is the uplink's word on a file that the collector will not take.
func relayRefused(folder *state.Folder, digest string) string {
	var uplink struct {
		RelayRefused []struct{ File, Code, Reason string } `json:"relay_refused"`
	}
	if _, err := folder.ReadStatus("uplink", &uplink); err != nil {
		return ""
	}
	i := slices.IndexFunc(uplink.RelayRefused, func(f struct{ File, Code, Reason string }) bool { return strings.EqualFold(f.File, digest) })
	if i < 0 {
		return ""
	}
	return short(printable(cmp.Or(uplink.RelayRefused[i].Reason, uplink.RelayRefused[i].Code, "no reason given")), maxText)
}

const runAgain = "run this again"

// stickTrouble adds to an error of the stick what to do about it, and then again.
func stickTrouble(m *media.Stick, err error, again string) error {
	switch {
	case m != nil && m.Gone():
		return fmt.Errorf("the stick was pulled out: put it back and %s; nothing is lost: %w", again, err)
	case errors.Is(err, errNoSpace):
		return fmt.Errorf("the stick is full: delete what is not muster's from it and %s; nothing is lost: %w", again, err)
	case errors.Is(err, errReadOnly):
		return fmt.Errorf("the stick is write-protected: move its switch and %s: %w", again, err)
	}
	return err
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func areOrIs(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func stay(n int) string {
	if n == 1 {
		return "1 sealed file stays"
	}
	return fmt.Sprintf("%d sealed files stay", n)
}
