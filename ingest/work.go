package ingest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/retrieval"
)

// work takes documents from the queue until ctx ends.
func (c *Corpus) work(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := c.rest(ctx); err != nil {
			return nil //nolint:nilerr // it fails only with ctx: what waits stays queued
		}
		id, bell := c.queue.claim()
		if id != "" {
			if err := c.process(ctx, id); err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-bell:
		}
	}
	return nil
}

// rest waits while the machine is to rest. Its error is that of ctx.
func (c *Corpus) rest(ctx context.Context) error {
	if c.cfg.Pace == nil {
		return nil
	}
	return parse.Waiting(ctx, parse.ForRest, func() error {
		_, err := c.cfg.Pace(ctx)
		return err
	})
}

// process takes one document from its file to the index. Its error is one that
// stops the corpus; what is wrong with the document is written to its row.
func (c *Corpus) process(ctx context.Context, id string) error {
	defer c.queue.release(id)
	ctx = parse.WithWaits(ctx, func(why parse.Wait) {
		c.queue.wait(id, why)
		c.showWork(id)
	})
	c.cfg.at("claimed")
	r := c.ledger.row(id)
	if r == nil || r.Status != Queued {
		return nil
	}
	path, there, err := c.quietPath(r)
	if err != nil { // gone or changed: it stays queued, and the next look at the folder decides
		c.hint()
		return nil
	}
	content, err := c.parse(ctx, r, path)
	c.cfg.at("parsed")
	done := *r
	done.ReadBy = nil
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil && content.SHA256 != "" && content.SHA256 != r.SHA256, !c.quiet(path, there):
		return c.again(ctx, path)
	case err != nil:
		return c.finish(ctx, c.failed(done, err))
	case content.NeedsSpeech:
		return c.hear(ctx, done, path, there, content.MIME)
	}
	switch {
	case len(content.NeedsOCR) == 0:
		return c.index(ctx, done, content)
	case c.cfg.OCR == nil:
		return c.recallScans(ctx, done, content)
	}
	return c.readScans(ctx, done, content)
}

// parse reads a document's file, in another process.
func (c *Corpus) parse(ctx context.Context, r *row, path string) (parse.Content, error) {
	if r.Bytes == 0 {
		return parse.Content{}, parse.Errorf(parse.Empty, "it has no content")
	}
	c.note(r.ID, "reading", nil)
	return c.cfg.Reader.Parse(ctx, c.cfg.Docs, path, func(done, total int, unit string) {
		c.note(r.ID, "reading", &Progress{Done: done, Total: total, Unit: unit})
	})
}

// note records how far the work on a document has come, and tells of it now and then.
func (c *Corpus) note(id, stage string, p *Progress) {
	if c.queue.note(id, stage, p) {
		c.showWork(id)
	}
}

// showWork tells how the work on a document goes.
func (c *Corpus) showWork(id string) {
	if r := c.ledger.row(id); r != nil {
		c.bus.send(c.view(r))
	}
}

// again has a path read anew: its content is not what it was taken for.
func (c *Corpus) again(ctx context.Context, path string) error {
	defer c.hint()
	return c.forget(ctx, []string{path})
}

// index cuts a document's content and puts it into the index.
func (c *Corpus) index(ctx context.Context, r row, content parse.Content) error {
	c.note(r.ID, "indexing", nil)
	if err := c.attempt(r.ID, +1); err != nil {
		return err
	}
	done, err := c.replace(ctx, r, content)
	var broken *panicError
	switch {
	case err == nil:
		c.cfg.at("replaced")
		return c.finish(ctx, done)
	case errors.As(err, &broken):
		c.cfg.Log.Error("a document made the indexing break down", "paths", r.Paths, "panic", broken.value, "stack", broken.stack)
		return c.finish(ctx, c.failed(r, parse.Errorf(parse.Crashed, "the indexing broke down")))
	case ctx.Err() != nil:
		return c.attempt(r.ID, -1)
	}
	return errors.Join(err, c.attempt(r.ID, -1)) // the index is at fault, not the document
}

// attempt counts work that begins in this process, before it begins. Work that
// did not end is counted at the next start: a document that ends the process
// is put aside after a few times. (The reading, which is the most dangerous, is
// in another process and not counted.)
func (c *Corpus) attempt(id string, n int) error {
	c.change.Lock()
	defer c.change.Unlock()
	ch := c.ledger.begin()
	if r := ch.row(id); r != nil && r.Status == Queued {
		r.Attempts += n
		ch.put(r)
	}
	err := ch.commit()
	c.cfg.at("attempted")
	return err
}

// atStop does f when ctx ends, unless the returned function is called before; that waits for f. The system may kill a
// program that is long in stopping: what is in hand then, in a process that is told to stop, must not count as begun.
func atStop(ctx context.Context, f func()) (over func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		f()
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// A panicError is a panic, caught.
type panicError struct {
	value any
	stack string
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// replace puts a document's chunks into the index, and returns the row that says so.
func (c *Corpus) replace(ctx context.Context, r row, content parse.Content) (_ row, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, string(debug.Stack())}
		}
	}()
	pieces := chunks(r.ID, content, c.cfg.Chunk, c.cfg.Count)
	c.cfg.at("cut")
	r.OwnTitle, r.MIME, r.Pages, r.Warnings = strings.TrimSpace(content.Title), content.MIME, content.Pages, content.Warnings
	r.Language, r.DurationS = languageOf(pieces), content.DurationS
	r.PagesFailed = slices.Compact(slices.Sorted(slices.Values(slices.Concat(content.NeedsOCR, content.PagesFailed))))
	r.Status, r.Error = outcome(content, len(pieces))
	r.explain()
	if r.Status == Failed {
		return r, nil
	}
	c.replacing.RLock()
	defer c.replacing.RUnlock()
	return r, c.cfg.Index.Replace(ctx, r.source(retrieval.Source{Language: r.Language, Revision: c.revision}), pieces)
}

// outcome says what a content that was read is good for.
func outcome(content parse.Content, pieces int) (Status, *Problem) {
	var p *Problem
	switch {
	case len(content.NeedsOCR) > 0:
		p = newProblem(parse.NeedsOCR, "", content.NeedsOCR...)
	case len(content.PagesFailed) > 0:
		p = newProblem(parse.Corrupt, "", content.PagesFailed...)
	case len(content.Unread) > 0:
		p = newUnread(parse.Corrupt, content.Unread)
	case pieces == 0 && content.DurationS == 0: // a recording in which nobody speaks is whole
		p = newProblem(parse.Empty, "it holds no text")
	}
	switch {
	case p == nil:
		return Ready, nil
	case pieces > 0:
		return Partial, p
	}
	p.Pages = nil
	return Failed, newProblem(p.Code, p.Detail)
}

// explain says why pages that need OCR, or seconds, could not be read, where it is known.
func (r *row) explain() {
	if r.lack == nil || r.Error == nil || r.Error.Code != parse.NeedsOCR && len(r.Error.Seconds) == 0 {
		return
	}
	p := *r.lack
	if r.Status == Failed {
		p.Pages = nil
		p.Message = p.In("en")
	}
	if r.Error = &p; p.RetryAt != nil {
		r.Retries++
	}
}

// failed is the row of a document that could not be read.
func (c *Corpus) failed(r row, err error) row {
	var file *parse.Error
	if !errors.As(err, &file) {
		c.cfg.Log.Warn("a document's reader does not work", "paths", r.Paths, "err", err)
		file = parse.Errorf(parse.NotReadable, "its reader does not work now")
	}
	r.Status, r.Error = Failed, newProblem(file.Code, file.Detail).retried(now(), r.Retries)
	r.Retries++
	return r
}

// finish records how the work on a document ended. What answered for its paths
// before stops, in the same change.
func (c *Corpus) finish(ctx context.Context, done row) error {
	c.change.Lock()
	defer c.change.Unlock()
	ch := c.ledger.begin()
	current := ch.row(done.ID)
	if current == nil || current.Status != Queued { // deleted, or removed, while it was read
		return c.level(context.WithoutCancel(ctx), done.ID, current)
	}
	done.Paths, done.held, done.Added, done.Updated = current.Paths, current.held, current.Added, now()
	done.Attempts, done.Revision = 0, c.revision
	if done.Error == nil || done.Error.RetryAt == nil {
		done.Retries = 0
	}
	if done.lack, done.OCR = nil, ""; c.cfg.OCR != nil {
		done.OCR = c.scans.key
	}
	ch.put(&done)
	for _, path := range done.Paths {
		if e, _ := ch.entry(path); e.Was != "" {
			e.Was = ""
			ch.point(path, &e)
		}
	}
	return c.apply(ctx, ch, "finished")
}
