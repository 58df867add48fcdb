package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/retrieval"
)

// Config is what a [Corpus] needs.
type Config struct {
	Docs   string // the folder
	Data   string // directory of corpus.db, the trash and the cache of pages; may be below Docs
	Index  *retrieval.Index
	Reader Reader
	// OCR reads scanned pages; nil: they are not read. OCRLanguages are what it is told of them (default
	// "spa+eng"), and OCREngine names the settings it is made with: pages that others read are read anew.
	OCR          OCR
	OCRLanguages string
	OCREngine    string

	Photos Decoder          // nil: photos of formats that the Reader does not know are not read
	Speech Transcriber      // nil: recordings are not read
	Count  func(string) int // of tokens
	Chunk  ChunkConfig
	// Settle is how long a file must be quiet before it is taken, and missing before it is dropped (default 5 s).
	Settle time.Duration
	// Rescan is the time between two looks at the whole folder that nothing hinted at (default 5 min).
	Rescan time.Duration
	// Workers is how many documents are worked on at once (default 8). How many are read at once is up to
	// the Reader; the others are on their way into the index, which stores them together.
	Workers int
	// Pace, where not nil, is asked before each document is taken. It waits while the machine is to rest.
	Pace func(ctx context.Context) (scale float64, err error)
	Log  *slog.Logger // nil: no log

	at func(state string) // told each state that work passes through; for tests
}

// A Corpus keeps the index equal to the folder. Its methods may be called at
// the same time.
//
// The order of writes makes a kill harmless at any point. Every decision is
// one transaction of the ledger (see [change]), which the index then follows:
// it deletes and describes after the ledger, and gets the chunks of a document
// before the ledger calls it ready. So whatever was interrupted, either its
// row is Queued, and doing it again is the same, or the ledger is ahead of the
// index, and [Open] brings the index level with it.
type Corpus struct {
	cfg      Config
	ledger   *ledger
	revision string // of the settings that chunks are made with
	queue    *queue
	bus      *bus
	pages    *pageCache
	scans    *scanCache
	outages  outages
	turn     time.Duration // after which a document lets others have its engine
	hints    chan struct{} // that the folder should be looked at

	change    sync.Mutex   // held for a change of the ledger and the index's following it
	replacing sync.RWMutex // held for reading while chunks go into the index; taken after change

	looking  sync.Mutex // one look at the folder at a time; guards what follows
	settling *settling
	blind    int // directories that could not be read at the last look

	lookTime atomic.Int64 // nanoseconds of the last look, without the reading of what it found

	lost bool // the folder could not be read, and that was said; Run's own
}

// Open opens the ledger in cfg.Data, or creates it, and brings the index level
// with it. It does not look at the folder: see [Corpus.Run] and [Corpus.Sync].
func Open(ctx context.Context, cfg Config) (_ *Corpus, err error) {
	cfg.Settle = cmp.Or(cfg.Settle, 5*time.Second)
	cfg.Rescan = cmp.Or(cfg.Rescan, 5*time.Minute)
	cfg.Workers = cmp.Or(cfg.Workers, 8)
	cfg.OCRLanguages = cmp.Or(cfg.OCRLanguages, "spa+eng")
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	if cfg.at == nil {
		cfg.at = func(string) {}
	}
	if cfg.Docs, err = filepath.Abs(cfg.Docs); err != nil {
		return nil, err
	}
	if cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, err
	}
	c := &Corpus{
		cfg: cfg, turn: engineTurn, queue: newQueue(), bus: newBus(), hints: make(chan struct{}, 1), settling: newSettling(cfg.Settle),
		pages:    &pageCache{dir: filepath.Join(cfg.Data, "cache", "pages"), ext: ".png", limit: cacheBytes},
		scans:    &scanCache{dir: filepath.Join(cfg.Data, "cache", "ocr"), key: fmt.Sprintf("%s %s %d dpi", cfg.OCREngine, cfg.OCRLanguages, scanDPI)},
		revision: fmt.Sprintf("parse %d, chunk %d, size %d, overlap %d", parse.Version, chunkerVersion, cfg.Chunk.Size, cfg.Chunk.Overlap),
	}
	photos := &pageCache{dir: filepath.Join(cfg.Data, "cache", "photos"), ext: ".jpg", limit: cacheBytes}
	if cfg.Photos != nil {
		c.cfg.Reader = &photoReader{Reader: cfg.Reader, decoder: cfg.Photos, kept: photos, log: cfg.Log}
	}
	if c.ledger, err = openLedger(filepath.Join(cfg.Data, "corpus.db")); err != nil {
		return nil, err
	}
	removeStaged(cfg.Docs)
	known := func(id string) bool { return c.ledger.row(id) != nil }
	if err := errors.Join(forgetUnknown(c.scans.dir, known), forgetUnknown(c.pages.dir, known), forgetUnknown(photos.dir, known)); err != nil {
		c.cfg.Log.Warn("what is kept of pages of former documents cannot be deleted", "err", err)
	}
	if err := c.pruneHearings(); err != nil {
		c.cfg.Log.Warn("old transcripts cannot be deleted", "err", err)
	}
	if err := c.resume(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close closes the ledger and ends subscriptions. Run and all calls must have ended.
func (c *Corpus) Close() error {
	c.bus.close()
	return c.ledger.db.Close()
}

// Run watches the folder and works on what it finds until ctx ends, which is
// no error. It returns an error when the ledger or the index cannot be written.
func (c *Corpus) Run(ctx context.Context) error {
	g, inner := errgroup.WithContext(ctx)
	g.Go(func() error { return c.watch(inner) })
	for range c.cfg.Workers {
		g.Go(func() error { return c.work(inner) })
	}
	if err := g.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

// resume takes up what a former process left, and what new settings ask for.
func (c *Corpus) resume(ctx context.Context) error {
	c.change.Lock()
	defer c.change.Unlock()
	ch := c.ledger.begin()
	for _, r := range c.ledger.rows() {
		if again := c.resumed(*r); again != nil {
			ch.put(again)
		}
	}
	if err := c.apply(ctx, ch, "resumed"); err != nil {
		return err
	}
	rows := c.ledger.rows()
	slices.SortFunc(rows, func(a, b *row) int { // those that were interrupted come last
		return cmp.Or(cmp.Compare(a.Attempts, b.Attempts), a.Added.Compare(b.Added), slices.Compare(a.Paths, b.Paths))
	})
	for _, r := range rows {
		if r.Status == Queued {
			c.queue.push(r)
		}
		if err := c.level(ctx, r.ID, r); err != nil {
			return err
		}
	}
	for _, s := range c.cfg.Index.Sources() {
		if err := c.level(ctx, s.ID, c.ledger.row(s.ID)); err != nil {
			return err
		}
	}
	return nil
}

// maxAttempts is how often work on a document in this process may begin and not
// end before the document is held to be what ends the process.
const maxAttempts = 3

// resumed returns what becomes of a row at the start, or nil if it stays.
func (c *Corpus) resumed(r row) *row {
	source, indexed := c.cfg.Index.Source(r.ID)
	switch {
	case r.Status == Queued && r.Attempts >= maxAttempts:
		r.Status, r.Error = Failed, newProblem(parse.Crashed, "the program ended while working on it")
	case r.Status == Failed && !r.unread() && r.Revision != c.revision,
		r.lacking() && !r.unread() && c.equipped(r),
		r.searchable() && c.readable(r),
		r.searchable() && (!indexed || source.Revision != c.revision):
		r.Status, r.Error = Queued, nil
	default:
		return nil
	}
	r.Attempts, r.Revision, r.Updated = 0, c.revision, now()
	return &r
}

// equipped reports that what a document failed for the lack of may be there now.
func (c *Corpus) equipped(r row) bool {
	switch r.Error.Code {
	case parse.EngineMissing:
		return c.cfg.Speech != nil || c.cfg.OCR != nil
	case parse.NeedsOCR:
		return c.cfg.OCR != nil && r.OCR != c.scans.key
	}
	return false
}

// readable reports that pages which OCR read badly may be read better now, as its settings are others.
func (c *Corpus) readable(r row) bool {
	return c.cfg.OCR != nil && slices.ContainsFunc(r.Doubtful, func(n int) bool {
		return c.scans.read(r.ID, n).Again
	})
}

// apply makes a change durable, then the index level with it, and only then
// visible: who reads of a state finds it in the index. The caller holds
// c.change. A caller that leaves does not stop it halfway.
func (c *Corpus) apply(ctx context.Context, ch *change, state string) error {
	if err := ch.store(); err != nil {
		return err
	}
	c.cfg.at(state)
	before := map[string]*row{}
	var g errgroup.Group // at once, as the index writes together what comes together
	g.SetLimit(64)
	for id, r := range ch.docs {
		before[id] = c.ledger.row(id)
		g.Go(func() error { return c.level(context.WithoutCancel(ctx), id, r) })
	}
	err := g.Wait()
	ch.publish()
	for _, id := range slices.SortedFunc(maps.Keys(ch.docs), smallest(ch.docs)) {
		c.tell(before[id], ch.docs[id])
	}
	return err
}

// smallest orders the ids of rows by the sizes of their files.
func smallest(rows map[string]*row) func(a, b string) int {
	size := func(id string) int64 {
		if r := rows[id]; r != nil {
			return r.Bytes
		}
		return 0
	}
	return func(a, b string) int { return cmp.Or(cmp.Compare(size(a), size(b)), strings.Compare(a, b)) }
}

// tell sends what became of a document to subscribers, and to the queue if it waits.
func (c *Corpus) tell(was, is *row) {
	switch {
	case is != nil:
		c.bus.send(c.view(is)) // before a worker may take it, and tell of that
		if is.Status == Queued {
			c.queue.push(is)
		}
	case was != nil:
		d := c.view(was)
		d.Status = Removed
		c.bus.send(d)
	}
}

// level makes the index agree with a document's row, or with there being none.
func (c *Corpus) level(ctx context.Context, id string, r *row) error {
	there, indexed := c.cfg.Index.Source(id)
	if !indexed {
		return nil
	}
	if r == nil || r.Status == Removed || r.Status == Failed {
		err := c.cfg.Index.Delete(ctx, id)
		c.cfg.at("deleted")
		return err
	}
	if len(r.Paths) == 0 { // it answers for its old path until the new content is ready
		return nil
	}
	want := r.source(there)
	if want.Title == there.Title && slices.Equal(want.Paths, there.Paths) {
		return nil
	}
	err := c.cfg.Index.Describe(ctx, want)
	c.cfg.at("described")
	return err
}

// hint asks for a look at the folder.
func (c *Corpus) hint() {
	select {
	case c.hints <- struct{}{}:
	default:
	}
}

// Embedded tells subscribers that a document has more vectors than before. It
// is what [retrieval.Config.Embedded] wants.
func (c *Corpus) Embedded(id string) {
	if r := c.ledger.row(id); r != nil {
		c.bus.send(c.view(r))
	}
}

// now is the time in the form in which JSON keeps it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// shown makes a path fit for JSON, where its name is not UTF-8.
func shown(paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = strings.ToValidUTF8(p, "\uFFFD")
	}
	return out
}
