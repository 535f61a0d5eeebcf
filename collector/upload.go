package collector

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// What is kept for who uploaded sealed files, and for how long.
const (
	ticketUpload = "upload"
	ticketReturn = "return"
	uploadLife   = time.Hour
)

// aside is something that is kept for one person for a while.
type aside struct {
	Actor string
	Value json.RawMessage
}

func (c *Collector) putAside(ctx context.Context, kind, actor string, v any) (secret string, err error) {
	value, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	if value, err = json.Marshal(aside{actor, value}); err != nil {
		return "", err
	}
	secret = rand.Text()
	return secret, c.store.PutTicket(ctx, store.Ticket{Kind: kind, Digest: sha256.Sum256([]byte(secret)), Value: value, Until: c.Now().Add(uploadLife)})
}

// lookAside reads what was put aside. What was put there for someone else is not there.
func lookAside(ctx context.Context, s store.Store, kind, secret, actor string, v any) error {
	t, err := s.Ticket(ctx, kind, sha256.Sum256([]byte(secret)), false)
	if err != nil {
		return err
	}
	var a aside
	if err := json.Unmarshal(t.Value, &a); err != nil {
		return fmt.Errorf("read what was put aside: %w", err)
	}
	if a.Actor != actor {
		return fmt.Errorf("what was put aside for another person: %w", fs.ErrNotExist)
	}
	return json.Unmarshal(a.Value, v)
}

// keptReturn is a return file without its policy, which the store has already.
type keptReturn struct {
	Name   string
	File   []byte
	Policy string // Digest of the release; "" for none
}

// TakeSealed takes a sealed file of an upload and puts its return file aside.
func (c *Collector) TakeSealed(w http.ResponseWriter, r *http.Request, name string, file io.Reader) (muster.SealedFile, error) {
	f := muster.SealedFile{Name: name}
	part := r.Clone(r.Context())
	part.Body, part.ContentLength = io.NopCloser(file), -1
	ret, err := c.take(w, part, "name "+name)
	switch {
	case errors.Is(err, errNotLogged):
		return f, err
	case errors.As(err, new(*http.MaxBytesError)):
		f.Problem = string(wire.CodeTooLarge)
		return f, nil
	case err != nil:
		c.Logger.ErrorContext(r.Context(), "sealed file not looked at", "error", err)
		f.Problem = string(wire.CodeBusy)
		return f, nil
	}
	f.Host, f.State, f.Problem, f.Reason, f.Reports, f.Policy = ret.Host, ret.State, string(ret.Problem), ret.Reason, ret.Reports, ret.Bundle != nil
	for _, o := range ret.Outcomes {
		f.Fate(o.Seq, string(o.Code), o.Reason)
	}
	if refused(ret) {
		return f, nil
	}
	kept := keptReturn{Name: returnName(ret)}
	if ret.Bundle != nil {
		kept.Policy = fmt.Sprintf("%x", sha256.Sum256(ret.Bundle))
		ret.Bundle = nil
	}
	var b bytes.Buffer
	if err := seal.WriteReturn(&b, ret); err != nil {
		return f, err
	}
	kept.File = b.Bytes()
	if f.Return, err = c.putAside(r.Context(), ticketReturn, actor(r), kept); err != nil {
		c.Logger.ErrorContext(r.Context(), "return file not kept", "error", err)
	}
	return f, nil
}

// KeepUpload puts aside what became of the files of an upload.
func (c *Collector) KeepUpload(ctx context.Context, files []muster.SealedFile, actor string) (id string, err error) {
	return c.putAside(ctx, ticketUpload, actor, muster.Upload{At: c.Now(), Files: files})
}

// Returned is a return file that was put aside, whole again.
func (c *Collector) Returned(ctx context.Context, id, actor string) (name string, file []byte, err error) {
	var kept keptReturn
	if err := lookAside(ctx, c.store, ticketReturn, id, actor, &kept); err != nil || kept.Policy == "" {
		return kept.Name, kept.File, err
	}
	ret, err := seal.ReadReturn(kept.File)
	if err != nil {
		return "", nil, err
	}
	releases, err := c.store.Releases(ctx)
	if err != nil {
		return "", nil, err
	}
	if i := slices.IndexFunc(releases, func(r muster.Release) bool { return r.Digest == kept.Policy }); i >= 0 {
		if ret.Bundle, err = c.store.Bundle(ctx, releases[i].Version); err != nil {
			return "", nil, err
		}
	}
	var b bytes.Buffer
	err = seal.WriteReturn(&b, ret)
	return kept.Name, b.Bytes(), err
}

// Upload is what became of an upload of the person who asks.
func (r reader) Upload(ctx context.Context, id string) (u muster.Upload, err error) {
	return u, lookAside(ctx, r.Store, ticketUpload, id, door.Actor(ctx), &u)
}

// returnName is what the file is called on a stick that muster reads.
func returnName(ret *seal.Return) string {
	var numbers muster.CustodyEvent // each step has them
	for _, numbers = range ret.Custody {
	}
	return fmt.Sprintf("%s-%d-%d-%s.return", ret.Host, numbers.From, numbers.To, ret.File[:8])
}
