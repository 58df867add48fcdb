package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/acervo-kb/acervo/retrieval"
)

// The buckets of corpus.db:
//
//	documents  id -> row, as JSON
//	paths      path below the folder, slash-separated, as the file system spells it -> entry, as JSON
//	meta       "schema" -> version of this layout; "root" -> identity of the folder at the last good look
var (
	documentsBucket = []byte("documents")
	pathsBucket     = []byte("paths")
	metaBucket      = []byte("meta")
	schemaKey       = []byte("schema")
	rootKey         = []byte("root")
)

const schema = "1"

// A row is what the ledger knows of a document. Rows that are in the ledger
// never change: they are replaced.
type row struct {
	Document
	// OwnTitle is the content's own; without one a document goes by the name of its file.
	OwnTitle string `json:"own_title,omitempty"`
	Revision string `json:"revision,omitempty"` // settings it was last read with
	// Attempts counts how often work in this process began and did not end; see [Corpus.begin].
	Attempts int      `json:"attempts,omitempty"`
	Retries  int      `json:"retries,omitempty"` // how often a lack of the machine was tried again
	Away     []string `json:"away,omitempty"`    // the paths that went to the trash
	OCR      string   `json:"ocr,omitempty"`     // settings of the OCR that there was when it was last read, "" for none

	Doubtful []int `json:"doubtful,omitempty"` // the pages that OCR read badly, or not with its best engine

	// Paths (of Document) and held follow from the entries and are not stored.
	held []string // the paths that this document answers for until their new content is ready

	lack *Problem // why pages that need OCR, or seconds, could not be read, while that is being recorded
}

// unread reports that the content is not known, so that the id is of a path.
func (r *row) unread() bool { return r.SHA256 == "" }

// searchable reports that the document is in the index and answers.
func (r *row) searchable() bool { return r.Status == Ready || r.Status == Partial }

// name is the title to show.
func (r *row) name() string {
	if r.OwnTitle != "" {
		return r.OwnTitle
	}
	return stem(r.firstPath())
}

// firstPath is where the document is, or was before it went to the trash or another took its place.
func (r *row) firstPath() string {
	for _, paths := range [][]string{r.Paths, r.Away, r.held} {
		if len(paths) > 0 {
			return paths[0]
		}
	}
	return ""
}

// An entry says which content a path has.
type entry struct {
	stamp
	Doc string `json:"doc"`
	// Was is the document that answers for the path until Doc is at its end.
	Was string `json:"was,omitempty"`
}

// The ledger is corpus.db and its mirror in memory. One goroutine at a time
// may change it, see [change]; any may read.
type ledger struct {
	db *bbolt.DB

	mu    sync.RWMutex // guards the mirror
	docs  map[string]*row
	paths map[string]entry
	order []*row // those with a path, by it; nil when it must be made anew
}

func openLedger(path string) (*ledger, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("corpus.db: %w", err)
	}
	l := &ledger{db: db, docs: map[string]*row{}, paths: map[string]entry{}}
	if err := errors.Join(db.Update(prepare), db.View(l.load)); err != nil {
		return nil, errors.Join(fmt.Errorf("corpus.db: %w", err), db.Close())
	}
	return l, nil
}

func prepare(tx *bbolt.Tx) error {
	for _, name := range [][]byte{documentsBucket, pathsBucket, metaBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	switch found := string(tx.Bucket(metaBucket).Get(schemaKey)); found {
	case schema:
		return nil
	case "":
		return tx.Bucket(metaBucket).Put(schemaKey, []byte(schema))
	default:
		return fmt.Errorf("it was written by a newer version (layout %s, this one knows %s)", found, schema)
	}
}

func (l *ledger) load(tx *bbolt.Tx) error {
	err := tx.Bucket(documentsBucket).ForEach(func(id, raw []byte) error {
		r := &row{}
		l.docs[string(id)] = r
		return json.Unmarshal(raw, r)
	})
	return errors.Join(err, tx.Bucket(pathsBucket).ForEach(func(path, raw []byte) error {
		var e entry
		if err := json.Unmarshal(raw, &e); err != nil {
			return err
		}
		l.paths[string(path)] = e
		if r := l.docs[e.Doc]; r != nil {
			r.Paths = append(r.Paths, string(path)) // the bucket is sorted
		}
		if r := l.docs[e.Was]; r != nil {
			r.held = append(r.held, string(path))
		}
		return nil
	}))
}

// row returns a document's row, or nil.
func (l *ledger) row(id string) *row {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.docs[id]
}

// rows returns all rows, in no order.
func (l *ledger) rows() []*row {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Collect(maps.Values(l.docs))
}

func (l *ledger) entry(path string) (entry, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	e, ok := l.paths[path]
	return e, ok
}

// stamps returns the stamp of every path, zero for one that is to be read again now.
func (l *ledger) stamps(now time.Time) map[string]stamp {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make(map[string]stamp, len(l.paths))
	for path, e := range l.paths {
		all[path] = e.stamp
		if r := l.docs[e.Doc]; r == nil || r.unread() && r.due(now) {
			all[path] = stamp{}
		}
	}
	return all
}

// due reports that the time has come to try again: it also has where the clock has been set back since.
func (r *row) due(now time.Time) bool {
	if !r.lacking() || r.Error.RetryAt == nil {
		return false
	}
	wait := r.Error.RetryAt.Sub(now)
	return wait <= 0 || wait > maxRetry
}

// lacking reports that the document, or a part of it, could not be read.
func (r *row) lacking() bool {
	return (r.Status == Failed || r.Status == Partial) && r.Error != nil
}

// listed returns the rows that have a path, ordered by the first.
func (l *ledger) listed() []*row {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.order == nil {
		l.order = make([]*row, 0, len(l.docs))
		for _, r := range l.docs {
			if len(r.Paths) > 0 {
				l.order = append(l.order, r)
			}
		}
		slices.SortFunc(l.order, func(a, b *row) int { return strings.Compare(a.Paths[0], b.Paths[0]) })
	}
	return l.order
}

// trashed returns the rows of the trash, ordered by the path they had.
func (l *ledger) trashed() []*row {
	rows := slices.DeleteFunc(l.rows(), func(r *row) bool { return r.Status != Removed })
	slices.SortFunc(rows, func(a, b *row) int { return strings.Compare(a.key(), b.key()) })
	return rows
}

// root returns what [ledger.setRoot] stored.
func (l *ledger) root() (id string, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		id = string(tx.Bucket(metaBucket).Get(rootKey))
		return nil
	})
	return id, err
}

func (l *ledger) setRoot(id string) error {
	return l.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(rootKey, []byte(id)) })
}

// A change is what becomes durable, and visible, in one step. Within it, reads
// see what it holds already.
type change struct {
	l     *ledger
	docs  map[string]*row // nil: dropped
	paths map[string]*entry
}

func (l *ledger) begin() *change {
	return &change{l: l, docs: map[string]*row{}, paths: map[string]*entry{}}
}

// row returns a copy of a document's row, or nil.
func (ch *change) row(id string) *row {
	r, staged := ch.docs[id]
	if !staged {
		r = ch.l.row(id)
	}
	if r == nil {
		return nil
	}
	c := *r
	return &c
}

func (ch *change) put(r *row)     { ch.docs[r.ID] = r }
func (ch *change) drop(id string) { ch.docs[id] = nil }

func (ch *change) entry(path string) (entry, bool) {
	if e, staged := ch.paths[path]; staged {
		if e == nil {
			return entry{}, false
		}
		return *e, true
	}
	return ch.l.entry(path)
}

// point makes e what a path has; nil means that the path is gone.
func (ch *change) point(path string, e *entry) {
	old, _ := ch.entry(path)
	ch.paths[path] = e
	now := entry{}
	if e != nil {
		now = *e
	}
	if old.Doc != now.Doc {
		ch.relist(old.Doc, func(r *row) { r.Paths = without(r.Paths, path) })
		ch.relist(now.Doc, func(r *row) { r.Paths = with(r.Paths, path) })
	}
	if old.Was != now.Was {
		ch.relist(old.Was, func(r *row) { r.held = without(r.held, path) })
		ch.relist(now.Was, func(r *row) { r.held = with(r.held, path) })
	}
}

func (ch *change) relist(id string, edit func(*row)) {
	if r := ch.row(id); r != nil {
		edit(r)
		ch.put(r)
	}
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return x == s })
}

func with(list []string, s string) []string {
	list = append(without(list, s), s)
	slices.Sort(list)
	return list
}

// commit makes the change durable and visible.
func (ch *change) commit() error {
	if err := ch.store(); err != nil {
		return err
	}
	ch.publish()
	return nil
}

// store makes the change durable. A document that no path refers to any more
// is dropped with it, unless it is in the trash.
func (ch *change) store() error {
	for id, r := range ch.docs {
		if r != nil && r.Status != Removed && len(r.Paths) == 0 && len(r.held) == 0 {
			ch.drop(id)
		}
	}
	if err := ch.l.db.Update(ch.write); err != nil {
		return fmt.Errorf("corpus.db: %w", err)
	}
	return nil
}

// publish makes the change visible. It follows store.
func (ch *change) publish() {
	ch.l.mu.Lock()
	defer ch.l.mu.Unlock()
	for id, r := range ch.docs {
		if r == nil {
			delete(ch.l.docs, id)
		} else {
			ch.l.docs[id] = r
		}
		ch.l.order = nil
	}
	for path, e := range ch.paths {
		if e == nil {
			delete(ch.l.paths, path)
		} else {
			ch.l.paths[path] = *e
		}
	}
}

func (ch *change) write(tx *bbolt.Tx) error {
	for id, r := range ch.docs {
		var stored any
		if r != nil {
			c := *r
			c.Paths = nil
			stored = c
		}
		if err := put(tx.Bucket(documentsBucket), id, stored); err != nil {
			return err
		}
	}
	for path, e := range ch.paths {
		var stored any
		if e != nil {
			stored = e
		}
		if err := put(tx.Bucket(pathsBucket), path, stored); err != nil {
			return err
		}
	}
	return nil
}

// put stores v as JSON, or deletes the key for nil.
func put(b *bbolt.Bucket, key string, v any) error {
	if v == nil {
		return b.Delete([]byte(key))
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put([]byte(key), raw)
}

// source is the document as the index shall describe it; the rest is from what is there.
func (r *row) source(there retrieval.Source) retrieval.Source {
	there.ID, there.Title, there.Paths = r.ID, r.name(), r.Paths
	return there
}
