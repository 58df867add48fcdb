package answer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/acervo-kb/acervo/retrieval"
)

// An Index finds the passages. [retrieval.Index] is one.
type Index interface {
	Search(ctx context.Context, q retrieval.Query) (retrieval.Result, error)
	// Chunk returns the chunk n of a source, or an error that wraps [retrieval.ErrNotFound].
	Chunk(ctx context.Context, sourceID string, n int) (retrieval.Chunk, error)
	// Prefer makes background work of the index's models wait until done is called.
	Prefer() (done func())
}

// Config is what an [Answerer] needs.
type Config struct {
	Index     Index
	Generator Generator          // nil means that passages are quoted
	Count     func(s string) int // tokens of a text
	Log       *slog.Logger       // default discards
}

// An Answerer answers questions from the documents.
type Answerer struct {
	cfg Config
}

// New returns an Answerer.
func New(cfg Config) *Answerer {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Answerer{cfg: cfg}
}

// A PartialError ends an answer that broke off after its first word.
type PartialError struct {
	Answer Answer // what was written, with its citations and a warning
	Err    error
}

// Error says that the answer broke off, and why.
func (e *PartialError) Error() string { return "the answer broke off: " + e.Err.Error() }

func (e *PartialError) Unwrap() error { return e.Err }

// Ask answers q: Sources once, then Text in pieces that joined are the answer,
// then Citations, then Done. Sources and Citations are empty, not nil, where
// there are none. An error is the last thing yielded: that of ctx, of the
// search, or a [*PartialError]. A model that fails before its first word is no
// error: the passages are quoted then. Breaking off ends the generation.
func (a *Answerer) Ask(ctx context.Context, q Question) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		defer a.cfg.Index.Prefer()()
		s := &session{Answerer: a, q: q, yield: yield, start: time.Now()}
		if err := s.run(ctx); err != nil && !errors.Is(err, errLeft) {
			yield(Event{}, err)
		}
	}
}

// Collect gathers an answer for a caller who does not stream. An answer that
// broke off is returned as far as it came, with its warning and no error.
func Collect(events iter.Seq2[Event, error]) (Answer, error) {
	var partial *PartialError
	for e, err := range events {
		switch {
		case errors.As(err, &partial):
			return partial.Answer, nil
		case err != nil:
			return Answer{}, err
		case e.Done != nil:
			return *e.Done, nil
		}
	}
	return Answer{}, errors.New("the answer has no end")
}

// errLeft means that the consumer broke off the iteration: it must hear nothing more.
var errLeft = errors.New("the reader left")

// Confidence below which a collection does not hold the answer. A quote needs
// more, as nobody reads it before the user does; a model may still refuse. Most
// it needs where a model read the passages and wrote what none of them says.
const (
	convincing = 0.7
	quotable   = 0.5
	plausible  = 0.2
)

// A session is one question on its way to its answer.
type session struct {
	*Answerer
	q     Question
	yield func(Event, error) bool
	start time.Time

	asked    string // the question as it stands alone
	passages []passage
	shown    bool   // the passages were
	text     []byte // what was said
	answer   Answer
}

// run answers the question.
func (s *session) run(ctx context.Context) error {
	if s.q.K <= 0 {
		s.q.K = 6
	}
	s.asked = s.standalone(ctx)
	found, err := s.cfg.Index.Search(ctx, retrieval.Query{Text: s.asked, K: s.q.K * fetch, Collection: s.q.Collection})
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	s.answer.Language = s.language(found)
	for _, w := range found.Warnings {
		s.answer.Warnings = append(s.answer.Warnings, w.In(s.answer.Language))
	}
	s.answer.RetrieveMS = s.elapsed()
	hits := choose(found.Hits, s.q.K)
	if s.cfg.Generator == nil {
		return s.quote(hits)
	}
	if confidence(hits) < plausible {
		return s.abstain(Extractive)
	}
	return s.generate(ctx, hits)
}

// language is that of the question; where it cannot be told, that of the best passage.
func (s *session) language(found retrieval.Result) string {
	candidates := []string{retrieval.DetectLanguage(s.q.Text), found.Language}
	if len(found.Hits) > 0 {
		candidates = append(candidates, found.Hits[0].Chunk.Language, found.Hits[0].Source.Language)
	}
	for _, l := range candidates {
		if l == es || l == en {
			return l
		}
	}
	return es
}

// confidence is that of the best hit.
func confidence(hits []retrieval.Hit) float64 {
	best := 0.0
	for _, h := range hits {
		best = max(best, h.Confidence)
	}
	return best
}

// abstain says that the documents do not hold the answer.
func (s *session) abstain(mode string) error {
	s.answer.Abstained = true
	if err := s.show(nil); err != nil {
		return err
	}
	if err := s.say(noAnswer.in(s.answer.Language)); err != nil {
		return err
	}
	return s.finish(mode, nil)
}

// show emits the passages, unless some were shown before.
func (s *session) show(passages []passage) error {
	if s.shown {
		return nil
	}
	s.shown, s.passages = true, passages
	hits := make([]retrieval.Hit, len(passages))
	for i, p := range passages {
		hits[i] = p.hit
	}
	return s.emit(Event{Sources: hits})
}

// say passes a piece of the answer on.
func (s *session) say(piece string) error {
	if piece == "" {
		return nil
	}
	if len(s.text) == 0 {
		s.answer.FirstTokenMS = s.elapsed()
	}
	s.text = append(s.text, piece...)
	return s.emit(Event{Text: piece})
}

// finish ends the answer.
func (s *session) finish(mode string, citations []Citation) error {
	s.close(mode, citations)
	if err := s.emit(Event{Citations: s.answer.Citations}); err != nil {
		return err
	}
	return s.emit(Event{Done: &s.answer})
}

// close fills in what is known at the end.
func (s *session) close(mode string, citations []Citation) {
	if citations == nil {
		citations = []Citation{}
	}
	s.answer.Mode, s.answer.Text, s.answer.Citations = mode, string(s.text), citations
	if mode == Generated {
		s.answer.LLM = s.cfg.Generator.Model()
	}
	s.answer.TotalMS = s.elapsed()
}

// warn adds a warning in the answer's language, with its details as fmt.Sprintf would.
func (s *session) warn(p phrase, details ...any) {
	s.answer.Warnings = append(s.answer.Warnings, fmt.Sprintf(p.in(s.answer.Language), details...))
}

func (s *session) emit(e Event) error {
	if !s.yield(e, nil) {
		return errLeft
	}
	return nil
}

// elapsed is in milliseconds since the question.
func (s *session) elapsed() float64 { return float64(time.Since(s.start).Microseconds()) / 1000 }
