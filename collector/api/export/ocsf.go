package export

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

// OCSFVersion that the events are of.
const OCSFVersion = "1.2.0"

// Class and category of every event.
const (
	classComplianceFinding = 2003
	categoryFindings       = 2
)

// Activities of a finding.
const (
	activityCreate = 1
	activityClose  = 3
)

type (
	ocsfEvent struct {
		ActivityID   int            `json:"activity_id"`
		ActivityName string         `json:"activity_name"`
		CategoryUID  int            `json:"category_uid"`
		CategoryName string         `json:"category_name"`
		ClassUID     int            `json:"class_uid"`
		ClassName    string         `json:"class_name"`
		TypeUID      int            `json:"type_uid"`
		Time         int64          `json:"time"`
		SeverityID   int            `json:"severity_id"`
		Severity     string         `json:"severity"`
		StatusID     int            `json:"status_id"`
		Status       string         `json:"status"`
		Message      string         `json:"message"`
		Metadata     ocsfMetadata   `json:"metadata"`
		FindingInfo  ocsfInfo       `json:"finding_info"`
		Compliance   ocsfCompliance `json:"compliance"`
		Remediation  *ocsfRemedy    `json:"remediation,omitempty"`
		Resource     ocsfResource   `json:"resource"`
		Device       ocsfDevice     `json:"device"`
		Unmapped     map[string]any `json:"unmapped"`
	}
	ocsfMetadata struct {
		Version  string      `json:"version"`
		UID      string      `json:"uid"`
		Product  ocsfProduct `json:"product"`
		Profiles []string    `json:"profiles"`
		Labels   []string    `json:"labels,omitempty"`
	}
	ocsfProduct struct {
		Name       string `json:"name"`
		VendorName string `json:"vendor_name"`
		Version    string `json:"version"`
	}
	ocsfInfo struct {
		UID        string `json:"uid"`
		Title      string `json:"title"`
		Desc       string `json:"desc,omitempty"`
		Created    int64  `json:"created_time"`
		LastSeen   int64  `json:"last_seen_time"`
		ProductUID string `json:"product_uid"`
	}
	ocsfCompliance struct {
		Control      string   `json:"control"`
		Standards    []string `json:"standards"`
		Requirements []string `json:"requirements,omitempty"`
		Status       string   `json:"status"`
		StatusID     int      `json:"status_id"`
		Detail       string   `json:"status_detail,omitempty"`
	}
	ocsfRemedy struct {
		Desc string `json:"desc"`
	}
	ocsfResource struct {
		UID  string `json:"uid"`
		Name string `json:"name"`
		Type string `json:"type"`
	}
	ocsfOS struct {
		Name   string `json:"name"`
		TypeID int    `json:"type_id"`
	}
	ocsfOrg struct {
		Name  string `json:"name"`
		OUUID string `json:"ou_uid"`
	}
	ocsfDevice struct {
		UID         string  `json:"uid"`
		Name        string  `json:"name"`
		Hostname    string  `json:"hostname,omitempty"`
		TypeID      int     `json:"type_id"`
		OS          ocsfOS  `json:"os"`
		Org         ocsfOrg `json:"org"`
		FirstSeen   int64   `json:"first_seen_time"`
		LastSeen    int64   `json:"last_seen_time"`
		IsCompliant bool    `json:"is_compliant"`
	}
)

// OCSF writes a compliance finding (class 2003) a line for each control on each host
// that has a verdict: passes too, so that what was open is closed at the other end.
func OCSF(ctx context.Context, out io.Writer, src Source, s Scope) error {
	w := bufio.NewWriterSize(out, 64<<10)
	lines := json.NewEncoder(w)
	err := eachCounty(ctx, src, s, func(_ muster.County, hosts []muster.HostStanding) error {
		for _, h := range hosts {
			findings, err := src.HostFindings(ctx, s.View, h.ID)
			if err != nil {
				return err
			}
			slices.SortFunc(findings, byHost)
			device := s.device(h)
			for _, f := range findings {
				if err := lines.Encode(s.event(h, f, device)); err != nil {
					return fmt.Errorf("write finding: %w", err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

func (s Scope) event(h muster.HostStanding, f muster.FindingStanding, device ocsfDevice) ocsfEvent {
	k := s.control(f.Control)
	since := sane(f.Since, h.LastSeen, s.View.At)
	e := ocsfEvent{CategoryUID: categoryFindings, CategoryName: "Findings", ClassUID: classComplianceFinding, ClassName: "Compliance Finding",
		Time: since.UnixMilli(), Compliance: s.compliance(h, f, k), Device: device,
		Resource: ocsfResource{string(h.ID), oneLine(h.Hostname), "host"},
		Message:  fmt.Sprintf("%s on %s: %s", f.Control, oneLine(h.Hostname), f.Status),
		Metadata: ocsfMetadata{Version: OCSFVersion, UID: uuid("event", string(h.ID), f.Control, since.Format(time.RFC3339Nano), s.View.At.UTC().Format(time.RFC3339Nano), string(s.View.Known)),
			Product: ocsfProduct{"Muster", "Muster", muster.Version}, Profiles: []string{"host"}},
		FindingInfo: ocsfInfo{UID: uuid("observation", string(h.ID), f.Control), Title: k.Title, Desc: k.Why, Created: since.UnixMilli(),
			LastSeen: sane(h.LastSeen, since).UnixMilli(), ProductUID: f.Control},
		Unmapped: map[string]any{"county": h.County, "profile": h.Profile, "report": h.Seq, "policy_revision": h.PolicyRevision,
			"stale": h.Stale, "as_of": s.View.At.UTC()},
	}
	if h.Demo {
		e.Metadata.Labels = []string{"invented"}
	}
	if remedy := k.RemedyOn(h.Platform); remedy != "" {
		e.Remediation = &ocsfRemedy{remedy}
	}
	e.ActivityID, e.ActivityName, e.StatusID, e.Status = activityCreate, "Create", 1, "New"
	e.SeverityID, e.Severity = 2+int(k.Severity), []string{"Low", "Medium", "High", "Critical"}[min(k.Severity, muster.SeverityCritical)]
	switch {
	case !heard(h):
	case f.Waiver != "":
		e.StatusID, e.Status = 3, "Suppressed"
		e.Unmapped["waiver"] = f.Waiver
	case f.Status == muster.StatusPass || f.Status == muster.StatusNotApplicable:
		e.ActivityID, e.ActivityName, e.StatusID, e.Status = activityClose, "Close", 4, "Resolved"
		e.SeverityID, e.Severity = 1, "Informational"
	}
	e.TypeUID = 100*classComplianceFinding + e.ActivityID
	return e
}

// compliance tells the verdict; that of a host that is silent is unknown.
func (s Scope) compliance(h muster.HostStanding, f muster.FindingStanding, k muster.Control) ocsfCompliance {
	c := ocsfCompliance{Control: f.Control, Standards: []string{"Minimum viable security baseline"}}
	for _, key := range slices.Sorted(maps.Keys(k.Maps)) {
		c.Standards = append(c.Standards, muster.StandardName(key))
		for _, id := range k.Maps[key] {
			c.Requirements = append(c.Requirements, muster.StandardName(key)+" "+id)
		}
	}
	switch {
	case !heard(h):
		c.StatusID, c.Status, c.Detail = 0, "Unknown", silence(h)+" The last was "+f.Status.String()+"."
	case f.Status == muster.StatusPass:
		c.StatusID, c.Status = 1, "Pass"
	case f.Status == muster.StatusFail:
		c.StatusID, c.Status = 3, "Fail"
	case f.Status == muster.StatusNotApplicable:
		c.StatusID, c.Status = 99, "Not applicable"
	default:
		c.StatusID, c.Status = 0, "Unknown"
	}
	return c
}

// hostname as OCSF wants it; others have a name only.
var hostname = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)

func (s Scope) device(h muster.HostStanding) ocsfDevice {
	d := ocsfDevice{UID: string(h.ID), Name: oneLine(h.Hostname), OS: ocsfOS{oneLine(string(h.Platform)), 0}, Org: ocsfOrg{oneLine(s.Site), string(h.County)},
		FirstSeen: sane(h.FirstSeen).UnixMilli(), LastSeen: sane(h.LastSeen).UnixMilli(), IsCompliant: h.Meets()}
	if hostname.MatchString(h.Hostname) {
		d.Hostname = h.Hostname
	}
	switch h.Platform {
	case muster.Windows:
		d.OS.TypeID = 100
	case muster.Linux:
		d.OS.TypeID = 200
	}
	if h.Profile == muster.Workstation {
		d.TypeID = 2 // desktop
	}
	return d
}
