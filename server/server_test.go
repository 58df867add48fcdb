package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/answer"
)

func TestMain(m *testing.M) {
	// bleve starts its workers with the program, and never ends them.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/blevesearch/bleve_index_api.AnalysisWorker"))
}

// world is every part the server speaks to, in one.
type world struct {
	t       *testing.T
	dir     string
	changes chan ingest.Event

	mu    sync.Mutex
	added map[string]string // collection/name -> content
	chats map[string][]answer.Message

	ask    func(ctx context.Context, q answer.Question) iter.Seq2[answer.Event, error]
	search func(q retrieval.Query) (retrieval.Result, error)
}

var (
	fixedTime = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	contract  = ingest.Document{
		ID: "c1", Title: "contrato.pdf", Paths: []string{"legal/contrato ñ.pdf"}, Collection: "legal", Status: ingest.Ready, Pages: 2,
		ReadBy: []ingest.Reading{{Engine: "tesseract 5.3.0", Confidence: 0.9, Pages: []ingest.PageReading{{Page: 2, Confidence: 0.9}}}},
		Bytes:  10, MIME: "application/pdf", SHA256: "abc", Language: "es", Chunks: 3, Embedded: 2, Added: fixedTime, Updated: fixedTime,
	}
	broken = ingest.Document{
		ID: "b1", Title: "roto.html", Paths: []string{"roto.html"}, Status: ingest.Failed, MIME: "text/html", SHA256: "def",
		Error: &ingest.Problem{Code: parse.Corrupt, Message: "broken"}, Added: fixedTime, Updated: fixedTime,
	}
	talk = ingest.Document{
		ID: "t1", Title: "reunión", Paths: []string{"reunión.m4a"}, Status: ingest.Ready, MIME: "audio/x-m4a", DurationS: 42.5, SHA256: "fed",
		Added: fixedTime, Updated: fixedTime,
	}
	scan = ingest.Document{
		ID: "s1", Title: "escaneo.pdf", Paths: []string{"escaneo.pdf"}, Status: ingest.Working, Stage: "ocr", SHA256: "123",
		Progress: &ingest.Progress{Done: 12, Total: 40, Unit: "page", LeftS: 84}, Added: fixedTime, Updated: fixedTime,
	}
	torn = ingest.Document{
		ID: "t2", Title: "rota.mp3", Paths: []string{"rota.mp3"}, Status: ingest.Partial, DurationS: 20, SHA256: "321", PagesFailed: []int{},
		Error:  &ingest.Problem{Code: parse.Corrupt, Seconds: [][2]float64{{12, 20}}},
		ReadBy: []ingest.Reading{{Engine: "faster-whisper 1.2.1 whisper-base", Confidence: 0.93}}, Added: fixedTime, Updated: fixedTime,
	}
	film = ingest.Document{ // too large to be read
		ID: "f1", Title: "película.mkv", Paths: []string{"película.mkv"}, Status: ingest.Failed, PagesFailed: []int{},
		Error: &ingest.Problem{Code: parse.TooLarge}, Added: fixedTime, Updated: fixedTime,
	}
	warranty = retrieval.Hit{
		Chunk:  retrieval.Chunk{ID: "c1.0", Text: "La garantía dura tres años.", Location: retrieval.Location{Kind: "chars", End: 27}},
		Source: retrieval.Source{ID: "c1", Title: "contrato.pdf", Paths: []string{"legal/contrato.pdf"}}, Score: 0.8, Confidence: 0.9,
	}
	whole = answer.Answer{
		Mode: answer.Generated, Text: "Tres años [1].", Language: "es", Citations: []answer.Citation{{N: 1, Hit: warranty, Location: retrieval.Location{Kind: "chars", Start: 12, End: 27}}},
		Usage: answer.Usage{PromptTokens: 10, CompletionTokens: 3, Context: 8192}, LLM: "m", RetrieveMS: 1, FirstTokenMS: 2, TotalMS: 3,
	}
)

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), changes: make(chan ingest.Event), added: map[string]string{}, chats: map[string][]answer.Message{}}
	w.ask = func(_ context.Context, _ answer.Question) iter.Seq2[answer.Event, error] { return answered(whole) }
	w.search = func(retrieval.Query) (retrieval.Result, error) {
		return retrieval.Result{Hits: []retrieval.Hit{warranty}}, nil
	}
	return w
}

// answered streams a as the answerer does.
func answered(a answer.Answer) iter.Seq2[answer.Event, error] {
	return func(yield func(answer.Event, error) bool) {
		_ = yield(answer.Event{Sources: []retrieval.Hit{warranty}}, nil) && yield(answer.Event{Text: "Tres años "}, nil) &&
			yield(answer.Event{Text: "[1]."}, nil) && yield(answer.Event{Citations: a.Citations}, nil) && yield(answer.Event{Done: &a}, nil)
	}
}

func (w *world) Get(id string) (ingest.Document, error) {
	for _, d := range []ingest.Document{contract, broken, talk, scan, torn, film} {
		if d.ID == id {
			return d, nil
		}
	}
	if id == "panic" {
		panic("a bug")
	}
	if id == "fault" {
		return ingest.Document{}, errors.New("secret path /home/u")
	}
	return ingest.Document{}, ingest.ErrNotFound
}

func (w *world) List(f ingest.Filter) ([]ingest.Document, string, error) {
	waits := scan
	waits.Progress = &ingest.Progress{Done: 12, Total: 40, Unit: "page", Waits: parse.ForTurn}
	docs := []ingest.Document{contract, broken, scan, waits, torn}
	if f.After == contract.ID {
		return docs[1:], "", nil
	}
	if f.Limit == 1 {
		return docs[:1], contract.ID, nil
	}
	return docs, "", nil
}

func (w *world) Collections() []ingest.CollectionCount {
	return []ingest.CollectionCount{{Name: "legal", Documents: 1, Chunks: 3}}
}

func (w *world) Subscribe(ctx context.Context) <-chan ingest.Event { return w.changes }

func (w *world) Add(_ context.Context, collection, name string, r io.Reader) (ingest.Document, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return ingest.Document{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.added[collection+"/"+name] = string(body)
	return ingest.Document{ID: "n1", Title: name, Status: ingest.Queued, Added: fixedTime, Updated: fixedTime}, nil
}

func (w *world) Open(id string) (*os.File, ingest.Document, error) {
	d, err := w.Get(id)
	if err != nil {
		return nil, d, err
	}
	path := filepath.Join(w.dir, id)
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		return nil, d, err
	}
	f, err := os.Open(path)
	return f, d, err
}

func (w *world) Page(_ context.Context, id string, n int) ([]byte, error) {
	if n > 2 {
		return nil, ingest.ErrNotFound
	}
	return []byte("\x89PNG\r\n\x1a\n" + id), nil
}

func (w *world) Remove(_ context.Context, id string) error { _, err := w.Get(id); return err }

func (w *world) Restore(_ context.Context, id string) (ingest.Document, error) { return w.Get(id) }

func (w *world) Reread(_ context.Context, id string) (ingest.Document, error) {
	d, err := w.Get(id)
	d.Status = ingest.Queued
	return d, err
}

func (w *world) Retry(_ context.Context, id string) (ingest.Document, error) { return w.Get(id) }

func (w *world) Sync(_ context.Context, report func(ingest.Document)) (ingest.Summary, error) {
	report(contract)
	return ingest.Summary{Indexed: 1, Failed: []ingest.Document{broken}}, nil
}

func (w *world) Verify(_ context.Context, repair bool) ([]string, error) {
	if repair {
		return nil, nil
	}
	return []string{"a.txt differs"}, nil
}

func (w *world) Search(_ context.Context, q retrieval.Query) (retrieval.Result, error) {
	return w.search(q)
}

func (w *world) Chunks(_ context.Context, id string, from, limit int) ([]retrieval.Chunk, error) {
	if id != contract.ID {
		return nil, retrieval.ErrNotFound
	}
	var found []retrieval.Chunk
	for n := from; n < min(3, from+limit); n++ {
		found = append(found, retrieval.Chunk{ID: "c1." + string(rune('0'+n)), N: n, Text: "t", Location: retrieval.Location{Kind: "page", Page: n + 1}})
	}
	return found, nil
}

func (w *world) Ask(ctx context.Context, q answer.Question) iter.Seq2[answer.Event, error] {
	return w.ask(ctx, q)
}

// config is that of a server over w.
func (w *world) config() Config {
	return Config{
		Corpus: w, Index: w, Answerer: w, Chats: (*chatBook)(w), Machine: laptop(w.t), Version: "1", Embedder: "e", Hosts: []string{"Biblioteca.Lan"},
		UI: fstest.MapFS{"index.html": {Data: []byte("<!doctype html>")}, "assets/app-1.js": {Data: []byte("1")}},
	}
}

// chatBook is the conversations of a world.
type chatBook world

func (b *chatBook) History(id string, limit int) ([]answer.Message, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.chats[id]
	return m[max(0, len(m)-limit):], nil
}

func (b *chatBook) Append(id string, messages ...answer.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.chats[id] = append(b.chats[id], messages...)
	return nil
}

func (b *chatBook) List() ([]answer.Chat, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []answer.Chat
	for id := range b.chats {
		all = append(all, answer.Chat{ID: id, Updated: fixedTime})
	}
	return all, nil
}

func (b *chatBook) Get(id string) (answer.Chat, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, ok := b.chats[id]
	if !ok {
		return answer.Chat{}, retrieval.ErrNotFound
	}
	return answer.Chat{ID: id, Updated: fixedTime, Messages: m}, nil
}

func (b *chatBook) Delete(id string) error {
	if _, err := b.Get(id); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.chats, id)
	return nil
}

// serve starts a real server, so that deadlines and leaving are real.
func serve(t *testing.T, h http.Handler) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// An exchange is a request in short, and its answer.
type exchange struct {
	method, path, body string
	header             map[string]string
}

// send returns the answer and its body. A body without a type is JSON.
func (x exchange) send(t *testing.T, s *httptest.Server) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), x.method, s.URL+x.path, strings.NewReader(x.body))
	if err != nil {
		t.Fatal(err)
	}
	if x.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range x.header {
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(raw)
}

// decode returns the answer's JSON.
func (x exchange) decode(t *testing.T, s *httptest.Server, status int) map[string]any {
	t.Helper()
	resp, raw := x.send(t, s)
	var v map[string]any
	if err := json.Unmarshal([]byte(raw), &v); err != nil || resp.StatusCode != status {
		t.Fatalf("%s %s: %d %s (%v)", x.method, x.path, resp.StatusCode, raw, err)
	}
	return v
}

// An event is one of a stream.
type event struct{ name, data string }

// events reads a stream until it ends or yield breaks off.
func events(r io.Reader) iter.Seq[event] {
	return func(yield func(event) bool) {
		var e event
		for lines := bufio.NewScanner(r); lines.Scan(); {
			line := lines.Text()
			if name, ok := strings.CutPrefix(line, "event: "); ok {
				e.name = name
			} else if data, ok := strings.CutPrefix(line, "data: "); ok {
				e.data = data
			} else if line == "" && e.name != "" {
				if !yield(e) {
					return
				}
				e = event{}
			}
		}
	}
}
