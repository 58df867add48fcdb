package ollama

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/retrieval/answer"
)

const (
	defaultAnswer = 1024 // tokens, where the request sets no bound: a model without a template may write for ever
	// loadTime is a load_duration that only a load takes: 1 ms was measured for a model in memory, 2 s for a small one
	// that was not, and once 0.8 s for one in memory, on a machine with six times the work it could do.
	loadTime = 500 * time.Millisecond
)

// A Generator satisfies [answer.Generator].
type Generator struct {
	*tenant
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
	g := &Generator{tenant: newTenant(c, cfg.Keeper, hwplan.Chat), context: cfg.Context}
	g.load = func(ctx context.Context, p hwplan.Placement, keep *api.Duration) (time.Duration, error) {
		// Without a prompt nothing is written, nor told. Shift is as in every call: it is one of the runner's options too.
		return 0, g.api.Generate(ctx, &api.GenerateRequest{Model: g.named(p), KeepAlive: keep, Options: runnerOptions(p, g.context, 0), Shift: off()},
			func(api.GenerateResponse) error { return nil })
	}
	return g, nil
}

// After has e loaded before this model. A server that holds the larger model
// asks for more room than the embedder takes, and unloads the one for the other; the other way round both stay.
func (g *Generator) After(e *Embedder) { g.first = e.tenant }

// Load has the server load the model, if a plan says that it stays loaded.
func (g *Generator) Load(ctx context.Context) { g.warm(ctx) }

// Ready loads the model if it is not loaded, and reports whether it did: see [answer.Loader].
func (g *Generator) Ready(ctx context.Context) (loaded bool) {
	s, err := g.use(ctx)
	if err != nil {
		return false
	}
	s.end()
	return s.loaded
}

// Run gives the model's memory back when others need it, until ctx ends.
func (g *Generator) Run(ctx context.Context) error { return g.run(ctx) }

// Context is how many tokens a call holds, its answer included.
func (g *Generator) Context() int {
	if p, ok := g.planned(); ok {
		return p.NumCtx
	}
	return g.context
}

// Model is the name of the model that answers.
func (g *Generator) Model() string {
	p, _ := g.planned()
	return g.named(p)
}

// Generate streams the model's answer. What comes before an error stays said.
func (g *Generator) Generate(ctx context.Context, r answer.Request) iter.Seq2[answer.Delta, error] {
	return func(yield func(answer.Delta, error) bool) {
		held, err := g.use(ctx)
		s := stream{yield: yield, tenant: g.tenant, stay: held, context: g.context}
		if held.NumCtx > 0 {
			s.context = held.NumCtx
		}
		if err == nil {
			defer held.end()
			err = g.api.Chat(ctx, g.request(held.Placement, r), s.take)
		}
		switch {
		case s.ended || errors.Is(err, errStopped):
			return
		case ctx.Err() != nil:
			err = ctx.Err()
		case err == nil:
			// The API's client takes a connection that was cut for the end of the answer.
			err = fmt.Errorf("%s broke off its answer", g.at())
		default:
			g.ranOut(ctx, held.Placement, err)
			used := g.client
			used.model = g.named(held.Placement)
			err = used.explain(err)
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
func (g *Generator) request(p hwplan.Placement, r answer.Request) *api.ChatRequest {
	messages := make([]api.Message, len(r.Messages))
	for i, m := range r.Messages {
		messages[i] = api.Message{Role: m.Role, Content: m.Content}
	}
	return &api.ChatRequest{
		Model: g.named(p), Messages: messages, KeepAlive: forever(), Options: g.options(p, r.MaxTokens),
		Truncate: off(), Shift: off(),
		Think: &api.ThinkValue{Value: false}, // thoughts would use up the tokens of the answer
	}
}

// options are the same on every call, but for num_predict, which is none of the runner's.
func (g *Generator) options(p hwplan.Placement, maxTokens int) map[string]any {
	if maxTokens <= 0 {
		maxTokens = defaultAnswer
	}
	options := runnerOptions(p, g.context, 0)
	options["num_predict"], options["temperature"], options["seed"] = maxTokens, 0.1, 1
	return options
}

// errStopped ends a call whose answer nobody reads on.
var errStopped = errors.New("nobody reads on")

// A stream passes the pieces of one answer on.
type stream struct {
	yield   func(answer.Delta, error) bool
	tenant  *tenant
	stay    stay
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
		s.tenant.answered(s.stay.Placement, resp.Metrics)
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
		Reloaded:  s.tenant.loadedAgain(m.LoadDuration) || s.stay.loaded,
		InPlaceOf: s.stay.InPlaceOf,
	}
}
