package openai

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
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

// serve answers every request with handle and records them: method, path, key, body.
func serve(t *testing.T, handle http.HandlerFunc) (url string, asked *[]string) {
	t.Helper()
	asked = new([]string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*asked = append(*asked, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")+"\n"+string(b)))
		handle(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
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
	tests := map[string]string{
		"floats":        `{"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[3,-4.5]}]}`,
		"base64":        `{"data":[{"index":0,"embedding":"AACAPwAAAEA="},{"index":1,"embedding":"AABAQAAAkMA="}]}`,
		"another order": `{"data":[{"index":1,"embedding":[3,-4.5]},{"index":0,"embedding":[1,2]}]}`,
		"no index":      `{"data":[{"embedding":[1,2]},{"embedding":[3,-4.5]}]}`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			url, asked := serve(t, says(200, body))
			got, err := embedder(t, Config{URL: url, Model: "x/multilingual-e5-small:q8", Key: "k1"}).EmbedPassages(t.Context(), []string{"uno", "dos"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([][]float32{{1, 2}, {3, -4.5}}, got); diff != "" {
				t.Error(diff)
			}
			want := "POST /v1/embeddings Bearer k1\n" + `{"model":"x/multilingual-e5-small:q8","input":["passage: uno","passage: dos"],"encoding_format":"float"}`
			if diff := cmp.Diff(want, (*asked)[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEmbedFaults(t *testing.T) {
	tests := map[string]struct {
		handle http.HandlerFunc
		want   error
		words  string
	}{
		"too long, OpenAI":    {says(400, `{"error":{"message":"This model's maximum context length is 512 tokens"}}`), retrieval.ErrTooLong, "maximum context"},
		"too long, llama.cpp": {says(500, `{"error":{"message":"input is too large to process. increase the physical batch size"}}`), retrieval.ErrTooLong, "too large"},
		"too long, other":     {says(413, `{"error":"Input validation error: inputs too long"}`), retrieval.ErrTooLong, "too long"},
		"refused":             {says(400, `{"error":{"message":"bad input"}}`), nil, "answered 400: bad input"},
		"no memory":           {says(500, `{"error":{"message":"out of memory"}}`), nil, "500: out of memory"},
		"loading":             {says(503, `{"error":{"message":"Loading model"}}`), retrieval.ErrUnavailable, "Loading model"},
		"no such model":       {says(404, `{"detail":"model not found"}`), retrieval.ErrUnavailable, "404: model not found"},
		"key":                 {says(401, ``), retrieval.ErrUnavailable, "answered 401"},
		"no numbers":          {says(200, `{"data":[{"index":0,"embedding":[NaN,NaN]}]}`), nil, "no list of embeddings"},
		"packed, no number":   {says(200, `{"data":[{"index":0,"embedding":"AADAfw=="}]}`), nil, "no number"},
		"packed, cut":         {says(200, `{"data":[{"index":0,"embedding":"AADA"}]}`), nil, "illegal base64"},
		"empty vector":        {says(200, `{"data":[{"index":0,"embedding":[]}]}`), nil, "no vector"},
		"null vector":         {says(200, `{"data":[{"index":0,"embedding":null}]}`), nil, "no vector"},
		"other text's":        {says(200, `{"data":[{"index":7,"embedding":[1]}]}`), nil, "text 7"},
		"too few":             {says(200, `{"data":[]}`), nil, "0 vectors for 1 texts"},
		"garbage":             {says(200, "\x00\xff not json at all"), nil, "no list of embeddings"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			w.WriteHeader(200)
		}, retrieval.ErrUnavailable, "EOF"},
		"redirect": {redirects, retrieval.ErrUnavailable, "redirects"},
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

func TestEmbedTwice(t *testing.T) {
	url, _ := serve(t, says(200, `{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[2]}]}`))
	if _, err := embedder(t, Config{URL: url}).EmbedPassages(t.Context(), []string{"uno", "dos"}); err == nil {
		t.Error("two vectors for one text, none for the other: no error")
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
	if s := Check(t.Context(), Config{URL: s.URL}); s.Err == nil {
		t.Errorf("check: %+v", s)
	}
}

func TestSlow(t *testing.T) {
	url, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := embedder(t, Config{URL: url}).EmbedQuery(ctx, "hola")
	if !errors.Is(err, retrieval.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "in time") {
		t.Errorf("embedder: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := embedder(t, Config{URL: url}).EmbedQuery(ctx, "hola"); errors.Is(err, retrieval.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("embedder, canceled: %v", err)
	}
}

func TestURL(t *testing.T) {
	for suffix, want := range map[string]string{"": "/v1/models", "/": "/v1/models", "/v1": "/v1/models", "/v1/": "/v1/models", "/api": "/api/v1/models"} {
		url, asked := serve(t, says(200, `{"data":[]}`))
		Check(t.Context(), Config{URL: url + suffix})
		if diff := cmp.Diff([]string{"GET " + want}, *asked); diff != "" {
			t.Error(diff)
		}
	}
	for _, url := range []string{"", "127.0.0.1:8080", "ftp://host", "http://"} {
		if _, err := NewGenerator(Config{URL: url}); err == nil {
			t.Errorf("%q: no error", url)
		}
	}
}

// events writes each piece as the server-sent event it is.
func events(pieces ...string) http.HandlerFunc {
	return says(200, "data: "+strings.Join(pieces, "\n\ndata: ")+"\n\n")
}

const (
	tres   = `{"choices":[{"delta":{"role":"assistant","content":"Tres"},"finish_reason":null}]}`
	anos   = `{"choices":[{"delta":{"content":" años"}}]}`
	stop   = `{"choices":[{"delta":{},"finish_reason":"stop"}]}`
	counts = `{"choices":[],"usage":{"prompt_tokens":30,"completion_tokens":2}}`
	done   = `[DONE]`
)

func TestGenerate(t *testing.T) {
	counted := answer.Usage{PromptTokens: 30, CompletionTokens: 2, Context: 4096}
	tests := map[string]struct {
		handle   http.HandlerFunc
		thinking string
		usage    answer.Usage
	}{
		"usual":              {events(tres, anos, stop, counts, done), "", counted},
		"no usage":           {events(tres, anos, stop, done), "", answer.Usage{Context: 4096}},
		"usage with the end": {events(tres, anos, stop[:len(stop)-1]+`,"usage":{"prompt_tokens":30,"completion_tokens":2}}`, done), "", counted},
		"no DONE":            {events(tres, anos, stop), "", answer.Usage{Context: 4096}},
		"no reason":          {events(tres, anos, done), "", answer.Usage{Context: 4096}},
		"comments, CRLF":     {says(200, ": wait\r\n\r\nevent: x\r\ndata:"+tres+"\r\n\r\n: wait\r\ndata:"+anos+"\r\n\r\ndata:[DONE]\r\n"), "", answer.Usage{Context: 4096}},
		"reasoning_content":  {events(`{"choices":[{"delta":{"reasoning_content":"a ver"}}]}`, tres, anos, done), "a ver", answer.Usage{Context: 4096}},
		"reasoning":          {events(`{"choices":[{"delta":{"reasoning":"a ver"}}]}`, tres, anos, done), "a ver", answer.Usage{Context: 4096}},
		"think":              {events(`{"choices":[{"delta":{"content":"<thi"}}]}`, `{"choices":[{"delta":{"content":"nk>a ver</think>"}}]}`, tres, anos, done), "a ver", answer.Usage{Context: 4096}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			url, asked := serve(t, test.handle)
			text, thinking, usage, err := collect(t.Context(), generator(t, Config{URL: url, Model: "m", Context: 4096}), hello)
			if text != "Tres años" || thinking != test.thinking || err != nil {
				t.Errorf("text %q, thinking %q, error %v", text, thinking, err)
			}
			if diff := cmp.Diff(&test.usage, usage); diff != "" {
				t.Error(diff)
			}
			want := "POST /v1/chat/completions \n" + `{"model":"m","messages":[{"role":"system","content":"sé breve"},{"role":"user","content":"hola"}],` +
				`"max_tokens":99,"temperature":0.1,"seed":1,"stream":true,"stream_options":{"include_usage":true}}`
			if diff := cmp.Diff(want, (*asked)[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGenerateFaults(t *testing.T) {
	tests := map[string]struct {
		handle      http.HandlerFunc
		text        string
		unavailable bool
		words       string
	}{
		"load failed":        {says(500, `{"error":{"message":"model failed to load: out of memory"}}`), "", true, "500: model failed to load"},
		"prompt too long":    {says(400, `{"error":{"message":"request (5419 tokens) exceeds the available context size (2048 tokens)"}}`), "", true, "5419 tokens"},
		"garbage":            {says(200, "\x00\xff not json at all"), "", true, "not json at all"},
		"an error with 200":  {says(200, "{\n\"error\":{\"message\":\"no slot\"}\n}"), "", true, "no stream of events: no slot"},
		"nothing":            {says(200, ""), "", true, "no stream of events"},
		"garbage in a event": {events("{not json"), "", true, "cannot be read"},
		"error at once":      {events(`{"error":{"message":"no memory"}}`), "", true, "no memory"},
		"only thoughts":      {events(`{"choices":[{"delta":{"reasoning_content":"mm"}}]}`), "", true, "broke off"},
		"error later":        {events(tres, `{"error":{"message":"no memory"}}`), "Tres", false, "no memory"},
		"llama.cpp's error":  {says(200, "data: "+tres+"\n\nerror: {\"code\":500,\"message\":\"no memory\"}\n\n"), "Tres", false, "no memory"},
		"garbage later":      {events(tres, "{not json"), "Tres", false, "cannot be read"},
		"cut off":            {events(tres, anos), "Tres años", false, "broke off"},
		"cut in a tag":       {events(`{"choices":[{"delta":{"content":"<th"}}]}`), "<th", false, "broke off"},
		"too long a line":    {says(200, "data: "+strings.Repeat("x", longestLine+9)), "", true, "token too long"},
		"redirect":           {redirects, "", true, "redirects"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			url, _ := serve(t, test.handle)
			text, _, usage, err := collect(t.Context(), generator(t, Config{URL: url}), hello)
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
			_, _ = io.WriteString(w, "data: "+anos+"\n\n")
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

func TestCheck(t *testing.T) {
	url, _ := serve(t, says(200, `{"object":"list","data":[{"id":"a:latest"},{"id":"b"}]}`))
	for _, model := range []string{"a", "b"} {
		if s := Check(t.Context(), Config{URL: url, Model: model}); !s.Present || s.Err != nil || len(s.Models) != 2 {
			t.Errorf("%s: %+v", model, s)
		}
	}
	if s := Check(t.Context(), Config{URL: url, Model: "c"}); s.Present || s.Err == nil || !strings.Contains(s.Err.Error(), "a:latest, b") {
		t.Errorf("%+v", s)
	}
}

// TestReal speaks to Ollama's own endpoints of this protocol.
func TestReal(t *testing.T) {
	url := os.Getenv("ACERVO_TEST_OLLAMA_URL")
	if url == "" {
		t.Skip("needs a real server: ACERVO_TEST_OLLAMA_URL is not set")
	}
	e := embedder(t, Config{URL: url, Model: os.Getenv("ACERVO_TEST_EMBEDDER")})
	vectors, err := e.EmbedPassages(t.Context(), []string{"La garantía dura tres años.", "El gato duerme."})
	if err != nil || len(vectors) != 2 || len(vectors[0]) != len(vectors[1]) {
		t.Errorf("%d vectors, error %v", len(vectors), err)
	}
	cfg := Config{URL: url, Model: os.Getenv("ACERVO_TEST_LLM")}
	if s := Check(t.Context(), cfg); !s.Present {
		t.Errorf("%+v", s)
	}
	r := answer.Request{Messages: []answer.Message{{Role: answer.User, Content: "Responde solo: hola"}}, MaxTokens: 8}
	text, _, usage, err := collect(t.Context(), generator(t, cfg), r)
	if err != nil || text == "" || usage == nil || usage.PromptTokens < 5 || usage.CompletionTokens == 0 {
		t.Errorf("text %q, usage %+v, error %v", text, usage, err)
	}
	cfg.Model = "no-such-model"
	if _, _, _, err := collect(t.Context(), generator(t, cfg), r); !errors.Is(err, answer.ErrUnavailable) || !strings.Contains(err.Error(), "no-such-model") {
		t.Errorf("%v", err)
	}
}
