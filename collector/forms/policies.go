package forms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"

	"github.com/passmuster/muster"
)

// maxBundle bounds the form with a policy bundle, in bytes.
const maxBundle = 16<<20 + 64<<10

// policy does something to the release of the address, and shows its page.
func (s *server) policy(done string, do func(context.Context, int64, string) (muster.Release, error)) http.Handler {
	return s.form(func(r *http.Request) (string, error) {
		version, err := strconv.ParseInt(r.PathValue("version"), 10, 64)
		if err != nil {
			return "", fs.ErrNotExist
		}
		_, err = do(r.Context(), version, s.Actor(r))
		return release(version, done), err
	})
}

// release is the page of one, which says what was done.
func release(version int64, done string) string {
	return fmt.Sprintf("/policies/%d?done=%s", version, done)
}

// upload takes a signed bundle, and leads to the page that tells what it changes.
func (s *server) upload(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBundle)
	bundle, err := sentBundle(r)
	var kept muster.Release
	done := "uploaded"
	if err == nil {
		var known bool
		if kept, known, err = s.Act.Upload(r.Context(), bundle, s.Actor(r)); known {
			done = "known"
		}
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	http.Redirect(w, r, release(kept.Version, done), http.StatusSeeOther)
}

// sentBundle reads the file of the form.
func sentBundle(r *http.Request) ([]byte, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, enteredf("the form cannot be read: %w", err)
	}
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return nil, enteredf("no file was chosen")
		}
		if err == nil && (part.FormName() != "bundle" || part.FileName() == "") {
			continue
		}
		var bundle []byte
		if err == nil {
			bundle, err = io.ReadAll(part)
		}
		if err != nil && !errors.As(err, new(*http.MaxBytesError)) {
			err = enteredf("the upload broke off: %w", err)
		}
		return bundle, err
	}
}

func (s *server) ring(r *http.Request) (string, error) {
	m, err := muster.ParseRingMember(r.PostFormValue("who"), r.PostFormValue("ring"))
	if err != nil {
		return "", errEntered{err}
	}
	return "/policies?done=ring", s.Act.SetRing(r.Context(), m, s.Actor(r))
}
