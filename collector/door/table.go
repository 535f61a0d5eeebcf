package door

import (
	"slices"

	"github.com/passmuster/muster"
)

// What a rule may need beside a role of muster.
const (
	// Anyone who reaches the collector.
	Anyone muster.Role = "anyone"
	// Hosts prove themselves by what they sign, so that the host API asks who sends
	// it: over the tailnet and on loopback, never in a browser's way in.
	Hosts muster.Role = "hosts"
	// Token: only a program of this computer that knows the API token.
	Token muster.Role = "token"
)

// Scope says what of a route a person may have who reads one county only.
type Scope string

const (
	// Never: nothing, as if it were not there.
	Never Scope = ""
	// Open: all of it, because it tells nothing of any county.
	Open Scope = "open"
	// Home: the way to the pages of their counties.
	Home Scope = "home"
	// ByPath: {county} must be theirs.
	ByPath Scope = "path"
	// ByHost: {host} must be of a county of theirs.
	ByHost Scope = "host"
	// ByQuery: ?county= must be theirs, and is set where they have one county; ?host=,
	// where there is one, must be of it. Handlers obey ?county=.
	ByQuery Scope = "query"
)

// Rule says who may use a route.
type Rule struct {
	// Pattern of http.ServeMux.
	Pattern string
	// Need is the least role, or Anyone, Hosts or Token.
	Need muster.Role
	// County is what a county's role may have of it.
	County Scope
	// Logs: what is changed there, or given out as a file (CSV of a list, a report, an
	// export), leaves a line in the audit log first, or is not done.
	Logs bool
}

// ranks orders the roles: each may do what those before it may.
var ranks = []muster.Role{muster.RoleViewer, muster.RoleOperator, muster.RoleCISO}

// may reports whether the peer has the role or more, for the whole state.
func may(p muster.Peer, need muster.Role) bool {
	if p.Local {
		return true
	}
	least := slices.Index(ranks, need)
	return least >= 0 && slices.ContainsFunc(p.Roles, func(r muster.Role) bool { return slices.Index(ranks, r) >= least })
}

// CountiesOf the peer that it may read by roles for one county, sorted.
func CountiesOf(p muster.Peer) []muster.County {
	var list []muster.County
	for _, r := range p.Roles {
		if c, ok := r.County(); ok {
			list = append(list, c)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// May reports whether a role for the whole state, or with "" the role for a county, may
// use any of the route of a pattern: for pages that show only what a person may do.
func May(role muster.Role, pattern string) bool {
	for _, rule := range Table() {
		switch {
		case rule.Pattern != pattern:
		case role == "":
			return rule.Need == Anyone || rule.Need == muster.RoleViewer && rule.County != Never
		default:
			return rule.Need == Anyone || may(muster.Peer{Roles: []muster.Role{role}}, rule.Need)
		}
	}
	return false
}

// Highest role that the peer has for the whole state; "" where it has none.
func Highest(p muster.Peer) muster.Role {
	for _, role := range slices.Backward(ranks) {
		if may(p, role) {
			return role
		}
	}
	return ""
}

// Table is the whole authorization of the collector: a route without a rule is
// denied, whatever serves it.
func Table() []Rule {
	const viewer, operator, ciso = muster.RoleViewer, muster.RoleOperator, muster.RoleCISO
	return []Rule{
		{"GET /healthz", Anyone, Open, false},
		{"GET /readyz", Anyone, Open, false},
		{"GET /metrics", viewer, Never, false},
		{"GET /login", Anyone, Open, true},
		{"GET /login/callback", Anyone, Open, true},
		{"POST /logout", Anyone, Open, true},
		{"POST /api/v1/links", Token, Never, true},

		{"POST /v1/enroll", Hosts, Never, false},
		{"POST /v1/checkin", Hosts, Never, false},
		{"POST /v1/reports", Hosts, Never, false},
		{"POST /v1/courier", Hosts, Never, false},
		{"GET /v1/policy", Hosts, Never, false},

		{"/", viewer, Open, false}, // whatever is not there
		{"/api/", viewer, Open, false},
		{"GET /static/", Anyone, Open, false}, // of the pages that let people in, too
		{"GET /live", viewer, ByQuery, false},
		{"GET /{$}", viewer, Home, false},
		{"GET /changes", viewer, ByQuery, false},
		{"GET /quiet", viewer, ByQuery, false},
		{"GET /pending", viewer, ByQuery, false},
		{"GET /courier", operator, Never, false},
		{"GET /courier/returns/{return}", operator, Never, false},
		{"GET /counties", viewer, Open, false},
		{"GET /counties/{county}", viewer, ByPath, false},
		{"GET /counties/{county}/scorecard", viewer, ByPath, false},
		{"GET /counties/{county}/edit", operator, Never, false},
		{"GET /hosts/{host}", viewer, ByHost, false},
		{"GET /controls/{control}", viewer, ByQuery, false},
		{"GET /policies", viewer, Never, false},
		{"GET /policies/{version}", viewer, Never, false},
		{"GET /exceptions", viewer, ByQuery, false},
		{"GET /exceptions/ask", viewer, ByQuery, false},
		{"GET /search", viewer, ByQuery, false},
		{"GET /exports", viewer, ByQuery, false},
		{"GET /people", viewer, Never, false},
		{"GET /log", viewer, Never, false},
		{"POST /hosts/{host}/approve", operator, Never, true},
		{"POST /hosts/{host}/audit", operator, Never, true},
		{"POST /hosts/{host}/retire", operator, Never, true},
		{"POST /hosts/{host}/clear-clone", operator, Never, true},
		{"POST /pending/approve", operator, Never, true},
		{"POST /courier", operator, Never, true},
		{"POST /counties/{county}/contacts", operator, Never, true},
		{"POST /counties/{county}/expected", operator, Never, true},
		{"POST /counties/{county}/asks", viewer, ByPath, true}, // whoever may read it may ask for it
		{"POST /asks/{ask}/answer", ciso, Never, true},
		{"POST /policies", ciso, Never, true},
		{"POST /policies/{version}/promote", ciso, Never, true},
		{"POST /policies/{version}/pause", ciso, Never, true},
		{"POST /policies/rings", ciso, Never, true},

		{"GET /api/v1/me", viewer, Open, false},
		{"GET /api/v1/openapi.json", viewer, Open, false},
		{"GET /api/v1/hosts", viewer, ByQuery, true},
		{"GET /api/v1/hosts/{host}", viewer, ByHost, false},
		{"GET /api/v1/hosts/{host}/findings", viewer, ByHost, true},
		{"GET /api/v1/hosts/{host}/transitions", viewer, ByHost, true},
		{"GET /api/v1/hosts/{host}/reports", viewer, ByHost, true},
		{"GET /api/v1/hosts/{host}/reports/{seq}", viewer, ByHost, true},
		{"GET /api/v1/pending", viewer, ByQuery, true},
		{"GET /api/v1/stale", viewer, ByQuery, true},
		{"GET /api/v1/findings", viewer, ByQuery, true},
		{"GET /api/v1/transitions", viewer, ByQuery, true},
		{"GET /api/v1/counties", viewer, ByQuery, true},
		{"GET /api/v1/counties/{county}", viewer, ByPath, false},
		{"GET /api/v1/counties/{county}/days", viewer, ByPath, true},
		{"GET /api/v1/counties/{county}/expected", viewer, ByPath, true},
		{"GET /api/v1/counties/{county}/contacts", viewer, ByPath, true},
		{"GET /api/v1/search", viewer, ByQuery, false},
		{"GET /api/v1/asks", viewer, ByQuery, true},
		{"GET /api/v1/days", viewer, ByQuery, true},
		{"GET /api/v1/expected", viewer, ByQuery, true},
		{"GET /api/v1/controls", viewer, ByQuery, true},
		{"GET /api/v1/controls/{control}", viewer, ByQuery, false},
		{"GET /api/v1/controls/{control}/counties", viewer, ByQuery, true},
		{"GET /api/v1/waivers", viewer, ByQuery, true},
		{"GET /api/v1/attestations", viewer, ByQuery, true},
		{"GET /api/v1/events", viewer, ByQuery, true},
		{"GET /api/v1/export/oscal", viewer, ByQuery, true},
		{"GET /api/v1/export/ocsf", viewer, ByQuery, true},
		{"GET /api/v1/policies", viewer, Never, true},
		{"GET /api/v1/policies/{version}", viewer, Never, false},
		{"GET /api/v1/policies/{version}/bundle", viewer, Never, true},
		{"GET /api/v1/rings", viewer, Never, true},
		{"GET /api/v1/audit-log", viewer, Never, true},
		{"GET /api/v1/deliveries", viewer, Never, true},

		{"POST /api/v1/hosts/{host}/approve", operator, Never, true},
		{"POST /api/v1/hosts/{host}/retire", operator, Never, true},
		{"POST /api/v1/hosts/{host}/clear-clone", operator, Never, true},
		{"POST /api/v1/hosts/{host}/audit", operator, Never, true},
		{"PUT /api/v1/counties/{county}/expected", operator, Never, true},
		{"PUT /api/v1/counties/{county}/contacts", operator, Never, true},
		{"POST /api/v1/counties/{county}/asks", viewer, ByPath, true}, // whoever may read it may ask for it
		{"POST /api/v1/asks/{ask}/answer", ciso, Never, true},
		{"POST /api/v1/courier", operator, Never, true},
		{"POST /api/v1/policies", ciso, Never, true},
		{"POST /api/v1/policies/{version}/promote", ciso, Never, true},
		{"POST /api/v1/policies/{version}/pause", ciso, Never, true},
		{"PUT /api/v1/rings", ciso, Never, true},
	}
}
