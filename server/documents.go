package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/retrieval"
)

// Documents is what is known of the corpus.
type Documents interface {
	// Get and the like return [ingest.ErrNotFound] for an id that is not known.
	Get(id string) (ingest.Document, error)
	// List returns a page of documents and the cursor of the next, or "".
	List(f ingest.Filter) ([]ingest.Document, string, error)
	Collections() []ingest.CollectionCount
	// Subscribe returns the changes from now on. The channel is closed when ctx ends, or when its reader lags.
	Subscribe(ctx context.Context) <-chan ingest.Event
}

// Files is how documents come and are shown.
type Files interface {
	// Add writes a file into the folder. The names are refused if they lead out of it.
	Add(ctx context.Context, collection, name string, r io.Reader) (ingest.Document, error)
	// Open returns the bytes of the document as they were indexed.
	Open(id string) (*os.File, ingest.Document, error)
	// Page returns page n (from 1) as a PNG.
	Page(ctx context.Context, id string, n int) ([]byte, error)
}

// Changes is what a user does to a document.
type Changes interface {
	Remove(ctx context.Context, id string) error
	Restore(ctx context.Context, id string) (ingest.Document, error)
	Retry(ctx context.Context, id string) (ingest.Document, error)
	Reread(ctx context.Context, id string) (ingest.Document, error)
}

// A Corpus is an [ingest.Corpus], or a test's.
type Corpus interface {
	Documents
	Files
	Changes
	Upkeep
}

// An Index is a [retrieval.Index], or a test's.
type Index interface {
	Search(ctx context.Context, q retrieval.Query) (retrieval.Result, error)
	// Chunks returns at most limit chunks of a source, from its from-th on.
	Chunks(ctx context.Context, id string, from, limit int) ([]retrieval.Chunk, error)
}

type oneDocument struct {
	ID             string `path:"id"`
	AcceptLanguage string `header:"Accept-Language" doc:"es or en: the language of messages"`
}

type listing struct {
	Collection     string `query:"collection" doc:"a first-level subfolder; empty means all"`
	Status         string `query:"status" enum:"queued,working,ready,partial,failed,removed"`
	Text           string `query:"q" doc:"part of a title or path"`
	Limit          int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
	Cursor         string `query:"cursor" doc:"the next of the page before"`
	AcceptLanguage string `header:"Accept-Language" doc:"es or en: the language of messages"`
}

type documentPage struct {
	Documents []document `json:"documents" nullable:"false"`
	Next      *string    `json:"next" doc:"the cursor of the next page, or null"`
}

func (s *server) list(_ context.Context, in *listing) (documentPage, error) {
	docs, next, err := s.Corpus.List(ingest.Filter{Collection: in.Collection, Status: in.Status, Text: in.Text, After: in.Cursor, Limit: in.Limit})
	return documentPage{Documents: documentsOf(docs, readerLanguage(in.AcceptLanguage)), Next: known(next)}, err
}

func (s *server) document(_ context.Context, in *oneDocument) (document, error) {
	d, err := s.Corpus.Get(in.ID)
	return detailsOf(d, readerLanguage(in.AcceptLanguage)), err
}

func (s *server) remove(ctx context.Context, in *oneDocument) (none, error) {
	return none{}, s.Corpus.Remove(ctx, in.ID)
}

func (s *server) restore(ctx context.Context, in *oneDocument) (document, error) {
	d, err := s.Corpus.Restore(ctx, in.ID)
	return documentOf(d, readerLanguage(in.AcceptLanguage)), err
}

type retrial struct {
	ID             string `path:"id"`
	AcceptLanguage string `header:"Accept-Language" doc:"es or en: the language of messages"`
	Anew           bool   `query:"anew" doc:"read all of it from the beginning, also what was read well"`
}

func (s *server) retry(ctx context.Context, in *retrial) (document, error) {
	try := s.Corpus.Retry
	if in.Anew {
		try = s.Corpus.Reread
	}
	d, err := try(ctx, in.ID)
	return documentOf(d, readerLanguage(in.AcceptLanguage)), err
}

type chunkListing struct {
	ID     string `path:"id"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
	Cursor string `query:"cursor" doc:"the next of the page before"`
}

type chunkPage struct {
	Chunks []chunk `json:"chunks" nullable:"false"`
	Next   *string `json:"next" doc:"the cursor of the next page, or null"`
}

// chunks is empty for a document that is not indexed yet. A cursor is the place of the next chunk.
func (s *server) chunks(ctx context.Context, in *chunkListing) (chunkPage, error) {
	none := chunkPage{Chunks: []chunk{}}
	from, err := strconv.ParseUint(in.Cursor, 10, 31)
	if err != nil && in.Cursor != "" {
		return none, newProblem(http.StatusUnprocessableEntity, "invalid", "the cursor is not one of this list")
	}
	if _, err := s.Corpus.Get(in.ID); err != nil {
		return none, err
	}
	found, err := s.Index.Chunks(ctx, in.ID, int(from), in.Limit+1)
	if errors.Is(err, retrieval.ErrNotFound) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	var next *string
	if len(found) > in.Limit {
		found = found[:in.Limit]
		next = known(strconv.Itoa(int(from) + in.Limit))
	}
	views := make([]chunk, len(found))
	for i, c := range found {
		views[i] = chunkOf(c)
	}
	return chunkPage{Chunks: views, Next: next}, nil
}

type collection struct {
	Name      string `json:"name" doc:"empty for what lies in the folder itself"`
	Documents int    `json:"documents"`
	Chunks    int    `json:"chunks"`
}

type collectionList struct {
	Collections []collection `json:"collections" nullable:"false"`
	Folder      string       `json:"folder" doc:"the folder of the documents, on the server's machine"`
}

func (s *server) collections(context.Context, *struct{}) (collectionList, error) {
	views := []collection{}
	for _, c := range s.Corpus.Collections() {
		views = append(views, collection{Name: c.Name, Documents: c.Documents, Chunks: c.Chunks})
	}
	return collectionList{views, s.Folder}, nil
}

type state struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

func (s *server) health(context.Context, *struct{}) (state, error) {
	return state{Status: "ok", Version: s.Version}, nil
}

// ready is true from the start, as everything is open by then, until the server ends. No model server is needed.
func (s *server) ready(context.Context, *struct{}) (state, error) {
	select {
	case <-s.Done:
		return state{}, newProblem(http.StatusServiceUnavailable, "stopping", "the server is about to end").after(5).es("el servidor está a punto de terminar")
	default:
		return state{Status: "ready", Version: s.Version}, nil
	}
}
