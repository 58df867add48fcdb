package ingest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Retry queues a document once more that failed, of which parts are missing, or of which OCR read pages badly, and
// returns it. What was read well is not read again. One that is whole is returned as it is.
func (c *Corpus) Retry(ctx context.Context, id string) (Document, error) {
	return c.requeue(ctx, id, func(r *row) (bool, error) {
		whole := r.Status == Ready && len(r.Doubtful) == 0
		return !whole, c.scans.again(id, r.Doubtful)
	})
}

// Reread queues a document to be read from its beginning with the engines, languages and models that there are now,
// also what was read well, and returns it. Until that is done it answers with what was read before.
func (c *Corpus) Reread(ctx context.Context, id string) (Document, error) {
	return c.requeue(ctx, id, func(*row) (bool, error) {
		return true, errors.Join(c.scans.again(id, c.scans.pages(id)), c.hearAgain(id))
	})
}

// requeue queues a document that is at its end if want says so, which also prepares it.
func (c *Corpus) requeue(ctx context.Context, id string, want func(*row) (bool, error)) (Document, error) {
	c.change.Lock()
	defer c.change.Unlock()
	ch := c.ledger.begin()
	r := ch.row(id)
	switch {
	case r == nil:
		return Document{}, ErrNotFound
	case r.Status != Failed && !r.searchable():
		return c.view(r), nil
	}
	switch again, err := want(r); {
	case err != nil:
		return Document{}, err
	case !again:
		return c.view(r), nil
	case r.unread():
		at := now()
		p := *r.Error
		r.Error, p.RetryAt = &p, &at
		defer c.hint()
	default:
		r.Status, r.Error, r.Attempts, r.Retries = Queued, nil, 0, 0
	}
	r.Updated = now()
	ch.put(r)
	if err := c.apply(ctx, ch, "retried"); err != nil {
		return Document{}, err
	}
	return c.Get(id)
}

// pages are those of a document of which something is kept.
func (s *scanCache) pages(id string) (pages []int) {
	files, _ := os.ReadDir(filepath.Join(s.dir, id)) // there is none where nothing is kept
	for _, file := range files {
		if n, err := strconv.Atoi(strings.TrimSuffix(file.Name(), ".json")); err == nil {
			pages = append(pages, n)
		}
	}
	return pages
}

// hearAgain has a recording heard from its beginning. What was heard of it stays until it is heard anew, if anything can do that.
func (c *Corpus) hearAgain(id string) error {
	h := c.readHearing(id)
	if c.cfg.Speech == nil || !h.Whole && h.HeardS == 0 {
		return nil
	}
	h.HeardS, h.Whole, h.Language, h.Unread = 0, false, "", nil
	return c.writeHearing(id, h)
}
