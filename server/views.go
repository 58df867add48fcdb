package server

import (
	"math"
	"time"

	"golang.org/x/text/language"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/answer"
)

// The types of this file are the JSON of CONTRACT.md: every key is always
// there, what is unknown is null, and a list is never null.

type document struct {
	ID          string        `json:"id"`
	Title       string        `json:"title"`
	Paths       []string      `json:"paths" nullable:"false" doc:"slash-separated, relative to the folder"`
	Collection  string        `json:"collection"`
	Status      ingest.Status `json:"status" enum:"queued,working,ready,partial,failed,removed"`
	Stage       *string       `json:"stage"`
	Progress    *progress     `json:"progress"`
	Pages       *int          `json:"pages"`
	DurationS   *float64      `json:"duration_s"`
	Bytes       int64         `json:"bytes"`
	MIME        *string       `json:"mime"`
	SHA256      string        `json:"sha256"`
	Language    *string       `json:"language"`
	Chunks      int           `json:"chunks"`
	Embedded    int           `json:"embedded" doc:"chunks that have vectors"`
	Added       time.Time     `json:"added"`
	Updated     time.Time     `json:"updated"`
	Error       *failure      `json:"error"`
	PagesFailed []int         `json:"pages_failed" nullable:"false"`
	Warnings    []string      `json:"warnings" nullable:"false"`
	ReadBy      []reading     `json:"read_by" nullable:"false" doc:"the engines that read its scanned pages, or heard it"`
}

type reading struct {
	Engine     string        `json:"engine" doc:"with its version and model"`
	Confidence float64       `json:"confidence" minimum:"0" maximum:"1" doc:"the mean by length of text"`
	Pages      []pageReading `json:"pages" nullable:"false" doc:"none of a recording; in lists and events none at all"`
}

type pageReading struct {
	Page       int     `json:"page" minimum:"1"`
	Confidence float64 `json:"confidence" minimum:"0" maximum:"1" doc:"0 where no text was found"`
}

type progress struct {
	_     struct{} `nullable:"true"`
	Done  int      `json:"done"`
	Total int      `json:"total"`
	Unit  string   `json:"unit" doc:"page, or s for seconds"`
	LeftS *float64 `json:"left_s" doc:"seconds that it may take still; null where that cannot be told"`
	Waits *string  `json:"waits" doc:"null while it goes on; turn: a question or another engine has the memory; rest: the machine is hot, or on battery"`
}

type failure struct {
	_       struct{}     `nullable:"true"`
	Code    string       `json:"code" enum:"encrypted,corrupt,empty,unsupported,too_large,bomb,timeout,crashed,needs_ocr,engine_missing,not_readable"`
	Message string       `json:"message" doc:"what to do, in the reader's language (Accept-Language: es or en)"`
	Detail  *string      `json:"detail"`
	RetryAt *time.Time   `json:"retry_at"`
	Pages   []int        `json:"pages" nullable:"false" doc:"those it concerns, where it is not the whole"`
	Seconds [][2]float64 `json:"seconds" nullable:"false" doc:"the parts of a recording it concerns, from start to end, where it is not the whole"`
}

// documentOf is d in the reader's language, as lists show it.
func documentOf(d ingest.Document, lang string) document {
	view := document{
		ID: d.ID, Title: d.Title, Paths: list(d.Paths), Collection: d.Collection, Status: d.Status, Stage: known(d.Stage),
		Pages: known(d.Pages), DurationS: known(d.DurationS), Bytes: d.Bytes, MIME: known(d.MIME), SHA256: d.SHA256,
		Language: known(d.Language), Chunks: d.Chunks, Embedded: d.Embedded, Added: d.Added, Updated: d.Updated,
		PagesFailed: list(d.PagesFailed), Warnings: make([]string, len(d.Warnings)), ReadBy: make([]reading, len(d.ReadBy)),
	}
	for i, w := range d.Warnings {
		view.Warnings[i] = ingest.WarningIn(lang, w)
	}
	for i, r := range d.ReadBy {
		view.ReadBy[i] = reading{Engine: r.Engine, Confidence: r.Confidence, Pages: []pageReading{}}
	}
	if p := d.Progress; p != nil {
		view.Progress = &progress{Done: p.Done, Total: p.Total, Unit: p.Unit, LeftS: known(p.LeftS), Waits: known(string(p.Waits))}
	}
	if p := d.Error; p != nil {
		view.Error = &failure{
			Code: string(p.Code), Message: p.In(lang), Detail: known(p.Detail), RetryAt: p.RetryAt, Pages: list(p.Pages), Seconds: list(p.Seconds),
		}
	}
	return view
}

// detailsOf is d with how each of its pages was read.
func detailsOf(d ingest.Document, lang string) document {
	view := documentOf(d, lang)
	for i, r := range d.ReadBy {
		for _, p := range r.Pages {
			view.ReadBy[i].Pages = append(view.ReadBy[i].Pages, pageReading(p))
		}
	}
	return view
}

func documentsOf(docs []ingest.Document, lang string) []document {
	views := make([]document, len(docs))
	for i, d := range docs {
		views[i] = documentOf(d, lang)
	}
	return views
}

// known is nil for a zero value.
func known[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// list is v, or an empty list instead of none.
func list[T any](v []T) []T {
	if v == nil {
		return []T{}
	}
	return v
}

// languages are those users are spoken to in; the first is for all others.
var languages = language.NewMatcher([]language.Tag{language.English, language.Spanish})

// readerLanguage is es or en, as the header Accept-Language prefers.
func readerLanguage(accept string) string {
	if _, i := language.MatchStrings(languages, accept); i == 1 {
		return "es"
	}
	return "en"
}

type location struct {
	Kind    string       `json:"kind" enum:"page,time,chars,cells,slide"`
	Page    *int         `json:"page,omitempty" minimum:"1"`
	Boxes   [][4]float64 `json:"boxes,omitzero" nullable:"false" doc:"x0, y0, x1, y1 from the page's top left, 0 to 1"`
	StartS  *float64     `json:"start_s,omitempty"`
	EndS    *float64     `json:"end_s,omitempty"`
	Start   *int         `json:"start,omitempty" doc:"in characters of the extracted text"`
	End     *int         `json:"end,omitempty"`
	Heading *string      `json:"heading,omitempty"`
	Sheet   *string      `json:"sheet,omitempty"`
	Range   *string      `json:"range,omitempty"`
	Slide   *int         `json:"slide,omitempty" minimum:"1"`
	// Recognition is absent where the text is the file's own.
	Recognition *recognition `json:"recognition,omitempty" doc:"how the text of a scan, a photo or a recording was read"`
}

type recognition struct {
	Engine     string  `json:"engine" doc:"with its version"`
	Confidence float64 `json:"confidence" minimum:"0" maximum:"1" doc:"the engine's own, a mean over the passage"`
}

// locationOf has the fields of the location's kind, also those that are zero.
func locationOf(l retrieval.Location) location {
	view := location{Kind: l.Kind}
	switch l.Kind {
	case "page":
		view.Page, view.Boxes = &l.Page, list(l.Boxes)
	case "time":
		view.StartS, view.EndS = &l.StartS, &l.EndS
	case "cells":
		view.Sheet, view.Range = &l.Sheet, &l.Range
	case "slide":
		view.Slide = &l.Slide
	default:
		view.Start, view.End, view.Heading = &l.Start, &l.End, &l.Heading
	}
	if r := l.Recognition; r.Engine != "" {
		view.Recognition = &recognition{r.Engine, r.Confidence}
	}
	return view
}

type chunk struct {
	ID       string   `json:"id"`
	N        int      `json:"n"`
	Text     string   `json:"text"`
	Heading  []string `json:"heading" nullable:"false" doc:"path of headings, outermost first"`
	Location location `json:"location"`
	Tokens   int      `json:"tokens"`
}

func chunkOf(c retrieval.Chunk) chunk {
	return chunk{ID: c.ID, N: c.N, Text: c.Text, Heading: list(c.Heading), Location: locationOf(c.Location), Tokens: c.Tokens}
}

type source struct {
	ID         string `json:"id"`
	Title      string `json:"title"`
	Path       string `json:"path"`
	Collection string `json:"collection"`
}

func sourceOf(s retrieval.Source) source {
	return source{ID: s.ID, Title: s.Title, Path: s.Path(), Collection: s.Collection()}
}

type hit struct {
	ChunkID    string   `json:"chunk_id"`
	Document   source   `json:"document"`
	Location   location `json:"location"`
	Heading    []string `json:"heading" nullable:"false" doc:"path of headings, outermost first"`
	Text       string   `json:"text"`
	Score      float64  `json:"score" doc:"0 to 1, comparable within one answer"`
	Scores     scores   `json:"scores"`
	Confidence float64  `json:"confidence" doc:"0 to 1, comparable between questions"`
}

type scores struct {
	Vector  *float64 `json:"vector"`
	Lexical *float64 `json:"lexical"`
}

func hitsOf(found []retrieval.Hit) []hit {
	hits := make([]hit, len(found))
	for i, h := range found {
		hits[i] = hit{
			ChunkID: h.Chunk.ID, Document: sourceOf(h.Source), Location: locationOf(h.Chunk.Location), Heading: list(h.Chunk.Heading),
			Text: h.Chunk.Text, Score: h.Score, Scores: scores{h.Vector, h.Lexical}, Confidence: h.Confidence,
		}
	}
	return hits
}

type citation struct {
	N          int      `json:"n"`
	Document   source   `json:"document"`
	Location   location `json:"location" doc:"of the sentences that bear what is said, or of the whole passage where none is found"`
	Text       string   `json:"text"`
	Score      float64  `json:"score"`
	Confidence float64  `json:"confidence"`
}

func citationsOf(cited []answer.Citation) []citation {
	citations := make([]citation, len(cited))
	for i, c := range cited {
		citations[i] = citation{
			N: c.N, Document: sourceOf(c.Hit.Source), Location: locationOf(c.Location),
			Text: c.Hit.Chunk.Text, Score: c.Hit.Score, Confidence: c.Hit.Confidence,
		}
	}
	return citations
}

type queryAnswer struct {
	ID        string     `json:"id"`
	Mode      string     `json:"mode" enum:"generated,extractive"`
	Answer    string     `json:"answer"`
	Abstained bool       `json:"abstained"`
	Language  string     `json:"language"`
	Citations []citation `json:"citations" nullable:"false"`
	Warnings  []string   `json:"warnings" nullable:"false"`
	Usage     tokenUsage `json:"usage"`
	Model     models     `json:"model"`
	Timing    timing     `json:"timing_ms"`
}

type tokenUsage struct {
	PromptTokens     int  `json:"prompt_tokens"`
	CompletionTokens int  `json:"completion_tokens"`
	Context          int  `json:"context"`
	Truncated        bool `json:"truncated"`
}

type models struct {
	LLM      *string `json:"llm"`
	Embedder *string `json:"embedder"`
	Reloaded bool    `json:"reloaded"`
}

type timing struct {
	Retrieve   float64 `json:"retrieve"`
	FirstToken float64 `json:"first_token"`
	Total      float64 `json:"total"`
}

// answerOf is a as the answer to the question with that id.
func (s *server) answerOf(id string, a answer.Answer) queryAnswer {
	return queryAnswer{
		ID: id, Mode: a.Mode, Answer: a.Text, Abstained: a.Abstained, Language: a.Language,
		Citations: citationsOf(a.Citations), Warnings: list(a.Warnings),
		Usage:  tokenUsage{a.Usage.PromptTokens, a.Usage.CompletionTokens, a.Usage.Context, a.Usage.Truncated},
		Model:  models{known(a.LLM), known(s.Embedder), a.Usage.Reloaded},
		Timing: timing{tenths(a.RetrieveMS), tenths(a.FirstTokenMS), tenths(a.TotalMS)},
	}
}

// tenths rounds milliseconds for showing.
func tenths(ms float64) float64 { return math.Round(ms*10) / 10 }
