package answer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/acervo-kb/acervo/retrieval"
)

// Bounds of a call, in tokens.
const (
	maxAnswer   = 1024 // or a quarter of a small context
	fenceTokens = 40   // of the lines around a passage
	minCut      = 1000 // a server that cuts keeps half of its context at least, and none has less than 2048
	cutShare    = 0.6  // of our count; fewer tokens read mean that some were cut
)

// generate has the model answer from hits; where it says nothing, hits are quoted.
func (s *session) generate(ctx context.Context, hits []retrieval.Hit) error {
	p := prompt{Language: s.answer.Language, Question: s.q.Text, Marker: newMarker(), History: s.history(s.cfg.Generator.Context() / 8)}
	tokens, room := s.pack(&p, hits)
	if len(p.Passages) == 0 {
		s.warn(warnQuestion)
		return s.quote(hits)
	}
	if err := s.show(p.Passages); err != nil {
		return err
	}
	if tokens, room = s.ready(ctx, &p, tokens, room); len(p.Passages) == 0 {
		s.warn(warnQuestion)
		return s.quote(hits)
	}
	s.passages = p.Passages
	if n := len(hits) - len(p.Passages); n > 0 {
		s.warn(warnLeftOut, n)
	}
	tokens += s.widen(ctx, p.Passages, p.Marker, room)

	w, failure, err := s.compose(ctx, &p)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case failure != nil && w.wrote:
		return w.broken(failure)
	case failure != nil:
		s.cfg.Log.Warn("the model did not answer", "err", failure)
		switch cause := retrieval.Said(failure, s.answer.Language); {
		case cause != "":
			s.warn(warnModel, cause)
		case errors.Is(failure, ErrUnavailable):
			s.warn(warnAway)
		default:
			s.warn(warnModel, failure)
		}
		return s.quote(hits)
	}
	s.checkUsage(tokens)
	if missing := s.answer.Usage.InPlaceOf; missing != "" {
		s.warn(warnStandIn, s.cfg.Generator.Model(), missing)
	}
	return w.end()
}

// compose has the model write. One that writes a passage's number and no word, as small ones do, is asked once more.
func (s *session) compose(ctx context.Context, p *prompt) (w *writer, failure, err error) {
	for {
		w = newWriter(s, len(p.Passages))
		failure, err = w.write(ctx, Request{Messages: p.messages(), MaxTokens: s.answerTokens()})
		if failure != nil || err != nil || p.Again || !w.silent() {
			return w, failure, err
		}
		p.Again = true
	}
}

// answerTokens is the room that an answer has.
func (a *Answerer) answerTokens() int { return min(maxAnswer, a.cfg.Generator.Context()/4) }

// pack puts as many hits into p as fit, best first. It returns the tokens of
// the prompt and those that are left.
func (s *session) pack(p *prompt, hits []retrieval.Hit) (tokens, room int) {
	for _, m := range p.messages() {
		tokens += s.cfg.Count(m.Content)
	}
	room = s.room() - tokens
	for _, h := range hits {
		next := newPassage(len(p.Passages)+1, h, p.Language, p.Marker)
		if cost := s.cost(next); cost <= room {
			room -= cost
			tokens += cost
			p.Passages = append(p.Passages, next)
		}
	}
	return tokens, room
}

// room is how many tokens a prompt may have.
func (a *Answerer) room() int {
	return int(float64(a.cfg.Generator.Context()-a.answerTokens()) * margin)
}

// cost is a passage's, in tokens.
func (a *Answerer) cost(p passage) int {
	return a.cfg.Count(p.Place) + a.cfg.Count(p.Text) + fenceTokens
}

// ready waits until the model is loaded. If it then has less context than was
// planned, the last passages, which were shown already, are left out of p.
func (s *session) ready(ctx context.Context, p *prompt, tokens, room int) (int, int) {
	l, ok := s.cfg.Generator.(Loader)
	if !ok {
		return tokens, room
	}
	s.answer.Usage.Reloaded = l.Ready(ctx) || s.answer.Usage.Reloaded
	for n := len(p.Passages); n > 0 && tokens > s.room(); n-- {
		tokens -= s.cost(p.Passages[n-1])
		p.Passages = p.Passages[:n-1]
	}
	return tokens, s.room() - tokens
}

// checkUsage warns of what the server cut, and of an answer that came to its limit.
func (s *session) checkUsage(tokens int) {
	u := &s.answer.Usage
	if u.Context == 0 {
		u.Context = s.cfg.Generator.Context()
	}
	read := u.PromptTokens
	if u.Truncated || read >= minCut && float64(read) < cutShare*float64(tokens) {
		u.Truncated = true
		s.warn(warnTruncated)
	}
	if u.CompletionTokens >= s.answerTokens() {
		s.warn(warnLong)
	}
}

// A writer passes a model's answer on, through the citer and the gate.
type writer struct {
	*session
	citer *citer
	gate  gate
	wrote bool // the model has written something
}

// newWriter writes from so many passages.
func newWriter(s *session, passages int) *writer {
	w := &writer{session: s, citer: newCiter(passages)}
	w.gate.backed = func(said string) bool {
		c := newClaim(w.asked, said)
		return len(c.words) >= minSupported && w.rests(c) // "According to the contract [1]:" says nothing yet
	}
	return w
}

// rests reports whether the passages bear what was written: one is seen to say it, or is cited for it. A citation does
// not count where figures are in no passage, unless one is surely to the point or those cited say the rest.
func (w *writer) rests(c claim) bool {
	return w.forgotten(c) > 0 ||
		len(c.cited) > 0 && (w.sure() || len(c.unfounded(w.passages)) == 0 || c.resembles(w.passages))
}

// forgotten returns the number of the passage that what was written comes from but does not cite, or 0.
func (w *writer) forgotten(c claim) int {
	n := c.missing(w.passages)
	if n == 0 && len(c.cited) == 0 {
		return c.onlySure(w.passages, w.answer.Language)
	}
	return n
}

// sure reports whether a passage is so near the question that the answer must be there.
func (w *writer) sure() bool {
	return slices.ContainsFunc(w.passages, func(p passage) bool { return p.hit.Confidence >= convincing })
}

// write streams the model's answer. failure is the model's, err the reader's.
func (w *writer) write(ctx context.Context, r Request) (failure, err error) {
	for d, failed := range w.cfg.Generator.Generate(ctx, r) {
		if failure = failed; failure != nil {
			break
		}
		if d.Usage != nil {
			reloaded := w.answer.Usage.Reloaded
			w.answer.Usage = *d.Usage
			w.answer.Usage.Reloaded = reloaded || d.Usage.Reloaded
		}
		w.wrote = w.wrote || strings.TrimSpace(d.Text) != ""
		if err := w.pass(w.citer.Write(d.Text)); err != nil {
			return nil, err
		}
	}
	return failure, w.pass(strings.TrimRight(w.citer.Close(), " \n\t"))
}

// pass says what the gate lets through of a piece.
func (w *writer) pass(piece string) error { return w.tell(w.gate.Write(piece)) }

// tell says a piece; an answer does not begin with white space.
func (w *writer) tell(piece string) error {
	if len(w.text) == 0 {
		piece = strings.TrimLeft(piece, " \n\t")
	}
	return w.say(piece)
}

// silent reports whether not one word was written.
func (w *writer) silent() bool {
	return len(w.text) == 0 && len(words(citation.ReplaceAllString(w.gate.held, ""))) == 0
}

// end says what is held back and closes the answer.
func (w *writer) end() error {
	rest, refused := w.gate.Close()
	written := newClaim(w.asked, string(w.text)+rest)
	switch {
	case refused:
		return w.abstain(Generated)
	case w.silent():
		w.warn(warnSilent)
		return w.quote(nil)
	case len(w.text) == 0 && !w.rests(written):
		return w.withhold()
	}
	if err := w.tell(rest); err != nil {
		return err
	}
	if n := w.forgotten(written); n > 0 {
		w.citer.cited[n] = true
		if err := w.say(fmt.Sprintf(" [%d]", n)); err != nil {
			return err
		}
	}
	if len(w.citer.cited) == 0 {
		w.warn(warnUncited)
	}
	if numbers := written.unfounded(w.passages); len(numbers) > 0 {
		w.warn(warnUnfounded, strings.Join(numbers, ", "))
	}
	return w.finish(Generated, w.citations())
}

// withhold answers in the place of what the model wrote, as from its own knowledge, and no passage bears: with quotes
// where the passages are surely to the point.
func (w *writer) withhold() error {
	w.warn(warnUnbacked)
	if !w.sure() {
		return w.abstain(Generated)
	}
	return w.quote(nil)
}

// broken closes an answer that the model did not bring to its end. What was written stays, whatever it is.
func (w *writer) broken(failure error) error {
	if err := w.tell(w.gate.held); err != nil {
		return err
	}
	w.warn(warnCut, failure)
	w.close(Generated, w.citations())
	return &PartialError{Answer: w.answer, Err: failure}
}

// citations are those of the numbers that were cited, in their order.
func (w *writer) citations() []Citation {
	var out []Citation
	said := claims(string(w.text))
	for _, p := range w.passages {
		if w.citer.cited[p.N] {
			out = append(out, p.cite(said[p.N], content(w.asked)))
		}
	}
	return out
}
