package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

type courierPage struct {
	Upload *uploaded
	// Gone: what became of the upload that was asked for is kept no longer.
	Gone bool
}

// uploaded is what became of the files of an upload.
type uploaded struct {
	At    moment
	Files []sealedFile
	// Whole files were taken as they are, and Returns bring an answer for the stick.
	Whole, Returns int
	Waiting        bool // a host is not approved
}

type sealedFile struct {
	muster.SealedFile
	mark
	Say  string               // what is wrong, and what to do
	Of   *muster.HostStanding // the host, where it has a page
	Fate []fate
}

// fate is what became of some reports.
type fate struct {
	muster.ReportFate
	mark
	Numbers string
}

func (s *server) courier(ctx context.Context, r *http.Request) (*view, error) {
	p := &courierPage{}
	v := &view{Title: "Courier", Here: "Courier", Page: p}
	id := r.URL.Query().Get("upload")
	if id == "" {
		return v, nil
	}
	u, err := s.Reader.Upload(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		p.Gone = true
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	v.Title = "What became of the files"
	p.Upload = &uploaded{At: moment{u.At, s.Now()}}
	for _, f := range u.Files {
		one := sealedFile{SealedFile: f}
		one.mark, one.Say = fileWord(f)
		for _, got := range f.Fates {
			one.Fate = append(one.Fate, fate{got, fateWord(wire.Code(got.Code)), numbers(got)})
		}
		if f.Host != "" {
			h, err := s.Reader.Host(ctx, s.view, f.Host)
			switch {
			case err == nil:
				one.Of = &h
				v.Demo.add(h.Demo)
			case !errors.Is(err, fs.ErrNotExist):
				return nil, err
			}
		}
		if f.Problem == "" {
			p.Upload.Whole++
		}
		if f.Return != "" {
			p.Upload.Returns++
		}
		p.Upload.Waiting = p.Upload.Waiting || f.State == muster.HostPending
		p.Upload.Files = append(p.Upload.Files, one)
	}
	return v, nil
}

// fileWord says what became of a whole file, and what to do where it was not taken as it is.
func fileWord(f muster.SealedFile) (mark, string) {
	no := mark{"fail", "Not taken"}
	switch wire.Code(f.Problem) {
	case "":
		say := ""
		if f.Reason != "" {
			say = "Its way here could not be kept; the collector’s log says why."
		}
		return mark{"pass", "Taken in"}, say
	case seal.ProblemCut:
		if f.Host == "" {
			return no, "This is no sealed file of muster, or it was damaged before anything in it could be read. Choose the files that end in .courier."
		}
		return mark{"unknown", "Taken in part"}, fmt.Sprintf("The file was cut off or damaged on its way: %d of %s could be read and were taken. "+
			"The others are still on their computer, which seals them again when the stick comes back.", f.Got(), count(f.Reports, "report"))
	case seal.ProblemOtherKey:
		return no, "It is sealed to another collector: the stick has been to another state, or the computer has an old site file. Bring it to the collector that it is for."
	case wire.CodeTooLarge:
		return no, "It is larger than any sealed file can be."
	case wire.CodeFutureSchema:
		return no, "It was written by a newer muster than this collector’s. Update the collector, then send it again."
	case wire.CodeWrongCounty:
		return no, "It names another county than the one that the computer is registered in."
	case wire.CodeBusy:
		return no, "The collector could not look at it just now. Nothing is lost: send it again in a minute."
	case muster.UploadEnded:
		return mark{"unknown", "Upload ended"}, "The upload ended here, before all was sent. Send the files that are missing again."
	}
	return no, f.Reason
}

// fateWord says what became of reports.
func fateWord(c wire.Code) mark {
	switch c {
	case wire.CodeStored:
		return mark{"pass", "Received"}
	case wire.CodeDuplicate:
		return mark{"pass", "Received before"}
	case wire.CodePending, wire.CodeBusy:
		return mark{"wait", "To be sent again later"}
	case wire.CodeConflict:
		return mark{"fail", "Refused: another report has this number"}
	case wire.CodeBadSignature:
		return mark{"fail", "Refused: not signed by this computer"}
	case wire.CodeWrongCounty:
		return mark{"fail", "Refused: of another county"}
	case wire.CodeFutureSchema:
		return mark{"fail", "Refused: of a newer muster"}
	}
	return mark{"fail", "Refused"}
}

// numbers of reports, as ranges.
func numbers(f muster.ReportFate) string {
	var list []string
	told := 0
	for _, r := range f.Ranges {
		told += int(r[1]-r[0]) + 1
		one := number(int(r[0]))
		if r[1] > r[0] {
			one += " to " + number(int(r[1]))
		}
		list = append(list, one)
	}
	text := strings.Join(list, ", ")
	if more := f.Reports - told; more > 0 {
		text += fmt.Sprintf(" and %s more", number(more))
	}
	return cmp.Or(text, "none")
}
