package ollama

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/acervo-kb/acervo/retrieval/answer"
)

const (
	defaultAnswer = 1024 // tokens, where the request sets no bound: a model without a template may write for ever
	// loadTime is a load_duration that only a load takes: 1 ms was measured
	// for a model in memory, 2 s for a small one that was not.
	loadTime = 250 * time.Millisecond
)

// A Generator satisfies [answer.Generator].
type Generator struct {
	client
	context int
}

// NewGenerator makes no call; its error is the URL's.
func NewGenerator(cfg Config) (*Generator, error) {
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Context == 0 {
		cfg.Context = 8192
	}
	return &Generator{client: c, context: cfg.Context}, nil
}

// Model is the name of the model.
func (g *Generator) Model() string { return g.model }

// Generate streams the model's answer. What comes before an error stays said.
func (g *Generator) Generate(ctx context.Context, r answer.Request) iter.Seq2[answer.Delta, error] {
	return func(yield func(answer.Delta, error) bool) {
		s := stream{yield: yield, context: g.context}
		err := g.api.Chat(ctx, g.request(r), s.take)
		switch {
		case s.ended || errors.Is(err, errStopped):
			return
		case ctx.Err() != nil:
			err = ctx.Err()
		case err == nil:
			// The API's client takes a connection that was cut for the end of the answer.
			err = fmt.Errorf("%s broke off its answer", g.at())
		default:
			err = g.explain(err)
		}
		if rest := s.think.Close(); rest != (answer.Delta{}) && s.pass(rest) != nil {
			return
		}
		if !s.wrote && !canceled(err) {
			err = fmt.Errorf("%w: %w", answer.ErrUnavailable, err)
		}
		yield(answer.Delta{}, err)
	}
}

// request asks for an error rather than for less than was sent: by default Ollama
// drops early messages that do not fit (truncate), and early text when the
// answer meets the end of the context (shift, which is also an option of the runner).
func (g *Generator) request(r answer.Request) *api.ChatRequest {
	messages := make([]api.Message, len(r.Messages))
	for i, m := range r.Messages {
		messages[i] = api.Message{Role: m.Role, Content: m.Content}
	}
	return &api.ChatRequest{
		Model: g.model, Messages: messages, KeepAlive: forever(), Options: g.options(r.MaxTokens),
		Truncate: off(), Shift: off(),
		Think: &api.ThinkValue{Value: false}, // thoughts would use up the tokens of the answer
	}
}

// options are the same on every call, but for num_predict, which is none of the runner's.
func (g *Generator) options(maxTokens int) map[string]any {
	if maxTokens <= 0 {
		maxTokens = defaultAnswer
	}
	return map[string]any{"num_ctx": g.context, "num_predict": maxTokens, "temperature": 0.1, "seed": 1}
}

// errStopped ends a call whose answer nobody reads on.
var errStopped = errors.New("nobody reads on")

// A stream passes the pieces of one answer on.
type stream struct {
	yield   func(answer.Delta, error) bool
	think   answer.ThinkSplitter
	context int
	wrote   bool // a word of the answer
	ended   bool // with its last piece
}

// take passes on a piece as Ollama sends it; an error ends the call and closes the connection.
func (s *stream) take(resp api.ChatResponse) error {
	d := s.think.Split(resp.Message.Content)
	d.Thinking = resp.Message.Thinking + d.Thinking
	if resp.Done {
		rest := s.think.Close()
		d.Text += rest.Text
		d.Thinking += rest.Thinking
		d.Usage = s.usage(resp.Metrics)
		s.ended = true
	}
	if d == (answer.Delta{}) {
		return nil
	}
	return s.pass(d)
}

func (s *stream) pass(d answer.Delta) error {
	s.wrote = s.wrote || strings.TrimSpace(d.Text) != ""
	if !s.yield(d, nil) {
		return errStopped
	}
	return nil
}

// usage counts as truncated what a server that knows neither truncate nor shift must have
// dropped: it read a full context, or read and wrote more than one.
func (s *stream) usage(m api.Metrics) *answer.Usage {
	return &answer.Usage{
		PromptTokens: m.PromptEvalCount, CompletionTokens: m.EvalCount, Context: s.context,
		Truncated: m.PromptEvalCount >= s.context || m.PromptEvalCount+m.EvalCount > s.context+1,
		Reloaded:  m.LoadDuration > loadTime,
	}
}
