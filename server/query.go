package server

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/answer"
)

// An Answerer is an [answer.Answerer], or a test's.
type Answerer interface {
	Ask(ctx context.Context, q answer.Question) iter.Seq2[answer.Event, error]
}

// An admission lets a number of questions in at once, in the order they came, and a number wait.
type admission struct {
	room, seats *semaphore.Weighted
}

func newAdmission(asks, queue int) *admission {
	return &admission{room: semaphore.NewWeighted(int64(asks + queue)), seats: semaphore.NewWeighted(int64(asks))}
}

// enter takes a place in the queue, if there is one. [admission.leave] gives it back.
func (a *admission) enter() bool { return a.room.TryAcquire(1) }

func (a *admission) leave() { a.room.Release(1) }

// seated runs f when it is its turn, or returns why that never came.
func (a *admission) seated(ctx context.Context, f func()) error {
	if err := a.seats.Acquire(ctx, 1); err != nil {
		return err
	}
	defer a.seats.Release(1)
	f()
	return nil
}

type searchRequest struct {
	AcceptLanguage string `header:"Accept-Language" doc:"es or en: the language of warnings"`
	Body           struct {
		Query      string         `json:"query" minLength:"1" maxLength:"2000" pattern:"\\S"`
		K          int            `json:"k,omitempty" minimum:"1" maximum:"200" default:"10"`
		Collection *string        `json:"collection,omitempty" nullable:"true" doc:"a first-level subfolder; null means all"`
		Mode       retrieval.Mode `json:"mode,omitempty" enum:"hybrid,vector,lexical" default:"hybrid"`
	}
}

type searchAnswer struct {
	Hits     []hit        `json:"hits" nullable:"false"`
	Warnings []string     `json:"warnings" nullable:"false"`
	Timing   searchTiming `json:"timing_ms"`
}

type searchTiming struct {
	Embed  float64 `json:"embed"`
	Search float64 `json:"search"`
	Total  float64 `json:"total"`
}

func (s *server) search(ctx context.Context, in *searchRequest) (searchAnswer, error) {
	start := time.Now()
	q := in.Body
	found, err := s.Index.Search(ctx, retrieval.Query{Text: q.Query, K: q.K, Mode: q.Mode, Collection: value(q.Collection)})
	warnings := []string{}
	for _, w := range found.Warnings {
		warnings = append(warnings, w.In(readerLanguage(in.AcceptLanguage)))
	}
	return searchAnswer{
		Hits: hitsOf(found.Hits), Warnings: warnings,
		Timing: searchTiming{tenths(found.EmbedMS), tenths(found.SearchMS), tenths(float64(time.Since(start).Microseconds()) / 1000)},
	}, err
}

// value is what p points at, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

type question struct {
	Question   string  `json:"question" minLength:"1" maxLength:"4000" pattern:"\\S"`
	Collection *string `json:"collection,omitempty" nullable:"true" doc:"a first-level subfolder; null means all"`
	ChatID     *string `json:"chat_id,omitempty" nullable:"true" pattern:"^[A-Za-z0-9_-]{1,64}$" doc:"a conversation, which begins with its first question"`
	K          int     `json:"k,omitempty" minimum:"1" maximum:"50" default:"6" doc:"passages to answer from"`
	Stream     bool    `json:"stream,omitempty"`
}

type queryRequest struct {
	Accept string `header:"Accept"`
	Body   question
}

// queryOperation describes both shapes of the answer.
func queryOperation(api huma.API) huma.Operation {
	op := operation("POST /api/v1/query", "Ask the documents")
	op.Description = "With `\"stream\": true`, or `Accept: text/event-stream`, the answer is a stream of the events `sources`, `token`, `citations`, and `done` or `error`."
	op.Responses = problems(api, 400, 413, 415, 422, 429, 503)
	op.Responses["200"] = &huma.Response{Description: "The answer", Content: map[string]*huma.MediaType{
		"application/json":  {Schema: api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[queryAnswer](), true, "")},
		"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}},
	}}
	return op
}

// query takes a place in the queue, then answers in the shape asked for.
func (s *server) query(_ context.Context, in *queryRequest) (func(*gin.Context), error) {
	if !s.asks.enter() {
		return nil, errBusy
	}
	write := s.answer
	if in.Body.Stream || strings.Contains(in.Accept, "text/event-stream") {
		write = s.streamAnswer
	}
	return func(c *gin.Context) {
		defer s.asks.leave()
		write(c, in.Body)
	}, nil
}

// ask asks with the conversation so far.
func (s *server) ask(ctx context.Context, q question) iter.Seq2[answer.Event, error] {
	var history []answer.Message
	if q.ChatID != nil {
		var err error
		if history, err = s.Chats.History(*q.ChatID, historySize); err != nil {
			return func(yield func(answer.Event, error) bool) { yield(answer.Event{}, err) }
		}
	}
	return s.Answerer.Ask(ctx, answer.Question{Text: q.Question, Collection: value(q.Collection), K: q.K, History: history})
}

// settle keeps the turn in its conversation, and returns the whole answer to show.
func (s *server) settle(q question, a answer.Answer) queryAnswer {
	if q.ChatID != nil && a.Text != "" {
		turn := []answer.Message{{Role: answer.User, Content: q.Question}, {Role: answer.Assistant, Content: a.Text}}
		if err := s.Chats.Append(*q.ChatID, turn...); err != nil {
			s.Log.Error("conversation not saved", "err", err)
			unsaved := "This question and its answer could not be saved in the conversation."
			if a.Language == "es" {
				unsaved = "No se han podido guardar esta pregunta y su respuesta en la conversación."
			}
			a.Warnings = append(a.Warnings, unsaved)
		}
	}
	return s.answerOf("q_"+uuid.NewString(), a)
}

// answer answers in one piece.
func (s *server) answer(c *gin.Context, q question) {
	ctx := c.Request.Context()
	var a answer.Answer
	var err error
	turn := s.asks.seated(ctx, func() { a, err = answer.Collect(s.ask(ctx, q)) })
	if err = errors.Join(turn, err); err != nil {
		refuse(c, err)
		return
	}
	c.JSON(http.StatusOK, s.settle(q, a))
}

// streamAnswer answers as it is written. While it waits for its turn, comments keep the connection alive.
func (s *server) streamAnswer(c *gin.Context, q question) {
	writeEvents(c, s.beat, func(ctx context.Context, e *eventStream) {
		err := s.asks.seated(ctx, func() { s.writeAnswer(ctx, e, q) })
		if err != nil && ctx.Err() == nil {
			_ = e.send("error", asProblem(ctx, err))
		}
	})
}

// writeAnswer sends the events of an answer: sources first, whatever happens, citations before done, error last.
func (s *server) writeAnswer(ctx context.Context, e *eventStream, q question) {
	var shown, cited bool
	for event, err := range s.ask(ctx, q) {
		switch {
		case err != nil:
			s.writeError(ctx, e, q, err)
			return
		case !shown:
			shown = true
			err = e.send("sources", map[string]any{"sources": hitsOf(event.Sources)})
		}
		switch {
		case err != nil:
		case event.Text != "":
			err = e.send("token", map[string]string{"text": event.Text})
		case event.Citations != nil:
			cited = true
			err = e.send("citations", map[string]any{"citations": citationsOf(event.Citations)})
		case event.Done != nil:
			whole := s.settle(q, *event.Done)
			if !cited {
				err = e.send("citations", map[string]any{"citations": whole.Citations})
			}
			if err == nil {
				err = e.send("done", whole)
			}
		}
		if err != nil {
			return // the client has left; breaking off ends the generation
		}
	}
}

// writeError ends a stream with a problem, which carries what was answered before it.
func (s *server) writeError(ctx context.Context, e *eventStream, q question, err error) {
	var partial *answer.PartialError
	if !errors.As(err, &partial) {
		_ = e.send("error", asProblem(ctx, err))
		return
	}
	traceOf(ctx).cause = partial.Err
	p := newProblem(http.StatusBadGateway, "model_failed", "the model server failed before the answer was complete").
		es("el servidor de modelos ha fallado antes de terminar la respuesta").in(partial.Answer.Language)
	whole := s.settle(q, partial.Answer)
	p.Answer = &whole
	_ = e.send("error", p)
}
