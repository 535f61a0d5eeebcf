package forms

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/passmuster/muster"
)

const (
	// maxUpload bounds an upload in bytes, maxSealed its files, and maxName the name of
	// one, in bytes.
	maxUpload = 1 << 30
	maxSealed = 64
	maxName   = 200
)

// courier takes in sealed files, each as it comes, and leads to what became of them.
func (s *server) courier(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	files, err := s.takeSealed(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	id, err := s.Act.KeepUpload(r.Context(), files, s.Actor(r))
	if err != nil {
		s.Logger.ErrorContext(r.Context(), "what became of an upload not kept", "error", err)
		s.Refuse(w, r, http.StatusServiceUnavailable, "The collector has looked at the files, and could not keep its answer.",
			"Send them again in a minute. What it has taken in is answered again.")
		return
	}
	http.Redirect(w, r, "/courier?"+url.Values{"upload": {id}}.Encode(), http.StatusSeeOther)
}

// takeSealed takes the files of a form. An error means that none was looked at; one that
// could not be looked at after others is told with them, and ends the upload.
func (s *server) takeSealed(w http.ResponseWriter, r *http.Request) (files []muster.SealedFile, err error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, enteredf("the form cannot be read: %w", err)
	}
	for {
		part, err := parts.NextPart()
		if err == nil && (part.FormName() != "file" || part.FileName() == "") {
			continue
		}
		var f muster.SealedFile
		switch {
		case err == io.EOF && len(files) == 0:
			return nil, enteredf("no file was chosen")
		case err == io.EOF:
			return files, nil
		case err == nil && len(files) == maxSealed:
			err = enteredf("more than %d files came at once", maxSealed)
		case err == nil:
			f, err = s.Act.TakeSealed(w, r, clip(part.FileName()), part)
		case !errors.As(err, new(*http.MaxBytesError)):
			err = enteredf("the upload broke off: %w", err)
		}
		if err != nil && len(files) == 0 {
			return nil, err
		}
		if err != nil {
			s.Logger.WarnContext(r.Context(), "upload ended early", "files", len(files), "error", err)
			f = muster.SealedFile{Problem: muster.UploadEnded}
		}
		files = append(files, f)
		if err != nil {
			return files, nil
		}
	}
}

// returned gives a return file, to put onto the stick. One that is kept no longer, or
// for another person, leads to the page that says so.
func (s *server) returned(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("return")
	name, file, err := s.Act.Returned(r.Context(), id, s.Actor(r))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.Redirect(w, r, "/courier?"+url.Values{"upload": {id}}.Encode(), http.StatusSeeOther)
	case err != nil:
		s.refuse(w, r, err)
	default:
		h := w.Header()
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
	}
}

// clip bounds the name of a file, which PostgreSQL takes without control characters only.
func clip(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name[:min(len(name), maxName)], ""))
}
