package ingest

import (
	"context"
	"errors"
	"sync"
)

// An easel draws the next page while the engine reads the one before: on two
// cores the drawing costs no time then.
type easel struct {
	scans *scans
	page  int // that is being drawn, 0 for none
	drawn chan drawing
	busy  sync.WaitGroup
}

type drawing struct {
	image []byte
	err   error
}

// start begins to draw page n, of which the result waits for take.
func (e *easel) start(ctx context.Context, n int) {
	drawn := make(chan drawing, 1)
	e.page, e.drawn = n, drawn
	e.busy.Go(func() {
		image, err := e.scans.draw(ctx, n)
		drawn <- drawing{image, err}
	})
}

// take returns page n, if its document still waits for it. A page that was drawn
// ahead while its file moved is drawn again.
func (e *easel) take(ctx context.Context, n int) ([]byte, error) {
	if e.page != n {
		return e.scans.draw(ctx, n)
	}
	d := <-e.drawn
	e.page = 0
	switch r := e.scans.corpus.ledger.row(e.scans.id); {
	case r == nil || r.Status != Queued:
		return nil, errGone
	case errors.Is(d.err, errGone):
		return e.scans.draw(ctx, n)
	}
	return d.image, d.err
}

// wait waits until nothing is drawn any more.
func (e *easel) wait() { e.busy.Wait() }
