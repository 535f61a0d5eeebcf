package web

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/passmuster/muster"
)

// Person is who looks at a page.
type Person struct {
	// Name for people; "" where it is not known.
	Name string
	// Role for the whole state; "" for who reads counties only.
	Role muster.Role
	// Counties that one without a Role may read, sorted.
	Counties []muster.County
	// Session: they signed in, and can sign out.
	Session bool
}

// County that all pages are about, where there is only one.
func (p Person) County() muster.County {
	if p.Role == "" && len(p.Counties) == 1 {
		return p.Counties[0]
	}
	return ""
}

// home is the first page of one who reads counties only.
func (p Person) home() link {
	if c := p.County(); c != "" {
		return link{"/counties/" + string(c), "Your county"}
	}
	return link{"/counties", "Your counties"}
}

// reads reports whether the person may read the county.
func (p Person) reads(c muster.County) bool { return p.Role != "" || slices.Contains(p.Counties, c) }

// RoleWord says what the person may do.
func (p Person) RoleWord() string {
	if p.Role == "" && len(p.Counties) > 1 {
		return "Reads " + count(len(p.Counties), "county")
	}
	return roleWord(cmp.Or(p.Role, muster.CountyRole(cmp.Or(p.Counties...))))
}

// roleWord is a role for people.
func roleWord(r muster.Role) string {
	switch r {
	case muster.RoleViewer:
		return "Reads everything"
	case muster.RoleOperator:
		return "Operator"
	case muster.RoleCISO:
		return "Security officer"
	}
	if c, ok := r.County(); ok {
		return "Reads " + countyName(c)
	}
	return coded(string(r))
}

// everyone may do everything: for a reader without roles, as in tests and the storybook.
func everyone(*http.Request) Person { return Person{Role: muster.RoleCISO} }
