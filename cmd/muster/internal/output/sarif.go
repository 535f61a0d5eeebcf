package output

import (
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

const sarifSchema = "https://json.schemastore.org/sarif-2.1.0.json"

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver sarifDriver `json:"driver"`
	} `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string          `json:"id"`
	ShortDescription sarifText       `json:"shortDescription"`
	FullDescription  *sarifText      `json:"fullDescription,omitempty"`
	Help             sarifText       `json:"help"`
	Configuration    sarifConfig     `json:"defaultConfiguration"`
	Properties       sarifProperties `json:"properties"`
}

type sarifConfig struct {
	Level string `json:"level"`
}

type sarifProperties struct {
	Severity string   `json:"severity"`
	Tags     []string `json:"tags"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifInvocation struct {
	ExecutionSuccessful bool   `json:"executionSuccessful"`
	EndTimeUTC          string `json:"endTimeUtc"`
	Machine             string `json:"machine"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    int                `json:"ruleIndex"`
	Kind         string             `json:"kind"`
	Level        string             `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
}

type sarifLocation struct {
	LogicalLocations []sarifLogical `json:"logicalLocations"`
}

type sarifLogical struct {
	FullyQualifiedName string `json:"fullyQualifiedName"`
	Kind               string `json:"kind"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

// writeSARIF maps unknown to the kind "open", SARIF's word for a rule whose
// outcome could not be decided. Only a fail has a level (SARIF 2.1.0, 3.27.10).
func writeSARIF(w io.Writer, v View) error {
	a := v.Audit
	run := sarifRun{
		Invocations: []sarifInvocation{{true, a.AuditedAt.UTC().Format(time.RFC3339), a.Host}},
		Results:     []sarifResult{},
	}
	driver := &run.Tool.Driver
	*driver = sarifDriver{Name: "muster", Version: muster.Version, Rules: []sarifRule{}}
	for i, f := range a.Findings {
		driver.Rules = append(driver.Rules, v.sarifRule(f))
		run.Results = append(run.Results, v.sarifResult(i, f))
	}
	return encodeJSON(w, sarifLog{sarifSchema, "2.1.0", []sarifRun{run}})
}

func (v View) sarifRule(f muster.Finding) sarifRule {
	r := sarifRule{
		ID: f.Control, ShortDescription: sarifText{f.Title}, Help: sarifText{f.Remedy},
		Configuration: sarifConfig{sarifLevel(f.Severity)},
		Properties:    sarifProperties{f.Severity.String(), []string{}},
	}
	if c, ok := v.Controls[f.Control]; ok {
		r.FullDescription = &sarifText{c.Why}
		for _, key := range slices.Sorted(maps.Keys(c.Maps)) {
			r.Properties.Tags = append(r.Properties.Tags, key+" "+strings.Join(c.Maps[key], ", "))
		}
	}
	return r
}

func (v View) sarifResult(i int, f muster.Finding) sarifResult {
	r := sarifResult{
		RuleID: f.Control, RuleIndex: i, Kind: "open", Level: "none",
		Message:   sarifText{"Unknown: " + f.Reason},
		Locations: []sarifLocation{{[]sarifLogical{{v.Audit.Host, "resource"}}}},
	}
	switch f.Status {
	case muster.StatusPass:
		r.Kind, r.Message.Text = "pass", f.Title
	case muster.StatusNotApplicable:
		r.Kind, r.Message.Text = "notApplicable", "Not applicable: "+f.Reason
	case muster.StatusFail:
		r.Kind, r.Level, r.Message.Text = "fail", sarifLevel(f.Severity), evidence(f)
	}
	if f.Waiver != nil && r.Kind != "pass" && r.Kind != "notApplicable" {
		r.Suppressions = []sarifSuppression{{"external", "accepted", f.Waiver.Reason}}
	}
	return r
}

func sarifLevel(s muster.Severity) string {
	switch s {
	case muster.SeverityLow:
		return "note"
	case muster.SeverityMedium:
		return "warning"
	}
	return "error"
}
