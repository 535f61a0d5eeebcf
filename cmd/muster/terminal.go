package main

import (
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// patience is how long an audit may take before it shows that it is alive.
const patience = time.Second

// terminal gives the width of the terminal behind w, 0 where there is none,
// and whether it wants colours (https://no-color.org).
func terminal(w io.Writer) (width int, color bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 0
	}
	return width, os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && ansi(f)
}

// plain leaves out what is not to be shown on a terminal: the words of a bundle
// or a server that nobody has verified.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

// progress shows how far the audit is, on a terminal only and only when it
// takes long enough to wonder.
type progress struct {
	file  *os.File
	start time.Time
	bar   *progressbar.ProgressBar
}

func newProgress(f *os.File) *progress { return &progress{file: f, start: time.Now()} }

func (p *progress) step(done, total int, name string) {
	if p.bar == nil {
		if time.Since(p.start) < patience || !term.IsTerminal(int(p.file.Fd())) {
			return
		}
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(p.file),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30), progressbar.OptionSetPredictTime(false))
	}
	p.bar.Describe("Looking at " + name)
	_ = p.bar.Set(done) // a bar that cannot be drawn is no reason to stop
}

func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
