// Package api is what programs read and change at the collector: JSON under /api/v1,
// lists also as CSV, and exports for other systems.
//
// One table of operations registers the handlers, checks what a request asks for, and
// is described in openapi.json, so that the three cannot differ. What is described
// there stays: fields and addresses are added, never renamed or given another meaning.
//
// Who may ask is not decided here. Whoever serves the handlers decides it by their
// patterns, and may rely on this: a handler obeys ?county=, {county} and {host}, refuses
// what is given twice, and tells nothing of other counties where one is asked for.
package api

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/problem"
)

// DefaultMaxBundle bounds a policy bundle that is published, in bytes.
const DefaultMaxBundle = 16 << 20

// Store tells where things stand; collector/store has one, and says what each answers.
type Store interface {
	Counties(ctx context.Context, v muster.View) ([]muster.CountyStanding, error)
	Controls(ctx context.Context, v muster.View, county muster.County) ([]muster.ControlStanding, error)
	ControlCounties(ctx context.Context, v muster.View, control string) ([]muster.CountyControl, error)
	Days(ctx context.Context, county muster.County, from, to time.Time) ([]muster.DayStanding, error)
	Hosts(ctx context.Context, v muster.View, q muster.HostQuery) (muster.HostPage, error)
	Host(ctx context.Context, v muster.View, id muster.HostID) (muster.HostStanding, error)
	Find(ctx context.Context, county muster.County, text string, limit int) ([]muster.HostStanding, error)
	HostFindings(ctx context.Context, v muster.View, id muster.HostID) ([]muster.FindingStanding, error)
	CountyFindings(ctx context.Context, v muster.View, county muster.County) ([]muster.FindingStanding, error)
	HostTransitions(ctx context.Context, v muster.View, id muster.HostID, limit int) ([]muster.Transition, error)
	HostReports(ctx context.Context, id muster.HostID, before uint64, limit int) ([]muster.ReportStanding, error)
	Changes(ctx context.Context, v muster.View, county muster.County, limit int) ([]muster.Transition, error)
	Quiet(ctx context.Context, v muster.View, county muster.County, limit int) ([]muster.HostStanding, error)
	Pending(ctx context.Context, county muster.County) ([]muster.HostStanding, error)
	Expected(ctx context.Context, v muster.View, county muster.County) ([]muster.ExpectedHost, error)
	Contacts(ctx context.Context, county muster.County) ([]muster.Contact, error)
	Asks(ctx context.Context, q muster.AskQuery) (muster.AskPage, error)
	AskOf(ctx context.Context, id int64) (muster.Ask, error)
	Events(ctx context.Context, county muster.County, before int64, limit int) ([]muster.Event, error)
	Releases(ctx context.Context) ([]muster.Release, error)
	RingMembers(ctx context.Context) ([]muster.RingMember, error)
	PolicyUse(ctx context.Context) ([]muster.PolicyUse, error)
	PolicyEffect(ctx context.Context, policy string, known func(control string) bool) (muster.PolicyEffect, error)
	Bundle(ctx context.Context, version int64) ([]byte, error)
	Envelope(ctx context.Context, host muster.HostID, seq uint64) ([]muster.StoredEnvelope, error)
	Custody(ctx context.Context, id muster.HostID) ([]muster.CustodyEvent, error)
	AuditLog(ctx context.Context, before int64, limit int) ([]muster.LogEntry, error)
	Deliveries(ctx context.Context, hook string, limit int) ([]muster.Delivery, error)
}

// Act changes things, and logs under the actor's name what it changed. What is not
// there is an error that is fs.ErrNotExist, what was done or stands against it one
// that is fs.ErrExist; what is wrong with what was sent is Refused.
type Act interface {
	Approve(ctx context.Context, id muster.HostID, actor string) error
	Retire(ctx context.Context, id muster.HostID, actor string) error
	ClearClone(ctx context.Context, id muster.HostID, actor string) error
	RequestAudit(ctx context.Context, id muster.HostID, actor string) error
	Publish(ctx context.Context, bundle []byte, ring muster.Ring, actor string) (muster.Release, error)
	Promote(ctx context.Context, version int64, actor string) (muster.Release, error)
	Pause(ctx context.Context, version int64, actor string) (muster.Release, error)
	SetRing(ctx context.Context, m muster.RingMember, actor string) error
	Expect(ctx context.Context, county muster.County, list []muster.ExpectedHost, actor string) error
	SetContacts(ctx context.Context, county muster.County, list []muster.Contact, actor string) error
	Ask(ctx context.Context, a muster.Ask, actor string) (id int64, err error)
	Answer(ctx context.Context, id int64, state muster.AskState, answer, actor string) error
}

// Options of New. All are required but those that say otherwise.
type Options struct {
	Store Store
	Act   Act
	// Catalogue, Waivers and Attestations of the policy in force now.
	Catalogue    func() []muster.Control
	Waivers      func() []muster.Waiver
	Attestations func() []muster.Attestation
	// Known reports whether any policy has the control, in force or not.
	Known func(control string) bool
	// Site is the collector's name for people; it may be empty.
	Site string
	// Open gives the signed bytes of the first envelope, which rests on the others.
	Open func(muster.HostID, []muster.StoredEnvelope) ([]byte, error)
	// Courier takes a sealed file and answers with a return file.
	Courier http.Handler
	// Who sent a request, and the name of them for the audit log.
	Who   func(*http.Request) muster.Peer
	Actor func(*http.Request) string
	// Log keeps that the sender did it. Where it cannot, nothing is given out.
	Log func(r *http.Request, action, object string) error
	// MaxBundle bounds a policy bundle, in bytes; 0 means DefaultMaxBundle.
	MaxBundle int64
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger; nil discards.
	Logger *slog.Logger
}

// API answers programs. Safe for concurrent use.
type API struct {
	Options
	operations []operation
}

// New checks the options.
func New(o Options) (*API, error) {
	if o.Store == nil || o.Act == nil || o.Catalogue == nil || o.Waivers == nil || o.Attestations == nil || o.Known == nil || o.Open == nil ||
		o.Courier == nil || o.Who == nil || o.Actor == nil || o.Log == nil {
		return nil, errors.New("api: options: only MaxBundle, Now, Logger and Site may be left out")
	}
	if o.MaxBundle <= 0 {
		o.MaxBundle = DefaultMaxBundle
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &API{o, operations()}, nil
}

// operations are the whole API but what the door itself serves.
func operations() []operation {
	return slices.Concat(hostOperations(), countyOperations(), deskOperations(), controlOperations(), policyOperations(), logOperations(), exportOperations())
}

// Handlers are those of each operation by its pattern for http.ServeMux, and "/api/"
// for every other address and method below it.
func (a *API) Handlers() map[string]http.Handler {
	all := map[string]http.Handler{}
	allowed := map[string][]string{}
	for _, op := range a.operations {
		all[op.method+" "+op.path] = a.handler(op)
		allowed[op.path] = append(allowed[op.path], op.method)
		if op.method == http.MethodGet {
			allowed[op.path] = append(allowed[op.path], http.MethodHead)
		}
	}
	others := http.NewServeMux()
	for _, path := range slices.Sorted(maps.Keys(allowed)) {
		methods := strings.Join(allowed[path], ", ")
		others.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", methods)
			problem.Write(w, http.StatusMethodNotAllowed, "method_not_allowed", "this address takes "+methods)
		})
	}
	others.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, http.StatusNotFound, "not_found", "there is no such address in the API: /api/v1/openapi.json has them all")
	})
	all["/api/"] = others
	return all
}
