package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
)

// An eventStream writes server-sent events. A reader that does not read is cut
// off: each write has a deadline, and one that fails ends the stream's context.
type eventStream struct {
	writer  http.ResponseWriter
	control *http.ResponseController
	cancel  context.CancelFunc
	mu      sync.Mutex // the heartbeat writes beside the producer
	err     error
}

// writeEvents answers with a stream that produce fills, with a comment whenever beat
// has passed. The context produce gets ends with the connection, or when it cannot be written to.
func writeEvents(c *gin.Context, beat time.Duration, produce func(context.Context, *eventStream)) {
	ctx, cancel := context.WithCancel(c.Request.Context())
	e := &eventStream{writer: c.Writer, control: http.NewResponseController(c.Writer), cancel: cancel}
	c.Header("Content-Type", "text/event-stream; charset=utf-8")
	c.Header("X-Accel-Buffering", "no")
	c.Status(http.StatusOK)
	e.comment()
	var heart sync.WaitGroup
	heart.Go(func() {
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				e.comment()
			}
		}
	})
	defer func() {
		cancel()
		heart.Wait()
		_ = e.control.SetWriteDeadline(time.Time{}) // it would outlive the request on a kept connection
	}()
	produce(ctx, e)
}

// send writes one event. Its error is that of the connection: there is no one left to tell.
func (e *eventStream) send(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.write(fmt.Sprintf("event: %s\ndata: %s\n\n", name, data))
}

// comment shows the reader that the stream lives.
func (e *eventStream) comment() { _ = e.write(":\n\n") }

func (e *eventStream) write(text string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return e.err
	}
	_ = e.control.SetWriteDeadline(time.Now().Add(writeWait)) // not every writer of a test can
	if _, e.err = e.writer.Write([]byte(text)); e.err == nil {
		e.err = e.control.Flush()
	}
	if e.err != nil {
		e.cancel()
	}
	return e.err
}

func eventsOperation(api huma.API) huma.Operation {
	op := operation("GET /api/v1/events", "Changes as they happen")
	op.Description = "Server-sent events: `document`, a document whose state changed; `plan`, a new plan of the hardware; " +
		"`hardware`, the state of the machine, each time it is looked at or what is lent changes. A reader that lags is cut off, and should fetch the list again."
	op.Parameters = []*huma.Param{{
		Name: "lang", In: "query", Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{"es", "en"}},
		Description: "the language of messages, for a reader that cannot send Accept-Language",
	}}
	op.Responses = problems(api)
	op.Responses["200"] = &huma.Response{Description: "A stream without end", Content: map[string]*huma.MediaType{
		"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}},
	}}
	return op
}

// events sends each change of a document's state and of the machine's, until the client leaves, the server ends or the corpus cuts off a slow reader.
func (s *server) events(c *gin.Context) {
	lang := readerLanguage(cmp.Or(c.Query("lang"), c.GetHeader("Accept-Language"))) // an EventSource cannot choose its headers
	writeEvents(c, s.beat, func(ctx context.Context, e *eventStream) {
		changes := s.Corpus.Subscribe(ctx)
		machine, news := machineWatch{server: s, events: e}, s.Machine.News()
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.Done:
				return
			case <-news:
				news = s.Machine.News()
				machine.report(ctx)
			case change, ok := <-changes:
				if !ok || e.send("document", documentOf(change.Document, lang)) != nil {
					return
				}
			}
		}
	})
}
