// Package retrieval owns the index: it stores chunks and finds those that
// answer a query, by words (BM25) and by meaning (vectors), fused.
package retrieval

import (
	"context"
	"errors"
	"strings"
)

// Errors that callers test for.
var (
	// ErrUnavailable means that the embedder cannot run now. Search goes on by words and says so.
	ErrUnavailable = errors.New("the embedder is not available")
	// ErrTooLong means that a text exceeds the embedder's context. Nothing of the batch was embedded.
	ErrTooLong = errors.New("text is longer than the model's context")
	// ErrNotFound means that there is no such source or chunk.
	ErrNotFound = errors.New("not found")
)

// A Source is a document as its readers know it. Its paths are attributes,
// never part of a chunk: a rename embeds nothing.
type Source struct {
	ID       string   `json:"id"`    // derived from the content
	Title    string   `json:"title"` // to show: the document's own, or the name of its file
	Paths    []string `json:"paths"` // slash-separated, relative to the folder, sorted
	Language string   `json:"language,omitempty"`
	Revision string   `json:"revision,omitempty"` // parser and chunker settings that made its chunks
}

// Path is the first of the source's paths, or "".
func (s Source) Path() string {
	if len(s.Paths) == 0 {
		return ""
	}
	return s.Paths[0]
}

// Collection is the first-level subfolder of the source's first path, or "".
func (s Source) Collection() string { return CollectionOf(s.Path()) }

// CollectionOf returns the first-level subfolder of a slash-separated path, or "".
func CollectionOf(path string) string {
	if first, _, found := strings.Cut(path, "/"); found {
		return first
	}
	return ""
}

// A Chunk is the unit that is indexed, found and cited.
type Chunk struct {
	ID       string   `json:"id"` // <source id>.<n>
	N        int      `json:"n"`  // place in its source, from 0
	Text     string   `json:"text"`
	Title    string   `json:"title,omitempty"`   // the document's own title; embedded and indexed with the text
	Heading  []string `json:"heading,omitempty"` // path of headings; embedded and indexed with the text
	Language string   `json:"language,omitempty"`
	Tokens   int      `json:"tokens"`
	Location Location `json:"location"`
	Lines    Lines    `json:"lines,omitempty"` // finer places of the text, where there are some
}

// Indexed is the text that is embedded and indexed for c: "title > heading path", then the text.
func (c Chunk) Indexed() string {
	path := c.Heading
	if c.Title != "" && (len(path) == 0 || path[0] != c.Title) {
		path = append([]string{c.Title}, path...)
	}
	if len(path) == 0 {
		return c.Text
	}
	return strings.Join(path, " > ") + "\n\n" + c.Text
}

// A Location is where in its source a chunk stands. Kind says which fields hold.
type Location struct {
	Kind    string       `json:"kind"`           // page, chars, time, cells or slide
	Page    int          `json:"page,omitempty"` // page: from 1
	Boxes   [][4]float64 `json:"boxes,omitempty"`
	Start   int          `json:"start,omitempty"` // chars: Unicode code points in the extracted text
	End     int          `json:"end,omitempty"`
	Heading string       `json:"heading,omitempty"`
	StartS  float64      `json:"start_s,omitempty"` // time: seconds
	EndS    float64      `json:"end_s,omitempty"`
	Sheet   string       `json:"sheet,omitempty"`
	Range   string       `json:"range,omitempty"`
	Slide   int          `json:"slide,omitempty"`
	// Recognition is how the text was read, where it is not the file's own: of a scan, a photo, a recording.
	Recognition Recognition `json:"recognition,omitzero"`
}

// A Recognition says what engine recognised a text, and how sure it is of it.
type Recognition struct {
	Engine     string  `json:"engine"`     // with its version
	Confidence float64 `json:"confidence"` // 0–1
}

// A Mode says which retrievers answer a query.
type Mode string

// The modes of a query.
const (
	Hybrid  Mode = "hybrid"
	Vector  Mode = "vector"
	Lexical Mode = "lexical"
)

// A Query asks for the K chunks that answer Text best.
type Query struct {
	Text       string
	K          int    // default 10
	Mode       Mode   // default Hybrid
	Collection string // empty means all
	Path       string // a path or a folder; empty means all
}

// A Hit is a chunk that was found.
type Hit struct {
	Chunk  Chunk
	Source Source
	Score  float64 // fused, 0–1, comparable within one result only
	// Vector is the cosine similarity, Lexical the BM25 score; nil where that retriever did not find it.
	Vector  *float64
	Lexical *float64
	// Confidence, 0–1, says how likely the chunk bears on the question at all, comparable between questions.
	Confidence float64
}

// A Warning says why a search found less than it could have: Cause is why the
// embedder is not available, nil where the passages are being embedded anew.
type Warning struct{ Cause error }

// In returns the warning as a sentence for the user, in a language: es, or else English.
func (w Warning) In(language string) string {
	spanish := language == "es"
	cause := Said(w.Cause, language)
	switch {
	case w.Cause == nil && spanish:
		return "Los vectores de los pasajes se están haciendo de nuevo; hasta que terminen se encuentra menos por significado."
	case w.Cause == nil:
		return "The passages are being embedded anew; until that is done less is found by meaning."
	case spanish && cause == "":
		return "Se ha buscado solo por palabras: el modelo de vectores no está disponible; `acervo doctor` dice por qué."
	case spanish:
		return "Se ha buscado solo por palabras: " + cause
	case cause == "":
		return "Searched by words only: the embedder is not available; `acervo doctor` says why."
	}
	return "Searched by words only: " + cause
}

// Said is what an error says to a user in a language, es or else English, if it
// can (by a method In(language string) string); else it is "".
func Said(err error, language string) string {
	var said interface{ In(language string) string }
	if errors.As(err, &said) {
		return said.In(language)
	}
	return ""
}

// A Result is what a search found.
type Result struct {
	Hits     []Hit
	Language string // of the query: es, en, or "" when unsure
	Warnings []Warning
	// Embed and Search are milliseconds spent embedding the query, and in the index.
	EmbedMS  float64
	SearchMS float64
}

// An Embedder turns text into vectors. It adds the prefixes its model wants
// (see [PrefixesOf]) and never cuts a text: one that is too long is an error
// that wraps [ErrTooLong].
type Embedder interface {
	// Model names the model; with its prefixes it names the vector space.
	Model() string
	// EmbedPassages returns one vector a text, all of one dimension.
	EmbedPassages(ctx context.Context, texts []string) ([][]float32, error)
	EmbedQuery(ctx context.Context, text string) ([]float32, error)
}

// A VectorStore finds the vectors nearest to one given. Vectors live in named
// partitions (one a language) that come into being when first added to.
type VectorStore interface {
	Add(ctx context.Context, partition string, ids []string, vectors [][]float32) error
	Remove(ctx context.Context, partition string, ids []string) error
	// Nearest returns at most k matches of the partition, best first; none for one that is not there.
	Nearest(ctx context.Context, partition string, vector []float32, k int) ([]Match, error)
}

// A Match is a vector that was found, with its cosine similarity.
type Match struct {
	ID         string
	Similarity float64
}

// A Reranker scores texts against a query, higher is better.
type Reranker interface {
	Score(ctx context.Context, query string, texts []string) ([]float64, error)
}

// Stats are counts for humans and metrics.
type Stats struct {
	Sources int    `json:"sources"`
	Chunks  int    `json:"chunks"`
	Vectors int    `json:"vectors"` // chunks that have theirs
	Model   string `json:"model"`
	// Problem says why vectors are not being made now, or is empty.
	Problem string `json:"problem,omitempty"`
}
