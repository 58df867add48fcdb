package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// An OCR engine reads the text on images of pages.
type OCR interface {
	// Recognize reads the image of one page, a PNG. An error that is a
	// [*parse.Error] is the page's own fault; any other says that the engine cannot run now.
	Recognize(ctx context.Context, image []byte, languages string) (parse.ScannedPage, error)
}

const (
	scanDPI = 300 // Tesseract reads a third of the letters wrong in a bad scan at 150
	// scanTries is how often a page may fail by its own fault before it is put aside.
	scanTries = 2
	// lowConfidence is below what the user is told that a page may be read wrong.
	lowConfidence = 0.6
	// previewTime is how often the pages read so far are made findable.
	previewTime = time.Minute
)

// Why a document's pages are read no further, besides the end.
var (
	errGone   = errors.New("its file is gone or changed, or nobody waits for it")
	errReader = errors.New("its reader does not work now")
	errTurn   = errors.New("others wait for the engine")
)

// readScans indexes the text that a document has of its own, then has the other
// pages read one by one, and indexes it all. Each page that was read is kept, so
// that what is interrupted goes on where it was.
func (c *Corpus) readScans(ctx context.Context, r row, content parse.Content) error {
	if err := c.indexText(ctx, r, content); err != nil {
		return err
	}
	if !c.queue.engage(r.ID, "ocr") {
		return nil
	}
	s := c.newScans(r.ID, content)
	err := s.read(ctx)
	if s.ran && s.stopped == nil && ctx.Err() == nil {
		c.runs(ctx, "ocr")
	}
	switch {
	case ctx.Err() != nil || errors.Is(err, errTurn):
		return nil //nolint:nilerr // what was interrupted stays queued
	case errors.Is(err, errGone): // where it waits still, the next look at the folder decides
		c.hint()
		return nil
	case s.broken != nil:
		return s.broken
	}
	r.lack = s.lack(r.Retries)
	for n, kept := range s.failed {
		switch {
		case kept.Failed < scanTries: // it has yet to come to an end
		case kept.Page == nil: // who retries the document wants it read anew
			c.scans.drop(s.id, n)
		default:
			s.keep(n, keptPage{Page: kept.Page})
		}
	}
	return s.index(ctx, r)
}

// recallScans indexes a document with those of its pages that were read while there was an engine.
func (c *Corpus) recallScans(ctx context.Context, r row, content parse.Content) error {
	s := c.newScans(r.ID, content)
	s.recall()
	return s.index(ctx, r)
}

// indexText makes findable what can be read of a document without OCR. One that
// is in the index already is there with more than that.
func (c *Corpus) indexText(ctx context.Context, r row, content parse.Content) error {
	if there, indexed := c.cfg.Index.Source(r.ID); content.Text == "" || indexed && there.Revision == c.revision {
		return nil
	}
	if err := c.attempt(r.ID, +1); err != nil {
		return err
	}
	err := c.preview(ctx, r.ID, content)
	c.cfg.at("previewed")
	var bug *panicError
	if errors.As(err, &bug) || errors.Is(err, errDropped) || ctx.Err() != nil {
		err = nil // the whole will show it again, or finds nobody waiting
	}
	return errors.Join(err, c.attempt(r.ID, -1))
}

// scans is the work on the scanned pages of one document.
type scans struct {
	corpus  *Corpus
	id      string
	content parse.Content
	pages   map[int]parse.ScannedPage
	failed  map[int]keptPage // by their own fault, at least once
	shown   time.Time        // when the pages read so far were last indexed
	ran     bool             // the engine has read a page
	stopped error            // why the engine, or the reader, cannot run now
	broken  error            // of the index: it stops the corpus
}

func (c *Corpus) newScans(id string, content parse.Content) *scans {
	return &scans{corpus: c, id: id, content: content, pages: map[int]parse.ScannedPage{}, failed: map[int]keptPage{}, shown: time.Now()}
}

// index indexes the document with the pages that are read.
func (s *scans) index(ctx context.Context, r row) error {
	whole, err := s.whole()
	if err != nil {
		return s.corpus.finish(ctx, s.corpus.failed(r, err))
	}
	r.ReadBy, r.Doubtful = readingsOfPages(s.pages), s.doubtful()
	return s.corpus.index(ctx, r, whole)
}

// read reads the pages that are not read yet; those that fail come last once more.
func (s *scans) read(ctx context.Context) error {
	todo, began := s.recall(), time.Now()
	s.note(len(todo))
	easel := easel{scans: s}
	ctx, cancel := context.WithCancel(ctx)
	defer easel.wait()
	defer cancel()
	for ; len(todo) > 0; todo = todo[1:] {
		image, err := easel.take(ctx, todo[0])
		if len(todo) > 1 {
			easel.start(ctx, todo[1])
		}
		var page parse.ScannedPage
		if err == nil {
			page, err = s.recognize(ctx, todo[0], image)
		}
		switch again, err := s.settle(ctx, todo[0], page, err); {
		case err != nil || s.stopped != nil:
			return err
		case again:
			todo = append(todo, todo[0])
		}
		s.corpus.cfg.at("recognised")
		s.note(len(todo) - 1)
		if err := s.preview(ctx); err != nil {
			return err
		}
		if len(todo) > 1 && time.Since(began) > s.corpus.turn && s.corpus.queue.pass(s.id) {
			s.shown = time.Time{} // it may be long until the next page
			return cmp.Or(s.preview(ctx), errTurn)
		}
	}
	return nil
}

// recall takes up the pages that are kept, and returns those to be read.
func (s *scans) recall() (todo []int) {
	for _, n := range s.content.NeedsOCR {
		kept := s.corpus.scans.read(s.id, n)
		if kept.Page != nil {
			s.pages[n] = *kept.Page
		}
		if kept.settled() {
			continue
		}
		if kept.Begun >= maxAttempts {
			kept.Failed, kept.Why = scanTries, parse.Errorf(parse.Crashed, "the program ended while it was read, %d times", kept.Begun)
		}
		if s.failed[n] = kept; kept.Failed < scanTries {
			todo = append(todo, n)
		}
	}
	return todo
}

// recognize has the engine read a page. That it was begun is taken back where it came to no end.
func (s *scans) recognize(ctx context.Context, n int, image []byte) (parse.ScannedPage, error) {
	before := s.failed[n]
	s.begin(n)
	over := atStop(ctx, func() { s.write(n, before) })
	page, err := s.corpus.cfg.OCR.Recognize(ctx, image, s.corpus.cfg.OCRLanguages)
	over()
	var fault *parse.Error
	if err != nil && (ctx.Err() != nil || !errors.As(err, &fault)) {
		s.cease(n)
	}
	return page, err
}

// begin notes that a page is in hand: one over which this program ends is put aside after a few times, as a
// document is. (The engine is another process, whose end this one survives.)
func (s *scans) begin(n int) {
	kept := s.failed[n]
	kept.Begun++
	s.failed[n] = kept
	s.write(n, kept)
	s.corpus.cfg.at("recognising")
}

// cease takes back that a page is in hand.
func (s *scans) cease(n int) {
	kept := s.failed[n]
	kept.Begun--
	s.failed[n] = kept
	s.write(n, kept)
}

// settle keeps what came of a page, and says whether it is to be tried again.
// Its error ends the work on the document for now.
func (s *scans) settle(ctx context.Context, n int, page parse.ScannedPage, err error) (again bool, _ error) {
	var fault *parse.Error
	switch {
	case err == nil:
		s.ran = true
		if old, there := s.pages[n]; there && doubted(page) && old.Confidence >= page.Confidence {
			page = old
		}
		s.pages[n] = page
		delete(s.failed, n)
		s.keep(n, keptPage{Page: &page})
	case ctx.Err() != nil || errors.Is(err, errGone):
		return false, err
	case errors.As(err, &fault) && !errors.Is(err, errReader):
		kept := s.failed[n]
		kept.Failed, kept.Why, kept.Begun = kept.Failed+1, fault, 0
		s.failed[n] = kept
		s.keep(n, kept)
		return kept.Failed < scanTries, nil
	default:
		s.corpus.cfg.Log.Warn("scanned pages have to wait", "document", s.id, "page", n, "err", err)
		if s.stopped = err; !errors.Is(err, errReader) {
			s.corpus.outages.begin("ocr")
		}
	}
	return false, nil
}

// draw draws a page, when the machine may work and somebody waits for it.
func (s *scans) draw(ctx context.Context, n int) ([]byte, error) {
	c := s.corpus
	if err := c.rest(ctx); err != nil {
		return nil, err
	}
	r := c.ledger.row(s.id)
	if r == nil || r.Status != Queued {
		return nil, errGone
	}
	path, there, err := c.quietPath(r) // each time, as it may be renamed
	if err != nil {
		return nil, errGone
	}
	image, err := c.cfg.Reader.Scan(ctx, c.cfg.Docs, path, n, scanDPI)
	if !c.quiet(path, there) {
		return nil, errGone
	}
	var fault *parse.Error
	if err != nil && (!errors.As(err, &fault) || fault.Code == parse.NotReadable || fault.Code == parse.EngineMissing) {
		err = fmt.Errorf("%w: %w", errReader, err)
	}
	return image, err
}

// preview makes the pages read so far findable, now and then.
func (s *scans) preview(ctx context.Context) error {
	if time.Since(s.shown) < previewTime {
		return nil
	}
	whole, err := s.whole()
	if err != nil { // it is dealt with at the end
		return nil //nolint:nilerr // see above
	}
	err = s.corpus.preview(ctx, s.id, whole)
	s.shown = time.Now()
	var bug *panicError
	switch {
	case err == nil, errors.As(err, &bug):
		return nil
	case errors.Is(err, errDropped):
		return errGone
	case ctx.Err() == nil:
		s.broken = err
	}
	return err
}

// whole is the document with the pages that are read.
func (s *scans) whole() (parse.Content, error) {
	whole, err := s.content.WithScanned(s.pages)
	whole.Warnings = append(slices.Clip(whole.Warnings), s.doubts()...)
	return whole, err
}

// doubts says of pages that were read badly by which engine, in a sentence for each.
func (s *scans) doubts() []string {
	pages, sums := map[string][]int{}, map[string]float64{}
	var engines []string
	for _, n := range s.content.NeedsOCR {
		page, read := s.pages[n]
		if !read || !doubted(page) {
			continue
		}
		if pages[page.Engine] == nil {
			engines = append(engines, page.Engine)
		}
		pages[page.Engine] = append(pages[page.Engine], n)
		sums[page.Engine] += page.Confidence
	}
	said := make([]string, len(engines))
	for i, e := range engines {
		said[i] = fmt.Sprintf("read by %s with a low confidence of %.2f: page %s", e, sums[e]/float64(len(pages[e])), PageList(pages[e]))
	}
	return said
}

// doubtful are the pages that may be read better.
func (s *scans) doubtful() (pages []int) {
	for _, n := range s.content.NeedsOCR {
		if page, read := s.pages[n]; read && improvable(page) {
			pages = append(pages, n)
		}
	}
	return pages
}

// lack is why pages are not read, or nil.
func (s *scans) lack(retries int) *Problem {
	var unread []int
	for _, n := range s.content.NeedsOCR {
		if _, read := s.pages[n]; !read {
			unread = append(unread, n)
		}
	}
	if len(unread) == 0 {
		return nil
	}
	if s.stopped == nil {
		p := Problem{Code: parse.NeedsOCR, Tried: true, Pages: unread, Detail: fmt.Sprintf("page %d: %v", unread[0], s.failed[unread[0]].Why)}
		p.Message = p.In("en")
		return &p
	}
	p := newProblem(parse.EngineMissing, "text recognition cannot run now", unread...)
	if errors.Is(s.stopped, errReader) {
		p = newProblem(parse.NotReadable, "its reader does not work now", unread...)
	}
	p.retryLater(now(), retries)
	return p
}

func (s *scans) note(left int) {
	total := len(s.content.NeedsOCR)
	s.corpus.note(s.id, "ocr", &Progress{Done: total - left, Total: total, Unit: "page"})
}

// keep writes down what came of a page. Without it the work is only longer.
func (s *scans) keep(n int, page keptPage) {
	s.corpus.cfg.at("keeping")
	s.write(n, page)
}

func (s *scans) write(n int, page keptPage) {
	if err := s.corpus.scans.write(s.id, n, page); err != nil {
		s.corpus.cfg.Log.Warn("what was read of a page cannot be kept", "err", err)
	}
}
