package answer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/acervo-kb/acervo/retrieval"
)

// fakeIndex answers every search with hits.
type fakeIndex struct {
	hits     []retrieval.Hit
	language string
	warnings []retrieval.Warning
	err      error
	chunks   map[string]retrieval.Chunk // by ID

	queries  []retrieval.Query
	prefers  int // Prefer calls that are not done
	preferOf int
}

func (x *fakeIndex) Search(_ context.Context, q retrieval.Query) (retrieval.Result, error) {
	x.queries = append(x.queries, q)
	return retrieval.Result{Hits: x.hits, Language: x.language, Warnings: x.warnings}, x.err
}

func (x *fakeIndex) Chunk(_ context.Context, source string, n int) (retrieval.Chunk, error) {
	c, found := x.chunks[fmt.Sprintf("%s.%d", source, n)]
	if !found {
		return c, retrieval.ErrNotFound
	}
	return c, nil
}

func (x *fakeIndex) Prefer() func() {
	x.prefers++
	x.preferOf++
	return func() { x.prefers-- }
}

// fakeModel writes reply word by word, then fails with err if there is one.
type fakeModel struct {
	reply    string
	err      error
	usage    Usage
	requests []Request
	ended    int // generations that were ended, by whomever
	context  int // tokens; 0: 8192
}

func (m *fakeModel) Model() string { return "fake" }

func (m *fakeModel) Context() int { return cmp.Or(m.context, 8192) }

func (m *fakeModel) Generate(_ context.Context, r Request) iter.Seq2[Delta, error] {
	m.requests = append(m.requests, r)
	return func(yield func(Delta, error) bool) {
		defer func() { m.ended++ }()
		for _, piece := range strings.SplitAfter(m.reply, " ") {
			if piece != "" && !yield(Delta{Text: piece}, nil) {
				return
			}
		}
		if m.err != nil {
			yield(Delta{}, m.err)
			return
		}
		yield(Delta{Usage: &m.usage}, nil)
	}
}

// pieced is a model that writes so many pieces.
type pieced []string

func (pieced) Model() string { return "fake" }

func (pieced) Context() int { return 8192 }

func (p pieced) Generate(context.Context, Request) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		for _, piece := range p {
			if !yield(Delta{Text: piece}, nil) {
				return
			}
		}
		yield(Delta{Usage: &Usage{}}, nil)
	}
}

// hit is a chunk with a document of its own.
func hit(id, text string, confidence float64) retrieval.Hit {
	return retrieval.Hit{
		Chunk:      retrieval.Chunk{ID: id + ".0", Text: text},
		Source:     retrieval.Source{ID: id, Title: id + ".md", Paths: []string{"x/" + id + ".md"}},
		Confidence: confidence,
	}
}

const contract = `Contrato de suministro n.º 2031/B

Plazos

Los equipos se entregarán en un plazo de 45 días naturales desde la firma. El acta de recepción la firma D.ª Begoña Ibáñez Muñoz.

Garantía

La garantía de los equipos dura tres años desde la entrega y cubre piezas y mano de obra. ¿Quién responde? El proveedor, Tecnologías Ñandú, S. L.

Penalización

Por cada semana de retraso se descontará el 0,5 % del precio, que asciende a 1.250,75 €.`

const handbook = `Observatory handbook

The dome must be closed when the wind exceeds 54 kilometres per hour. The duty officer is called on extension 4417.

Liquid nitrogen is delivered on the second Tuesday of every month by the Kessler company.`

const library = `La biblioteca abre los sábados de 10 a 14 horas y cierra en agosto.`

func countWords(s string) int { return len(strings.Fields(s)) }

func newAnswerer(x *fakeIndex, g Generator) *Answerer {
	return New(Config{Index: x, Generator: g, Count: countWords})
}

// events runs a question to its end and fails on an error.
func events(t *testing.T, a *Answerer, q Question) (all []Event, text string) {
	t.Helper()
	for e, err := range a.Ask(t.Context(), q) {
		if err != nil {
			t.Fatalf("Ask: %v", err)
		}
		all = append(all, e)
		text += e.Text
	}
	return all, text
}

// canceller is a model whose caller's context ends while it writes.
type canceller struct{ cancel func() }

func (*canceller) Model() string { return "fake" }

func (*canceller) Context() int { return 8192 }

func (c *canceller) Generate(ctx context.Context, _ Request) iter.Seq2[Delta, error] {
	return func(yield func(Delta, error) bool) {
		if yield(Delta{Text: "Una palabra "}, nil) {
			c.cancel()
			yield(Delta{}, ctx.Err())
		}
	}
}
