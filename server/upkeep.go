package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/acervo-kb/acervo/ingest"
)

// Upkeep brings the index level with the folder, and proves that it is.
type Upkeep interface {
	// Sync tells report of each document that changes its state, and returns when all are at their end.
	Sync(ctx context.Context, report func(ingest.Document)) (ingest.Summary, error)
	// Verify returns what differs, in sentences; repair mends it.
	Verify(ctx context.Context, repair bool) ([]string, error)
}

func syncOperation(api huma.API) huma.Operation {
	op := operation("POST /api/v1/sync", "Bring the index level with the folder once")
	op.Description = "Server-sent events: `document` for each that changes its state, then `done` with a summary, or `error`."
	op.Responses = problems(api)
	op.Responses["200"] = &huma.Response{Description: "What happens", Content: map[string]*huma.MediaType{
		"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}},
	}}
	return op
}

// summary is an [ingest.Summary] with its documents as this reader sees them.
type summary struct {
	Indexed   int        `json:"indexed"`
	Unchanged int        `json:"unchanged"`
	Removed   int        `json:"removed"`
	Failed    []document `json:"failed"`
}

func (s *server) sync(c *gin.Context) {
	lang := readerLanguage(c.GetHeader("Accept-Language"))
	writeEvents(c, s.beat, func(ctx context.Context, e *eventStream) {
		done, err := s.Corpus.Sync(ctx, func(d ingest.Document) {
			_ = e.send("document", documentOf(d, lang)) // a reader that left ends ctx
		})
		switch {
		case ctx.Err() != nil:
		case err != nil:
			_ = e.send("error", asProblem(ctx, err))
		default:
			out := summary{Indexed: done.Indexed, Unchanged: done.Unchanged, Removed: done.Removed, Failed: []document{}}
			for _, d := range done.Failed {
				out.Failed = append(out.Failed, documentOf(d, lang))
			}
			_ = e.send("done", out)
		}
	})
}

type verifyRequest struct {
	Body struct {
		Repair bool `json:"repair,omitempty" doc:"mend what differs"`
	}
}

type verified struct {
	Problems []string `json:"problems" nullable:"false"`
	Repaired bool     `json:"repaired"`
}

func (s *server) verify(ctx context.Context, in *verifyRequest) (verified, error) {
	found, err := s.Corpus.Verify(ctx, in.Body.Repair)
	return verified{Problems: list(found), Repaired: in.Body.Repair}, err
}
