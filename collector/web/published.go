package web

import (
	"context"
	"slices"

	"github.com/passmuster/muster"
)

// published reads what is told of many hosts without the controls that no policy has:
// hosts may name any, as many and as often as they like. What a host says of them is on
// its own page, and in its standing.
type published struct {
	Reader
	controls map[string]muster.Control
}

// inventedRead is up to about how many transitions are read to find those of real controls.
const inventedRead = 10_000

func (p published) has(control string) bool {
	_, ok := p.controls[control]
	return ok
}

// kept leaves out of a list, which may be another's, what is of controls that no policy has.
func kept[T any](p published, list []T, control func(T) string) []T {
	invented := func(one T) bool { return !p.has(control(one)) }
	if !slices.ContainsFunc(list, invented) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), invented)
}

func (p published) Controls(ctx context.Context, v muster.View, county muster.County) ([]muster.ControlStanding, error) {
	list, err := p.Reader.Controls(ctx, v, county)
	return kept(p, list, func(c muster.ControlStanding) string { return c.Control }), err
}

func (p published) ControlCounties(ctx context.Context, v muster.View, control string) ([]muster.CountyControl, error) {
	list, err := p.Reader.ControlCounties(ctx, v, control)
	return kept(p, list, func(c muster.CountyControl) string { return c.Control }), err
}

func (p published) Changes(ctx context.Context, v muster.View, county muster.County, limit int) ([]muster.Transition, error) {
	for most := limit; ; most *= 4 { // invented ones push others out
		list, err := p.Reader.Changes(ctx, v, county, most)
		told := kept(p, list, func(t muster.Transition) string { return t.Control })
		if err != nil || len(told) >= limit || len(list) < most || most > inventedRead {
			return told[:min(len(told), limit)], err
		}
	}
}

// knows reports whether any policy has the control.
func (s *server) knows(control string) bool {
	_, inForce := s.controls[control]
	return inForce || s.Published == nil || published{controls: s.Published}.has(control)
}
