package api

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/passmuster/muster"
)

// Contacts are whom to call in a county, in the order in which they were given.
type Contacts struct {
	Contacts []muster.Contact `json:"contacts"`
}

// Asks are requests for waivers, a page of them. A request excuses nothing: only a waiver
// in a signed policy does.
type Asks struct {
	Asks []muster.Ask `json:"asks"`
	// Total counts those of all pages.
	Total int `json:"total"`
	More
}

// AskFor is a request for a waiver, as it is made.
type AskFor struct {
	// Host that it is for; left out for every host of the county.
	Host    muster.HostID `json:"host,omitempty"`
	Control string        `json:"control"`
	Reason  string        `json:"reason"`
	// Until is the last day that it is asked for, such as 2026-11-30.
	Until string `json:"until"`
}

// AnswerTo a request for a waiver.
type AnswerTo struct {
	State muster.AskState `json:"state"`
	// Answer is a sentence; who declines says why.
	Answer string `json:"answer,omitempty"`
}

// maxDesk bounds what is sent to this part of the API, in bytes.
const maxDesk = 64 << 10

func deskOperations() []operation {
	const county = "/api/v1/counties/{county}"
	put := change(http.MethodPut, county+"/contacts", "putContacts", "Makes the list that of the county's contacts.", http.StatusOK, (*call).setContacts)
	put.takes = []content{{typeJSON, reflect.TypeFor[Contacts]()}}
	put.fails = []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}
	ask := change(http.MethodPost, county+"/asks", "askForWaiver", "Asks for a waiver. It excuses nothing: only a waiver in a signed policy does.",
		http.StatusCreated, (*call).ask)
	ask.takes = []content{{typeJSON, reflect.TypeFor[AskFor]()}}
	ask.fails = []int{http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}
	answer := change(http.MethodPost, "/api/v1/asks/{ask}/answer", "answerAsk",
		"Grants or declines a request. A waiver that is granted takes effect with the policy that holds it.", http.StatusOK, (*call).answerAsk)
	answer.takes = []content{{typeJSON, reflect.TypeFor[AnswerTo]()}}
	answer.fails = append(answer.fails, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity)
	return []operation{
		get("/api/v1/search", "search", "Active hosts whose name begins with a text, then those whose name contains it or whose id begins with it.",
			[]param{{name: "q", about: "The text, in letters of any case; where it is empty nothing is found."}, byCounty, limited}, (*call).search),
		list(county+"/contacts", "listContacts", "Whom to call in a county.", nil, (*call).contacts),
		put,
		list("/api/v1/asks", "listAsks", "Requests for waivers, the newest first; those without an answer alone, the oldest first.", []param{byCounty,
			{name: "control", about: "Only those for this control."},
			{name: "open", about: "true gives only those without an answer, false only the others.", words: []string{"true", "false"}}}, (*call).asks),
		ask,
		answer,
	}
}

func (c *call) search() (AllHosts, error) {
	hosts, err := c.Store.Find(c.Context(), c.county, c.query.Get("q"), c.limit)
	return AllHosts{notNil(hosts)}, err
}

func (c *call) contacts() (Contacts, error) {
	if err := c.pathCounty(); err != nil {
		return Contacts{}, err
	}
	list, err := c.Store.Contacts(c.Context(), c.county)
	return Contacts{notNil(list)}, err
}

func (c *call) asks() (Asks, error) {
	after, err := c.number()
	if err != nil {
		return Asks{}, err
	}
	open := c.query.Get("open")
	page, err := c.Store.Asks(c.Context(), muster.AskQuery{County: c.county, Control: c.query.Get("control"), Open: open == "true", Answered: open == "false",
		After: int64(after), Limit: c.limit})
	asks := Asks{Asks: notNil(page.Asks), Total: page.Total}
	if page.Next > 0 {
		asks.Next = strconv.FormatInt(page.Next, 10)
	}
	return asks, err
}

// sent reads a small body.
func sent[T any](c *call, w http.ResponseWriter) (v T, err error) {
	in := json.NewDecoder(http.MaxBytesReader(w, c.Body, maxDesk))
	in.DisallowUnknownFields()
	if err = in.Decode(&v); err == nil && in.More() {
		err = errors.New("something follows it")
	}
	if err != nil {
		err = badf("want what the description of this address has: %w", err)
	}
	return v, err
}

func (c *call) setContacts(w http.ResponseWriter) (Contacts, error) {
	if err := c.pathCounty(); err != nil {
		return Contacts{}, err
	}
	v, err := sent[Contacts](c, w)
	if err == nil && v.Contacts == nil {
		err = badf("the list of contacts is missing")
	}
	if err == nil {
		err = c.Act.SetContacts(c.Context(), c.county, v.Contacts, c.Actor(c.Request))
	}
	if err != nil {
		return Contacts{}, err
	}
	return c.contacts()
}

func (c *call) ask(w http.ResponseWriter) (muster.Ask, error) {
	if err := c.pathCounty(); err != nil {
		return muster.Ask{}, err
	}
	v, err := sent[AskFor](c, w)
	if err != nil {
		return muster.Ask{}, err
	}
	until, err := time.Parse(time.DateOnly, v.Until)
	if err != nil {
		return muster.Ask{}, badf("until %q is no day: write 2026-11-30", v.Until)
	}
	if v.Host != "" {
		if _, err := muster.ParseHostID(string(v.Host)); err != nil {
			return muster.Ask{}, errBad{err}
		}
	}
	id, err := c.Act.Ask(c.Context(), muster.Ask{County: c.county, Host: v.Host, Control: v.Control, Reason: v.Reason, Until: until}, c.Actor(c.Request))
	if err != nil {
		return muster.Ask{}, err
	}
	return c.Store.AskOf(c.Context(), id)
}

func (c *call) answerAsk(w http.ResponseWriter) (muster.Ask, error) {
	id, err := strconv.ParseInt(c.PathValue("ask"), 10, 64)
	if err != nil {
		return muster.Ask{}, fs.ErrNotExist
	}
	v, err := sent[AnswerTo](c, w)
	if err == nil {
		err = c.Act.Answer(c.Context(), id, v.State, v.Answer, c.Actor(c.Request))
	}
	if err != nil {
		return muster.Ask{}, err
	}
	return c.Store.AskOf(c.Context(), id)
}
