package collector

import (
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

// takeCourier takes a sealed file that a person uploads, and answers with the
// return file to put back onto the stick. A file that cannot be taken is told as
// a problem.
func (c *Collector) takeCourier(w http.ResponseWriter, r *http.Request) {
	if err := c.log(r.Context(), actor(r), "upload_courier", fmt.Sprintf("%d bytes", r.ContentLength)); err != nil {
		c.couriers.FailCourier(w, r, err)
		return
	}
	// A person may bring the files of any county, and approves no host by that.
	ret, err := c.couriers.Courier(w, r, muster.Peer{Name: "upload by " + actor(r)})
	switch {
	case err != nil:
		c.couriers.FailCourier(w, r, err)
	case ret.Problem != "" && len(ret.Outcomes) == 0:
		problem.Write(w, http.StatusUnprocessableEntity, string(ret.Problem), ret.Reason)
	default:
		if err := c.log(r.Context(), actor(r), "take_courier", string(ret.Host)+" file "+ret.File); err != nil {
			c.couriers.FailCourier(w, r, err)
			return
		}
		w.Header().Set("Content-Disposition", `attachment; filename="`+string(ret.Host)+"-"+ret.File[:8]+`.return"`)
		c.couriers.WriteReturn(w, r, ret)
	}
}
