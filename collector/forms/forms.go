// Package forms answers the forms of the dashboard: it reads what a person entered,
// has it done, and leads back to the page that the form was on, which says so. Who may
// use a form is not decided here but by its pattern.
package forms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"

	"github.com/passmuster/muster"
)

// maxForm bounds what a person enters, in bytes.
const maxForm = 256 << 10

// Act changes things, and logs under the actor's name what it changed. What is not
// there is an error that is fs.ErrNotExist, what was done or stands against it one
// that is fs.ErrExist.
type Act interface {
	Approve(ctx context.Context, id muster.HostID, actor string) error
	Retire(ctx context.Context, id muster.HostID, actor string) error
	ClearClone(ctx context.Context, id muster.HostID, actor string) error
	RequestAudit(ctx context.Context, id muster.HostID, actor string) error
	Promote(ctx context.Context, version int64, actor string) (muster.Release, error)
	Pause(ctx context.Context, version int64, actor string) (muster.Release, error)
	SetRing(ctx context.Context, m muster.RingMember, actor string) error
	Expect(ctx context.Context, county muster.County, list []muster.ExpectedHost, actor string) error
	SetContacts(ctx context.Context, county muster.County, list []muster.Contact, actor string) error
	// Upload keeps a signed policy bundle, and offers it to nobody yet; one that is known
	// stands as it stood.
	Upload(ctx context.Context, bundle []byte, actor string) (r muster.Release, known bool, err error)
	Ask(ctx context.Context, a muster.Ask, actor string) (id int64, err error)
	Answer(ctx context.Context, id int64, state muster.AskState, answer, actor string) error

	// TakeSealed takes a sealed file of an upload by its sender, and says what became of
	// it. An error means that it did not look at it.
	TakeSealed(w http.ResponseWriter, r *http.Request, name string, file io.Reader) (muster.SealedFile, error)
	// KeepUpload keeps for a while what became of the files, for their sender alone, who
	// asks for it by the id.
	KeepUpload(ctx context.Context, files []muster.SealedFile, actor string) (id string, err error)
	// Returned is a return file that is kept for who sent the sealed one, with its name
	// on a stick.
	Returned(ctx context.Context, id, actor string) (name string, file []byte, err error)
}

// Options of New. All but Logger are required.
type Options struct {
	Act Act
	// Actor names the sender for the audit log.
	Actor func(*http.Request) string
	// Refuse shows a person why something was not done, and what to do about it.
	Refuse func(w http.ResponseWriter, r *http.Request, code int, why, way string)
	// Refused reports whether the sender of a change may be told the error.
	Refused func(error) bool
	// ParseExpected reads a list of expected hosts as CSV, and checks it.
	ParseExpected func(io.Reader) ([]muster.ExpectedHost, error)
	// Logger learns what went wrong inside; nil discards.
	Logger *slog.Logger
}

type server struct{ Options }

// New gives the handlers by pattern.
func New(o Options) map[string]http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &server{o}
	return map[string]http.Handler{
		"POST /hosts/{host}/approve": s.host("approved", o.Act.Approve),
		"POST /hosts/{host}/audit":   s.host("asked", o.Act.RequestAudit),

		"POST /hosts/{host}/retire":      s.host("retired", o.Act.Retire),
		"POST /hosts/{host}/clear-clone": s.host("cleared", o.Act.ClearClone),

		"POST /pending/approve": s.form(s.approveSome),

		"POST /courier":                 http.HandlerFunc(s.courier),
		"GET /courier/returns/{return}": http.HandlerFunc(s.returned),

		"POST /counties/{county}/contacts": s.county("contacts", s.contacts),
		"POST /counties/{county}/expected": s.county("expected", s.expected),

		"POST /counties/{county}/asks": s.form(s.ask),
		"POST /asks/{ask}/answer":      s.form(s.answer),

		"POST /policies":                   http.HandlerFunc(s.upload),
		"POST /policies/{version}/promote": s.policy("promoted", o.Act.Promote),
		"POST /policies/{version}/pause":   s.policy("paused", o.Act.Pause),
		"POST /policies/rings":             s.form(s.ring),
	}
}

// errEntered is what was wrong with what a person entered, a sentence for them.
type errEntered struct{ error }

func enteredf(format string, args ...any) error { return errEntered{fmt.Errorf(format, args...)} }

// entered reads the fields of a form, of which there are several by one name.
func entered(r *http.Request) error {
	err := r.ParseForm()
	if err != nil && !errors.As(err, new(*http.MaxBytesError)) {
		err = enteredf("the form cannot be read: %w", err)
	}
	return err
}

// form does something, and leads to the page that it returns.
func (s *server) form(do func(*http.Request) (to string, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		to, err := do(r)
		if err == nil {
			http.Redirect(w, r, to, http.StatusSeeOther)
			return
		}
		s.refuse(w, r, err)
	})
}

// refuse tells a person why it was not done.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	const again = "Go back, and look at the page anew."
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		s.Refuse(w, r, http.StatusRequestEntityTooLarge, "That is more than this form takes.", "Enter less.")
	case errors.As(err, new(errEntered)), s.Refused(err):
		s.Refuse(w, r, http.StatusUnprocessableEntity, "It says: "+err.Error()+".", "Go back, mend it, and send it again.")
	case errors.Is(err, fs.ErrNotExist):
		s.Refuse(w, r, http.StatusConflict, "What it was about is not there, or not any more, or waits for approval.", again)
	case errors.Is(err, fs.ErrExist):
		s.Refuse(w, r, http.StatusConflict, "It stands against what is there now: "+err.Error()+".", again)
	case errors.Is(err, muster.ErrFull):
		s.Refuse(w, r, http.StatusServiceUnavailable, "The collector's disk is full.", "Make room on it, then send it again.")
	default:
		s.Logger.ErrorContext(r.Context(), "form not done", "path", r.URL.Path, "error", err)
		s.Refuse(w, r, http.StatusServiceUnavailable, "The store does not answer. Nothing is lost, and nothing was changed.", "Try again in a minute.")
	}
}

// host does something to the host of the address, and shows its page again, or the
// page that field "back" names, or the county of field "county".
func (s *server) host(done string, do func(context.Context, muster.HostID, string) error) http.Handler {
	return s.form(func(r *http.Request) (string, error) {
		id, err := muster.ParseHostID(r.PathValue("host"))
		if err != nil {
			return "", fs.ErrNotExist
		}
		to := "/hosts/" + string(id) + "?done=" + done
		if r.PostFormValue("back") == "pending" {
			to = pending(r, done, nil)
		} else if county, err := muster.ParseCounty(r.PostFormValue("county")); err == nil {
			to = "/counties/" + string(county) + "?done=" + done
		}
		return to, do(r.Context(), id, s.Actor(r))
	})
}
