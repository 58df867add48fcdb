package retrieval

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// The catalog is what memory knows of the index: which source has which
// chunks, and which of their texts have vectors. It holds no text. Index.mu
// guards it.
type catalog struct {
	sources   map[string]*entry
	texts     map[hash]*text
	languages map[string]int // texts of each language
}

// A hash is the start of the SHA-256 of a chunk's indexed text: the key of its vectors.
type hash [16]byte

func hashOf(text string) hash {
	sum := sha256.Sum256([]byte(text))
	return hash(sum[:16])
}

// A mark is what identifies the text of a chunk and its partition.
type mark struct {
	hash     hash
	language string // es, en or xx
}

// An entry is a source and the texts of its chunks, in order.
type entry struct {
	source Source
	order  uint64 // of its last Replace: higher is newer
	texts  []*text
}

// A text is what one or several chunks say in the same words. It has its
// vectors once, however many chunks say it.
type text struct {
	mark
	windows int // how many vectors of it the vector store holds
	refs    []ref
	retryAt time.Time // set aside until then, as the embedder refuses it
}

// A ref is one chunk.
type ref struct {
	entry *entry
	n     int
}

func newCatalog() *catalog {
	return &catalog{sources: map[string]*entry{}, texts: map[hash]*text{}, languages: map[string]int{}}
}

// put makes marks the texts of src, and returns the texts that are new and those that no chunk has any more.
func (c *catalog) put(src Source, order uint64, marks []mark) (fresh, gone []*text) {
	e := &entry{source: src, order: order, texts: make([]*text, len(marks))}
	for n, m := range marks {
		t := c.texts[m.hash]
		if t == nil {
			t = &text{mark: m}
			c.texts[m.hash] = t
			c.languages[m.language]++
			fresh = append(fresh, t)
		}
		t.refs = append(t.refs, ref{e, n})
		e.texts[n] = t
	}
	gone = c.drop(src.ID)
	c.sources[src.ID] = e
	return fresh, gone
}

// drop forgets a source and returns the texts that no chunk has any more.
func (c *catalog) drop(id string) (gone []*text) {
	e := c.sources[id]
	if e == nil {
		return nil
	}
	delete(c.sources, id)
	for _, t := range e.texts {
		kept := t.refs[:0]
		for _, r := range t.refs {
			if r.entry != e {
				kept = append(kept, r)
			}
		}
		if t.refs = kept; len(kept) == 0 && c.texts[t.hash] == t {
			delete(c.texts, t.hash)
			if c.languages[t.language]--; c.languages[t.language] == 0 {
				delete(c.languages, t.language)
			}
			gone = append(gone, t)
		}
	}
	return gone
}

// lost returns the hashes that no chunk would have if marks became the texts of source id.
func (c *catalog) lost(id string, marks []mark) []hash {
	e := c.sources[id]
	if e == nil {
		return nil
	}
	kept := map[hash]bool{}
	for _, m := range marks {
		kept[m.hash] = true
	}
	var out []hash
	for _, t := range e.texts {
		if !kept[t.hash] && t.onlyOf(e) {
			kept[t.hash] = true
			out = append(out, t.hash)
		}
	}
	return out
}

func (t *text) onlyOf(e *entry) bool {
	for _, r := range t.refs {
		if r.entry != e {
			return false
		}
	}
	return true
}

// embedded counts the chunks of e that have their vectors.
func (e *entry) embedded() int {
	n := 0
	for _, t := range e.texts {
		if t.windows > 0 {
			n++
		}
	}
	return n
}

// vectorIDs are the ids of the text's vectors in the vector store.
func (t *text) vectorIDs(windows int) []string {
	ids := make([]string, windows)
	for w := range ids {
		ids[w] = base64.RawURLEncoding.EncodeToString(t.hash[:])
		if w > 0 {
			ids[w] += "#" + strconv.Itoa(w)
		}
	}
	return ids
}

// textOf returns the text a vector's id belongs to, or nil.
func (c *catalog) textOf(id string) *text {
	id, _, _ = strings.Cut(id, "#")
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(raw) != len(hash{}) {
		return nil
	}
	return c.texts[hash(raw)]
}

// chunkOf returns the chunk that has an id, or false.
func (c *catalog) chunkOf(id string) (ref, bool) {
	dot := strings.LastIndexByte(id, '.')
	if dot < 0 {
		return ref{}, false
	}
	n, err := strconv.Atoi(id[dot+1:])
	e := c.sources[id[:dot]]
	if err != nil || e == nil || n < 0 || n >= len(e.texts) {
		return ref{}, false
	}
	return ref{e, n}, true
}

// id is the chunk's.
func (r ref) id() string { return chunkID(r.entry.source.ID, r.n) }

func chunkID(source string, n int) string { return source + "." + strconv.Itoa(n) }

// partition is the language by which texts are kept apart: es, en or xx.
func partition(language string) string {
	if language == "es" || language == "en" {
		return language
	}
	return "xx"
}
