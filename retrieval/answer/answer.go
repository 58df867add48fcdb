// Package answer turns a question and the index into a streamed, cited answer.
package answer

import (
	"context"
	"errors"
	"iter"

	"github.com/acervo-kb/acervo/retrieval"
)

// ErrUnavailable means that the model server cannot answer now; the answer is extractive then.
var ErrUnavailable = errors.New("the model server is not available")

// Roles of a message.
const (
	System    = "system"
	User      = "user"
	Assistant = "assistant"
)

// A Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// A Generator is a language model. Its errors wrap [ErrUnavailable] where the
// server could not be reached or refused before the first word.
type Generator interface {
	Model() string
	// Context is how many tokens a call holds, its answer included.
	Context() int
	// Generate streams the model's answer. Breaking off the iteration, or ending ctx, ends the generation.
	Generate(ctx context.Context, r Request) iter.Seq2[Delta, error]
}

// A Loader is a [Generator] that loads its model when it is needed. How long a
// context has room on this machine is certain only then.
type Loader interface {
	// Ready loads the model if it is not loaded, and reports whether it did. What is wrong with it shows in Generate.
	Ready(ctx context.Context) (loaded bool)
}

// A Request is what a model is sent. Its options are the same on every call of
// a model (context comes from the model's placement): a difference would reload it.
type Request struct {
	Messages  []Message
	MaxTokens int // of the answer
}

// A Delta is a piece of a model's answer. The last one carries Usage.
type Delta struct {
	Text     string
	Thinking string // a reasoning model's thoughts, where the server keeps them apart
	Usage    *Usage
}

// Usage is what the model server counted.
type Usage struct {
	PromptTokens     int    `json:"prompt_tokens"`
	CompletionTokens int    `json:"completion_tokens"`
	Context          int    `json:"context"`
	Truncated        bool   `json:"truncated"` // the server dropped part of what was sent
	Reloaded         bool   `json:"-"`         // the model was loaded for this call
	InPlaceOf        string `json:"-"`         // the configured model, where it does not load and another wrote this
}

// A Question asks the documents.
type Question struct {
	Text       string
	Collection string
	K          int       // passages, default 6
	History    []Message // earlier turns, oldest first
}

// An Event is one step of an answer: exactly one field is set.
type Event struct {
	Sources   []retrieval.Hit // the passages, at once
	Text      string          // a piece of the answer
	Citations []Citation
	Done      *Answer // the last event of an answer that came to its end
}

// A Citation ties the [N] of an answer to its passage.
type Citation struct {
	N   int
	Hit retrieval.Hit
	// Location is where in the hit's chunk what is cited is said, as finely as that is known.
	Location retrieval.Location
}

// How an answer was made.
const (
	Generated  = "generated"
	Extractive = "extractive"
)

// An Answer is the whole of it.
type Answer struct {
	Mode      string
	Text      string
	Abstained bool
	Language  string // es or en
	Citations []Citation
	Warnings  []string
	Usage     Usage
	LLM       string // model that wrote it, or ""
	// Milliseconds from the question: passages found, first word, end.
	RetrieveMS, FirstTokenMS, TotalMS float64
}
