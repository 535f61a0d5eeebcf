package export

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/passmuster/muster"
)

// OSCALVersion that the assessment results are of.
const OSCALVersion = "1.0.6"

// namespace of the properties that are Muster's own.
const namespace = "https://github.com/passmuster/muster/ns/oscal"

type (
	oscalProp struct {
		Name  string `json:"name"`
		NS    string `json:"ns"`
		Value string `json:"value"`
	}
	oscalItem struct {
		UUID        string      `json:"uuid"`
		Description string      `json:"description"`
		Props       []oscalProp `json:"props"`
	}
	oscalSubject struct {
		UUID  string `json:"subject-uuid"`
		Type  string `json:"type"`
		Title string `json:"title"`
	}
	oscalEvidence struct {
		Href        string `json:"href"`
		Description string `json:"description"`
	}
	oscalObservation struct {
		UUID        string          `json:"uuid"`
		Title       string          `json:"title"`
		Description string          `json:"description"`
		Props       []oscalProp     `json:"props"`
		Methods     []string        `json:"methods"`
		Types       []string        `json:"types"`
		Subjects    []oscalSubject  `json:"subjects"`
		Evidence    []oscalEvidence `json:"relevant-evidence,omitempty"`
		Collected   time.Time       `json:"collected"`
	}
	oscalStatus struct {
		State   string `json:"state"`
		Reason  string `json:"reason"`
		Remarks string `json:"remarks,omitempty"`
	}
	oscalTarget struct {
		Type   string      `json:"type"`
		ID     string      `json:"target-id"`
		Status oscalStatus `json:"status"`
	}
	oscalRelated struct {
		UUID string `json:"observation-uuid"`
	}
	oscalFinding struct {
		UUID        string         `json:"uuid"`
		Title       string         `json:"title"`
		Description string         `json:"description"`
		Props       []oscalProp    `json:"props"`
		Target      oscalTarget    `json:"target"`
		Related     []oscalRelated `json:"related-observations,omitempty"`
	}
	oscalControl struct {
		ID string `json:"control-id"`
	}
)

func prop(name, value string) oscalProp { return oscalProp{name, namespace, oneLine(value)} }

func count(name string, n int) oscalProp { return prop(name, strconv.Itoa(n)) }

// results is an export on its way.
type results struct {
	Scope
	src Source
	w   *stream
	// hosts in the order in which they were told, and by control those of them that do
	// not meet it: numbers, because of a whole state there are millions.
	hosts  []muster.HostID
	unmet  map[string][]int32
	counts map[string]*muster.ControlStanding
	silent int
}

// OSCAL writes assessment results: an inventory item for each host, an observation for
// each fail and unknown on one, and a finding for each control.
//
// A control is satisfied where every host was heard from and none fails it or is
// unknown, waived or not. How many hosts pass is, in a view with KnownNow, as of the
// end of the day before.
func OSCAL(ctx context.Context, out io.Writer, src Source, s Scope) error {
	r := &results{Scope: s, src: src, w: newStream(out), unmet: map[string][]int32{}, counts: map[string]*muster.ControlStanding{}}
	at, known := s.View.At.UTC(), string(s.View.Known)
	doc := []string{s.Site, string(s.County), at.Format(time.RFC3339Nano), known}
	plan := uuid("plan", s.Site)

	standing, err := src.Controls(ctx, s.View, s.County)
	if err != nil {
		return err
	}
	slices.SortFunc(standing, func(a, b muster.ControlStanding) int { return strings.Compare(a.Control, b.Control) })
	counties, err := src.Counties(ctx, s.View)
	if err != nil {
		return err
	}

	w := r.w
	w.open("", '{')
	w.open("assessment-results", '{')
	w.field("uuid", uuid(append([]string{"results"}, doc...)...))
	w.field("metadata", map[string]any{
		"title": "Minimum viable security of " + s.name(), "last-modified": at, "version": at.Format(time.RFC3339Nano),
		"oscal-version": OSCALVersion,
		"parties":       []map[string]string{{"uuid": uuid("site", s.Site), "type": "organization", "name": oneLine(s.Site)}},
	})
	w.field("import-ap", map[string]string{"href": "#" + plan})
	w.open("results", '[')
	w.open("", '{')
	w.field("uuid", uuid(append([]string{"result"}, doc...)...))
	w.field("title", "Minimum viable security of "+s.name())
	w.field("description", describe(s.View))
	w.field("start", at)
	w.field("end", at)
	w.field("props", r.standing(counties))
	if err := r.inventory(ctx); err != nil {
		return err
	}
	w.field("reviewed-controls", map[string]any{"control-selections": []any{r.reviewed(standing)}})
	if err := r.observations(ctx); err != nil {
		return err
	}
	r.findings(standing)
	w.close('}')
	w.close(']')
	w.field("back-matter", map[string]any{"resources": []map[string]string{{"uuid": plan, "title": "The minimum viable security baseline",
		"description": "Every control that the state's signed policy asks of a computer, judged on the computer itself and reported under its signature."}}})
	w.close('}')
	w.close('}')
	return w.flush()
}

func describe(v muster.View) string {
	if v.Known == muster.KnownNow {
		return "What is known now about " + v.At.UTC().Format(time.RFC3339) + ", by reports that were made by then, whenever they came."
	}
	return "As it was shown at " + v.At.UTC().Format(time.RFC3339) + ", by reports that had come by then."
}

// standing counts hosts as the dashboard does.
func (r *results) standing(counties []muster.CountyStanding) []oscalProp {
	var sum muster.CountyStanding
	for _, c := range counties {
		if r.County == "" || c.County == r.County {
			sum.Add(c)
		}
	}
	return []oscalProp{count("hosts", sum.Hosts), count("meeting", sum.Meeting), count("failing", sum.Failing), count("unknown", sum.Unknown),
		count("stale", sum.Stale), count("pending", sum.Pending), count("missing", sum.Missing), count("invented", sum.Invented)}
}

func (r *results) inventory(ctx context.Context) error {
	r.w.open("local-definitions", '{')
	items := r.w.list("inventory-items")
	err := eachCounty(ctx, r.src, r.Scope, func(county muster.County, hosts []muster.HostStanding) error {
		for _, h := range hosts {
			item := oscalItem{uuid("host", string(h.ID)), "Computer " + oneLine(h.Hostname) + " of county " + string(county), []oscalProp{
				prop("host-id", string(h.ID)), prop("hostname", h.Hostname), prop("county", string(county)), prop("profile", string(h.Profile)),
				prop("platform", string(h.Platform)), prop("agent", h.Agent)}}
			if h.Demo {
				item.Props = append(item.Props, prop("invented", "true"))
			}
			items.add(item)
		}
		return r.w.err
	})
	items.end()
	r.w.close('}')
	return err
}

func (r *results) reviewed(standing []muster.ControlStanding) any {
	var ids []oscalControl
	for _, k := range standing {
		ids = append(ids, oscalControl{token(k.Control)})
	}
	if ids == nil {
		return map[string]any{"include-all": map[string]any{}}
	}
	return map[string]any{"include-controls": ids}
}

// observations are the fails and unknowns of hosts that were heard from, and the
// silence of the others.
func (r *results) observations(ctx context.Context) error {
	list := r.w.list("observations")
	defer list.end()
	return eachCounty(ctx, r.src, r.Scope, func(county muster.County, hosts []muster.HostStanding) error {
		findings, err := r.src.CountyFindings(ctx, r.View, county)
		if err != nil {
			return err
		}
		slices.SortFunc(findings, byHost)
		for _, h := range hosts {
			number := int32(len(r.hosts))
			r.hosts = append(r.hosts, h.ID)
			subject := []oscalSubject{{uuid("host", string(h.ID)), "inventory-item", oneLine(h.Hostname)}}
			if !heard(h) {
				r.silent++
				list.add(oscalObservation{UUID: uuid("silence", string(h.ID)), Title: oneLine(h.Hostname) + " is silent", Description: silence(h),
					Props: []oscalProp{prop("status", "stale")}, Methods: []string{"TEST"}, Types: []string{"historic"}, Subjects: subject,
					Collected: sane(h.LastSeen, r.View.At)})
				continue
			}
			first, _ := slices.BinarySearchFunc(findings, h.ID, func(f muster.FindingStanding, id muster.HostID) int { return cmp.Compare(f.Host, id) })
			for _, f := range findings[first:] {
				if f.Host != h.ID {
					break
				}
				r.count(f)
				r.unmet[f.Control] = append(r.unmet[f.Control], number)
				list.add(r.observation(h, f, subject))
			}
		}
		return r.w.err
	})
}

func (r *results) count(f muster.FindingStanding) {
	k := r.counts[f.Control]
	if k == nil {
		k = &muster.ControlStanding{Control: f.Control}
		r.counts[f.Control] = k
	}
	switch {
	case f.Waiver != "":
		k.Waived++
	case f.Status == muster.StatusFail:
		k.Fail++
	default:
		k.Unknown++
	}
}

func (r *results) observation(h muster.HostStanding, f muster.FindingStanding, subject []oscalSubject) oscalObservation {
	o := oscalObservation{UUID: uuid("observation", string(h.ID), f.Control), Title: f.Control + " on " + oneLine(h.Hostname),
		Description: fmt.Sprintf("The status of %s is %s since %s.", f.Control, f.Status, day(f.Since)),
		Props:       []oscalProp{prop("status", f.Status.String()), prop("severity", r.control(f.Control).Severity.String())},
		Methods:     []string{"TEST"}, Types: []string{"finding"}, Subjects: subject, Collected: sane(h.CollectedAt, h.LastSeen, r.View.At),
		Evidence: []oscalEvidence{{fmt.Sprintf("/api/v1/hosts/%s/reports/%d", h.ID, h.Seq), "The report that the computer signed"}}}
	if f.Waiver != "" {
		o.Props = append(o.Props, prop("waiver", f.Waiver))
	}
	return o
}

// findings are the controls that are asked of any host.
func (r *results) findings(standing []muster.ControlStanding) {
	list := r.w.list("findings")
	defer list.end()
	for _, k := range standing {
		if n := r.counts[k.Control]; n != nil {
			k.Fail, k.Unknown, k.Waived = n.Fail, n.Unknown, n.Waived
		} else {
			k.Fail, k.Unknown, k.Waived = 0, 0, 0
		}
		if k.Pass+k.Fail+k.Unknown+k.Waived == 0 {
			continue
		}
		c := r.control(k.Control)
		f := oscalFinding{UUID: uuid("finding", r.Site, string(r.County), k.Control), Title: cmp.Or(c.Title, k.Control), Description: cmp.Or(c.Why, c.Title, k.Control),
			Props: []oscalProp{prop("severity", c.Severity.String()), count("pass", k.Pass), count("fail", k.Fail), count("unknown", k.Unknown),
				count("not-applicable", k.NotApplicable), count("waived", k.Waived), count("silent", r.silent)},
			Target: oscalTarget{"objective-id", token(k.Control), r.judge(k)}}
		for _, n := range r.unmet[k.Control] {
			f.Related = append(f.Related, oscalRelated{uuid("observation", string(r.hosts[n]), k.Control)})
		}
		list.add(f)
	}
}

// judge says whether a control is satisfied. What is not known is not.
func (r *results) judge(k muster.ControlStanding) oscalStatus {
	switch {
	case k.Fail > 0:
		return oscalStatus{"not-satisfied", "fail", fmt.Sprintf("It fails on %d computers.", k.Fail)}
	case k.Unknown > 0:
		return oscalStatus{"not-satisfied", "other", fmt.Sprintf("It fails nowhere, and is unknown on %d computers.", k.Unknown)}
	case k.Waived > 0:
		return oscalStatus{"not-satisfied", "other", "Every computer that does not meet it has a waiver."}
	case r.silent > 0:
		return oscalStatus{"not-satisfied", "other", fmt.Sprintf("It fails nowhere, but %d computers are silent.", r.silent)}
	}
	return oscalStatus{"satisfied", "pass", ""}
}

// token makes a name that XML allows of a control's id.
func token(id string) string {
	id = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, strings.ToValidUTF8(id, "_"))
	if first := []rune(id + "_")[0]; !unicode.IsLetter(first) && first != '_' {
		return "_" + id
	}
	return cmp.Or(id, "_")
}
