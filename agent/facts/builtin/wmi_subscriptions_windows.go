package builtin

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// The tables of this file are what WMI runs when something happens, which
// malware likes to hide in. As not everybody sees all of it, they are denied
// without administrator rights.

func cliConsumersTable() facts.Table {
	return facts.Table{
		Name: "wmi_cli_event_consumers", Platforms: onWindows, Source: `WMI root\subscription`,
		Columns: columns("namespace text, name text, command_line_template text, executable_path text, class text, relative_path text"),
		Rows:    subscriptions("CommandLineEventConsumer", map[string]string{"command_line_template": "CommandLineTemplate", "executable_path": "ExecutablePath"}),
	}
}

func scriptConsumersTable() facts.Table {
	return facts.Table{
		Name: "wmi_script_event_consumers", Platforms: onWindows, Source: `WMI root\subscription`,
		Columns: columns(`namespace text, name text, scripting_engine text, script_file_name text, script_text text, class text,
			relative_path text`),
		Rows: subscriptions("ActiveScriptEventConsumer", map[string]string{"scripting_engine": "ScriptingEngine",
			"script_file_name": "ScriptFileName", "script_text": "ScriptText"}),
	}
}

func eventFiltersTable() facts.Table {
	return facts.Table{
		Name: "wmi_event_filters", Platforms: onWindows, Source: `WMI root\subscription`,
		Columns: columns("namespace text, name text, query text, query_language text, class text, relative_path text"),
		Rows:    subscriptions("__EventFilter", map[string]string{"query": "Query", "query_language": "QueryLanguage"}),
	}
}

// subscriptions lists the objects of a class in the namespaces where Windows
// has it. properties maps columns beside those that all have.
func subscriptions(class string, properties map[string]string) rowsFunc {
	return list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
		if !windows.GetCurrentProcessToken().IsElevated() {
			return nil, fmt.Errorf("list WMI subscriptions: %w", facts.ErrDenied)
		}
		namespaces := []string{`root\subscription`, `root\default`}
		var all []muster.Row
		for i, namespace := range namespaces {
			rows, err := wmiQuery(ctx, namespace, "SELECT * FROM "+class, func(o comObject) (muster.Row, error) {
				row := muster.Row{"namespace": namespace}
				for column, property := range properties {
					if !q.Used(column) {
						continue
					}
					var err error
					if row[column], err = o.get(property); err != nil {
						return nil, err
					}
				}
				return row, subscriptionIdentity(o, row)
			})
			// Only the first has every class.
			if i > 0 && errors.Is(err, facts.ErrUnavailable) {
				continue
			}
			if err != nil {
				return nil, err
			}
			all = append(all, rows...)
		}
		return all, nil
	})
}

func subscriptionIdentity(o comObject, row muster.Row) error {
	name, err := o.get("Name")
	if err != nil {
		return err
	}
	path, err := o.object("Path_")
	if err != nil {
		return err
	}
	defer path.Release()
	t, err := path.texts("Class", "RelPath")
	if err != nil {
		return err
	}
	row["name"], row["class"], row["relative_path"] = name, t[0], t[1]
	return nil
}
