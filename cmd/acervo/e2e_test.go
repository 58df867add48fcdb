package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/acervo-kb/acervo/ingest"
	"github.com/acervo-kb/acervo/ingest/parse"
	"github.com/acervo-kb/acervo/retrieval"
)

// standIns are what the test binary can be in the place of a test: the program, which starts its workers so, and
// what a test of a whole process needs.
var standIns = map[string]func(args []string) int{"worker": itself, "serve": itself, tallyArgument: runTally}

func itself(args []string) int {
	return run(context.Background(), args, os.Stdin, os.Stdout, os.Stderr)
}

// compiledEngine is the compiled PDF engine, which all tests and later runs share: to compile it takes seconds, and with
// the race detector minutes and a gigabyte, more than a reader of documents is let have.
var compiledEngine = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), "acervo-test-pdfium")
	pdf, err := parse.NewPDF(context.Background(), parse.PDFConfig{CacheDir: dir})
	if err != nil {
		return "", err
	}
	return dir, pdf.Close()
})

func shareEngine(t testing.TB, data string) {
	t.Helper()
	shared, err := compiledEngine()
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(data, "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(shared, filepath.Join(cache, "pdfium")); err != nil {
		t.Logf("the PDF engine is compiled for this test alone: %v", err)
	}
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && standIns[os.Args[1]] != nil {
		os.Exit(standIns[os.Args[1]](os.Args[1:]))
	}
	os.Exit(m.Run())
}

// A library is a server over a temporary folder.
type library struct {
	*client
	docs, data string
	stop       func()
}

// serveLibrary starts a server that ends with the test, or at stop.
func serveLibrary(t testing.TB, o overrides, settings ...string) *library {
	t.Helper()
	o.addr = "127.0.0.1:0"
	o.set = append([]string{"watch.settle=100ms"}, settings...)
	cfg, _, err := loadConfig(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	url, ended := make(chan string, 1), make(chan error, 1)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	go func() { ended <- serve(ctx, cfg, log, func(u string) { url <- u }) }()
	l := &library{docs: cfg.Docs, data: cfg.Data}
	l.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
		l.stop = func() {}
	}
	t.Cleanup(func() { l.stop() })
	select {
	case u := <-url:
		l.client = &client{base: u, http: &http.Client{}}
	case err := <-ended:
		ended <- nil
		t.Fatalf("serve: %v", err)
	}
	return l
}

func (l *library) write(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(l.docs, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// settle waits until n documents are at their end, with vectors if wanted, and returns them by first path.
func (l *library) settle(t testing.TB, n int, vectors bool) map[string]ingest.Document {
	t.Helper()
	return l.settleFor(t, n, vectors, 3*time.Minute)
}

func (l *library) settleFor(t testing.TB, n int, vectors bool, patience time.Duration) map[string]ingest.Document {
	t.Helper()
	var docs []ingest.Document
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var err error
		if docs, err = l.documents(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		settled := map[string]ingest.Document{}
		for _, d := range docs {
			if d.Status == ingest.Failed || (d.Status == ingest.Ready || d.Status == ingest.Partial) && (!vectors || d.Embedded == d.Chunks) {
				settled[d.Paths[0]] = d
			}
		}
		if len(settled) == n && len(docs) == n {
			return settled
		}
	}
	t.Fatalf("not %d settled documents after %s: %+v", n, patience, docs)
	return nil
}

// queried is an answer of POST /api/v1/query.
type queried struct {
	Mode      string
	Answer    string
	Abstained bool
	Language  string
	Citations []citation
	Warnings  []string
	Usage     struct {
		PromptTokens int `json:"prompt_tokens"`
		Truncated    bool
	}
}

type citation struct {
	N        int
	Document foundDocument
	Location retrieval.Location
	Text     string
}

func (l *library) ask(t testing.TB, question string) queried {
	t.Helper()
	var a queried
	if err := l.call(t.Context(), http.MethodPost, "/api/v1/query", map[string]any{"question": question}, &a); err != nil {
		t.Fatalf("%s: %v", question, err)
	}
	return a
}

var noEngine = []string{"llm.provider=none", "embedder.provider=none"}

func TestDroppedFileBecomesCitedAnswer(t *testing.T) {
	l := serveLibrary(t, emptyPlace(t), noEngine...)
	l.write(t, "legal/contrato.md", "# Contrato\n\n## Garantía\n\nLa garantía de los equipos dura tres años desde la entrega.\n\n## Penalización\n\nSe descontará el 0,5 % por semana.\n")
	l.write(t, "handbook.txt", "Observatory handbook\n\nThe dome must be closed when the wind exceeds 54 kilometres per hour.\n")
	docs := l.settle(t, 2, false)
	if d := docs["legal/contrato.md"]; d.Collection != "legal" || d.Language != "es" || d.Chunks == 0 {
		t.Errorf("contrato.md is %+v", d)
	}
	for _, test := range []struct{ question, path, words string }{
		{"¿Cuánto dura la garantía?", "legal/contrato.md", "tres años"},
		{"At what wind speed must the dome be closed?", "handbook.txt", "54 kilometres"},
	} {
		a := l.ask(t, test.question)
		if a.Mode != "extractive" || a.Abstained || !strings.Contains(a.Answer, test.words) {
			t.Errorf("%s: %+v", test.question, a)
		}
		if len(a.Citations) == 0 || a.Citations[0].Document.Path != test.path || !strings.Contains(a.Citations[0].Text, test.words) {
			t.Errorf("%s cites %+v", test.question, a.Citations)
		}
	}
	if a := l.ask(t, "¿Quién ganó el mundial de ajedrez de 1987?"); !a.Abstained || len(a.Citations) > 0 || a.Language != "es" {
		t.Errorf("what the documents do not hold was answered: %+v", a)
	}
	if err := os.Remove(filepath.Join(l.docs, "handbook.txt")); err != nil {
		t.Fatal(err)
	}
	l.settle(t, 1, false)
	if a := l.ask(t, "At what wind speed must the dome be closed?"); !a.Abstained {
		t.Errorf("a deleted document goes on answering: %+v", a)
	}
}

// command runs one command as main does.
func command(t *testing.T, o overrides, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	args = append(args, "--docs", o.docs, "--data", o.data, "--set", "watch.settle=100ms")
	for _, s := range noEngine {
		args = append(args, "--set", s)
	}
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestCommandsWithoutServer(t *testing.T) {
	o := emptyPlace(t)
	l := &library{docs: o.docs}
	l.write(t, "nota.txt", "El faro de Tabarca mide 25 metros.")
	expect := func(wantCode int, wantOut string, args ...string) string {
		t.Helper()
		code, out, errs := command(t, o, args...)
		if code != wantCode || !strings.Contains(out+errs, wantOut) {
			t.Errorf("%s: exit %d, %q %q; want exit %d and %q", strings.Join(args, " "), code, out, errs, wantCode, wantOut)
		}
		return out
	}
	expect(0, "1 indexed, 0 unchanged", "sync")
	expect(0, "0 indexed, 1 unchanged", "sync")
	expect(0, "nota.txt", "search", "faro")
	expect(0, "25 metros", "ask", "¿Cuánto mide el faro de Tabarca?")
	expect(0, "agree", "verify")
	l.write(t, "nota.txt", "El faro de Tabarca mide 26 metros.")
	expect(1, "nota.txt", "verify")
	added := filepath.Join(t.TempDir(), "puerto.txt")
	if err := os.WriteFile(added, []byte("El puerto tiene dos grúas."), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(0, "islas/puerto.txt", "add", added, "--collection", "islas")
	var listed struct{ Documents []ingest.Document }
	if err := json.Unmarshal([]byte(expect(0, "puerto.txt", "list", "--json")), &listed); err != nil || len(listed.Documents) != 2 {
		t.Errorf("list --json: %v, %d documents", err, len(listed.Documents))
	}
	expect(0, "removed islas/puerto.txt", "rm", "islas/puerto.txt")
	if _, err := os.Stat(filepath.Join(o.docs, "islas", "puerto.txt")); !os.IsNotExist(err) {
		t.Errorf("rm left the file: %v", err)
	}
	expect(1, "no document", "rm", "nosuch")
	l.write(t, "roto.pdf", "%PDF-1.7 esto no es un PDF")
	expect(1, "roto.pdf", "sync")
	expect(1, "roto.pdf", "retry", "roto.pdf")
}

func TestCommandsBesideServer(t *testing.T) {
	o := emptyPlace(t)
	l := serveLibrary(t, o, noEngine...)
	l.write(t, "a.txt", "El cometa pasó en 1910.")
	l.settle(t, 1, false)
	if code, out, errs := command(t, o, "search", "cometa", "--json"); code != 0 || !strings.Contains(out, "1910") {
		t.Errorf("search beside a server: exit %d %q %q", code, out, errs)
	}
	code, _, errs := command(t, o, "serve", "--addr", "127.0.0.1:0")
	if code != 1 || !regexp.MustCompile(`already runs .*http://127`).MatchString(errs) {
		t.Errorf("a second server: exit %d %q", code, errs)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"nosuch"}, {"search", "--nosuch", "x"}, {"search"}, {"search", "a", "b"}, {"add"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, nil, &out, &errs); code != 2 || errs.Len() == 0 {
			t.Errorf("%v: exit %d, %q", args, code, errs.String())
		}
	}
}
