package collector

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/problem"
	"github.com/passmuster/muster/internal/seal"
)

// couriers take sealed files: the running host API.
type couriers interface {
	Courier(w http.ResponseWriter, r *http.Request, peer muster.Peer) (*seal.Return, error)
	WriteReturn(w http.ResponseWriter, r *http.Request, ret *seal.Return)
	FailCourier(w http.ResponseWriter, r *http.Request, err error)
}

// errNotLogged: what cannot be logged is not done.
var errNotLogged = errors.New("the audit log takes nothing")

// take takes a sealed file that a person uploads. what names it for the audit log.
func (c *Collector) take(w http.ResponseWriter, r *http.Request, what string) (*seal.Return, error) {
	if err := c.log(r.Context(), actor(r), "upload_courier", what); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotLogged, err)
	}
	// A person may bring the files of any county, and approves no host by that.
	ret, err := c.couriers.Courier(w, r, muster.Peer{Name: "upload by " + actor(r)})
	if err != nil || refused(ret) {
		return ret, err
	}
	return ret, c.log(r.Context(), actor(r), "take_courier", string(ret.Host)+" file "+ret.File)
}

// refused reports whether nothing of the sealed file could be taken.
func refused(ret *seal.Return) bool { return ret.Problem != "" && len(ret.Outcomes) == 0 }

// takeCourier takes a sealed file that a program uploads, and answers with the
// return file to put back onto the stick. A file that cannot be taken is told as
// a problem.
func (c *Collector) takeCourier(w http.ResponseWriter, r *http.Request) {
	ret, err := c.take(w, r, fmt.Sprintf("%d bytes", r.ContentLength))
	switch {
	case err != nil:
		c.couriers.FailCourier(w, r, err)
	case refused(ret):
		problem.Write(w, http.StatusUnprocessableEntity, string(ret.Problem), ret.Reason)
	default:
		w.Header().Set("Content-Disposition", `attachment; filename="`+returnName(ret)+`"`)
		c.couriers.WriteReturn(w, r, ret)
	}
}
