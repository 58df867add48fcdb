package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/ingest/worker"
	"github.com/acervo-kb/acervo/retrieval"
)

// quiet is the settle time of tests.
const quiet = 60 * time.Millisecond

// A textReader reads text files. What a file begins with tells it to fail, and
// hold, where not nil, is waited for.
type textReader struct {
	mu    sync.Mutex
	reads map[string]int // by path
	fails map[string]error
	hold  chan struct{}
}

func (t *textReader) Parse(ctx context.Context, root, name string, progress parse.Progress) (parse.Content, error) {
	t.mu.Lock()
	if t.reads == nil {
		t.reads = map[string]int{}
	}
	t.reads[name]++
	hold := t.hold
	t.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return parse.Content{}, ctx.Err()
		}
	}
	raw, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return parse.Content{}, parse.Errorf(parse.NotReadable, "gone")
	}
	sum := sha256.Sum256(raw)
	text := string(raw)
	c := parse.Content{MIME: "text/plain", Text: text, SHA256: hex.EncodeToString(sum[:])}
	c.Blocks = []parse.Block{{End: len(text), Kind: parse.Paragraph}}
	progress(1, 1, "page")
	switch {
	case strings.HasPrefix(text, "FAIL "):
		return parse.Content{}, parse.Errorf(parse.Code(strings.Fields(text)[1]), "as told")
	case strings.HasPrefix(text, "SOUND"):
		return parse.Content{MIME: "audio/mpeg", NeedsSpeech: true}, nil
	case strings.HasPrefix(text, "BROKEN"):
		return parse.Content{}, fmt.Errorf("no worker")
	case strings.HasPrefix(text, "SCAN"):
		c.Pages, c.NeedsOCR = 7, []int{2, 3, 5}
	case strings.HasPrefix(text, "PAGES"):
		c.Text, c.Blocks = "", nil
		for _, err := fmt.Sscanf(text, "PAGES %d", &c.Pages); err == nil && len(c.NeedsOCR) < c.Pages; {
			c.NeedsOCR = append(c.NeedsOCR, len(c.NeedsOCR)+1)
		}
	case strings.HasPrefix(text, "IMAGES"):
		c.Text, c.Blocks, c.Pages, c.NeedsOCR = "", nil, 2, []int{1, 2}
	case strings.HasPrefix(text, "# "):
		c.Title = strings.TrimPrefix(strings.SplitN(text, "\n", 2)[0], "# ")
	}
	return c, nil
}

func (t *textReader) Page(_ context.Context, root, name string, n int) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reads == nil {
		t.reads = map[string]int{}
	}
	t.reads[fmt.Sprintf("%s#%d", name, n)]++
	return fmt.Appendf(nil, "png %s %d", name, n), nil
}

// Scan is what [fakeOCR] knows a page by.
func (t *textReader) Scan(_ context.Context, root, name string, n, dpi int) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reads[fmt.Sprintf("%s@%d", name, n)]++
	if _, err := os.Stat(filepath.Join(root, name)); err != nil {
		return nil, parse.Errorf(parse.NotReadable, "gone")
	}
	return fmt.Appendf(nil, "%d of %s at %d", n, name, dpi), t.fails[name]
}

// failScan makes the drawing of a file's pages fail.
func (t *textReader) failScan(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fails = map[string]error{name: err}
}

func (t *textReader) count(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reads[name]
}

// A world is a folder, its corpus and its index.
type world struct {
	*Corpus
	t      *testing.T
	docs   string
	data   string
	index  *retrieval.Index
	reader *textReader
	cfg    Config
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, docs: filepath.Join(t.TempDir(), "docs"), data: filepath.Join(t.TempDir(), "data"), reader: &textReader{}}
	if err := os.Mkdir(w.docs, 0o755); err != nil {
		t.Fatal(err)
	}
	w.open()
	t.Cleanup(w.close)
	return w
}

// settings are those of every corpus of the tests.
func settings(docs, data string, index *retrieval.Index, reader Reader) Config {
	return Config{
		Docs: docs, Data: data, Index: index, Reader: reader, Settle: quiet, Rescan: time.Hour,
		Count: func(s string) int { return len(strings.Fields(s)) }, Chunk: ChunkConfig{Size: 512, Overlap: 64},
	}
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.index, err = retrieval.Open(w.t.Context(), retrieval.Config{Dir: w.data}); err != nil {
		w.t.Fatal(err)
	}
	at, speech, ocr, photos, languages, pace := w.cfg.at, w.cfg.Speech, w.cfg.OCR, w.cfg.Photos, w.cfg.OCRLanguages, w.cfg.Pace
	w.cfg = settings(w.docs, w.data, w.index, w.reader)
	w.cfg.at, w.cfg.Speech, w.cfg.OCR, w.cfg.Photos, w.cfg.OCRLanguages, w.cfg.Pace = at, speech, ocr, photos, languages, pace
	if w.Corpus, err = Open(w.t.Context(), w.cfg); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) close() {
	if err := w.Close(); err != nil {
		w.t.Error(err)
	}
	if err := w.index.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) reopen() {
	w.t.Helper()
	w.close()
	w.open()
}

// run runs the corpus until the test ends, or the returned function is called.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

func (w *world) write(name, text string) {
	w.t.Helper()
	full := filepath.Join(w.docs, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) rename(from, to string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(w.docs, to)), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(w.docs, from), filepath.Join(w.docs, to)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) unlink(name string) {
	w.t.Helper()
	if err := os.Remove(filepath.Join(w.docs, name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sync() Summary {
	w.t.Helper()
	s, err := w.Sync(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// state is the listed documents, by path: status, or the code of the error.
func (w *world) state() map[string]string {
	w.t.Helper()
	docs, _, err := w.List(Filter{Limit: 10000})
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[string]string{}
	for _, d := range docs {
		for _, p := range d.Paths {
			if all[p] != "" {
				w.t.Errorf("%s is in two documents", p)
			}
			all[p] = string(d.Status)
			if d.Error != nil {
				all[p] += " " + string(d.Error.Code)
			}
		}
	}
	return all
}

func (w *world) want(want map[string]string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.state()); diff != "" {
		w.t.Errorf("documents differ (-want +got):\n%s", diff)
	}
}

// eventually polls until the documents are as wanted.
func (w *world) eventually(want map[string]string) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); !maps.Equal(want, w.state()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.want(want)
			w.t.FailNow()
		}
	}
}

// find returns the paths that a search by words finds.
func (w *world) find(query string) []string {
	w.t.Helper()
	res, err := w.index.Search(w.t.Context(), retrieval.Query{Text: query, Mode: retrieval.Lexical, K: 50})
	if err != nil {
		w.t.Fatal(err)
	}
	var paths []string
	for _, h := range res.Hits {
		paths = append(paths, h.Source.Paths...)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func (w *world) finds(query string, want ...string) {
	w.t.Helper()
	if got := w.find(query); !slices.Equal(got, want) {
		w.t.Errorf("%q is found in %q, want %q", query, got, want)
	}
}

// verified fails unless folder, ledger and index agree.
func (w *world) verified() {
	w.t.Helper()
	problems, err := w.Verify(w.t.Context(), false)
	if err != nil || len(problems) > 0 {
		w.t.Errorf("Verify: %q %v", problems, err)
	}
}

func (w *world) doc(name string) Document {
	w.t.Helper()
	e, ok := w.ledger.entry(name)
	if !ok {
		w.t.Fatalf("%s is not in the ledger", name)
	}
	d, err := w.Get(e.Doc)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func TestMain(m *testing.M) {
	if os.Getenv(childDocs) != "" {
		os.Exit(child())
	}
	if cache := os.Getenv(childReader); cache != "" {
		if err := worker.Serve(context.Background(), worker.ServeConfig{CacheDir: cache}, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// bleve starts these in its init, for as long as the process lives.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/blevesearch/bleve_index_api.AnalysisWorker"))
}
