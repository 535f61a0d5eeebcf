package forms

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"

	"github.com/passmuster/muster"
)

// maxApproved is how many hosts one form approves.
const maxApproved = 100

// approveSome approves the hosts that were chosen, as many as can be, and leads back to
// those that wait. It names there those that were not approved.
func (s *server) approveSome(r *http.Request) (string, error) {
	if err := entered(r); err != nil {
		return "", err
	}
	chosen := r.PostForm["host"]
	if len(chosen) == 0 || len(chosen) > maxApproved {
		return "", enteredf("choose at least one computer and at most %d", maxApproved)
	}
	var ids []muster.HostID
	for _, text := range chosen {
		id, err := muster.ParseHostID(text)
		if err != nil {
			return "", errEntered{err}
		}
		ids = append(ids, id)
	}
	var left []string
	var failed error
	for _, id := range ids {
		if err := s.Act.Approve(r.Context(), id, s.Actor(r)); err != nil {
			left = append(left, string(id))
			if !errors.Is(err, fs.ErrNotExist) {
				failed = err
			}
		}
	}
	done := "approved"
	switch {
	case len(left) == len(ids) && failed != nil:
		return "", failed
	case len(left) == len(ids):
		done = ""
	case len(ids)-len(left) > 1:
		done = "approved-some"
	}
	if failed != nil {
		s.Logger.ErrorContext(r.Context(), "not all hosts approved", "left", len(left), "error", failed)
	}
	return pending(r, done, left), nil
}

// pending is the page of the hosts that wait, as it was asked for: of a county, or all.
func pending(r *http.Request, done string, left []string) string {
	q := url.Values{}
	if county, err := muster.ParseCounty(r.PostFormValue("county")); err == nil {
		q.Set("county", string(county))
	}
	if done != "" {
		q.Set("done", done)
	}
	if left != nil {
		q["left"] = left
	}
	return "/pending?" + q.Encode()
}
