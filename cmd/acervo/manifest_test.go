package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/retrieval"
)

// A sample is a row of the manifests of the shared test data, whose README.md says what it means.
type sample struct {
	File          string
	Format        string
	Expect, Code  string
	AlsoTolerable []string `json:"also_tolerable"`
	Needs         []string
	MustContain   []string `json:"must_contain"`
	Places        []struct {
		Text string
		Page int
	}
	Transcript *string
	Segments   []struct {
		Start, End float64
		Text       string
	}
	Questions []struct {
		Q, A  string
		Place struct {
			Page  int
			TimeS []float64 `json:"time_s"`
		}
	}
}

// sharedData is where the shared test data is, which a checkout may lack.
func sharedData(t *testing.T) string {
	t.Helper()
	dir := cmp.Or(os.Getenv("ACERVO_TEST_DATA"), filepath.Join("..", "..", "..", "shared", "data"))
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no test data: %v", err)
	}
	return dir
}

func manifest(t *testing.T, dir string) (all []sample) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		var s sample
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// Of documents with text on all pages but one, only that page is given to the engine.
func TestTextIsNotRecognised(t *testing.T) {
	t.Parallel()
	files := filepath.Join(sharedData(t), "files")
	m := newMarathon(t, 0)
	names := []string{"expediente-mixto.pdf", "manual-bilingue.pdf", "multi_page.pdf", "tracemonkey.pdf", "contrato-arrendamiento.docx"}
	pages := 0
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(files, name))
		if err != nil {
			t.Fatal(err)
		}
		m.write("docs/"+name, raw)
	}
	m.serve()
	for _, d := range m.settled(len(names), 3*time.Minute) {
		pages += d.Pages
	}
	asked, _ := m.units()
	t.Logf("%d of %d pages were given to the engine", len(asked), pages)
	if len(asked) != 1 {
		t.Errorf("the engine was given %v", asked)
	}
}

// otherwise are the samples whose outcome the manifest states differently from what is wanted, and what that is.
var otherwise = map[string]string{
	"sample_10s_truncado.mp3": "partial", // it says to which second it could be read
}

// beyondEngines are the samples that cannot be read as they should be, and the questions that cannot be answered, and why.
var beyondEngines = map[string]string{
	"How high is the Orellana dam?": "Whisper base hears «la presa de hoy ya» for «la presa de Orellana»",
}

// Every scan of the test data, through the whole program with its real engines: the outcome that the manifest states,
// words on their pages, and questions answered with the right one.
func TestScansOfManifest(t *testing.T) {
	checkManifest(t, "files", func(s sample) bool { return slices.Contains(s.Needs, "ocr") })
}

// Every recording of the test data, likewise, with seconds for pages.
func TestRecordingsOfManifest(t *testing.T) {
	checkManifest(t, "audio", func(sample) bool { return true })
}

func checkManifest(t *testing.T, folder string, wanted func(sample) bool) {
	t.Helper()
	folder = filepath.Join(sharedData(t), folder)
	python, model := os.Getenv("ACERVO_TEST_PYTHON"), os.Getenv("ACERVO_TEST_WHISPER_MODEL")
	if testing.Short() || python == "" || model == "" {
		t.Skip("needs the engines of the test bed: ACERVO_TEST_PYTHON, ACERVO_TEST_WHISPER_MODEL")
	}
	settings := append(realEngines(t), "llm.provider=none", "workers.python="+python, "speech.model="+model)
	o := emptyPlace(t)
	samples := map[string]sample{}
	heic := exec.CommandContext(t.Context(), python, "-I", "-c", "import pi_heif").Run() == nil
	for _, s := range manifest(t, folder) {
		switch {
		case !wanted(s):
			continue
		case s.Format == "heic" && !heic:
			t.Logf("%s is left out: the Python of ACERVO_TEST_PYTHON has no pi-heif, which decodes it", s.File)
			continue
		}
		raw, err := os.ReadFile(filepath.Join(folder, s.File))
		if err != nil {
			t.Fatal(err)
		}
		(&library{docs: o.docs}).write(t, s.File, string(raw))
		samples[s.File] = s
	}
	start := time.Now()
	l := serveLibrary(t, o, settings...)
	docs := l.settleFor(t, len(samples), true, 15*time.Minute)
	t.Logf("%d files in %s", len(docs), time.Since(start).Round(time.Second))
	seen := map[string]perceived{}
	for path, d := range docs {
		seen[path] = perceived{Document: d, chunks: l.chunks(t, d)}
	}
	right := 0
	for _, path := range slices.Sorted(maps.Keys(samples)) {
		if t.Run(path, func(t *testing.T) { samples[path].check(t, l, path, seen) }) && beyondEngines[path] == "" {
			right++
		}
	}
	t.Logf("%d of %d are as the manifest says; beyond the engines: %v", right, len(samples), beyondEngines)
}

// perceived is what came of a sample.
type perceived struct {
	ingest.Document
	chunks []foundChunk
}

// on is the text of a page, or of all where it is 0.
func (p perceived) on(page int) string {
	var text strings.Builder
	for _, c := range p.chunks {
		if page == 0 || c.Location.Page == page {
			text.WriteString(c.Text + " ")
		}
	}
	return folded(text.String())
}

// between is what is found between two seconds.
func (p perceived) between(start, end float64) string {
	var text strings.Builder
	for _, c := range p.chunks {
		if c.Location.StartS < end && c.Location.EndS > start {
			text.WriteString(c.Text + " ")
		}
	}
	return text.String()
}

// folded has a space for every run of white space.
func folded(text string) string { return strings.Join(strings.Fields(norm.NFC.String(text)), " ") }

func (s sample) check(t *testing.T, l *library, path string, seen map[string]perceived) {
	d := seen[path]
	lacks, wrong := t.Errorf, 0
	if why := beyondEngines[s.File]; why != "" {
		t.Logf("not as it should be: %s", why)
		lacks = func(format string, args ...any) { wrong++; t.Logf(format, args...) }
		defer func() {
			if wrong == 0 {
				t.Error("it is as it should be now: it is no exception any more")
			}
		}()
	}
	outcomes := append([]string{cmp.Or(otherwise[s.File], s.Expect)}, s.AlsoTolerable...)
	if !slices.Contains(outcomes, string(d.Status)) {
		lacks("it is %s, want one of %v: %+v", d.Status, outcomes, d.Error)
	}
	if s.Code != "" && (d.Error == nil || string(d.Error.Code) != s.Code) {
		lacks("its error is %+v, want %s", d.Error, s.Code)
	}
	for _, want := range s.MustContain {
		if !strings.Contains(d.on(0), folded(want)) {
			lacks("it lacks %q: %.2000s", want, d.on(0))
		}
	}
	for _, p := range s.Places {
		if !strings.Contains(d.on(p.Page), folded(p.Text)) {
			lacks("page %d lacks %q: %.2000s", p.Page, p.Text, d.on(p.Page))
		}
	}
	if s.Transcript != nil && *s.Transcript == "" && len(d.chunks) > 0 {
		lacks("nothing is said in it, and it has %+v", d.chunks)
	}
	for _, x := range s.Segments {
		if share := said(x.Text, d.between(x.Start, x.End)); share < 0.4 { // the model mishears some, and otherwise on another CPU
			lacks("from %g to %g s only %.0f %% of the words of %q are found: %q", x.Start, x.End, 100*share, x.Text, d.between(x.Start, x.End))
		}
	}
	s.checkAnswers(t, l, path, seen, lacks)
}

// checkAnswers asks the questions. Without a language model an answer quotes only what it is sure of: where it quotes
// nothing, as of a document in another language, the place has to be among the first five that a search finds.
func (s sample) checkAnswers(t *testing.T, l *library, path string, seen map[string]perceived, lacks func(string, ...any)) {
	for _, q := range s.Questions {
		how, found := "answered", l.ask(t, q.Q).Citations
		if len(found) == 0 {
			var search struct{ Hits []citation }
			if err := l.call(t.Context(), http.MethodPost, "/api/v1/search", map[string]any{"query": q.Q, "k": 5}, &search); err != nil {
				t.Fatal(err)
			}
			how, found = "only found", search.Hits
		}
		at := slices.IndexFunc(found, func(c citation) bool {
			cited := seen[c.Document.Path]
			same := c.Document.Path == path || said(seen[path].on(0), cited.on(0)) > 0.8 // the same in another format
			switch place := q.Place; {
			case !same:
				return false
			case place.Page > 0:
				return c.Location.Page == place.Page
			case len(place.TimeS) == 2:
				return math.Abs(c.Location.StartS-place.TimeS[0]) < 2 && math.Abs(c.Location.EndS-place.TimeS[1]) < 2
			}
			return true
		})
		switch {
		case at < 0 && beyondEngines[q.Q] != "":
			t.Logf("%q is not answered: %s", q.Q, beyondEngines[q.Q])
		case at < 0:
			lacks("%q (%s, %+v) is %s at %+v", q.Q, q.A, q.Place, how, found)
		default:
			where := found[at].Location
			t.Logf("%q is %s by passage %d, page %d, %g–%g s", q.Q, how, at+1, where.Page, where.StartS, where.EndS)
		}
	}
}

// digits are the numbers that a model writes as it likes.
var digits = map[string]string{
	"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
	"dos": "2", "tres": "3", "cuatro": "4", "cinco": "5", "seis": "6", "siete": "7", "ocho": "8", "nueve": "9",
}

// said is the share of a text's words that are in another.
func said(text, in string) float64 {
	words := func(s string) []string {
		all := strings.FieldsFunc(strings.ToLower(norm.NFC.String(s)), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		for i, w := range all {
			all[i] = cmp.Or(digits[w], w)
		}
		return all
	}
	there := map[string]bool{}
	for _, w := range words(in) {
		there[w] = true
	}
	all, found := words(text), 0
	for _, w := range all {
		if there[w] {
			found++
		}
	}
	if len(all) == 0 {
		return 0
	}
	return float64(found) / float64(len(all))
}

type foundChunk struct {
	Text     string             `json:"text"`
	Location retrieval.Location `json:"location"`
}

// chunks are all that is known of a document.
func (c *client) chunks(t testing.TB, d ingest.Document) (all []foundChunk) {
	t.Helper()
	for cursor := ""; ; {
		var page struct {
			Chunks []foundChunk `json:"chunks"`
			Next   string       `json:"next"`
		}
		path := fmt.Sprintf("/api/v1/documents/%s/chunks?limit=100&cursor=%s", d.ID, cursor)
		if err := c.call(t.Context(), http.MethodGet, path, nil, &page); err != nil {
			t.Fatal(err)
		}
		if all, cursor = append(all, page.Chunks...), page.Next; cursor == "" {
			return all
		}
	}
}
