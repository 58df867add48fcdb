package retrieval

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/document"
	index "github.com/blevesearch/bleve_index_api"
	"go.etcd.io/bbolt"
)

// The fields of a row of the word index. A row's id is its chunk's. No text is stored.
const (
	exactField  = "exact"  // every word, and codes whole
	stemField   = "stem"   // stems of the words that carry meaning, in the chunk's language
	nameField   = "name"   // words of the paths, and of a title that is not in the text
	pathField   = "path"   // every path, and every folder above it with a slash behind
	sourceField = "source" // the source's id
)

// batchRows is about how many rows go into one batch.
const batchRows = 1000

// A writer gathers rows of the word index into batches.
type writer struct {
	index bleve.Index
	batch *bleve.Batch
}

// add brings the rows of a source level with what tx holds of it. The first old rows were its own before.
func (w *writer) add(ctx context.Context, tx *bbolt.Tx, id string, old int) error {
	for n := range old {
		w.batch.Delete(chunkID(id, n))
	}
	raw := tx.Bucket(sourcesBucket).Get([]byte(id))
	if raw == nil {
		return w.flushFull()
	}
	var src Source
	if err := json.Unmarshal(raw, &src); err != nil {
		return fmt.Errorf("source %s: %w", id, err)
	}
	_, marks, err := decodeMarks(tx.Bucket(textsBucket).Get([]byte(id)))
	if err != nil {
		return fmt.Errorf("source %s: %w", id, err)
	}
	for n, m := range marks {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := readChunk(tx, id, n)
		if err != nil {
			return err
		}
		if err := w.batch.IndexAdvanced(row(src, c, m.language)); err != nil {
			return fmt.Errorf("word index: %w", err)
		}
		if err := w.flushFull(); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) flushFull() error {
	if w.batch.Size() < batchRows {
		return nil
	}
	return w.flush()
}

// flush writes the batch; it returns when that is on disk.
func (w *writer) flush() error {
	if err := w.index.Batch(w.batch); err != nil {
		return fmt.Errorf("word index: %w", err)
	}
	w.batch = w.index.NewBatch()
	return nil
}

// row makes the row of a chunk. It is analysed by functions of ours, not by
// bleve's registered analyzers: the question must go through the same ones,
// and a match query would take the default analyzer.
func row(src Source, c Chunk, language string) *document.Document {
	d := document.NewDocument(c.ID)
	text := []byte(c.Indexed())
	d.AddField(document.NewTextFieldCustom(exactField, nil, text, index.IndexField, analyzer(exactTerms)))
	d.AddField(document.NewTextFieldCustom(stemField, nil, text, index.IndexField, analyzer(func(ws []word) []string { return stemTerms(ws, language) })))
	name := strings.Join(src.Paths, " ")
	if src.Title != c.Title { // that one is in the text
		name += " " + src.Title
	}
	d.AddField(document.NewTextFieldCustom(nameField, nil, []byte(name), index.IndexField, analyzer(exactTerms)))
	d.AddField(keyword(sourceField, 0, src.ID))
	for i, place := range placesOf(src.Paths) {
		d.AddField(keyword(pathField, i, place))
	}
	return d
}

func keyword(field string, i int, value string) document.Field {
	return document.NewTextFieldCustom(field, []uint64{uint64(i)}, []byte(value), index.IndexField|index.SkipFreqNorm, nil)
}

// An analyzer is a bleve analyzer made of a function from words to terms.
type analyzer func([]word) []string

// Analyze implements bleve's Analyzer.
func (a analyzer) Analyze(text []byte) analysis.TokenStream {
	terms := a(words(string(text)))
	tokens := make([]analysis.Token, len(terms))
	stream := make(analysis.TokenStream, len(terms))
	for i, t := range terms {
		tokens[i] = analysis.Token{Term: []byte(t), Position: i + 1}
		stream[i] = &tokens[i]
	}
	return stream
}

// placesOf returns each path and the folders above it, each once: a/b.txt gives a/b.txt and a/.
func placesOf(paths []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, p := range paths {
		for i := 0; i <= len(p); i++ {
			place := p[:i]
			if i < len(p) && p[i] != '/' {
				continue
			} else if i < len(p) {
				place = p[:i+1]
			}
			if !seen[place] {
				seen[place] = true
				out = append(out, place)
			}
		}
	}
	return out
}
