package retrieval_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/chromem"
	"github.com/acervo-kb/acervo/retrieval/retrievaltest"
)

func withVectors(dir string, e retrieval.Embedder) retrieval.Config {
	return retrieval.Config{Dir: dir, Embedder: e, NewVectors: func() retrieval.VectorStore { return chromem.New() }}
}

// run runs x until the returned function is called.
func run(t *testing.T, x *retrieval.Index) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// soon fails unless ok within some seconds.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(8 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not soon: %s", what)
		}
	}
}

func whole(x *retrieval.Index) func() bool {
	return func() bool {
		s := x.Stats()
		return s.Chunks > 0 && s.Vectors == s.Chunks
	}
}

// asked returns how many passages of documents e was asked for, probes left out.
func asked(e *retrievaltest.Embedder) int {
	n := 0
	for _, p := range e.Passages() {
		if len(p) > 60 {
			n++
		}
	}
	return n
}

func sound(t *testing.T, x *retrieval.Index) {
	t.Helper()
	problems, err := x.Verify(t.Context())
	if err != nil || len(problems) > 0 {
		t.Errorf("verify: %v %v", problems, err)
	}
}

func TestVectorsFollow(t *testing.T) {
	t.Parallel()
	dir, e := t.TempDir(), retrievaltest.NewEmbedder("fake")
	var mu sync.Mutex
	told := map[string]bool{}
	cfg := withVectors(dir, e)
	cfg.Embedded = func(id string) { mu.Lock(); told[id] = true; mu.Unlock() }
	x := open(t, cfg)
	corpus(t, x)
	if n := x.Stats().Vectors; n != 0 {
		t.Errorf("%d vectors before Run", n)
	}
	stop := run(t, x)
	soon(t, "all have vectors", whole(x))
	if got := found(t, x, retrieval.Query{Text: "mano de obra", Mode: retrieval.Vector}); len(got) != 5 || got[0] != "contrato.1" {
		t.Errorf("by vectors: %v", got)
	}
	mu.Lock()
	if len(told) != 3 {
		t.Errorf("told of %v", told)
	}
	mu.Unlock()
	sound(t, x)
	stop()
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}

	n := asked(e)
	x = open(t, withVectors(dir, e))
	if !whole(x)() {
		t.Errorf("reopened: %+v", x.Stats())
	}
	if got := found(t, x, retrieval.Query{Text: "mano de obra", Mode: retrieval.Vector}); len(got) != 5 || got[0] != "contrato.1" {
		t.Errorf("reopened, by vectors without Run: %v", got)
	}
	sound(t, x)
	if asked(e) != n {
		t.Errorf("reopening embedded %d passages", asked(e)-n)
	}
}

func TestOnlyNewTextIsEmbedded(t *testing.T) {
	t.Parallel()
	e := retrievaltest.NewEmbedder("fake")
	x := open(t, withVectors("", e))
	run(t, x)
	corpus(t, x)
	soon(t, "all have vectors", whole(x))
	step := func(what string, want int, do func() error) {
		t.Helper()
		n := asked(e)
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		soon(t, what, whole(x))
		if got := asked(e) - n; got != want {
			t.Errorf("%s embedded %d passages, not %d", what, got, want)
		}
		sound(t, x)
	}
	chunks, err := x.Chunks(t.Context(), "contrato", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	src, _ := x.Source("contrato")
	step("rename", 0, func() error {
		src.Title, src.Paths = "acuerdo.md", []string{"viejo/acuerdo.md"}
		return x.Describe(t.Context(), src)
	})
	if got := found(t, x, retrieval.Query{Text: "acuerdo", Mode: retrieval.Lexical}); len(got) != 3 {
		t.Errorf("by its new name: %v", got)
	}
	if got := found(t, x, retrieval.Query{Text: "legal", Mode: retrieval.Lexical}); len(got) != 0 {
		t.Errorf("by its old name: %v", got)
	}
	step("the same again", 0, func() error { return x.Replace(t.Context(), src, chunks) })
	step("the same cut by another version", 0, func() error {
		for i := range chunks {
			chunks[i].Lines = retrieval.Lines{{End: len(chunks[i].Text), Box: [4]float64{0, 0, 1, 0.5}}}
		}
		src.Revision = "another"
		return x.Replace(t.Context(), src, chunks)
	})
	if stored, err := x.Chunks(t.Context(), "contrato", 0, 10); err != nil || !cmp.Equal(stored, chunks) {
		t.Errorf("%v %s", err, cmp.Diff(chunks, stored))
	}
	step("delete", 0, func() error { return x.Delete(t.Context(), "contrato") })
	for _, mode := range []retrieval.Mode{retrieval.Lexical, retrieval.Vector, retrieval.Hybrid} {
		if got := found(t, x, retrieval.Query{Text: "garantía equipos", Mode: mode}); slices.ContainsFunc(got, func(id string) bool { return strings.HasPrefix(id, "contrato") }) {
			t.Errorf("deleted, still found by %s: %v", mode, got)
		}
	}
	step("restore", 0, func() error { return x.Replace(t.Context(), src, chunks) })
	if embedded, n := x.Embedded("contrato"); embedded != 3 || n != 3 {
		t.Errorf("restored: %d of %d", embedded, n)
	}
	step("edit", 1, func() error {
		chunks[1].Text = strings.ReplaceAll(chunks[1].Text, "tres", "cuatro")
		edited := src
		edited.ID = "edited"
		return errors.Join(x.Replace(t.Context(), edited, chunks), x.Delete(t.Context(), src.ID))
	})
	step("shorter", 0, func() error { return x.Replace(t.Context(), source("edited", "a.md", "es"), chunks[:1]) })
	if got := found(t, x, retrieval.Query{Text: "penalización", Mode: retrieval.Lexical}); len(got) != 0 {
		t.Errorf("its old chunks are found: %v", got)
	}
}

func TestSameTextOnce(t *testing.T) {
	t.Parallel()
	e := retrievaltest.NewEmbedder("fake")
	x := open(t, withVectors("", e))
	run(t, x)
	replace(t, x, source("a", "a/one.txt", "es"), warranty, penalty, warranty)
	replace(t, x, source("b", "b/two.txt", "es"), warranty)
	soon(t, "all have vectors", whole(x))
	if asked(e) != 2 {
		t.Errorf("%d passages were embedded for 2 texts", asked(e))
	}
	for _, mode := range []retrieval.Mode{retrieval.Lexical, retrieval.Vector, retrieval.Hybrid} {
		if got := found(t, x, retrieval.Query{Text: "¿Cuánto dura la garantía de los equipos?", Mode: mode}); len(got) == 0 || strings.Count(strings.Join(got, " "), ".0") != 1 || slices.Contains(got, "a.2") && slices.Contains(got, "a.0") {
			t.Errorf("%s finds %v", mode, got)
		}
		if got := found(t, x, retrieval.Query{Text: "garantía de los equipos", Mode: mode, Collection: "b"}); !slices.Equal(got, []string{"b.0"}) {
			t.Errorf("%s finds %v in b", mode, got)
		}
	}
	if err := x.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if got := found(t, x, retrieval.Query{Text: "garantía", Mode: retrieval.Vector}); !slices.Equal(got, []string{"b.0"}) {
		t.Errorf("with one of two gone: %v", got)
	}
	sound(t, x)
}

func TestWithoutEmbedder(t *testing.T) {
	x := open(t, retrieval.Config{})
	corpus(t, x)
	if _, err := x.Search(t.Context(), retrieval.Query{Text: "garantía", Mode: retrieval.Vector}); !errors.Is(err, retrieval.ErrUnavailable) {
		t.Errorf("vectors without embedder: %v", err)
	}
	r, err := x.Search(t.Context(), retrieval.Query{Text: "garantía"})
	if err != nil || len(r.Hits) == 0 || r.Hits[0].Vector != nil || r.Hits[0].Lexical == nil {
		t.Errorf("hybrid without embedder: %+v %v", r, err)
	}
}

func TestEmbedderComesLate(t *testing.T) {
	t.Parallel()
	e := retrievaltest.NewEmbedder("fake")
	e.Refuse(func([]string) error { return fmt.Errorf("connection refused: %w", retrieval.ErrUnavailable) })
	x := open(t, withVectors("", e))
	run(t, x)
	corpus(t, x)
	soon(t, "the problem shows", func() bool { return x.Stats().Problem != "" })
	r, err := x.Search(t.Context(), retrieval.Query{Text: "garantía"})
	if err != nil || len(r.Hits) == 0 || len(r.Warnings) != 1 {
		t.Errorf("hybrid meanwhile: %+v %v", r, err)
	}
	if _, err := x.Search(t.Context(), retrieval.Query{Text: "garantía", Mode: retrieval.Vector}); !errors.Is(err, retrieval.ErrUnavailable) {
		t.Errorf("vectors meanwhile: %v", err)
	}
	e.Refuse(nil)
	soon(t, "caught up", whole(x))
	r, err = x.Search(t.Context(), retrieval.Query{Text: "garantía"})
	if err != nil || len(r.Hits) == 0 || len(r.Warnings) > 0 || x.Stats().Problem != "" {
		t.Errorf("hybrid afterwards: %+v %v %q", r, err, x.Stats().Problem)
	}
}

// A document that arrives while the embedder misbehaves leads to an attempt soon, and what is no vector is refused.
func TestVectorsThatAreNone(t *testing.T) {
	t.Parallel()
	e := retrievaltest.NewEmbedder("fake")
	x := open(t, withVectors("", e))
	run(t, x)
	corpus(t, x)
	soon(t, "all have vectors", whole(x))
	spoils := map[string]func([][]float32) [][]float32{
		"nan":   func(vs [][]float32) [][]float32 { vs[0][3] = float32(math.NaN()); return vs },
		"zero":  func(vs [][]float32) [][]float32 { clear(vs[0]); return vs },
		"short": func(vs [][]float32) [][]float32 { vs[0] = vs[0][:10]; return vs },
		"fewer": func(vs [][]float32) [][]float32 { return vs[1:] },
	}
	for how, spoil := range spoils {
		e.Spoil(spoil)
		calls, start := e.Calls(), time.Now()
		replace(t, x, source(how, how+".txt", "es"), fmt.Sprintf("Ficha %s: el faro de %s mide 31 metros y tiene una linterna roja.", how, how))
		soon(t, how+": an attempt", func() bool { return e.Calls() > calls })
		if took := time.Since(start); took > 10*time.Second { // an outage's delay grows to 15 s
			t.Errorf("%s: attempted after %v", how, took)
		}
		soon(t, how+": the problem shows", func() bool { return x.Stats().Problem != "" })
		if n, _ := x.Embedded(how); n != 0 {
			t.Errorf("%s: counts as embedded", how)
		}
	}
	e.Spoil(nil)
	replace(t, x, source("last", "last.txt", "es"), "Un documento más despierta a quien espera.")
	soon(t, "all have vectors", whole(x))
	for how := range spoils {
		if got := found(t, x, retrieval.Query{Text: "faro de " + how, Mode: retrieval.Vector}); len(got) == 0 || got[0] != how+".0" {
			t.Errorf("%s: found %v by its vector", how, got)
		}
	}
	sound(t, x)
}

func TestOneRefusedTextHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	e := retrievaltest.NewEmbedder("fake")
	e.Refuse(func(texts []string) error {
		if strings.Contains(strings.Join(texts, " "), "veneno") {
			return errors.New("500 Internal Server Error")
		}
		return nil
	})
	x := open(t, withVectors("", e))
	corpus(t, x)
	replace(t, x, source("bad", "bad.txt", "es"), "Este texto lleva veneno.")
	run(t, x)
	soon(t, "the others have vectors", func() bool { return x.Stats().Vectors == 5 })
	soon(t, "it is counted", func() bool { return strings.Contains(x.Stats().Problem, "1 passage") })
	if got := found(t, x, retrieval.Query{Text: "veneno"}); len(got) == 0 || got[0] != "bad.0" {
		t.Errorf("by its words: %v", got)
	}
}

func TestLongTextBecomesWindows(t *testing.T) {
	t.Parallel()
	dir, e := t.TempDir(), retrievaltest.NewEmbedder("fake")
	e.Limit(300)
	x := open(t, withVectors(dir, e))
	var words []string
	for i := range 200 {
		words = append(words, fmt.Sprintf("palabra%03d", i))
	}
	long := strings.Join(words, " ")
	replace(t, x, source("long", "long.txt", "es"), long, warranty)
	stop := run(t, x)
	soon(t, "all have vectors", whole(x))
	read := map[string]bool{}
	for _, p := range e.Passages() {
		if len(p) > 300 {
			t.Errorf("a text of %d bytes was embedded", len(p))
		}
		for _, w := range strings.Fields(p) {
			read[w] = true
		}
	}
	for _, w := range words {
		if !read[w] {
			t.Errorf("%s was not read", w)
		}
	}
	// A later one is cut beforehand: no attempt fails.
	calls := e.Calls()
	replace(t, x, source("next", "next.txt", "es"), strings.ReplaceAll(long, "palabra", "vocablo"))
	soon(t, "all have vectors", whole(x))
	if n := e.Calls() - calls; n != 1 {
		t.Errorf("%d calls for a text that is known to be too long", n)
	}
	sound(t, x)
	stop()
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	x = open(t, withVectors(dir, e))
	sound(t, x)
	if !whole(x)() {
		t.Errorf("reopened: %+v", x.Stats())
	}
}

func TestUpgradedEngine(t *testing.T) {
	t.Parallel()
	dir, e := t.TempDir(), retrievaltest.NewEmbedder("fake")
	x := open(t, withVectors(dir, e))
	corpus(t, x)
	stop := run(t, x)
	soon(t, "all have vectors", whole(x))
	stop()
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}

	e.Upgrade()
	n := asked(e)
	x = open(t, withVectors(dir, e))
	r, err := x.Search(t.Context(), retrieval.Query{Text: "garantía"})
	if err != nil || len(r.Hits) == 0 || len(r.Warnings) != 1 || r.Hits[0].Vector != nil {
		t.Errorf("before all is embedded anew: %+v %v", r, err)
	}
	run(t, x)
	soon(t, "embedded anew", func() bool {
		r, err := x.Search(t.Context(), retrieval.Query{Text: "mano de obra"})
		return err == nil && len(r.Warnings) == 0 && whole(x)()
	})
	if got := asked(e) - n; got != 5 {
		t.Errorf("%d passages were embedded anew, not 5", got)
	}
	if got := found(t, x, retrieval.Query{Text: "mano de obra", Mode: retrieval.Vector}); got[0] != "contrato.1" {
		t.Errorf("by the new vectors: %v", got)
	}
	sound(t, x)
}

// An engine that comes back from being away is asked for the probe before it is believed.
func TestEngineReturnsUpgraded(t *testing.T) {
	t.Parallel()
	e := retrievaltest.NewEmbedder("fake")
	x := open(t, withVectors("", e))
	corpus(t, x)
	run(t, x)
	soon(t, "all have vectors", whole(x))
	n := asked(e)
	e.Refuse(func([]string) error { return retrieval.ErrUnavailable })
	if r, err := x.Search(t.Context(), retrieval.Query{Text: "garantía"}); err != nil || len(r.Warnings) != 1 {
		t.Errorf("while it is away: %+v %v", r, err)
	}
	e.Upgrade()
	e.Refuse(nil)
	soon(t, "embedded anew", func() bool { return asked(e)-n == 5 && whole(x)() })
}

func TestAnotherModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, model := range []string{"one", "two", "one"} {
		e := retrievaltest.NewEmbedder(model)
		x := open(t, withVectors(dir, e))
		if model == "one" && x.Stats().Chunks == 0 {
			corpus(t, x)
		}
		stop := run(t, x)
		soon(t, model, func() bool {
			r, err := x.Search(t.Context(), retrieval.Query{Text: "mano de obra"})
			return whole(x)() && err == nil && len(r.Warnings) == 0
		})
		sound(t, x)
		stop()
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestQuestionsGoFirst(t *testing.T) {
	t.Parallel()
	e := retrievaltest.NewEmbedder("fake")
	x := open(t, withVectors("", e))
	first, second := x.Prefer(), x.Prefer()
	run(t, x)
	corpus(t, x)
	if r, err := x.Search(t.Context(), retrieval.Query{Text: "garantía"}); err != nil || len(r.Hits) == 0 {
		t.Errorf("a question among questions: %+v %v", r, err)
	}
	first()
	first()
	time.Sleep(50 * time.Millisecond)
	if asked(e) > 0 {
		t.Error("passages were embedded while a question was being answered")
	}
	second()
	soon(t, "all have vectors", whole(x))
}
