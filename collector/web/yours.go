package web

import (
	"context"
	"net/http"
	"slices"

	"github.com/passmuster/muster"
)

// yoursPage leads one who reads several counties to each.
type yoursPage struct{ Counties []countyRow }

func (s *server) yours(ctx context.Context, _ *http.Request) (*view, error) {
	if s.person.Role != "" {
		return &view{Go: "/" + suffix(s.view)}, nil
	}
	all, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	v, page := &view{Title: "Your counties"}, yoursPage{}
	for _, c := range s.person.Counties {
		standing := muster.CountyStanding{County: c}
		if i := slices.IndexFunc(all, func(one muster.CountyStanding) bool { return one.County == c }); i >= 0 {
			standing = all[i]
		}
		v.Demo.county(standing)
		page.Counties = append(page.Counties, countyRow{County: c, tally: tallyOf(standing)})
	}
	v.Page = page
	return v, nil
}
