package builtin

import (
	"context"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// dnsCacheEntry is what DnsGetCacheDataTable chains; Microsoft does not document it.
type dnsCacheEntry struct {
	next        *dnsCacheEntry
	name        *uint16
	kind, bytes uint16
	flags       uint32
}

// dnsCacheTable is the names that Windows' resolver remembers. Where its service
// does not run the table is unavailable. Anybody may ask; programs with a
// resolver of their own, as browsers have, are not seen.
func dnsCacheTable() facts.Table {
	return facts.Table{
		Name: "dns_cache", Platforms: onWindows, Source: "DNS Client service",
		Columns: columns("name text, type text, flags integer"),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			list := windows.NewLazySystemDLL("dnsapi.dll").NewProc("DnsGetCacheDataTable")
			// The chain is never freed: Windows does not say how, and this program ends soon.
			var head dnsCacheEntry
			if _, err := callBool(list, uintptr(unsafe.Pointer(&head))); err != nil {
				return nil, fmt.Errorf("list the DNS cache: %w: is the DNS Client service running? (%v)", facts.ErrUnavailable, err)
			}
			var rows []muster.Row
			for e := head.next; e != nil; e = e.next {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				rows = append(rows, muster.Row{"name": wide(e.name), "type": dnsType(e.kind), "flags": num(int32(e.flags))})
			}
			return rows, nil
		}),
	}
}
