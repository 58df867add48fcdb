package ingest

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"

	"github.com/acervo-kb/acervo/retrieval"
)

// view is a row as the world sees it.
func (c *Corpus) view(r *row) Document {
	d := r.Document
	d.Title = strings.ToValidUTF8(r.name(), "\uFFFD")
	d.Paths = shown(r.Paths)
	if r.Status == Removed {
		d.Paths = shown(r.Away)
	}
	if len(d.Paths) > 0 {
		d.Collection = retrieval.CollectionOf(d.Paths[0])
	}
	if d.PagesFailed == nil {
		d.PagesFailed = []int{}
	}
	if r.Status == Queued {
		c.queue.describe(&d)
	}
	d.Embedded, d.Chunks = c.cfg.Index.Embedded(r.ID)
	return d
}

// Get returns a document, also one in the trash. An unknown id is [ErrNotFound].
func (c *Corpus) Get(id string) (Document, error) {
	if r := c.ledger.row(id); r != nil {
		return c.view(r), nil
	}
	return Document{}, ErrNotFound
}

// List returns a page of documents, ordered by path, and the cursor of the
// next one, or "". An old version that answers until the new one is ready is
// not listed. A cursor that is none is [ErrNotFound].
func (c *Corpus) List(f Filter) (docs []Document, next string, err error) {
	after, err := base64.RawURLEncoding.DecodeString(f.After)
	if err != nil {
		return nil, "", fmt.Errorf("no such page of the list: %w", ErrNotFound)
	}
	rows := c.ledger.listed()
	if Status(f.Status) == Removed {
		rows = c.ledger.trashed()
	}
	start, _ := slices.BinarySearchFunc(rows, string(after), func(r *row, key string) int {
		return cmp.Or(strings.Compare(r.key(), key), -1) // behind the one it names
	})
	limit := cmp.Or(f.Limit, 100)
	text := fold(f.Text)
	for i, r := range rows[start:] {
		d := c.view(r)
		if !f.matches(d, text) {
			continue
		}
		if len(docs) == limit {
			return docs, base64.RawURLEncoding.EncodeToString([]byte(rows[start+i-1].key())), nil
		}
		docs = append(docs, d)
	}
	return docs, "", nil
}

// key orders rows in lists; no two are the same.
func (r *row) key() string { return r.firstPath() + "\x00" + r.ID }

// matches reports whether the filter, whose text is given folded, lets d through.
func (f Filter) matches(d Document, text string) bool {
	if f.Status != "" && Status(f.Status) != d.Status {
		return false
	}
	if f.Collection != "" && !slices.ContainsFunc(d.Paths, func(p string) bool { return retrieval.CollectionOf(p) == f.Collection }) {
		return false
	}
	return text == "" || strings.Contains(fold(d.Title), text) ||
		slices.ContainsFunc(d.Paths, func(p string) bool { return strings.Contains(fold(p), text) })
}

// fold drops case and accents.
func fold(s string) string {
	bare, _, err := transform.String(transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn)), norm.NFC), s)
	if err != nil {
		bare = s
	}
	return strings.ToLower(bare)
}

// Collections counts what each collection holds, ordered by name. A document
// that lies in two counts in both.
func (c *Corpus) Collections() []CollectionCount {
	counts := map[string]*CollectionCount{}
	for _, r := range c.ledger.listed() {
		_, chunks := c.cfg.Index.Embedded(r.ID)
		seen := map[string]bool{}
		for _, p := range shown(r.Paths) {
			name := retrieval.CollectionOf(p)
			if seen[name] {
				continue
			}
			seen[name] = true
			if counts[name] == nil {
				counts[name] = &CollectionCount{Name: name}
			}
			counts[name].Documents++
			counts[name].Chunks += chunks
		}
	}
	all := make([]CollectionCount, 0, len(counts))
	for _, n := range counts {
		all = append(all, *n)
	}
	slices.SortFunc(all, func(a, b CollectionCount) int { return strings.Compare(a.Name, b.Name) })
	return all
}
