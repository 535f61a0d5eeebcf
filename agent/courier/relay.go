package courier

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
)

// pollEvery is how often the uplink's answers are looked for.
const pollEvery = 50 * time.Millisecond

// Mailbox is where the uplink of this computer takes sealed files and leaves what
// the collector returned.
type Mailbox struct {
	// Out and In are folders; Wait is how long the uplink has.
	Out, In string
	Wait    time.Duration
	// By is this computer's host id, for the custody log.
	By string
	// Refused tells why the collector will not take the file with this digest; nil or
	// "" means that nothing is known.
	Refused func(digest string) string
	Now     func() time.Time
	// Progress hears how many files are answered; nil means that nobody watches.
	Progress func(done, total int)
}

// Relayed is what became of the sealed files of a stick.
type Relayed struct {
	// Answered files have a return on the stick now; the others wait with the uplink.
	Answered, Waiting []File
	// Answers are what the collector returned, as Answered.
	Answers []*seal.Return
	// Problems, a sentence each.
	Problems []string
}

// Relay hands the files to the uplink and lays the answers onto the stick as they
// come. It ends when all are answered, when the time is over, and with ctx; what
// is left then stays with the uplink, and the next Relay takes its answers.
func (s *Stick) Relay(ctx context.Context, m Mailbox, files []File) (*Relayed, error) {
	r := &Relayed{}
	for i := range files {
		if err := m.hand(s, &files[i]); err != nil {
			return r, err
		}
	}
	deadline := time.NewTimer(m.Wait)
	defer deadline.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	total := len(files)
	for left := files; ; {
		var still []File
		for i := range left {
			answer, err := m.take(s, &left[i])
			switch {
			case err != nil:
				return r, err
			case answer != nil:
				r.Answered, r.Answers = append(r.Answered, left[i]), append(r.Answers, answer)
			default:
				still = append(still, left[i])
			}
		}
		left = m.withoutRefused(still, r)
		if m.Progress != nil {
			m.Progress(total-len(left), total)
		}
		if len(left) == 0 {
			return r, nil
		}
		select {
		case <-tick.C:
			continue
		case <-deadline.C:
		case <-ctx.Done():
		}
		r.Waiting = left
		return r, nil
	}
}

// withoutRefused stops waiting for what the collector will not answer, and takes
// it back from the uplink.
func (m *Mailbox) withoutRefused(files []File, r *Relayed) (left []File) {
	for _, f := range files {
		why := ""
		if m.Refused != nil {
			why = m.Refused(f.Digest)
		}
		if why == "" {
			left = append(left, f)
			continue
		}
		r.Problems = append(r.Problems, fmt.Sprintf("the collector will not take %s: %s", f.Name, why))
		if err := durable.Remove(m.out(&f)); err != nil {
			r.Problems = append(r.Problems, err.Error())
		}
	}
	return left
}

// keepMail is how long a stick may be away before its files and the answers to them
// are given up; they would only be sent again.
const keepMail = 90 * 24 * time.Hour

// Sweep forgets files whose stick never came back for the answer, or for the news that
// there is none.
func (m *Mailbox) Sweep() error {
	for _, folder := range []string{m.Out, m.In} { // a file without its answer would be sent again
		mail, err := os.ReadDir(folder)
		if err != nil {
			return fmt.Errorf("look for old mail: %w", err)
		}
		for _, e := range mail {
			info, err := e.Info()
			ours := strings.HasSuffix(e.Name(), sealedExt) || strings.HasSuffix(e.Name(), returnExt)
			if !ours || err != nil || m.Now().Sub(info.ModTime()) < keepMail {
				continue
			}
			if err := durable.Remove(filepath.Join(folder, e.Name())); err != nil {
				return fmt.Errorf("forget old mail: %w", err)
			}
		}
	}
	return nil
}

func (m *Mailbox) out(f *File) string { return filepath.Join(m.Out, f.Digest+sealedExt) }
func (m *Mailbox) in(f *File) string  { return filepath.Join(m.In, f.Digest+returnExt) }

func (m *Mailbox) hand(s *Stick, f *File) error {
	if _, err := os.Lstat(m.out(f)); err == nil {
		return nil
	}
	b, err := s.Read(f)
	switch {
	case err != nil:
		return err
	case digest(b) != f.Digest: // under this name the uplink's answer would never be found
		return fmt.Errorf("stick: %s reads otherwise each time: the stick is worn out, use a new one", f.Name)
	}
	if err := durable.WriteFile(m.out(f), b, 0o640); err != nil {
		return fmt.Errorf("hand %s to the uplink: %w", f.Name, err)
	}
	return s.Note(f.Step(muster.CustodyRelayed, m.By, m.Now()))
}

// take lays an answer onto the stick, and then takes the file back from the
// uplink. What the uplink left that is no answer is thrown away, and it asks again.
func (m *Mailbox) take(s *Stick, f *File) (*seal.Return, error) {
	b, err := durable.ReadForeign(m.in(f), seal.MaxReturn)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil && !errors.Is(err, durable.ErrForeign) {
		return nil, fmt.Errorf("take the answer to %s: %w", f.Name, err)
	}
	answer, readErr := seal.ReadReturn(b)
	if err != nil || readErr != nil || answer.File != f.ID() {
		if err := durable.Remove(m.in(f)); err != nil {
			return nil, fmt.Errorf("throw away what is no answer to %s: %w", f.Name, err)
		}
		return nil, nil
	}
	if err := s.PutAnswer(f, b); err != nil {
		return nil, err
	}
	if err := s.Note(answer.Custody...); err != nil {
		return nil, err
	}
	for _, path := range []string{m.out(f), m.in(f)} {
		if err := durable.Remove(path); err != nil {
			return nil, fmt.Errorf("take %s back from the uplink: %w", f.Name, err)
		}
	}
	return answer, nil
}
