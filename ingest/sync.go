package ingest

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// patience is how often a [Corpus.Sync] waits for files that go on changing,
// before it leaves them for another time.
const patience = 8

// Sync brings the index level with the folder once: it waits until what changed
// just now is quiet, and returns when no document is queued any more. It may be
// called beside [Corpus.Run]. report, which may be nil, is told of documents
// that change their state.
func (c *Corpus) Sync(ctx context.Context, report func(Document)) (Summary, error) {
	before := c.ledger.rows()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	g, inner := errgroup.WithContext(inner)
	if report != nil {
		events := c.Subscribe(inner) // before anything changes
		g.Go(func() error {
			for e := range events {
				report(e.Document)
			}
			return nil
		})
	}
	for range c.cfg.Workers {
		g.Go(func() error { return c.work(inner) })
	}
	g.Go(func() error {
		defer cancel()
		return c.converge(inner)
	})
	if err := g.Wait(); err != nil {
		return Summary{}, err
	}
	return c.summary(before), ctx.Err()
}

// converge looks at the folder until nothing is unsettled and the queue is empty.
func (c *Corpus) converge(ctx context.Context) error {
	if _, err := c.requeueDue(ctx); err != nil {
		return err
	}
	for range patience {
		next, err := c.scan(ctx, nil)
		if err != nil {
			return err
		}
		if err := c.drained(ctx); err != nil {
			return err
		}
		// A document that is queued and not in the queue waits for a look at its file.
		if next.IsZero() && !slices.ContainsFunc(c.ledger.rows(), func(r *row) bool { return r.Status == Queued }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(later(next, time.Now().Add(debounce/10)))):
		}
	}
	c.cfg.Log.Warn("some files go on changing; they are left for another time")
	return nil
}

// drained waits until the queue is empty and nobody works.
func (c *Corpus) drained(ctx context.Context) error {
	for {
		idle, bell := c.queue.idle()
		if idle {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-bell:
		}
	}
}

// summary compares what is with what was.
func (c *Corpus) summary(before []*row) Summary {
	s := Summary{Failed: []Document{}}
	was := map[string]bool{}
	for _, r := range before {
		was[r.ID] = r.searchable()
		there := func(path string) bool { _, known := c.ledger.entry(path); return known }
		if len(r.Paths) > 0 && c.ledger.row(r.ID) == nil && !slices.ContainsFunc(r.Paths, there) {
			s.Removed++
		}
	}
	for _, r := range c.ledger.listed() {
		switch {
		case r.Status == Failed:
			s.Failed = append(s.Failed, c.view(r))
		case r.searchable() && was[r.ID]:
			s.Unchanged++
		case r.searchable():
			s.Indexed++
		}
	}
	return s
}
