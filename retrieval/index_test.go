package retrieval_test

import (
	"slices"
	"testing"

	"github.com/acervo-kb/acervo/retrieval"
)

const contract = `# Contrato de suministro n.º 2031/B

Los equipos se entregarán en un plazo de 45 días naturales desde la firma. El acta de recepción la firma D.ª Begoña Ibáñez Muñoz.`

const warranty = `La garantía de los equipos dura tres años desde la entrega y cubre piezas y mano de obra. ¿Quién responde? El proveedor, Tecnologías Ñandú, S. L.`

const penalty = `Por cada semana de retraso se descontará el 0,5 % del precio, que asciende a 1.250,75 €.`

const handbook = `The dome must be closed when the wind exceeds 54 kilometres per hour. The duty officer is called on extension 4417.

Liquid nitrogen is delivered on the second Tuesday of every month by the Kessler company.`

const library = `La biblioteca abre los sábados de 10 a 14 horas y cierra en agosto.`

func open(t *testing.T, cfg retrieval.Config) *retrieval.Index {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	x, err := retrieval.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func source(id, path, language string) retrieval.Source {
	return retrieval.Source{ID: id, Title: path, Paths: []string{path}, Language: language}
}

func replace(t *testing.T, x *retrieval.Index, src retrieval.Source, texts ...string) {
	t.Helper()
	var chunks []retrieval.Chunk
	for _, text := range texts {
		chunks = append(chunks, retrieval.Chunk{Text: text, Language: src.Language})
	}
	if err := x.Replace(t.Context(), src, chunks); err != nil {
		t.Fatal(err)
	}
}

func corpus(t *testing.T, x *retrieval.Index) {
	t.Helper()
	err := x.Replace(t.Context(), source("contrato", "legal/contrato.md", "es"), []retrieval.Chunk{
		{Text: contract, Language: "es"},
		{Text: warranty, Title: "Contrato", Heading: []string{"Garantía"}, Language: "es"},
		{Text: penalty, Title: "Contrato", Heading: []string{"Penalización"}, Language: "es"},
	})
	if err != nil {
		t.Fatal(err)
	}
	replace(t, x, source("handbook", "handbook.txt", "en"), handbook)
	replace(t, x, source("horario", "web/horario.html", "es"), library)
}

// found returns the chunks a query finds, best first.
func found(t *testing.T, x *retrieval.Index, q retrieval.Query) []string {
	t.Helper()
	r, err := x.Search(t.Context(), q)
	if err != nil {
		t.Fatalf("%q: %v", q.Text, err)
	}
	var ids []string
	for _, h := range r.Hits {
		ids = append(ids, h.Chunk.ID)
	}
	return ids
}

func TestSearchByWords(t *testing.T) {
	x := open(t, retrieval.Config{})
	corpus(t, x)
	replace(t, x, source("codes", "codes.txt", ""), "Pieza KX-7741-Ñ, estante 7.", "Pieza KX-7742-N, estante 8.", "Ficha 0007 del lote ZX, año 2007.", "Ficha ZX-0007 del lote.", "Ficha ZX-0008 del lote.")
	tests := []struct{ query, want string }{
		{"garantia", "contrato.1"},
		{"GARANTÍAS", "contrato.1"},
		{"BEGOÑA IBAÑEZ", "contrato.0"},
		{"ibanez munoz", "contrato.0"},
		{"nandu", "contrato.1"},
		{"semanas", "contrato.2"},
		{"penalizacion por retraso", "contrato.2"},
		{"penalizaciones", "contrato.2"},
		{"un año de garantía", "contrato.1"},
		{"1.250,75", "contrato.2"},
		{"4417", "handbook.0"},
		{"deliveries of nitrogen", "handbook.0"},
		{"días que abre la biblioteca", "horario.0"},
		{"horario", "horario.0"},
		{"KX-7741-Ñ", "codes.0"},
		{"kx-7742", "codes.1"},
		{"ZX-0007", "codes.3"},
		{"zx 0007", "codes.3"},
	}
	for _, tt := range tests {
		if got := found(t, x, retrieval.Query{Text: tt.query}); len(got) == 0 || got[0] != tt.want {
			t.Errorf("%q finds %v, not %s first", tt.query, got, tt.want)
		}
	}
	for _, query := range []string{"palabrasecreta", "", "¿?", "ajedrez mundial 1987"} {
		if got := found(t, x, retrieval.Query{Text: query}); len(got) > 0 {
			t.Errorf("%q finds %v, not nothing", query, got)
		}
	}
}

func TestSearchWithin(t *testing.T) {
	x := open(t, retrieval.Config{})
	corpus(t, x)
	replace(t, x, retrieval.Source{ID: "two", Paths: []string{"legal/old/copia.txt", "web/copia.txt"}}, "Otra garantía, de la copia.")
	tests := []struct {
		collection, path string
		want             []string
	}{
		{"", "", []string{"contrato.1", "two.0"}},
		{"legal", "", []string{"contrato.1", "two.0"}},
		{"web", "", []string{"two.0"}},
		{"", "legal/old", []string{"two.0"}},
		{"", "legal/contrato.md", []string{"contrato.1"}},
		{"web", "legal/old", nil},
		{"lega", "", nil},
		{"", "legal/contrato", nil},
		{"handbook.txt", "", nil},
	}
	for _, tt := range tests {
		got := found(t, x, retrieval.Query{Text: "garantía", Collection: tt.collection, Path: tt.path})
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("in %q %q: %v, not %v", tt.collection, tt.path, got, tt.want)
		}
	}
}
