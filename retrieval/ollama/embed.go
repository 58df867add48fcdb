package ollama

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ollama/ollama/api"

	"github.com/acervo-kb/acervo/hwplan"
	"github.com/acervo-kb/acervo/retrieval"
)

// An Embedder satisfies [retrieval.Embedder]. Its errors wrap
// [retrieval.ErrTooLong], [retrieval.ErrUnavailable], or neither, where the
// server failed on these texts and may do better on others.
type Embedder struct {
	*tenant
	prefixes retrieval.Prefixes
	context  int
}

// NewEmbedder makes no call; its error is the URL's.
func NewEmbedder(cfg Config) (*Embedder, error) {
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Context == 0 {
		cfg.Context = 2048
	}
	e := &Embedder{tenant: newTenant(c, cfg.Keeper, hwplan.Embedding), prefixes: retrieval.PrefixesOf(cfg.Model), context: cfg.Context}
	e.load = func(ctx context.Context, p hwplan.Placement, keep *api.Duration) (time.Duration, error) {
		resp, err := e.api.Embed(ctx, &api.EmbedRequest{Model: e.model, Input: []string{"."}, Truncate: off(), KeepAlive: keep, Options: e.options(p)})
		if err != nil {
			return 0, err
		}
		return resp.LoadDuration, nil
	}
	return e, nil
}

// Load has the server load the model, if a plan says that it stays loaded.
func (e *Embedder) Load(ctx context.Context) { e.warm(ctx) }

// Run gives the model's memory back when others need it, until ctx ends.
func (e *Embedder) Run(ctx context.Context) error { return e.run(ctx) }

// Model is the name of the model.
func (e *Embedder) Model() string { return e.model }

// EmbedPassages embeds texts in one call.
func (e *Embedder) EmbedPassages(ctx context.Context, texts []string) ([][]float32, error) {
	return e.embed(ctx, e.prefixes.Passage, texts)
}

// EmbedQuery embeds a question.
func (e *Embedder) EmbedQuery(ctx context.Context, text string) ([]float32, error) {
	vectors, err := e.embed(ctx, e.prefixes.Query, []string{text})
	if err != nil {
		return nil, err
	}
	return vectors[0], nil
}

func (e *Embedder) embed(ctx context.Context, prefix string, texts []string) ([][]float32, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	s, err := e.use(ctx)
	switch {
	case canceled(err):
		return nil, err
	case err != nil: // a model that does not load is not these texts' doing
		return nil, fmt.Errorf("%w: %w", retrieval.ErrUnavailable, e.explain(err))
	}
	defer s.end()
	resp, err := e.api.Embed(ctx, e.request(s.Placement, prefix, texts))
	if err == nil {
		e.loadedAgain(resp.LoadDuration)
	}
	switch {
	case err == nil && len(resp.Embeddings) != len(texts):
		// Ollama 0.17 leaves out the vector of an empty text.
		return nil, fmt.Errorf("%s gave %d vectors for %d texts", e.at(), len(resp.Embeddings), len(texts))
	case err == nil:
		return resp.Embeddings, nil
	case canceled(err):
		return nil, err
	case tooLong(err):
		return nil, fmt.Errorf("%w: %w", retrieval.ErrTooLong, e.explain(err))
	case unavailable(err) || e.ranOut(ctx, s.Placement, err):
		return nil, fmt.Errorf("%w: %w", retrieval.ErrUnavailable, e.explain(err))
	}
	return nil, e.explain(err)
}

func (e *Embedder) request(p hwplan.Placement, prefix string, texts []string) *api.EmbedRequest {
	input := make([]string, len(texts))
	for i, t := range texts {
		input[i] = prefix + t
	}
	return &api.EmbedRequest{Model: e.model, Input: input, Truncate: off(), KeepAlive: forever(), Options: e.options(p)}
}

// options are the same on every call. An embedder reads a text in one batch, so the batch is as long as the context.
func (e *Embedder) options(p hwplan.Placement) map[string]any {
	return runnerOptions(p, e.context, e.context)
}

// tooLong knows the words of Ollama and of llama-server behind it.
func tooLong(err error) bool {
	var status api.StatusError
	if !errors.As(err, &status) {
		return false
	}
	for _, words := range []string{"exceeds the context length", "exceeds the available context size", "too large to process"} {
		if strings.Contains(status.ErrorMessage, words) {
			return true
		}
	}
	return false
}

// unavailable tells the server's state from a failure that these texts may have brought about:
// Ollama answers 500 to a text whose vector is no number.
func unavailable(err error) bool {
	var status api.StatusError
	if !errors.As(err, &status) {
		return true
	}
	switch status.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusInternalServerError:
		return false
	}
	return true
}
