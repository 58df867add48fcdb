// Package ingest keeps the index equal to the folder: what is dropped in it is
// found, what is renamed keeps its vectors, what is deleted stops answering.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// Errors that callers test for.
var (
	// ErrNotFound means that there is no such document, or that its file is gone.
	ErrNotFound = errors.New("not found")
	// ErrNoPage means that the document has no such page to draw. It is an ErrNotFound.
	ErrNoPage = fmt.Errorf("no such page: %w", ErrNotFound)
)

// A Status is where a document stands.
type Status string

// The states of a document. There is no state to clean up after a crash:
// Working is only in memory, in the ledger such a row is Queued.
const (
	Queued  Status = "queued"
	Working Status = "working"
	Ready   Status = "ready"
	Partial Status = "partial"
	Failed  Status = "failed"
	Removed Status = "removed"
)

// A Document is one content the corpus knows, with its paths and its state.
// Its JSON is the Document of CONTRACT.md.
type Document struct {
	ID          string    `json:"id"`
	Title       string    `json:"title"`
	Paths       []string  `json:"paths"`
	Collection  string    `json:"collection"`
	Status      Status    `json:"status"`
	Stage       string    `json:"stage,omitempty"`
	Progress    *Progress `json:"progress,omitempty"`
	Pages       int       `json:"pages,omitempty"`
	DurationS   float64   `json:"duration_s,omitempty"`
	Bytes       int64     `json:"bytes"`
	MIME        string    `json:"mime,omitempty"`
	SHA256      string    `json:"sha256"`
	Language    string    `json:"language,omitempty"`
	Chunks      int       `json:"chunks"`
	Embedded    int       `json:"embedded"`
	Added       time.Time `json:"added"`
	Updated     time.Time `json:"updated"`
	Error       *Problem  `json:"error,omitempty"`
	PagesFailed []int     `json:"pages_failed"`
	Warnings    []string  `json:"warnings,omitempty"`
	ReadBy      []Reading `json:"read_by,omitempty"`
}

// Progress is how far the work on a document has come.
type Progress struct {
	Done  int    `json:"done"`
	Total int    `json:"total"`
	Unit  string `json:"unit"`
	// LeftS is how long it may take still, in seconds; 0 where that cannot be told: before two pages, or two windows
	// of a recording, are done, and while it waits.
	LeftS float64 `json:"left_s,omitempty"`
	// Waits is for what the work waits; "" while it goes on.
	Waits parse.Wait `json:"waits,omitempty"`
}

// A Problem is why a document is not ready, or not whole.
type Problem struct {
	Code    parse.Code `json:"code"`
	Message string     `json:"message"` // in English; see [Problem.In]
	Detail  string     `json:"detail,omitempty"`
	Pages   []int      `json:"pages,omitempty"` // those concerned, where it is not the whole
	// Seconds are the parts of a recording concerned, from start to end, where it is not the whole.
	Seconds [][2]float64 `json:"seconds,omitempty"`
	RetryAt *time.Time   `json:"retry_at,omitempty"`
	Tried   bool         `json:"tried,omitempty"` // by OCR, which failed on its pages
}

// A Reader turns files into content and pages into images, in a process of its
// own. Its errors are [*parse.Error] where the file is at fault.
type Reader interface {
	// Parse reads the file at path (slash-separated) below root.
	Parse(ctx context.Context, root, path string, progress parse.Progress) (parse.Content, error)
	// Page draws page n (from 1) as a PNG.
	Page(ctx context.Context, root, path string, n int) ([]byte, error)
	// Scan draws page n for an [OCR], at dpi where the document has a size on paper.
	Scan(ctx context.Context, root, path string, n, dpi int) ([]byte, error)
}

// An Event is a change of a document's state. A removed document's is Removed.
type Event struct {
	Document Document `json:"document"`
}

// A Filter chooses documents. Its zero value means all but those in the trash.
type Filter struct {
	Collection string
	Status     string // Removed lists the trash
	Text       string // part of the title or of a path; case and accents do not matter
	After      string // the cursor of a page before
	Limit      int    // 0 means 100
}

// A CollectionCount says how much a collection holds.
type CollectionCount struct {
	Name      string `json:"name"` // empty for what lies in the folder itself
	Documents int    `json:"documents"`
	Chunks    int    `json:"chunks"`
}

// A Summary says what a [Corpus.Sync] did. Indexed counts the documents that
// became searchable, Unchanged those that were before, Removed those that are
// gone from the folder; Failed are all that cannot be read now.
type Summary struct {
	Indexed   int        `json:"indexed"`
	Unchanged int        `json:"unchanged"`
	Removed   int        `json:"removed"`
	Failed    []Document `json:"failed"`
}
