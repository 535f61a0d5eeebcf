package web

import (
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// leastPacked is the size below which packing saves nothing, in bytes.
const leastPacked = 1 << 10

// packed answers texts in gzip where the browser takes it. Lengths then tell a little of
// what is in a page, to who reads the line and can have text of their choice put beside
// it. No page has a secret that opens anything: the session's is in a cookie that no
// page shows, and forms need no token. And what a page of another origin asked for is
// not packed, so that nobody can have it asked for as often as guessing takes.
func packed(next http.Handler) http.Handler {
	writers := &sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept-Encoding")
		from := r.Header.Get("Sec-Fetch-Site")
		if !takesGzip(r.Header.Get("Accept-Encoding")) || r.Header.Get("Range") != "" || from != "" && from != "same-origin" && from != "none" {
			next.ServeHTTP(w, r)
			return
		}
		p := &packer{ResponseWriter: w, writers: writers}
		defer p.close()
		next.ServeHTTP(p, r)
	})
}

// takesGzip reads Accept-Encoding, where "gzip;q=0" says no.
func takesGzip(accept string) bool {
	for one := range strings.SplitSeq(accept, ",") {
		name, q, weighed := strings.Cut(one, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			_, q, _ = strings.Cut(q, "=")
			weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
			return !weighed || err == nil && weight > 0
		}
	}
	return false
}

// packer packs an answer, or passes it on, as its header says.
type packer struct {
	http.ResponseWriter
	writers *sync.Pool
	begun   bool         // the header is sent
	packs   bool         // else the answer is passed on
	to      *gzip.Writer // nil until there is a body
}

// Unwrap lets http.ResponseController reach the connection.
func (p *packer) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *packer) WriteHeader(code int) {
	h := p.Header()
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	text := strings.HasPrefix(media, "text/") && media != "text/event-stream" || media == "image/svg+xml"
	length, err := strconv.Atoi(h.Get("Content-Length"))
	if !p.begun && (code == http.StatusOK || code >= http.StatusBadRequest) && text && (err != nil || length >= leastPacked) {
		p.packs = true
		h.Del("Content-Length")
		h.Del("Accept-Ranges")
		h.Set("Content-Encoding", "gzip")
	}
	p.begun = p.begun || code >= http.StatusOK
	p.ResponseWriter.WriteHeader(code)
}

func (p *packer) Write(b []byte) (int, error) {
	if !p.begun {
		p.WriteHeader(http.StatusOK)
	}
	if !p.packs {
		return p.ResponseWriter.Write(b)
	}
	if p.to == nil {
		p.to = p.writers.Get().(*gzip.Writer)
		p.to.Reset(p.ResponseWriter)
	}
	return p.to.Write(b)
}

// close ends what was packed; an answer without a body, as to HEAD, has nothing to end.
func (p *packer) close() {
	if p.to != nil {
		_ = p.to.Close() // the reader may be gone
		p.writers.Put(p.to)
	}
}
