package agent

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/courier"
	"github.com/passmuster/muster/agent/media"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
)

// Export seals the oldest waiting reports into one file; its content is nil where
// nothing waits.
func Export(o CourierOptions) (*CourierResult, []byte, error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	k, to, err := o.openMail()
	if err != nil {
		return nil, nil, err
	}
	defer k.close()
	r := &CourierResult{Schema: 1, Place: "host", Host: k.host, Warnings: []string{}}
	_, err = k.outbox.Verify()
	r.warn(err)
	statement, err := k.enrollment()
	if err != nil {
		return nil, nil, err
	}
	waiting, err := k.outbox.List()
	if err != nil {
		return nil, nil, err
	}
	r.Waiting = len(waiting)
	content, head, rest, err := courier.Pack(courier.Host{ID: k.host, Enrollment: statement, Policy: k.status.Policy.Digest,
		Outbox: k.outbox, To: to, Now: k.clock, LeftOut: r.leftOut}, waiting, k.custody())
	switch {
	case err != nil:
		return nil, nil, err
	case content == nil:
		r.Next = "No report waits that can be read: nothing was written."
	default:
		r.SealedReports = len(waiting) - len(rest) - len(r.unread)
		r.Next = fmt.Sprintf("Reports %d to %d are sealed. Send the file to %s, and import what it answers with muster courier import.", head.From, head.To, o.Site.Name)
		if len(rest) > 0 {
			r.Next += fmt.Sprintf(" %s for a second file after that.", stays(len(rest)))
		}
	}
	return r, content, nil
}

func stays(n int) string {
	if n == 1 {
		return "1 report stays"
	}
	return fmt.Sprintf("%d reports stay", n)
}

// Import takes the file that the state answered an exported one with.
func Import(path string, o CourierOptions) (*CourierResult, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	b, err := durable.ReadForeign(path, seal.MaxReturn)
	if err != nil {
		return nil, NewInputError(fmt.Errorf("import: %w", err), "")
	}
	a, damaged := seal.ReadReturn(b)
	if a == nil {
		hint := "name the file that the state answered with"
		if strings.HasPrefix(string(b), "age-encryption.org/") {
			hint = "this is a sealed file on its way to the state: send it there, and import what comes back"
		}
		return nil, NewInputError(fmt.Errorf("import %s: %w", filepath.Base(path), damaged), hint)
	}
	k, _, err := o.openMail()
	if err != nil {
		return nil, err
	}
	defer k.close()
	r := &CourierResult{Schema: 1, Place: "host", Host: k.host, Warnings: []string{}, progress: o.Progress}
	if a.Host != "" && a.Host != k.host {
		return nil, NewInputError(fmt.Errorf("import %s: it is the answer for host %s, and this is %s", filepath.Base(path), a.Host, k.host), "import it on the computer that exported the reports")
	}
	if damaged != nil {
		r.warn(fmt.Errorf("what is whole of the file is taken: %w: have it sent again", damaged))
	}
	from, to := span(a)
	steps, _ := k.apply(a, &courier.File{Name: filepath.Base(path), Host: k.host, From: from, To: to}, a.Custody, o.Site, r)
	if steps != nil && a.Bundle != nil {
		r.warn(k.takeBundle(a.Bundle, o.Site, r))
	}
	r.warn(k.folder.WriteStatus(auditStatus, k.status))
	waiting, err := k.outbox.List()
	r.warn(err)
	r.Waiting = len(waiting)
	r.Next = fmt.Sprintf("%s has received every report of this computer.", o.Site.Name)
	if r.Waiting > 0 {
		r.Next = fmt.Sprintf("%s still for %s: export again.", strings.Replace(stays(r.Waiting), "stay", "wait", 1), o.Site.Name)
	}
	return r, nil
}

// span is the run of numbers that an answer speaks of.
func span(a *seal.Return) (from, to uint64) {
	for i := range a.Outcomes {
		seq := a.Outcomes[i].Seq
		if from == 0 || seq < from {
			from = seq
		}
		to = max(to, seq)
	}
	return max(from, 1), max(to, 1)
}

// StickContent is what anyone may see of a stick.
type StickContent struct {
	Schema int         `json:"schema"` // 1
	Files  []StickFile `json:"files"`
	// Strange things lie in the folders of sealed files.
	Strange int `json:"strange"`
	// DamagedLines of the custody log.
	DamagedLines int `json:"damaged_lines"`
}

// StickFile is a sealed file, what the state has answered, and who had it in hand.
type StickFile struct {
	courier.File
	// Answer is nil while the file waits.
	Answer  *seal.ReturnHead      `json:"answer"`
	Custody []muster.CustodyEvent `json:"custody"`
}

// ShowStick looks at a stick and writes nothing. The error is an InputError where the
// place, or muster's folder on it, is not there.
func ShowStick(root string) (*StickContent, error) {
	m, err := media.Open(root)
	if err != nil {
		return nil, NewInputError(err, "")
	}
	stick := courier.OpenReader(m.Dir())
	s := &StickContent{Schema: 1, Files: []StickFile{}}
	files, strange, err := stick.Outgoing()
	if err != nil {
		return nil, err
	}
	log, damaged, err := stick.Log()
	if err != nil {
		return nil, err
	}
	s.Strange, s.DamagedLines = strange, damaged
	for _, f := range files {
		shown := StickFile{File: f, Custody: []muster.CustodyEvent{}}
		if a, err := stick.Answer(&f); err == nil && a != nil {
			shown.Answer = &a.ReturnHead
		}
		for _, e := range log {
			if f.Had(e) && !slices.Contains(shown.Custody, e) {
				shown.Custody = append(shown.Custody, e)
			}
		}
		s.Files = append(s.Files, shown)
	}
	return s, nil
}
