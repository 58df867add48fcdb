package retrieval

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A windower embeds texts of any length: one that is too long for the model is
// cut into windows that overlap, each with a vector of its own, so that no
// word goes unread. It learns the model's limit from its refusals.
type windower struct {
	fits  int // bytes of the longest text that was embedded
	fails int // bytes of the shortest that was too long; 0 while none was
}

// An outcome is what came of embedding one text: its vectors, one a window, or why it has none.
type outcome struct {
	vectors [][]float32
	err     error
}

// ask embeds texts, all or none of them.
type ask func(ctx context.Context, texts []string) ([][]float32, error)

// embed returns an outcome a text. Its error is the embedder's state, an outcome's is the text's own fault.
func (w *windower) embed(ctx context.Context, texts []string, ask ask) ([]outcome, error) {
	var windows []string
	var owner []int
	for i, t := range texts {
		for _, window := range w.cut(t) {
			windows, owner = append(windows, window), append(owner, i)
		}
	}
	parts, err := w.all(ctx, windows, ask)
	if err != nil {
		return nil, err
	}
	out := make([]outcome, len(texts))
	for i, part := range parts {
		o := &out[owner[i]]
		o.vectors, o.err = append(o.vectors, part.vectors...), errors.Join(o.err, part.err)
	}
	return out, nil
}

// cut cuts what is known to be too long.
func (w *windower) cut(text string) []string {
	if w.fails == 0 || len(text) < w.fails || len(text) <= w.fits {
		return []string{text}
	}
	a, b, ok := halve(text)
	if !ok {
		return []string{text}
	}
	return append(w.cut(a), w.cut(b)...)
}

// all embeds texts. A batch that is refused is halved until the text at fault is found.
func (w *windower) all(ctx context.Context, texts []string, ask ask) ([]outcome, error) {
	vs, err := ask(ctx, texts)
	if err == nil {
		out := make([]outcome, len(vs))
		for i, v := range vs {
			out[i].vectors = [][]float32{v}
			w.fits = max(w.fits, len(texts[i]))
		}
		return out, nil
	}
	if ctx.Err() != nil || errors.Is(err, ErrUnavailable) {
		return nil, err
	}
	tooLong := errors.Is(err, ErrTooLong)
	if !tooLong {
		// Is it the texts, or is it everything? An embedder that fails on the probe is at fault itself.
		if _, err := ask(ctx, []string{probeText}); err != nil {
			return nil, err
		}
	}
	switch {
	case len(texts) > 1:
		return w.halves(ctx, texts[:len(texts)/2], texts[len(texts)/2:], ask)
	case tooLong:
		return w.windows(ctx, texts[0], err, ask)
	}
	return []outcome{{err: err}}, nil
}

func (w *windower) halves(ctx context.Context, a, b []string, ask ask) ([]outcome, error) {
	first, err := w.all(ctx, a, ask)
	if err != nil {
		return nil, err
	}
	second, err := w.all(ctx, b, ask)
	return append(first, second...), err
}

// windows embeds a text that was too long as two that overlap.
func (w *windower) windows(ctx context.Context, text string, tooLong error, ask ask) ([]outcome, error) {
	if w.fails == 0 || len(text) < w.fails {
		w.fails = len(text)
	}
	a, b, ok := halve(text)
	if !ok {
		return []outcome{{err: tooLong}}, nil
	}
	halves, err := w.halves(ctx, []string{a}, []string{b}, ask)
	if err != nil {
		return nil, err
	}
	return []outcome{{
		vectors: append(halves[0].vectors, halves[1].vectors...),
		err:     errors.Join(halves[0].err, halves[1].err),
	}}, nil
}

// minWindow is the length in bytes below which a text is not cut any more.
const minWindow = 64

// halve cuts text in the middle into two that overlap by an eighth of it, more or less: between words where it can.
func halve(text string) (a, b string, ok bool) {
	if len(text) < minWindow {
		return "", "", false
	}
	end := boundary(text, len(text)/2+len(text)/16)
	start := boundary(text, len(text)/2-len(text)/16)
	return strings.TrimSpace(text[:end]), strings.TrimSpace(text[start:]), true
}

// boundary returns the place at i, or at most a sixteenth of the text before it, at which text is best cut.
func boundary(text string, i int) int {
	for !utf8.RuneStart(text[i]) {
		i--
	}
	near := i - len(text)/16
	if space := strings.LastIndexFunc(text[near:i], unicode.IsSpace); space >= 0 {
		return near + space
	}
	return i
}
