package openai

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/acervo-kb/acervo/retrieval/answer"
)

const (
	defaultAnswer = 1024    // tokens, where the request sets no bound
	longestLine   = 1 << 20 // bytes of one event
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

// Context is how many tokens a call holds, its answer included.
func (g *Generator) Context() int { return g.context }

type chatRequest struct {
	Model         string           `json:"model"`
	Messages      []answer.Message `json:"messages"`
	MaxTokens     int              `json:"max_tokens"`
	Temperature   float64          `json:"temperature"`
	Seed          int              `json:"seed"`
	Stream        bool             `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

func (g *Generator) request(r answer.Request) chatRequest {
	body := chatRequest{Model: g.model, Messages: r.Messages, MaxTokens: r.MaxTokens, Temperature: 0.1, Seed: 1, Stream: true}
	if body.MaxTokens <= 0 {
		body.MaxTokens = defaultAnswer
	}
	body.StreamOptions.IncludeUsage = true
	return body
}

// Generate streams the model's answer. What comes before an error stays said.
func (g *Generator) Generate(ctx context.Context, r answer.Request) iter.Seq2[answer.Delta, error] {
	return func(yield func(answer.Delta, error) bool) {
		s := stream{yield: yield, usage: answer.Usage{Context: g.context}}
		body, err := g.call(ctx, http.MethodPost, "chat/completions", g.request(r))
		if err == nil {
			defer func() { _ = body.Close() }()
			if err = s.read(body); err != nil && !errors.Is(err, errStopped) {
				err = g.explain(err)
			}
		}
		switch {
		case errors.Is(err, errStopped):
			return
		case ctx.Err() != nil:
			err = ctx.Err()
		}
		rest := s.think.Close()
		if err == nil {
			rest.Usage = &s.usage
			yield(rest, nil)
			return
		}
		if rest != (answer.Delta{}) && s.pass(rest) != nil {
			return
		}
		if !s.wrote && !errors.Is(err, context.Canceled) {
			err = fmt.Errorf("%w: %w", answer.ErrUnavailable, err)
		}
		yield(answer.Delta{}, err)
	}
}

// errStopped ends a call whose answer nobody reads on.
var errStopped = errors.New("nobody reads on")

// A stream passes the pieces of one answer on.
type stream struct {
	yield    func(answer.Delta, error) bool
	think    answer.ThinkSplitter
	usage    answer.Usage
	wrote    bool // a word of the answer
	finished bool // the server gave a reason to finish
}

// A piece is an event of the server's.
type piece struct {
	Choices []struct {
		Delta struct {
			Content          string `json:"content"`
			ReasoningContent string `json:"reasoning_content"` // llama-server, vLLM
			Reasoning        string `json:"reasoning"`         // Ollama, OpenRouter
		} `json:"delta"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		PromptTokens     int `json:"prompt_tokens"`
		CompletionTokens int `json:"completion_tokens"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// read passes on the events of body. It returns nil where the answer came to its end.
func (s *stream) read(body io.Reader) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, longestLine)
	events, other := false, ""
	for lines.Scan() {
		field, value, _ := bytes.Cut(lines.Bytes(), []byte(":"))
		value = bytes.TrimSpace(value)
		switch string(field) {
		case "data":
			if string(value) == "[DONE]" {
				return nil
			}
			events = true
			if err := s.take(value); err != nil {
				return err
			}
		case "error": // llama-server's own field
			return errors.New(message(value))
		default:
			other += lines.Text()[:min(len(lines.Text()), longestLine-len(other))]
		}
	}
	switch {
	case s.finished:
		return nil
	case lines.Err() != nil:
		return fmt.Errorf("it broke off its answer: %w", lines.Err())
	case !events:
		return fmt.Errorf("its answer is no stream of events: %s", message([]byte(other)))
	}
	return errors.New("it broke off its answer")
}

// take passes on one event.
func (s *stream) take(event []byte) error {
	var p piece
	if err := json.Unmarshal(event, &p); err != nil {
		return fmt.Errorf("an event of its answer cannot be read: %w", err)
	}
	if len(p.Error) > 0 && string(p.Error) != "null" {
		return errors.New(message(event))
	}
	if p.Usage != nil {
		s.usage.PromptTokens, s.usage.CompletionTokens = p.Usage.PromptTokens, p.Usage.CompletionTokens
	}
	for _, choice := range p.Choices {
		s.finished = s.finished || choice.FinishReason != nil && *choice.FinishReason != ""
		d := s.think.Split(choice.Delta.Content)
		d.Thinking = choice.Delta.ReasoningContent + choice.Delta.Reasoning + d.Thinking
		if d != (answer.Delta{}) {
			if err := s.pass(d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stream) pass(d answer.Delta) error {
	s.wrote = s.wrote || strings.TrimSpace(d.Text) != ""
	if !s.yield(d, nil) {
		return errStopped
	}
	return nil
}
