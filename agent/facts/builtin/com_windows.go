package builtin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/go-ole/go-ole"
	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
)

// keepCOM keeps COM up, once started, for the life of the process: to take it
// down after each reading and start it for the next costs time, and now and
// then hangs under Wine.
var keepCOM = sync.OnceFunc(func() {
	var cookie uintptr
	_ = callCode(windows.NewLazySystemDLL("ole32.dll").NewProc("CoIncrementMTAUsage"), uintptr(unsafe.Pointer(&cookie)))
})

// withCOM runs read on a thread of its own that has COM. When ctx is done
// before read is, its result is dropped; COM calls cannot be cut short.
func withCOM(ctx context.Context, read func() ([]muster.Row, error)) ([]muster.Row, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("wait for COM: %w", err)
	}
	type answer struct {
		rows []muster.Row
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		// After COM is closed: the next reading must not start while this one shuts down.
		var a answer
		defer func() { done <- a }()
		defer func() {
			if p := recover(); p != nil {
				a = answer{err: fmt.Errorf("ask over COM: %v", p)}
			}
		}()
		// S_FALSE (1) says that the thread had COM already, which is as good.
		if err := ole.CoInitializeEx(0, ole.COINIT_MULTITHREADED); err != nil && hresult(err) != 1 {
			a.err = failed("start COM", err)
			return
		}
		defer ole.CoUninitialize()
		keepCOM()
		a.rows, a.err = read()
	}()
	select {
	case a := <-done:
		return a.rows, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for COM: %w", ctx.Err())
	}
}

func hresult(err error) uintptr {
	if e, ok := err.(*ole.OleError); ok {
		return e.Code()
	}
	return 0
}

// comObject is an automation object; who gets one releases it.
type comObject struct{ *ole.IDispatch }

// newCOM makes an object of a class by its name.
func newCOM(class string) (comObject, error) {
	id, err := ole.CLSIDFromProgID(class)
	if err != nil {
		return comObject{}, failed("find the COM class "+class, err)
	}
	unknown, err := ole.CreateInstance(id, ole.IID_IUnknown)
	if err != nil {
		return comObject{}, failed("make the COM object "+class, err)
	}
	defer unknown.Release()
	d, err := unknown.QueryInterface(ole.IID_IDispatch)
	if err != nil {
		return comObject{}, failed("make the COM object "+class, err)
	}
	return comObject{d}, nil
}

// invoke reads a property or calls a method, which scripts do not tell apart
// either. The caller clears the result.
func (o comObject) invoke(name string, args ...any) (*ole.VARIANT, error) {
	v, err := o.InvokeWithOptionalArgs(name, ole.DISPATCH_METHOD|ole.DISPATCH_PROPERTYGET, args)
	if err != nil {
		return nil, failed("call "+name, err)
	}
	return v, nil
}

// get reads a property as text; NULL is "".
func (o comObject) get(name string) (string, error) {
	v, err := o.invoke(name)
	if err != nil {
		return "", err
	}
	defer v.Clear()
	return variantText(v), nil
}

// texts reads several properties.
func (o comObject) texts(names ...string) ([]string, error) {
	all := make([]string, len(names))
	for i, name := range names {
		var err error
		if all[i], err = o.get(name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// days reads a property that is a date, in days as OLE counts them.
func (o comObject) days(name string) (float64, error) {
	v, err := o.invoke(name)
	if err != nil {
		return 0, err
	}
	defer v.Clear()
	if v.VT != ole.VT_DATE {
		return 0, nil
	}
	return math.Float64frombits(uint64(v.Val)), nil
}

// object reads a property, or calls a method, that is an object itself.
func (o comObject) object(name string, args ...any) (comObject, error) {
	v, err := o.invoke(name, args...)
	if err != nil {
		return comObject{}, err
	}
	d := v.ToIDispatch()
	if d == nil {
		v.Clear()
		return comObject{}, fmt.Errorf("call %s: no object came back", name)
	}
	return comObject{d}, nil
}

// each calls f for every object of a collection and releases it after.
func (o comObject) each(f func(comObject) error) error {
	v, err := o.Invoke(ole.DISPID_NEWENUM, ole.DISPATCH_METHOD|ole.DISPATCH_PROPERTYGET)
	if err != nil {
		return failed("list a collection", err)
	}
	defer v.Clear()
	unknown := v.ToIUnknown()
	if unknown == nil {
		return errors.New("list a collection: it has no list")
	}
	list, err := unknown.IEnumVARIANT(ole.IID_IEnumVariant)
	if err != nil {
		return failed("list a collection", err)
	}
	defer list.Release()
	for {
		item, n, err := list.Next(1)
		if n == 0 {
			// S_FALSE (1) is the end of the list.
			if err != nil && hresult(err) != 1 {
				return failed("read a collection", err)
			}
			return nil
		}
		d := item.ToIDispatch()
		if d == nil {
			item.Clear()
			return errors.New("read a collection: an item is no object")
		}
		err = f(comObject{d})
		d.Release()
		if err != nil {
			return err
		}
	}
}

// variantText writes a value as osquery does: a truth as 1 or 0, a list joined
// by commas, NULL as "".
func variantText(v *ole.VARIANT) string {
	if v.VT&ole.VT_ARRAY != 0 {
		var all []string
		for _, item := range v.ToArray().ToValueArray() {
			all = append(all, valueText(item))
		}
		return strings.Join(all, ", ")
	}
	if v.VT == ole.VT_BOOL {
		return flag(int16(v.Val) != 0)
	}
	return valueText(v.Value())
}

func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return flag(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}
