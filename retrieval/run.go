package retrieval

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Bounds of the background work.
const (
	firstBatch   = 8 // texts
	largestBatch = 64
	batchTime    = time.Second // what a batch should take
	firstRetry   = time.Second
	lastRetry    = 15 * time.Second
	setAside     = 10 * time.Minute // a text that the embedder refuses
	questionTime = 10 * time.Second // to embed a question
)

// engine is what is known of the embedder. Index.mu guards it.
type engine struct {
	verified bool   // its vectors are those of the space in force
	problem  string // why not, for the user
	failedAt time.Time
	retryAt  time.Time
	delay    time.Duration
}

// Run gives chunks their vectors until ctx ends, the newest source first. An
// embedder that fails is asked again; only a broken index.db ends Run early.
func (x *Index) Run(ctx context.Context) error {
	size, w := firstBatch, &windower{}
	for ctx.Err() == nil {
		if x.cfg.Embedder == nil {
			<-ctx.Done()
			break
		}
		next, idle, err := x.step(ctx, w, size)
		var engine engineError
		if err != nil && !errors.As(err, &engine) && ctx.Err() == nil {
			return err
		}
		size = next
		if idle || err != nil {
			x.rest(ctx)
		}
	}
	return nil
}

// step embeds one batch of up to size texts. It returns the size of the next one, and whether there is nothing to do.
func (x *Index) step(ctx context.Context, w *windower, size int) (next int, idle bool, err error) {
	if err := x.turns.wait(ctx); err != nil {
		return size, true, err
	}
	if err := x.ready(ctx); err != nil {
		return size, true, err
	}
	b, err := x.next(ctx, size)
	if err != nil {
		return size, true, err
	}
	if len(b.items) == 0 {
		return size, true, x.complete()
	}
	if err := x.pace(ctx, &b); err != nil {
		return size, true, err
	}
	start := time.Now()
	outcomes, err := w.embed(ctx, b.texts, func(ctx context.Context, texts []string) ([][]float32, error) {
		return x.embedPassages(ctx, texts, b.space.Dims)
	})
	if err != nil {
		x.failed(ctx, err)
		return size, true, err
	}
	next = resize(size, len(b.items), time.Since(start))
	if err := x.keepVectors(ctx, b, outcomes); err != nil {
		return size, true, err
	}
	x.tell(b.items)
	return next, false, nil
}

// pace waits for as long as the machine is to rest, and makes the batch as small as it should be.
func (x *Index) pace(ctx context.Context, b *batch) error {
	if x.cfg.Pace == nil {
		return nil
	}
	scale, err := x.cfg.Pace(ctx)
	if n := max(1, int(scale*float64(len(b.items)))); err == nil && n < len(b.items) {
		b.items, b.texts = b.items[:n], b.texts[:n]
	}
	return err
}

// resize brings the size of batches to what takes about batchTime.
func resize(size, texts int, took time.Duration) int {
	switch {
	case took > batchTime*3/2:
		return max(size/2, 1)
	case took < batchTime/2 && texts == size:
		return min(size*2, largestBatch)
	}
	return size
}

// complete drops the spaces before, if this one was being built.
func (x *Index) complete() error {
	x.mu.RLock()
	rebuilding := x.space.rebuilding
	x.mu.RUnlock()
	if !rebuilding {
		return nil
	}
	return x.dropOldSpaces()
}

// tell calls cfg.Embedded for the sources of texts.
func (x *Index) tell(texts []*text) {
	if x.cfg.Embedded == nil {
		return
	}
	x.mu.RLock()
	sources := map[string]bool{}
	for _, t := range texts {
		for _, r := range t.refs {
			sources[r.entry.source.ID] = true
		}
	}
	x.mu.RUnlock()
	for id := range sources {
		x.cfg.Embedded(id)
	}
}

// ready returns once the embedder was found to give vectors of the space in
// force, or why it does not. After a failure it does not ask again before
// its time.
func (x *Index) ready(ctx context.Context) error {
	select {
	case x.gate <- struct{}{}:
		defer func() { <-x.gate }()
	case <-ctx.Done():
		return ctx.Err()
	}
	x.mu.RLock()
	e := x.engine
	x.mu.RUnlock()
	if e.verified {
		return nil
	}
	if time.Now().Before(e.retryAt) {
		return engineError{errors.New(e.problem)}
	}
	if err := x.verify(ctx); err != nil {
		x.failed(ctx, err)
		return err
	}
	x.mu.Lock()
	x.engine = engine{verified: true}
	x.mu.Unlock()
	x.notify()
	return nil
}

// failed notes that the embedder did not do its work, unless it was ctx that
// ended, and wakes Run, which asks until the embedder is back.
func (x *Index) failed(ctx context.Context, err error) {
	var engine engineError
	if ctx.Err() != nil || !errors.As(err, &engine) {
		return
	}
	x.mu.Lock()
	e := &x.engine
	e.delay = min(max(2*e.delay, firstRetry), lastRetry)
	e.verified, e.problem, e.failedAt = false, engine.Error(), time.Now()
	e.retryAt = e.failedAt.Add(e.delay)
	x.mu.Unlock()
	x.rouse()
}

// notify wakes Run: there is something new to do. An embedder that failed is
// asked again soon, whatever its delay has grown to.
func (x *Index) notify() {
	x.mu.Lock()
	if soon := x.engine.failedAt.Add(firstRetry); soon.Before(x.engine.retryAt) {
		x.engine.retryAt = soon
	}
	x.mu.Unlock()
	x.rouse()
}

func (x *Index) rouse() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// rest waits until there may be something to do.
func (x *Index) rest(ctx context.Context) {
	var timer <-chan time.Time
	if at := x.nextTime(); !at.IsZero() {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-x.wake:
	case <-timer:
	}
}

// nextTime is when the embedder, or a text that was set aside, is to be tried again; zero for never.
func (x *Index) nextTime() time.Time {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if !x.engine.verified {
		return x.engine.retryAt
	}
	var first time.Time
	for _, e := range x.todo {
		for _, t := range e.texts {
			if t.windows == 0 && !t.retryAt.IsZero() && (first.IsZero() || t.retryAt.Before(first)) {
				first = t.retryAt
			}
		}
	}
	return first
}

// Prefer holds back the background embedding until done is called: a question
// is being answered on the same engine.
func (x *Index) Prefer() (done func()) { return x.turns.take() }

// turns counts those that go first.
type turns struct {
	mu    sync.Mutex
	held  int
	empty chan struct{} // closed when held falls to 0; nil while it is 0
}

func (t *turns) take() (done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held++; t.held == 1 {
		t.empty = make(chan struct{})
	}
	return sync.OnceFunc(t.give)
}

func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held--; t.held == 0 {
		close(t.empty)
		t.empty = nil
	}
}

// wait returns when nobody goes first.
func (t *turns) wait(ctx context.Context) error {
	for {
		t.mu.Lock()
		empty := t.empty
		t.mu.Unlock()
		if empty == nil {
			return ctx.Err()
		}
		select {
		case <-empty:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
