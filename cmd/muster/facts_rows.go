package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/cmd/muster/internal/output"
)

// present puts the statement's columns first, as far as an engine gave them,
// and then what else it gave.
func present(columns []string, rows []muster.Row) []string {
	if len(rows) == 0 {
		return columns
	}
	given := rows[0]
	list := slices.DeleteFunc(slices.Clone(columns), func(c string) bool { _, ok := given[c]; return !ok })
	var more []string
	for c := range given {
		if !slices.Contains(list, c) {
			more = append(more, c)
		}
	}
	slices.Sort(more)
	return append(list, more...)
}

// rowPrinter is the printer for a form of output.
func rowPrinter(cmd *cobra.Command, form string) (func(w io.Writer, columns []string, rows []muster.Row) error, error) {
	switch form {
	case "table":
		return printTable, nil
	case "line":
		return printLines, nil
	case "csv":
		return printCSV, nil
	case "json":
		return printJSON, nil
	}
	return nil, usage(cmd, fmt.Errorf("output %q is not known: use table, line, csv or json", form))
}

func printTable(w io.Writer, columns []string, rows []muster.Row) error {
	if len(rows) == 0 {
		return nil
	}
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = utf8.RuneCountInString(c)
		for _, r := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(output.Clean(r[c])))
		}
	}
	var b bytes.Buffer
	line := func(left, fill string, cell func(i int) string) {
		for i, width := range widths {
			text := cell(i)
			b.WriteString(left + fill + text + strings.Repeat(fill, width-utf8.RuneCountInString(text)+1))
		}
		b.WriteString(left + "\n")
	}
	rule := func() { line("+", "-", func(int) string { return "" }) }
	rule()
	line("|", " ", func(i int) string { return columns[i] })
	rule()
	for _, r := range rows {
		line("|", " ", func(i int) string { return output.Clean(r[columns[i]]) })
	}
	rule()
	_, err := b.WriteTo(w)
	return err
}

func printLines(w io.Writer, columns []string, rows []muster.Row) error {
	width := 0
	for _, c := range columns {
		width = max(width, utf8.RuneCountInString(c))
	}
	var b bytes.Buffer
	for i, r := range rows {
		if i > 0 {
			b.WriteByte('\n')
		}
		for _, c := range columns {
			fmt.Fprintf(&b, "%*s = %s\n", width, c, output.Clean(r[c]))
		}
	}
	_, err := b.WriteTo(w)
	return err
}

func printCSV(w io.Writer, columns []string, rows []muster.Row) error {
	c := csv.NewWriter(w)
	lines := [][]string{columns}
	for _, r := range rows {
		var line []string
		for _, name := range columns {
			line = append(line, r[name])
		}
		lines = append(lines, line)
	}
	return c.WriteAll(lines)
}

func printJSON(w io.Writer, _ []string, rows []muster.Row) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(append([]muster.Row{}, rows...))
}
