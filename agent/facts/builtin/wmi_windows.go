package builtin

import (
	"context"
	"strings"

	"github.com/go-ole/go-ole/oleutil"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

const cimv2 = `root\cimv2`

// wmiTable is a table that is one WMI class: the columns are its properties.
type wmiTable struct {
	name, columns    string
	namespace, class string
	// properties maps a column to its WMI property.
	properties map[string]string
	// where is a column that the query may fix; it is handed on to WMI, which
	// is much faster for classes that are slow to list.
	where string
	// finish completes a row from the object, by asking its methods.
	finish func(o comObject, q facts.Query, row muster.Row) error
}

func (t wmiTable) table() facts.Table {
	return facts.Table{
		Name: t.name, Platforms: onWindows, Source: "WMI " + t.class, Columns: columns(t.columns),
		Rows: list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
			wql := "SELECT * FROM " + t.class
			if value, ok := q.Equals(t.where); ok && t.where != "" {
				wql += " WHERE " + t.properties[t.where] + " = " + wqlString(value)
			}
			return wmiQuery(ctx, t.namespace, wql, func(o comObject) (muster.Row, error) {
				row := muster.Row{}
				for column, property := range t.properties {
					if !q.Used(column) {
						continue
					}
					var err error
					if row[column], err = o.get(property); err != nil {
						return nil, err
					}
				}
				if t.finish == nil {
					return row, nil
				}
				return row, t.finish(o, q, row)
			})
		}),
	}
}

// wmiQuery runs a WQL statement and makes a row of each object that comes back.
func wmiQuery(ctx context.Context, namespace, wql string, row func(comObject) (muster.Row, error)) ([]muster.Row, error) {
	return withCOM(ctx, func() ([]muster.Row, error) {
		locator, err := newCOM("WbemScripting.SWbemLocator")
		if err != nil {
			return nil, err
		}
		defer locator.Release()
		service, err := locator.object("ConnectServer", ".", namespace)
		if err != nil {
			return nil, failed("connect to WMI "+namespace, err)
		}
		defer service.Release()
		service.askEncrypted()
		// 48 is wbemFlagReturnImmediately and wbemFlagForwardOnly: no copy of all objects is kept.
		set, err := service.object("ExecQuery", wql, "WQL", 48)
		if err != nil {
			return nil, failed("ask WMI "+wql, err)
		}
		defer set.Release()
		var rows []muster.Row
		err = set.each(func(o comObject) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			r, err := row(o)
			rows = append(rows, r)
			return err
		})
		if err != nil {
			return nil, failed("ask WMI "+wql, err)
		}
		return rows, nil
	})
}

// askEncrypted asks for encrypted calls as the user of this process, which the
// namespaces of BitLocker and the TPM require. Where that cannot be set, their
// refusal tells.
func (o comObject) askEncrypted() {
	security, err := o.object("Security_")
	if err != nil {
		return
	}
	defer security.Release()
	for property, level := range map[string]int{"ImpersonationLevel": 3, "AuthenticationLevel": 6} {
		if v, err := oleutil.PutProperty(security.IDispatch, property, level); err == nil {
			v.Clear()
		}
	}
}

// ask runs a WMI method without arguments and reads one of its results.
func (o comObject) ask(method, result string) (string, error) {
	out, err := o.object("ExecMethod_", method)
	if err != nil {
		return "", failed("ask "+method, err)
	}
	defer out.Release()
	return out.get(result)
}

// wqlString quotes a text for WQL.
func wqlString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
