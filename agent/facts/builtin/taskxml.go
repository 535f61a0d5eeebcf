package builtin

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// taskDefinition is what we read of a scheduled task's XML
// (http://schemas.microsoft.com/windows/2004/02/mit/task).
type taskDefinition struct {
	Hidden bool `xml:"Settings>Hidden"`
	Execs  []struct {
		Command   string `xml:"Command"`
		Arguments string `xml:"Arguments"`
		Folder    string `xml:"WorkingDirectory"`
	} `xml:"Actions>Exec"`
}

// parseTask reads a task's XML that is already text, whatever encoding its
// first line names.
func parseTask(text string) (taskDefinition, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var t taskDefinition
	if err := d.Decode(&t); err != nil {
		return t, fmt.Errorf("parse a scheduled task: %w", err)
	}
	return t, nil
}

// action writes the programs that the task starts as osquery does: folder,
// command and arguments with a space between, several joined by commas.
func (t taskDefinition) action() string {
	all := make([]string, len(t.Execs))
	for i, e := range t.Execs {
		all[i] = e.Folder + " " + e.Command + " " + e.Arguments
	}
	return strings.Join(all, ",")
}
