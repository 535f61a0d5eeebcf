package facts

import (
	"iter"
	"strings"
	"unicode"
)

type tokenKind int

const (
	tokenOther     tokenKind = iota
	tokenBlank               // white space or comment
	tokenEnd                 // a semicolon
	tokenWord                // a keyword, name or number
	tokenQuoted              // a name or text between quotation marks
	tokenParameter           // ?, :name, @name or $name
)

// sqlToken is one piece of SQL text as written.
type sqlToken struct {
	kind tokenKind
	text string
}

// name is the token as a name, in lower case and without quotation marks.
func (t sqlToken) name() string {
	if t.kind == tokenQuoted {
		return strings.ToLower(t.text[1 : len(t.text)-1])
	}
	return strings.ToLower(t.text)
}

// tokens splits SQL text and leaves out what is blank. The key is the place
// where the token begins.
func tokens(statement string) iter.Seq2[int, sqlToken] {
	return func(yield func(int, sqlToken) bool) {
		for at := 0; at < len(statement); {
			kind, n := token(statement[at:])
			if kind != tokenBlank && !yield(at, sqlToken{kind, statement[at : at+n]}) {
				return
			}
			at += n
		}
	}
}

// token finds the kind and length of the first token.
func token(s string) (tokenKind, int) {
	until := func(from int, mark string) int {
		if i := strings.Index(s[from:], mark); i >= 0 {
			return from + i + len(mark)
		}
		return len(s)
	}
	word := func(r rune) bool {
		return r == '_' || r == '$' || r >= 0x80 || unicode.IsLetter(r) || unicode.IsDigit(r)
	}
	switch c := s[0]; {
	case strings.IndexByte(" \t\r\n\f", c) >= 0:
		return tokenBlank, 1
	case strings.HasPrefix(s, "--"):
		return tokenBlank, until(2, "\n")
	case strings.HasPrefix(s, "/*"):
		return tokenBlank, until(2, "*/")
	case c == ';':
		return tokenEnd, 1
	case strings.IndexByte("?:@$", c) >= 0:
		return tokenParameter, 1
	case strings.IndexByte("[\"'`", c) >= 0:
		// A doubled mark is two texts side by side, which end at the same place.
		mark := s[:1]
		if c == '[' {
			mark = "]"
		}
		n := until(1, mark)
		if n < 2 || s[n-1] != mark[0] {
			return tokenOther, n // SQLite will complain
		}
		return tokenQuoted, n
	case word(rune(c)):
		n := strings.IndexFunc(s, func(r rune) bool { return !word(r) })
		if n < 0 {
			n = len(s)
		}
		return tokenWord, n
	default:
		return tokenOther, 1
	}
}
