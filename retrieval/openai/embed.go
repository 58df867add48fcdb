package openai

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"

	"github.com/acervo-kb/acervo/retrieval"
)

// An Embedder satisfies [retrieval.Embedder]. Its errors wrap
// [retrieval.ErrTooLong], [retrieval.ErrUnavailable], or neither, where the
// server failed on these texts and may do better on others.
type Embedder struct {
	client
	prefixes retrieval.Prefixes
}

// NewEmbedder makes no call; its error is the URL's.
func NewEmbedder(cfg Config) (*Embedder, error) {
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	return &Embedder{client: c, prefixes: retrieval.PrefixesOf(cfg.Model)}, nil
}

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

type embedRequest struct {
	Model    string   `json:"model"`
	Input    []string `json:"input"`
	Encoding string   `json:"encoding_format"`
}

func (e *Embedder) embed(ctx context.Context, prefix string, texts []string) ([][]float32, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	input := make([]string, len(texts))
	for i, t := range texts {
		input[i] = prefix + t
	}
	body, err := e.call(ctx, http.MethodPost, "embeddings", embedRequest{Model: e.model, Input: input, Encoding: "float"})
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(body)
	if err != nil {
		return nil, classify(e.explain(err))
	}
	vectors, err := decode(raw, len(texts))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.at(), err)
	}
	return vectors, nil
}

// classify wraps err in the sentinel it deserves. A refusal of these texts is not the server's state.
func classify(err error) error {
	var status *statusError
	if errors.Is(err, context.Canceled) {
		return err
	}
	if !errors.As(err, &status) {
		return fmt.Errorf("%w: %w", retrieval.ErrUnavailable, err)
	}
	switch status.code {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusInternalServerError:
		if tooLong(status.message) {
			return fmt.Errorf("%w: %w", retrieval.ErrTooLong, err)
		}
		return err
	}
	return fmt.Errorf("%w: %w", retrieval.ErrUnavailable, err)
}

// tooLong knows the words that servers have for a text longer than the model's context.
func tooLong(message string) bool {
	message = strings.ToLower(message)
	for _, words := range []string{"context length", "context size", "context window", "maximum context", "too long", "too large to process", "maximum sequence length", "max_seq_len"} {
		if strings.Contains(message, words) {
			return true
		}
	}
	return false
}

// decode reads n vectors, each at its index.
func decode(raw []byte, n int) ([][]float32, error) {
	var answer struct {
		Data []struct {
			Index     *int   `json:"index"`
			Embedding vector `json:"embedding"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("its answer is no list of embeddings: %w", err)
	}
	if len(answer.Data) != n {
		return nil, fmt.Errorf("it gave %d vectors for %d texts", len(answer.Data), n)
	}
	vectors := make([][]float32, n)
	for i, d := range answer.Data {
		if d.Index != nil {
			i = *d.Index
		}
		if i < 0 || i >= n || vectors[i] != nil || len(d.Embedding) == 0 {
			return nil, fmt.Errorf("it gave no vector, or two, for text %d of %d", i, n)
		}
		vectors[i] = d.Embedding
	}
	return vectors, nil
}

// A vector comes as numbers, or as the base64 of little-endian float32s.
type vector []float32

func (v *vector) UnmarshalJSON(raw []byte) error {
	if !bytes.HasPrefix(raw, []byte(`"`)) {
		return json.Unmarshal(raw, (*[]float32)(v))
	}
	var packed []byte
	if err := json.Unmarshal(raw, &packed); err != nil {
		return err
	}
	if len(packed)%4 != 0 {
		return base64.CorruptInputError(len(packed))
	}
	for ; len(packed) > 0; packed = packed[4:] {
		f := math.Float32frombits(binary.LittleEndian.Uint32(packed))
		if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
			return errors.New("a vector holds what is no number")
		}
		*v = append(*v, f)
	}
	return nil
}
