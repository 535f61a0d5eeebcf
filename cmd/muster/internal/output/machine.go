package output

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// writeJSON prints muster.Audit; no list in it is ever null.
func writeJSON(w io.Writer, v View) error {
	a := *v.Audit
	a.Findings = make([]muster.Finding, len(v.Audit.Findings))
	for i, f := range v.Audit.Findings {
		f.Violations = notNil(f.Violations)
		f.Notes = notNil(f.Notes)
		f.Facts = notNil(f.Facts)
		a.Findings[i] = f
	}
	return encodeJSON(w, a)
}

func encodeJSON(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(value)
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// writeCSV writes RFC 4180, one row a finding.
func writeCSV(w io.Writer, v View) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	row := func(fields ...string) {
		for i, f := range fields {
			fields[i] = defuse(f)
		}
		c.Write(fields) // the first error comes back from c.Error
	}
	row("host", "profile", "platform", "audited_at", "policy", "control", "title", "severity", "status",
		"waiver", "reason", "violations", "notes", "remedy")
	a := v.Audit
	for _, f := range a.Findings {
		var waiver string
		if f.Waiver != nil {
			waiver = f.Waiver.ID
		}
		row(a.Host, string(a.Profile), string(a.Platform), a.AuditedAt.UTC().Format(time.RFC3339), a.Policy.Revision,
			f.Control, f.Title, f.Severity.String(), f.Status.String(),
			waiver, f.Reason, evidence(f), strings.Join(f.Notes, "; "), f.Remedy)
	}
	c.Flush()
	return c.Error()
}

// defuse keeps a spreadsheet from reading text of the host as a formula.
func defuse(s string) string {
	s = Clean(s)
	if s = strings.TrimLeft(s, " "); s != "" && strings.ContainsRune("=+-@|%", rune(s[0])) {
		return "'" + s
	}
	return s
}

func evidence(f muster.Finding) string {
	lines := make([]string, len(f.Violations))
	for i, v := range f.Violations {
		lines[i] = found(v)
	}
	return strings.Join(lines, "; ")
}

type junitSuites struct {
	XMLName struct{} `xml:"testsuites"`
	junitCounts
	Suite junitSuite `xml:"testsuite"`
}

type junitCounts struct {
	Name     string `xml:"name,attr"`
	Tests    int    `xml:"tests,attr"`
	Failures int    `xml:"failures,attr"`
	Errors   int    `xml:"errors,attr"`
	Time     string `xml:"time,attr"` // seconds
}

type junitSuite struct {
	junitCounts
	Skipped   int         `xml:"skipped,attr"` // not allowed at the root
	Hostname  string      `xml:"hostname,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitMessage `xml:"failure"`
	Error   *junitMessage `xml:"error"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// writeJUnit follows Jenkins' junit-10.xsd. It maps fail to failure and unknown to error: an error is what a
// build server shows when a test could not be run. Waived is skipped.
func writeJUnit(w io.Writer, v View) error {
	a := v.Audit
	suite := junitSuite{Hostname: a.Host, Timestamp: a.AuditedAt.UTC().Format("2006-01-02T15:04:05")}
	suite.Name = "muster " + string(a.Profile)
	var asked time.Duration
	for _, r := range v.Results {
		asked += r.Duration
	}
	suite.Time = seconds(asked)
	for _, f := range a.Findings {
		suite.add(f, v)
	}
	doc := junitSuites{junitCounts: suite.junitCounts, Suite: suite}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// add adds a case. Its time is that of its facts, which others may share.
func (s *junitSuite) add(f muster.Finding, v View) {
	var asked time.Duration
	for _, name := range f.Facts {
		asked += v.Results[name].Duration
	}
	c := junitCase{Class: f.Control, Name: f.Title, Time: seconds(asked)}
	severity := f.Severity.String()
	s.Tests++
	switch {
	case f.Status == muster.StatusPass:
	case f.Status == muster.StatusNotApplicable:
		s.Skipped++
		c.Skipped = &junitMessage{Message: "not applicable: " + f.Reason}
	case f.Waiver != nil:
		s.Skipped++
		c.Skipped = &junitMessage{Message: fmt.Sprintf("%s, waived until %s: %s", f.Status, f.Waiver.Expires.UTC().Format(time.DateOnly), f.Waiver.Reason)}
	case f.Status == muster.StatusFail:
		s.Failures++
		c.Failure = &junitMessage{evidence(f), severity, f.Remedy}
	default:
		s.Errors++
		c.Error = &junitMessage{"unknown: " + f.Reason, severity, v.toKnow(f)}
	}
	s.Cases = append(s.Cases, c)
}
