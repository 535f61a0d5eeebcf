package web

import (
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
)

// hands is how many questions one page has open at the same time.
const hands = 4

// atOnce does the numbered things, some at the same time, waits for all, and gives the
// first error. A panic is an error too: here, unlike in a handler, it would end the
// collector and not one answer.
func atOnce(n int, do func(i int) error) error {
	var all errgroup.Group
	all.SetLimit(hands)
	for i := range n {
		all.Go(func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				}
			}()
			return do(i)
		})
	}
	return all.Wait()
}
