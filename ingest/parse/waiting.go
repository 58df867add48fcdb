package parse

import (
	"context"
	"sync"
	"time"
)

// A Wait is why the work on a document stands still although nothing is wrong.
type Wait string

// The reasons for a wait.
const (
	ForTurn Wait = "turn" // a question, or another engine, has the memory
	ForRest Wait = "rest" // the machine is hot, or on battery
)

// noticeAfter is how long a wait lasts before it is told of: the usual pauses between two pages are shorter.
const noticeAfter = 2 * time.Second

type waitKey struct{}

// WithWaits returns a context that has tell told when work under it begins to
// wait, and for what; and when it goes on, with "".
func WithWaits(ctx context.Context, tell func(Wait)) context.Context {
	return context.WithValue(ctx, waitKey{}, tell)
}

// Waiting returns what f does, which may wait for something. If it does for
// long, who asked for it (see [WithWaits]) is told.
func Waiting(ctx context.Context, why Wait, f func() error) error {
	tell, ok := ctx.Value(waitKey{}).(func(Wait))
	if !ok {
		return f()
	}
	over := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		notice := time.NewTimer(noticeAfter)
		defer notice.Stop()
		select {
		case <-over:
		case <-notice.C:
			tell(why)
			<-over
			tell("")
		}
	})
	defer watch.Wait()
	defer close(over)
	return f()
}
