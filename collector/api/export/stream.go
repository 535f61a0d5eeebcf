package export

import (
	"bufio"
	"encoding/json"
	"io"
)

// stream writes one JSON document, a part at a time; it remembers the first error.
type stream struct {
	w     *bufio.Writer
	comma bool
	err   error
}

func newStream(w io.Writer) *stream { return &stream{w: bufio.NewWriterSize(w, 64<<10)} }

func (s *stream) write(b []byte) {
	if s.err == nil {
		_, s.err = s.w.Write(b)
	}
}

// next begins a value, of a field where it has a name.
func (s *stream) next(name string) {
	if s.comma {
		s.write([]byte{','})
	}
	if name != "" {
		s.write([]byte(`"` + name + `":`))
	}
}

func (s *stream) open(name string, bracket byte) {
	s.next(name)
	s.write([]byte{bracket})
	s.comma = false
}

func (s *stream) close(bracket byte) {
	s.write([]byte{bracket})
	s.comma = true
}

func (s *stream) field(name string, v any) {
	b, err := json.Marshal(v)
	if s.err == nil {
		s.err = err
	}
	s.next(name)
	s.write(b)
	s.comma = true
}

func (s *stream) flush() error {
	s.write([]byte{'\n'})
	if s.err == nil {
		s.err = s.w.Flush()
	}
	return s.err
}

// streamList is an array that is not there where it would be empty, as OSCAL wants it.
type streamList struct {
	*stream
	name   string
	opened bool
}

func (s *stream) list(name string) *streamList { return &streamList{stream: s, name: name} }

func (l *streamList) add(v any) {
	if !l.opened {
		l.open(l.name, '[')
		l.opened = true
	}
	l.field("", v)
}

func (l *streamList) end() {
	if l.opened {
		l.close(']')
	}
}
