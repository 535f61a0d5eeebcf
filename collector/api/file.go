package api

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"path"
	"time"
)

// stall is how long a file waits for a reader who takes nothing of it.
const stall = time.Minute

// export notes that the sender takes data out, before any of it goes.
func (c *call) export() error {
	if err := c.Log(c.Request, "export", c.URL.Path+"?"+c.query.Encode()); err != nil {
		return fmt.Errorf("log the export: %w", err)
	}
	return nil
}

// file is an answer of any length. It begins, and is logged, with its first bytes, so
// that what fails before them is told as a problem.
type file struct {
	*call
	http.ResponseWriter
	media, ext string
}

func (f *file) Write(b []byte) (int, error) {
	if err := f.begin(); err != nil {
		return 0, err
	}
	// A writer that cannot do so has bounds of its own.
	_ = http.NewResponseController(f.ResponseWriter).SetWriteDeadline(time.Now().Add(stall))
	return f.ResponseWriter.Write(b)
}

func (f *file) begin() error {
	if f.begun {
		return nil
	}
	if f.Method != http.MethodHead {
		if err := f.export(); err != nil {
			return err
		}
	}
	h := f.ResponseWriter.Header()
	h.Set("Content-Type", f.media)
	h.Set("Content-Disposition", `attachment; filename="`+path.Base(f.URL.Path)+f.ext+`"`)
	h.Add("Vary", "Accept")
	f.begun = true
	f.ResponseWriter.WriteHeader(http.StatusOK)
	return nil
}

// serveFile answers with what write writes.
func (c *call) serveFile(w http.ResponseWriter, media, ext string, write func(io.Writer) error) error {
	f := &file{c, w, media, ext}
	defer func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) }()
	if c.Method != http.MethodHead {
		out := bufio.NewWriterSize(f, 32<<10)
		if err := write(out); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return f.begin()
}

// pin makes a view of the present one of this instant, so that a list that is read in
// pages, or read again, is one.
func (c *call) pin() {
	if c.view.Now() {
		c.view.At = c.API.Now().UTC().Truncate(time.Microsecond)
	}
	c.query.Set("as_of", c.view.At.Format(time.RFC3339Nano))
}
