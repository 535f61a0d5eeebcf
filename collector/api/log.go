package api

import (
	_ "embed"
	"net/http"
	"strconv"

	"github.com/passmuster/muster"
)

//go:embed openapi.json
var openAPI []byte

// AuditLog is newest first.
type AuditLog struct {
	Entries []muster.LogEntry `json:"entries"`
	More
}

// Events are newest first.
type Events struct {
	Events []muster.Event `json:"events"`
	More
}

// Deliveries to webhooks, newest first.
type Deliveries struct {
	Deliveries []muster.Delivery `json:"deliveries"`
}

// Me is who asks.
type Me struct {
	// Name as the audit log has it.
	Name string `json:"name"`
	// Roles that they have; someone at the collector's own computer has all of the state's.
	Roles []muster.Role `json:"roles"`
	// Counties whose readers they are.
	Counties []muster.County `json:"counties"`
	// Site is the collector's name, Version its release.
	Site    string `json:"site"`
	Version string `json:"version"`
}

func logOperations() []operation {
	courier := operation{method: http.MethodPost, path: "/api/v1/courier", id: "uploadCourier", status: http.StatusOK,
		about: "Takes a sealed file from a stick, and answers with the return file to put back onto it.",
		takes: []content{{media: typeCourier}}, gives: []content{{media: typeCourier}},
		fails: []int{http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity},
		serve: func(c *call, w http.ResponseWriter) error {
			c.Courier.ServeHTTP(w, c.Request)
			return nil
		}}
	return []operation{
		list("/api/v1/audit-log", "listAuditLog", "Every change and every export, newest first.", nil, (*call).auditLog),
		list("/api/v1/events", "listEvents", "What happened, newest first.", []param{byCounty}, (*call).events),
		list("/api/v1/deliveries", "listDeliveries", "Events on their way to webhooks, newest first.",
			[]param{{name: "hook", about: "Only this webhook's."}, limited}, (*call).deliveries),
		courier,
		get("/api/v1/me", "getMe", "Who asks, and which roles they have.", nil, (*call).me),
		{method: http.MethodGet, path: "/api/v1/openapi.json", id: "getOpenAPI", about: "This description.", status: http.StatusOK,
			gives: []content{{media: typeJSON}},
			serve: func(c *call, w http.ResponseWriter) error {
				w.Header().Set("Content-Type", typeJSON)
				serveBytes(w, c.Request, openAPI)
				return nil
			}},
	}
}

// typeCourier is a file that travels on a stick.
const typeCourier = "application/vnd.muster.courier"

func (c *call) auditLog() (AuditLog, error) {
	before, err := c.number()
	if err != nil {
		return AuditLog{}, err
	}
	list, err := c.Store.AuditLog(c.Context(), int64(before), c.limit)
	page := AuditLog{Entries: notNil(list)}
	if len(list) == c.limit {
		page.Next = strconv.FormatInt(list[len(list)-1].ID, 10)
	}
	return page, err
}

func (c *call) events() (Events, error) {
	before, err := c.number()
	if err != nil {
		return Events{}, err
	}
	list, err := c.Store.Events(c.Context(), c.county, int64(before), c.limit)
	page := Events{Events: notNil(list)}
	if len(list) == c.limit {
		page.Next = strconv.FormatInt(list[len(list)-1].ID, 10)
	}
	return page, err
}

func (c *call) deliveries() (Deliveries, error) {
	list, err := c.Store.Deliveries(c.Context(), c.query.Get("hook"), c.limit)
	return Deliveries{notNil(list)}, err
}

func (c *call) me() (Me, error) {
	p := c.Who(c.Request)
	me := Me{Name: c.Actor(c.Request), Roles: notNil(p.Roles), Counties: []muster.County{}, Site: c.Site, Version: muster.Version}
	if p.Local {
		me.Roles = []muster.Role{muster.RoleViewer, muster.RoleOperator, muster.RoleCISO}
	}
	for _, r := range p.Roles {
		if county, ok := r.County(); ok {
			me.Counties = append(me.Counties, county)
		}
	}
	return me, nil
}
