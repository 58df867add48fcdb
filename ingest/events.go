package ingest

import (
	"context"
	"sync"
)

// A bus hands events to whoever subscribed. It waits for nobody.
type bus struct {
	mu     sync.Mutex
	subs   map[chan Event]bool
	closed bool
}

// backlog is how many events a subscriber may lag behind.
const backlog = 1024

func newBus() *bus { return &bus{subs: map[chan Event]bool{}} }

// Subscribe returns the changes of documents from now on. The channel is
// closed when ctx ends, when the corpus is closed, or when its reader lags too
// far behind: it may subscribe anew and look at the list.
func (c *Corpus) Subscribe(ctx context.Context) <-chan Event {
	ch := make(chan Event, backlog)
	c.bus.add(ch)
	context.AfterFunc(ctx, func() { c.bus.cut(ch) })
	return ch
}

func (b *bus) add(ch chan Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		close(ch)
		return
	}
	b.subs[ch] = true
}

func (b *bus) cut(ch chan Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs[ch] {
		delete(b.subs, ch)
		close(ch)
	}
}

func (b *bus) send(d Document) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ch := range b.subs {
		select {
		case ch <- Event{Document: d}:
		default:
			delete(b.subs, ch)
			close(ch)
		}
	}
}

func (b *bus) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ch := range b.subs {
		close(ch)
	}
	b.subs, b.closed = nil, true
}
