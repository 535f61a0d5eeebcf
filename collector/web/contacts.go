package web

import (
	"context"
	"strings"

	"github.com/passmuster/muster"
)

// contact can be called and written to.
type contact struct{ muster.Contact }

// Dial is the number for a phone, "" where the text holds more than a number.
func (c contact) Dial() string {
	number := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "", "/", "").Replace(c.Phone)
	if digits := strings.TrimPrefix(number, "+"); digits == "" || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return number
}

// Mail is the address for a letter, "" where the text is more than one.
func (c contact) Mail() string {
	if name, at, ok := strings.Cut(c.Email, "@"); !ok || name == "" || at == "" || strings.ContainsAny(c.Email, " ?&,;:%<>\"") {
		return ""
	}
	return c.Email
}

func (s *server) contacts(ctx context.Context, county muster.County) (list []contact, err error) {
	people, err := s.Reader.Contacts(ctx, county)
	for _, c := range people {
		list = append(list, contact{c})
	}
	return list, err
}
