package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// errFolder means that the folder itself cannot be read. Nothing is concluded from it.
var errFolder = errors.New("the folder cannot be read")

// fresh is how old a look may be for its absences to count: reading what it found takes time.
const fresh = time.Second

// scan looks at the whole folder and brings the ledger level with it, as far
// as files are quiet. It returns when to look again, or zero if nothing is
// unsettled. enter is told of each directory before it is read; nil is none.
func (c *Corpus) scan(ctx context.Context, enter func(dir string)) (next time.Time, err error) {
	c.looking.Lock()
	defer c.looking.Unlock()
	began := time.Now()
	w := walk{dir: c.cfg.Docs, data: c.cfg.Data, enter: enter}
	t, err := w.look(ctx)
	if ctx.Err() != nil {
		return next, ctx.Err()
	}
	if err != nil {
		return next, fmt.Errorf("%w: %w", errFolder, err)
	}
	looked := time.Now()
	c.lookTime.Store(int64(looked.Sub(began)))
	c.cfg.at("looked")
	if n := len(t.blind); n > c.blind {
		c.cfg.Log.Warn("what lies in directories that cannot be read stays as it is", "directories", n, "paths", shown(t.blind[:min(n, 10)]))
	}
	c.blind = len(t.blind)
	known := c.ledger.stamps(began)
	if err := c.recognize(&t, known); err != nil {
		return next, err
	}
	take, drop, next := c.settling.look(began, &t, known)
	left, err := c.take(ctx, &t, take)
	if err != nil {
		return next, err
	}
	c.queueStranded(&t)
	if left > 0 {
		next = earlier(next, began.Add(c.cfg.Settle))
	}
	if time.Since(looked) > fresh && len(drop) > 0 {
		return began, nil
	}
	return next, c.drop(ctx, drop)
}

// queueStranded queues documents whose file was not to be had when their turn
// came, and is there again.
func (c *Corpus) queueStranded(t *tree) {
	for _, r := range c.ledger.rows() {
		if r.Status != Queued {
			continue
		}
		for _, path := range r.Paths {
			e, _ := c.ledger.entry(path)
			if st, there := t.files[path]; there && e.stamp == st {
				c.queue.push(r)
			}
		}
	}
}

// recognize refuses a folder that looks like the place where a drive was
// mounted: nothing in it, another directory than at the last good look, and
// documents known.
func (c *Corpus) recognize(t *tree, known map[string]stamp) error {
	was, err := c.ledger.root()
	switch {
	case err != nil || was == t.root:
		return err
	case len(t.files) == 0 && len(known) > 0 && was != "":
		return fmt.Errorf("%w: it is empty, and not the one it was; is its drive connected?", errFolder)
	}
	return c.ledger.setRoot(t.root)
}

// requeueDue queues documents whose time to be tried again has come, and
// returns when the next one's comes.
func (c *Corpus) requeueDue(ctx context.Context) (next time.Time, err error) {
	c.change.Lock()
	defer c.change.Unlock()
	ch, at := c.ledger.begin(), time.Now()
	for _, r := range c.ledger.rows() {
		switch {
		case !r.lacking() || r.Error.RetryAt == nil:
		case !r.due(at):
			next = earlier(next, *r.Error.RetryAt)
		case !r.unread(): // one that is unread is taken anew: see [ledger.stamps]
			if pass, later := c.outages.probe(r.missing(), at); !pass {
				next = earlier(next, later)
				continue
			}
			again := *r
			again.Status, again.Error = Queued, nil
			ch.put(&again)
		}
	}
	if len(ch.docs) == 0 {
		return next, nil
	}
	return next, c.apply(ctx, ch, "requeued")
}

// A batch is how many files are taken in one change, and how long the first of them waits for it.
const (
	batchSize = 128
	batchTime = 200 * time.Millisecond
)

// take reads files for their hashes, small ones first, so that a film does not
// hold up the letters, and enters them into the ledger. It returns how many
// were not quiet after all.
func (c *Corpus) take(ctx context.Context, t *tree, paths []string) (left int, err error) {
	if len(paths) == 0 {
		return 0, nil
	}
	root, err := os.OpenRoot(c.cfg.Docs)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errFolder, err)
	}
	defer func() { _ = root.Close() }()
	slices.SortFunc(paths, func(a, b string) int {
		return cmp.Or(cmp.Compare(t.files[a].Size, t.files[b].Size), cmp.Compare(a, b))
	})
	var batch []found
	left, began := len(paths), time.Now()
	for i, path := range paths {
		f, ok := c.read(ctx, root, path, t.files[path])
		if ctx.Err() != nil {
			return left, ctx.Err()
		}
		if ok {
			batch = append(batch, f)
		}
		if i+1 == len(paths) || len(batch) == batchSize || time.Since(began) > batchTime {
			n, err := c.enter(ctx, root, batch)
			if err != nil {
				return left, err
			}
			left, batch, began = left-n, nil, time.Now()
		}
	}
	return left, nil
}

// maxHash is above what any reader takes. Larger files are not read at all.
const maxHash = 4 << 30

// read hashes a file, or says why it cannot. It returns false for one that is
// not quiet after all, or gone.
func (c *Corpus) read(ctx context.Context, root *os.Root, path string, st stamp) (found, bool) {
	f := found{path: path, stamp: st}
	switch {
	case !utf8.ValidString(path):
		f.problem = &Problem{Code: parse.NotReadable, Detail: "the file's name is not valid UTF-8; rename it"}
	case st.Size > maxHash:
		f.problem = newProblem(parse.TooLarge, "")
	default:
		var err error
		f.sha256, err = hashFile(ctx, root, path, st)
		c.cfg.at("hashed")
		if ctx.Err() != nil || errors.Is(err, errMoved) || errors.Is(err, fs.ErrNotExist) {
			return f, false
		}
		if err != nil {
			f.problem = c.notReadable(f.id(), err)
		}
	}
	if f.problem != nil {
		f.problem.Message = f.problem.In("en")
	}
	return f, true
}

// notReadable is why a file cannot be opened, and when that is tried again.
func (c *Corpus) notReadable(id string, err error) *Problem {
	detail := "the system refuses to read it"
	if errors.Is(err, fs.ErrPermission) {
		detail = "permission denied"
	}
	retries := 0
	if r := c.ledger.row(id); r != nil {
		retries = r.Retries
	}
	return newProblem(parse.NotReadable, detail).retried(now(), retries)
}

// enter makes found files what their paths have, if they are still there. It returns how many.
func (c *Corpus) enter(ctx context.Context, root *os.Root, batch []found) (n int, err error) {
	if len(batch) == 0 {
		return 0, nil
	}
	c.change.Lock()
	defer c.change.Unlock()
	ch := c.ledger.begin()
	for _, f := range batch {
		if quietAt(root, f.path, f.stamp) {
			c.place(ch, f)
			n++
		}
	}
	return n, c.apply(ctx, ch, "entered")
}

// place makes a found file what its path has. What answered for the path
// before goes on until the new content is at its end.
func (c *Corpus) place(ch *change, f found) {
	r := ch.row(f.id())
	switch {
	case r == nil:
		r = &row{Document: Document{ID: f.id(), SHA256: f.sha256, Bytes: f.Size, Status: Queued, Added: now(), Updated: now()}}
	case r.Status == Removed:
		r.Status, r.Away, r.Error, r.Updated = Queued, nil, nil, now()
	}
	if f.problem != nil {
		r.Status, r.Error, r.Updated = Failed, f.problem, now()
		r.Retries++
	}
	ch.put(r)
	e := entry{stamp: f.stamp, Doc: r.ID}
	if old, known := ch.entry(f.path); known && r.Status == Queued {
		if e.Was = old.Was; old.Doc != r.ID && c.answers(old.Doc) {
			e.Was = old.Doc
		}
	}
	ch.point(f.path, &e)
}

// answers reports whether a document is in the index.
func (c *Corpus) answers(id string) bool {
	_, indexed := c.cfg.Index.Source(id)
	return indexed
}

// drop takes paths out of the ledger.
func (c *Corpus) drop(ctx context.Context, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	c.change.Lock()
	defer c.change.Unlock()
	ch := c.ledger.begin()
	for _, path := range paths {
		ch.point(path, nil)
	}
	return c.apply(ctx, ch, "dropped")
}

// quiet reports whether the file at path has the stamp still.
func (c *Corpus) quiet(path string, want stamp) bool {
	info, err := os.Lstat(filepath.Join(c.cfg.Docs, filepath.FromSlash(path)))
	return err == nil && info.Mode().IsRegular() && stampOf(info) == want
}

// quietPath returns a path at which the document's content still is. Without one it is [ErrNotFound].
func (c *Corpus) quietPath(r *row) (string, stamp, error) {
	for _, path := range r.Paths {
		if e, ok := c.ledger.entry(path); ok && c.quiet(path, e.stamp) {
			return path, e.stamp, nil
		}
	}
	return "", stamp{}, ErrNotFound
}

// Open returns the bytes of a document, as they were when it was taken. One
// whose file is gone or changed is [ErrNotFound].
func (c *Corpus) Open(id string) (*os.File, Document, error) {
	r := c.ledger.row(id)
	if r == nil {
		return nil, Document{}, ErrNotFound
	}
	path, want, err := c.quietPath(r)
	if err != nil {
		return nil, Document{}, err
	}
	root, err := os.OpenRoot(c.cfg.Docs)
	if err != nil {
		return nil, Document{}, err
	}
	defer func() { _ = root.Close() }()
	f, err := openQuiet(root, path, want)
	if errors.Is(err, errMoved) || errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	return f, c.view(r), err
}
