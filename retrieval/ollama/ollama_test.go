package ollama

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/acervo-kb/acervo/retrieval"
	"github.com/acervo-kb/acervo/retrieval/answer"
)

var (
	_ retrieval.Embedder = (*Embedder)(nil)
	_ answer.Generator   = (*Generator)(nil)
)

// serve answers every request with handle and records the bodies.
func serve(t *testing.T, handle http.HandlerFunc) (url string, bodies *[]string) {
	t.Helper()
	bodies = new([]string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*bodies = append(*bodies, string(b))
		handle(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, bodies
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func redirects(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "http://127.0.0.1:1/x", http.StatusTemporaryRedirect)
}

func embedder(t *testing.T, cfg Config) *Embedder {
	t.Helper()
	e, err := NewEmbedder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func generator(t *testing.T, cfg Config) *Generator {
	t.Helper()
	g, err := NewGenerator(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// collect is an answer's text, its thoughts, its usage and how it ended.
func collect(ctx context.Context, g *Generator, r answer.Request) (text, thinking string, usage *answer.Usage, err error) {
	for d, e := range g.Generate(ctx, r) {
		text += d.Text
		thinking += d.Thinking
		if d.Usage != nil {
			usage = d.Usage
		}
		err = e
	}
	return text, thinking, usage, err
}

var hello = answer.Request{Messages: []answer.Message{{Role: answer.System, Content: "sé breve"}, {Role: answer.User, Content: "hola"}}, MaxTokens: 99}

func TestEmbed(t *testing.T) {
	url, bodies := serve(t, says(200, `{"embeddings":[[1,2],[3,4]]}`))
	e := embedder(t, Config{URL: url + "/", Model: "nomic-embed-text"})
	got, err := e.EmbedPassages(t.Context(), []string{"uno", "dos"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]float32{{1, 2}, {3, 4}}, got); diff != "" {
		t.Error(diff)
	}
	want := `{"model":"nomic-embed-text","input":["search_document: uno","search_document: dos"],"keep_alive":-1,"truncate":false,"options":{"num_batch":2048,"num_ctx":2048}}`
	if diff := cmp.Diff(want, (*bodies)[0]); diff != "" {
		t.Error(diff)
	}
}

func TestEmbedNothing(t *testing.T) {
	url, bodies := serve(t, says(500, ""))
	if got, err := embedder(t, Config{URL: url}).EmbedPassages(t.Context(), nil); got != nil || err != nil || len(*bodies) > 0 {
		t.Errorf("got %v, %v after %d calls, want nothing", got, err, len(*bodies))
	}
}

func TestEmbedFaults(t *testing.T) {
	tests := map[string]struct {
		handle http.HandlerFunc
		want   error
		words  string
	}{
		"too long":          {says(400, `{"error":"the input length exceeds the context length"}`), retrieval.ErrTooLong, "exceeds the context"},
		"too long in batch": {says(500, `{"error":"input (700 tokens) is too large to process. increase the physical batch size"}`), retrieval.ErrTooLong, "700 tokens"},
		"no such model":     {says(404, `{"error":"model \"e5\" not found, try pulling it first"}`), retrieval.ErrUnavailable, "`ollama pull e5`"},
		"no such route":     {says(404, `404 page not found`), retrieval.ErrUnavailable, "answered 404: 404 page"},
		"key":               {says(401, `{"error":"unauthorized"}`), retrieval.ErrUnavailable, "another key"},
		"busy":              {says(503, `{"error":"server busy"}`), retrieval.ErrUnavailable, "503: server busy"},
		"no number":         {says(500, `{"error":"failed to encode response: json: unsupported value: NaN"}`), nil, "NaN"},
		"too few":           {says(200, `{"embeddings":[]}`), nil, "0 vectors for 1 texts"},
		"garbage":           {says(200, "\x00\xff not json"), retrieval.ErrUnavailable, "Ollama at"},
		"redirect":          {redirects, retrieval.ErrUnavailable, "redirects"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			w.WriteHeader(200)
		}, retrieval.ErrUnavailable, "EOF"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			url, _ := serve(t, test.handle)
			_, err := embedder(t, Config{URL: url, Model: "e5"}).EmbedQuery(t.Context(), "hola")
			if err == nil || !strings.Contains(err.Error(), test.words) {
				t.Fatalf("error %v, want one with %q", err, test.words)
			}
			for _, sentinel := range []error{retrieval.ErrUnavailable, retrieval.ErrTooLong} {
				if errors.Is(err, sentinel) != errors.Is(test.want, sentinel) {
					t.Errorf("error %q: is %q: %v", err, sentinel, errors.Is(err, sentinel))
				}
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	if _, err := embedder(t, Config{URL: s.URL}).EmbedQuery(t.Context(), "hola"); !errors.Is(err, retrieval.ErrUnavailable) {
		t.Errorf("embedder: %v", err)
	}
	if _, _, _, err := collect(t.Context(), generator(t, Config{URL: s.URL}), hello); !errors.Is(err, answer.ErrUnavailable) {
		t.Errorf("generator: %v", err)
	}
	if s := Check(t.Context(), Config{URL: s.URL}); s.Err == nil || s.Mend != "ollama serve" || s.Version != "" {
		t.Errorf("check: %+v", s)
	}
}

func TestSlow(t *testing.T) {
	url, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := embedder(t, Config{URL: url}).EmbedQuery(ctx, "hola"); !errors.Is(err, retrieval.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("embedder: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := embedder(t, Config{URL: url}).EmbedQuery(ctx, "hola"); errors.Is(err, retrieval.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("embedder, canceled: %v", err)
	}
}

func TestBadURL(t *testing.T) {
	for _, url := range []string{"127.0.0.1:11434", "ftp://host", "http://", "http://a b"} {
		if _, err := NewEmbedder(Config{URL: url}); err == nil {
			t.Errorf("NewEmbedder with %q: no error", url)
		}
		if _, err := NewGenerator(Config{URL: url}); err == nil {
			t.Errorf("NewGenerator with %q: no error", url)
		}
	}
}

func TestKey(t *testing.T) {
	var got string
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		says(200, `{"embeddings":[[1]]}`)(w, r)
	})
	if _, err := embedder(t, Config{URL: url, Key: "k1"}).EmbedQuery(t.Context(), "hola"); err != nil || got != "Bearer k1" {
		t.Errorf("Authorization %q, error %v", got, err)
	}
}

func TestGenerate(t *testing.T) {
	url, bodies := serve(t, says(200, `{"message":{"thinking":"a ver"}}
{"message":{"content":"<thi"}}
{"message":{"content":"nk>mm</think>Ho"}}
{"message":{"content":"la"}}
{"message":{"content":""},"done":true,"done_reason":"stop","load_duration":2000000000,"prompt_eval_count":30,"eval_count":2}
`))
	text, thinking, usage, err := collect(t.Context(), generator(t, Config{URL: url, Model: "qwen2.5:7b"}), hello)
	if text != "Hola" || thinking != "a vermm" || err != nil {
		t.Errorf("text %q, thinking %q, error %v", text, thinking, err)
	}
	if diff := cmp.Diff(&answer.Usage{PromptTokens: 30, CompletionTokens: 2, Context: 8192, Reloaded: true}, usage); diff != "" {
		t.Error(diff)
	}
	want := `{"model":"qwen2.5:7b","messages":[{"role":"system","content":"sé breve"},{"role":"user","content":"hola"}],"keep_alive":-1,` +
		`"options":{"num_ctx":8192,"num_predict":99,"seed":1,"temperature":0.1},"think":false,"truncate":false,"shift":false}`
	if diff := cmp.Diff(want, (*bodies)[0]); diff != "" {
		t.Error(diff)
	}
}

func TestTruncated(t *testing.T) {
	tests := []struct {
		prompt, written string
		want            bool
	}{
		{"100", "50", false},
		{"1998", "50", false}, // written up to the end of the context
		{"2048", "5", true},   // an old server cuts the prompt to the context
		{"1998", "400", true}, // it went on writing, over what it read
	}
	for _, test := range tests {
		url, _ := serve(t, says(200, `{"message":{"content":"x"},"done":true,"prompt_eval_count":`+test.prompt+`,"eval_count":`+test.written+`}`))
		_, _, usage, err := collect(t.Context(), generator(t, Config{URL: url, Context: 2048}), hello)
		if err != nil || usage.Truncated != test.want || usage.Reloaded {
			t.Errorf("read %s, wrote %s: %+v, %v", test.prompt, test.written, usage, err)
		}
	}
}

func TestGenerateFaults(t *testing.T) {
	const first = `{"message":{"content":"Tres"}}` + "\n"
	tests := map[string]struct {
		handle      http.HandlerFunc
		text        string
		unavailable bool
		words       string
	}{
		"no such model":   {says(404, `{"error":"model 'm' not found"}`), "", true, "`ollama pull m`"},
		"load failed":     {says(500, `{"error":"model failed to load: out of memory"}`), "", true, "out of memory"},
		"prompt too long": {says(400, `{"error":"{\"error\":{\"message\":\"request (5419 tokens) exceeds the available context size (2048 tokens)\"}}"}`), "", true, "400: request (5419 tokens)"},
		"garbage":         {says(200, "\x00\xff not json at all"), "", true, "not json"},
		"nothing":         {says(200, ""), "", true, "broke off"},
		"error at once":   {says(200, `{"error":"no memory"}`), "", true, "no memory"},
		"only thoughts":   {says(200, `{"message":{"thinking":"mm"}}`), "", true, "broke off"},
		"error later":     {says(200, first+`{"error":"no memory"}`), "Tres", false, "no memory"},
		"cut off":         {says(200, first), "Tres", false, "broke off"},
		"cut in a tag":    {says(200, `{"message":{"content":"<th"}}`), "<th", false, "broke off"},
		"redirect":        {redirects, "", true, "redirects"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			url, _ := serve(t, test.handle)
			text, _, usage, err := collect(t.Context(), generator(t, Config{URL: url, Model: "m"}), hello)
			if err == nil || !strings.Contains(err.Error(), test.words) || errors.Is(err, answer.ErrUnavailable) != test.unavailable {
				t.Errorf("error %v, want one with %q, unavailable: %v", err, test.words, test.unavailable)
			}
			if text != test.text || usage != nil {
				t.Errorf("text %q, usage %v; want %q and none", text, usage, test.text)
			}
		})
	}
}

// endless writes words until its reader leaves, which it tells.
func endless(left chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, `{"message":{"content":"y "}}`+"\n")
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
		close(left)
	}
}

func TestLeavingEndsTheGeneration(t *testing.T) {
	for name, leave := range map[string]func(cancel func()) bool{
		"break":  func(func()) bool { return true },
		"cancel": func(cancel func()) bool { cancel(); return false },
	} {
		t.Run(name, func(t *testing.T) {
			left := make(chan struct{})
			url, _ := serve(t, endless(left))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var end error
			for _, err := range generator(t, Config{URL: url}).Generate(ctx, hello) {
				end = err
				if leave(cancel) {
					break
				}
			}
			if name == "cancel" && !errors.Is(end, context.Canceled) {
				t.Errorf("it ended with %v", end)
			}
			select {
			case <-left:
			case <-time.After(2 * time.Second):
				t.Error("the server was still writing 2 s later")
			}
		})
	}
}

func TestOptionsNeverDiffer(t *testing.T) {
	url, bodies := serve(t, func(w http.ResponseWriter, r *http.Request) {
		says(200, map[string]string{"/api/chat": `{"done":true}`, "/api/embed": `{"embeddings":[[1]]}`}[r.URL.Path])(w, r)
	})
	e, g := embedder(t, Config{URL: url, Model: "e"}), generator(t, Config{URL: url, Model: "g"})
	for i := range 10 {
		if _, err := e.EmbedQuery(t.Context(), strings.Repeat("hola ", i)); err != nil {
			t.Fatal(err)
		}
		if _, err := e.EmbedPassages(t.Context(), []string{strings.Repeat("adiós ", i)}); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := collect(t.Context(), g, answer.Request{Messages: hello.Messages[:i%2+1], MaxTokens: 50 * i}); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]map[string]bool{"e": {}, "g": {}}
	for _, b := range *bodies {
		var body struct {
			Model     string          `json:"model"`
			KeepAlive json.RawMessage `json:"keep_alive"`
			Shift     json.RawMessage `json:"shift"`
			Options   map[string]any  `json:"options"`
		}
		if err := json.Unmarshal([]byte(b), &body); err != nil {
			t.Fatal(err)
		}
		delete(body.Options, "num_predict")
		seen[body.Model][fmt.Sprint(body.Options, string(body.Shift), string(body.KeepAlive))] = true
	}
	if len(*bodies) != 30 || len(seen["e"]) != 1 || len(seen["g"]) != 1 {
		t.Errorf("%d requests with options %v, want one kind a model", len(*bodies), seen)
	}
}

func TestCheck(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		says(200, map[string]string{
			"/api/version": `{"version":"0.32.15"}`,
			"/api/show":    `{"model_info":{"general.architecture":"bert","bert.context_length":512}}`,
			"/api/ps":      `{"models":[{"name":"other:latest","size":9},{"name":"e5:latest","size":75,"size_vram":25}]}`,
		}[r.URL.Path])(w, r)
	})
	want := Status{Version: "0.32.15", Present: true, Loaded: true, Bytes: 75, VRAMBytes: 25, Context: 512}
	if diff := cmp.Diff(want, Check(t.Context(), Config{URL: url, Model: "E5"})); diff != "" {
		t.Error(diff)
	}
}

func TestCheckAbsent(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/version" {
			says(200, `{"version":"0.32.15"}`)(w, r)
			return
		}
		says(404, `{"error":"model 'e5' not found"}`)(w, r)
	})
	s := Check(t.Context(), Config{URL: url, Model: "e5"})
	if s.Present || s.Err == nil || s.Mend != "ollama pull e5" || s.Version == "" {
		t.Errorf("%+v", s)
	}
}

func TestPull(t *testing.T) {
	url, bodies := serve(t, says(http.StatusOK, `{"status":"pulling manifest"}
{"status":"pulling a","digest":"sha256:a","total":100}
{"status":"pulling a","digest":"sha256:a","total":100,"completed":60}
{"status":"pulling b","digest":"sha256:b","total":20,"completed":20}
{"status":"pulling a","digest":"sha256:a","total":100,"completed":100}
{"status":"success"}
`))
	var got []string
	err := Pull(t.Context(), Config{URL: url, Model: "m:1b"}, func(done, total int64) { got = append(got, fmt.Sprint(done, "/", total)) })
	if want := "0/100 60/100 80/120 120/120"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("progress %q, want %q, %v", got, want, err)
	}
	if len(*bodies) != 1 || !strings.Contains((*bodies)[0], `"m:1b"`) {
		t.Errorf("asked for %q", *bodies)
	}
}

func TestPullErrors(t *testing.T) {
	nothing := func(int64, int64) {}
	url, _ := serve(t, says(http.StatusOK, `{"status":"pulling manifest"}`+"\n"+`{"error":"pull model manifest: file does not exist"}`+"\n"))
	if err := Pull(t.Context(), Config{URL: url, Model: "m"}, nothing); err == nil || !strings.Contains(err.Error(), "file does not exist") {
		t.Errorf("no such model: %v", err)
	}
	err := Pull(t.Context(), Config{URL: "http://127.0.0.1:1", Model: "m"}, nothing)
	for lang, want := range map[string]string{"es": "no se puede contactar con Ollama (http://127.0.0.1:1)", "en": "Ollama at http://127.0.0.1:1 cannot be reached"} {
		if got := retrieval.Said(err, lang); got != want {
			t.Errorf("to a user it says %q, want %q", got, want)
		}
	}
	if err == nil || !strings.Contains(err.Error(), "cannot be reached: ") {
		t.Errorf("no server: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Pull(ctx, Config{URL: url, Model: "m"}, nothing); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}
